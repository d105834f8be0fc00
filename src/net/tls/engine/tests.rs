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

/// A ClientHello of zeros over several records, and more behind it.
#[test]
fn what_cannot_be_read_is_told_once_wherever_it_was_cut() {
    let message = [&[1, 0, 0, 100][..], &[0; 100]].concat();
    let records = message.chunks(30).chain([&[0; 9][..]]);
    let records: Vec<u8> =
        records.flat_map(|part| [&[22, 3, 1, 0, part.len() as u8][..], part].concat()).collect();
    let mut whole = engine();
    whole.digest(records.clone(), None);
    let told = whole.unsent().to_vec();
    assert!(whole.fault().is_some() && told.len() == 7, "one alert: {told:?}");
    for cut in 1..records.len() {
        let mut parted = engine();
        parted.digest(records[..cut].to_vec(), None);
        parted.digest(records[cut..].to_vec(), None);
        assert_eq!(parted.fault(), whole.fault(), "cut at {cut}");
        assert_eq!(parted.unsent(), told, "cut at {cut}");
    }
}

#[test]
fn nobody_sends_without_end_what_brings_nothing() {
    let mut engine = engine();
    // A handshake message may go over several records, and these are the smallest there are.
    let mut message = [&[1, 0, 255, 240][..], &[0; 0xfff0]].concat();
    message.truncate(BARREN_BYTES / 6);
    let records: Vec<u8> = message.iter().flat_map(|byte| [22, 3, 1, 0, 1, *byte]).collect();
    engine.digest(records, None);
    engine.digest(vec![22; 7], None);
    assert!(engine.fault().is_some());
}
