//! Arbitrary bytes as signed names of groups, and altered ones.
#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use landline::GroupSigner;

static SIGNER: LazyLock<GroupSigner> =
    LazyLock::new(|| GroupSigner::with_key("0123456789abcdef0123456789abcdef").expect("a key"));

libfuzzer_sys::fuzz_target!(|input: (&str, u8, u8, &str)| {
    let (name, place, byte, noise) = input;
    let until = UNIX_EPOCH + Duration::from_secs(9_000_000_000);
    let token = SIGNER.sign(name, until, None);
    match SIGNER.verify(&token, None) {
        Ok(group) => assert_eq!(group, name),
        Err(_) => assert!(token.len() > 2048, "{name:?} was signed"),
    }
    assert!(SIGNER.verify(&SIGNER.sign(name, UNIX_EPOCH, None), None).is_err(), "expired");
    assert!(SIGNER.verify(&SIGNER.sign(name, until, Some("anna")), None).is_err(), "anna's");
    // The fuzzer may have learned a token by now, and a name has no other in a second.
    if let Ok(group) = SIGNER.verify(noise, None) {
        assert_eq!(SIGNER.sign(&group, until, None), noise, "was not signed");
    }
    for other in [format!("{token}{noise}"), format!("{noise}{token}")] {
        assert!(noise.is_empty() || SIGNER.verify(&other, None).is_err(), "{other}");
    }
    let mut altered = token.clone().into_bytes();
    let place = usize::from(place) * altered.len() / 256;
    if altered[place] != byte {
        altered[place] = byte;
        let altered = String::from_utf8_lossy(&altered);
        assert!(SIGNER.verify(&altered, None).is_err(), "{altered} was not signed");
    }
});
