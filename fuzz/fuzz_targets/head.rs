//! Arbitrary bytes as a request head.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| landline::internals::parse_head(data));
