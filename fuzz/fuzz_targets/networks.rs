//! Arbitrary text as a list of networks.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| landline::internals::read_networks(text));
