//! Who shakes hands over TLS serves nobody, and is there for the next handshake.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::certificates::usual;
use crate::counts::{alone, routes, server_threads, spare_threads};
use crate::harness::{Client, Running, eventually};

/// Well below the time that a spare thread waits.
const AT_ONCE: Duration = Duration::from_secs(5);

type Encrypted = StreamOwned<ClientConnection, TcpStream>;

/// A client that has had an answer, and stays.
fn served(address: SocketAddr, config: &Arc<ClientConfig>) -> Encrypted {
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut stream = StreamOwned::new(client, Client::stream(address));
    write!(stream, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    stream
}

#[test]
fn one_thread_shakes_hands_and_another_serves() {
    let _alone = alone();
    let (_directory, tls, config) = usual();
    eventually("the last test is over", || spare_threads() == 0);
    let server = routes().bind_tls("127.0.0.1:0", &tls).unwrap();
    let address = server.local_addrs()[0];
    let server = Running::of(server, address);
    // Accepting, keeping, and one for each connection.
    let first = served(address, &config);
    eventually("who shook hands waits", || (server_threads(), spare_threads()) == (3, 1));
    let second = served(address, &config);
    eventually("it did so again", || (server_threads(), spare_threads()) == (4, 1));
    drop((first, second));
    eventually("the places are free", || server.handle.connections() == 0);
    let third = served(address, &config);
    eventually("both kinds are spare", || (server_threads(), spare_threads()) == (3, 2));
    drop(third);
}

#[test]
fn who_does_not_come_to_terms_leaves_nothing_behind() {
    let _alone = alone();
    let (_directory, tls, config) = usual();
    eventually("the last test is over", || spare_threads() == 0);
    let server = routes().bind_tls("127.0.0.1:0", &tls).unwrap();
    let address = server.local_addrs()[0];
    let server = Running::of(server, address);
    let clients: Vec<Client> = (0..100)
        .map(|number| {
            let mut client = Client::new(address);
            if number % 2 == 0 {
                client.send([22, 3, 1, 2, 0]);
            }
            client
        })
        .collect();
    eventually("each has a thread", || server_threads() == 102);
    drop(served(address, &config));
    drop(clients);
    eventually("all are free", || server.handle.connections() == 0 && server_threads() == 2);
    assert!(spare_threads() <= 65, "{}", spare_threads());
    let start = Instant::now();
    drop(server);
    eventually("none is left", || spare_threads() == 0);
    assert!(start.elapsed() < AT_ONCE, "they have ended by themselves");
}
