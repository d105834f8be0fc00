//! Arbitrary text as `Authorization: Basic`, and as the file of users.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    landline::internals::read_credentials(text);
    // No line is shown, for it may be a password.
    if let Err(error) = landline::BasicAuth::with_users(text) {
        let shown = error.to_string();
        let hash = text.lines().filter_map(|line| line.split(':').nth(1));
        let mut hashes = hash.filter(|hash| hash.starts_with("$2") && hash.len() > 7);
        assert!(hashes.all(|hash| !shown.contains(hash)), "{shown}");
    }
});
