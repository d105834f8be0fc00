//! Arbitrary bytes as the first records of a client, in pieces of any size.
#![no_main]

mod tls;

use landline::internals::TlsRecords;

/// Most that may be kept of records that are not whole: the longest message of a handshake, in
/// records of one byte each at worst.
const MOST_KEPT: usize = 7 * 64 * 1024;

fn outcome(data: &[u8], piece: usize) -> (Option<String>, bool) {
    let mut server = TlsRecords::new(&tls::BOTH.0).expect("a session");
    for part in data.chunks(piece.max(1)) {
        server.receive(part, 0);
        assert!(server.kept_bytes() <= MOST_KEPT, "{} bytes are kept", server.kept_bytes());
        assert!(server.take_unsent().len() <= 64 * 1024);
    }
    assert!(server.plain().is_empty(), "there are no keys yet");
    (server.fault(), server.is_shaking_hands())
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let whole = outcome(data, data.len());
    assert!(whole.1, "nobody can guess a handshake");
    for piece in [1, 5, 64] {
        assert_eq!(whole, outcome(data, piece), "in pieces of {piece}");
    }
});
