//! Files that are wrong, and files that change.

use landline::{ErrorKind, Server, Tls, TlsSettings};

use super::certificates::{Authority, Directory, usual};
use super::client::{Secure, get, try_get};
use crate::harness::{echo, patient};

fn refusal(settings: TlsSettings) -> String {
    let error = Tls::load(settings).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.chain()
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_name() {
    let (directory, authority) = (Directory::new(), Authority::new("tests"));
    let good = authority.vouch(&["localhost"]);
    let (chain, key) = good.write(&directory, "good");
    let (_, other_key) = authority.vouch(&["localhost"]).write(&directory, "other");
    let (old, old_key) =
        authority.vouch_between(&["localhost"], (2001, 2002)).write(&directory, "old");
    let (new, new_key) =
        authority.vouch_between(&["localhost"], (2998, 2999)).write(&directory, "new");
    let text = directory.write("text.pem", "no certificate");
    let encrypted = directory.write(
        "encrypted.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let missing = directory.file("missing.pem");
    for (chain, key, words) in [
        (&missing, &key, ["missing.pem", "No such file"]),
        (&chain, &missing, ["missing.pem", "No such file"]),
        (&text, &key, ["text.pem", "no certificate in PEM"]),
        (&key, &key, ["good.key", "no certificate in PEM"]),
        (&chain, &text, ["text.pem", "no private key"]),
        (&chain, &encrypted, ["encrypted.key", "is encrypted"]),
        (&chain, &other_key, ["other.key", "does not belong to"]),
        (&old, &old_key, ["old.pem", "expired"]),
        (&new, &new_key, ["new.pem", "becomes valid"]),
    ] {
        let error = refusal(TlsSettings::new(chain, key));
        assert!(words.iter().all(|word| error.contains(word)), "{words:?} in {error}");
        assert!(!error.contains("BEGIN ENC"), "nothing of a key's file");
    }
    let settings = TlsSettings::new(&chain, &key);
    let settings = settings.client_certificates(&text, landline::ClientAuth::Required);
    assert!(refusal(settings).contains("text.pem"));
}

#[test]
fn changed_files_count_for_whoever_comes_next() {
    let (directory, tls, config) = usual();
    let builder = Server::builder().config(patient());
    let builder =
        builder.route("/ws", landline::require_websocket(echo)).route("/", |_: &_| "here");
    let server = Secure::start(builder, &tls);
    let mut old = server.websocket(&config, "/ws");

    let other = Authority::new("others");
    other.vouch(&["localhost"]).write(&directory, "server");
    assert!(try_get(&mut server.connect(&other.client()), "/").is_err(), "not before it is said");
    tls.reload().unwrap();
    assert!(get(&mut server.connect(&other.client()), "/").ends_with("here"));
    assert!(try_get(&mut server.connect(&config), "/").is_err());
    super::client::echoes(&mut old, "who is there stays there");

    directory.write("server.pem", "rubbish");
    let error = tls.reload().unwrap_err();
    assert!(error.to_string().contains("server.pem"), "{error}");
    assert!(get(&mut server.connect(&other.client()), "/").ends_with("here"), "the old one stays");

    let settings = Authority::new("third").vouch(&["localhost"]).settings(&directory, "third");
    tls.reload_with(settings).unwrap();
    assert!(try_get(&mut server.connect(&other.client()), "/").is_err());
    assert_eq!(tls.certificates()[0].file(), directory.file("third.pem"));
    assert_eq!(tls.certificates()[0].names(), ["localhost"]);
}
