//! A connection through the kernel, with little room in it.

use std::fs;
use std::io::{IoSlice, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::net::sockopt;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::deadline::Deadline;
use crate::net::stream::{Blocking, Stream};
use crate::net::tls::{Tls, TlsSettings};

const PATIENCE: Duration = Duration::from_secs(20);

/// A server's end and a client's, with keys agreed on.
fn connected(test: &str) -> (Stream, StreamOwned<ClientConnection, TcpStream>) {
    let directory = std::env::temp_dir().join(format!("landline-{test}-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [chain, key] = ["c.pem", "k.pem"].map(|name| directory.join(name));
    fs::write(&chain, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = Tls::load(TlsSettings::new(chain, key)).unwrap();
    let _ = fs::remove_dir_all(directory);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    sockopt::set_socket_recv_buffer_size(&client, 16 * 1024).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let (server, peer) = listener.accept().unwrap();
    sockopt::set_socket_send_buffer_size(&server, 16 * 1024).unwrap();
    let server = Stream::new(server.into(), peer).with_tls(&tls);

    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = StreamOwned::new(ClientConnection::new(config, name).unwrap(), client);
    thread::scope(|scope| {
        scope.spawn(|| server.shake_hands(Deadline::after(PATIENCE)).unwrap());
        client.conn.complete_io(&mut client.sock).unwrap();
    });
    (server, client)
}

/// What queues above count as sent is with the kernel: nobody watches the socket for the rest.
#[test]
fn a_call_is_accepted_whole_only_if_all_of_it_has_gone() {
    let (server, mut client) = connected("accepted");
    let plain: Vec<u8> = (0..10_000).map(|at| (at % 251) as u8).collect();
    let mut accepted = 0;
    loop {
        let count = server.send_slices(&[IoSlice::new(&plain)], Blocking::Never).unwrap();
        accepted += count;
        if count < plain.len() {
            // One byte has to come again, although it is encrypted.
            assert_eq!(count, plain.len() - 1);
            assert!(server.has_unsent());
            break;
        }
        assert!(!server.has_unsent(), "after {accepted} bytes");
    }
    let again = server.send_slices(&[IoSlice::new(&plain[9_999..])], Blocking::Never);
    assert_eq!(again.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    let reader = thread::spawn(move || {
        let mut received = vec![0; accepted + 1];
        client.read_exact(&mut received).unwrap();
        (client, received)
    });
    // Whoever comes again with it gives the kernel the rest, and is told so once it has gone.
    assert_eq!(server.send_slices(&[IoSlice::new(&plain[9_999..])], Blocking::Wait).unwrap(), 1);
    assert!(!server.has_unsent());
    let (_client, received) = reader.join().unwrap();
    assert!(received.chunks(10_000).all(|part| part == plain), "each byte once, in order");
}
