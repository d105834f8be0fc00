//! Arbitrary lines as `X-Forwarded-For` and `Forwarded` of a trusted proxy.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| landline::internals::read_forwarded(data));
