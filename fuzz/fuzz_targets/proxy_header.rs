//! Arbitrary bytes as a PROXY header, which says for whom a connection is.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| landline::internals::read_proxy_header(data));
