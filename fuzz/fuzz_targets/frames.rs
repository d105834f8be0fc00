//! Arbitrary bytes as the frames of a WebSocket client.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| landline::internals::decode_frames(data));
