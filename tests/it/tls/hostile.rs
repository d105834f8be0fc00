//! Clients that shake hands well and mean no good.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use landline::{Server, require_websocket};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::{ClientConfig, ClientConnection, ConnectionTrafficSecrets, StreamOwned};

use super::certificates::usual;
use super::client::Secure;
use crate::harness::{echo, patient};

/// Records of no content, as the client with these keys would send them.
struct Empty {
    key: LessSafeKey,
    iv: [u8; 12],
    number: u64,
}

impl Empty {
    /// Takes the keys of a client out of its hands.
    fn of(client: ClientConnection) -> Self {
        let (number, secrets) = client.dangerous_extract_secrets().expect("TLS 1.3").tx;
        let ConnectionTrafficSecrets::Aes256Gcm { key, iv } = secrets else {
            panic!("another suite than the first of rustls")
        };
        let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).expect("a key");
        let iv = iv.as_ref().try_into().expect("12 bytes");
        Self { key: LessSafeKey::new(key), iv, number }
    }

    /// The next one: the type of its content alone, encrypted (RFC 8446 5.2).
    fn record(&mut self) -> Vec<u8> {
        let mut nonce = self.iv;
        for (byte, number) in nonce[4..].iter_mut().zip(self.number.to_be_bytes()) {
            *byte ^= number;
        }
        self.number += 1;
        let header = [23, 3, 3, 0, 17];
        let mut sealed = vec![23];
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce, Aad::from(header), &mut sealed).expect("sealed");
        [&header[..], &sealed].concat()
    }
}

/// Settings of a client whose keys can be taken.
fn careless(config: &Arc<ClientConfig>) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(config);
    config.enable_secret_extraction = true;
    Arc::new(config)
}

/// They bring nothing, so no limit of bytes or messages counts them; rustls does.
#[test]
fn records_without_content_end_the_connection() {
    let (_directory, tls, config) = usual();
    let builder = Server::builder().config(patient()).route("/ws", require_websocket(echo));
    let server = Secure::start(builder, &tls);
    let client = server.websocket(&careless(&config), "/ws").into_inner();
    let StreamOwned { conn, mut sock } = client;
    let mut empty = Empty::of(conn);
    // In pieces, so that what the server sends at its end is no reset of what has not gone.
    let is_over = (0..400).any(|_| {
        let records: Vec<u8> = (0..1000).flat_map(|_| empty.record()).collect();
        sock.write_all(&records).is_err()
    });
    assert!(is_over || has_ended(sock), "8 MB of nothing were taken");
}

/// True if nothing more will come, be it by an end or a reset; a server that listens says nothing.
fn has_ended(mut sock: TcpStream) -> bool {
    match sock.read_to_end(&mut Vec::new()) {
        Ok(_) => true,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}
