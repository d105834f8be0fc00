//! Arbitrary lines as `Cookie`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| landline::internals::read_cookies(data));
