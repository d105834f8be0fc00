//! Records that no client in good faith sends.

use rustls::pki_types::PrivateKeyDer;

use super::*;

fn engine() -> Engine {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pair.cert.der().clone()], key)
        .unwrap();
    Engine::new(Arc::new(config)).unwrap()
}

/// A ClientHello in several records, and behind some of them what is no record.
#[test]
fn what_cannot_be_read_is_told_once_wherever_it_was_cut() {
    let first = [&[1, 0, 1, 252][..], &[0; 26]].concat();
    let parts = [first].into_iter().chain((0..8).map(|_| vec![0; 30])).chain([vec![0; 2]]);
    let records = parts.map(|part| [&[22, 3, 1, 0, part.len() as u8][..], &part].concat());
    let records: Vec<u8> = records.chain([vec![0; 8]]).flatten().collect();
    let outcome = |piece: usize| {
        let mut engine = engine();
        records.chunks(piece).for_each(|part| engine.digest(part.to_vec(), None));
        (engine.fault().cloned(), engine.unsent().to_vec())
    };
    let whole = outcome(records.len());
    assert!(whole.0.is_some() && whole.1.len() == 7, "one alert: {whole:?}");
    for piece in 1..100 {
        assert_eq!(outcome(piece), whole, "in pieces of {piece}");
    }
}
