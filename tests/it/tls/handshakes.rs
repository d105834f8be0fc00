//! Who gets a connection, with which certificate, and in what time.

use std::io::{Read, Write};
use std::time::Duration;

use landline::{
    ClientAuth, Config, Request, Response, Result, Server, Tls, accept_websocket, require_websocket,
};
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ProtocolVersion};

use super::certificates::{Authority, Directory, usual};
use super::client::{Secure, echoes, get, try_get};
use crate::harness::{Client, PATIENCE, echo, eventually, patient};
use crate::logbook;

/// Tells what a request knows of its connection.
fn tell(request: &Request) -> String {
    let client = request.client_certificate().and_then(|client| client.common_name());
    format!("secure {} client {client:?}", request.is_secure())
}

fn server() -> landline::Builder {
    Server::builder().config(patient()).route("/tell", tell).route("/ws", require_websocket(echo))
}

#[test]
fn both_versions_are_spoken_and_http_is_agreed_on() {
    let (directory, authority) = (Directory::new(), Authority::new("tests"));
    let settings = authority.vouch(&["localhost"]).settings(&directory, "server");
    let server = Secure::start(server(), &Tls::load(settings).unwrap());
    for (version, spoken) in
        [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)]
    {
        let config = authority.client_with(&[version], None);
        let mut stream = server.connect(&config);
        assert!(get(&mut stream, "/tell").ends_with("secure true client None"));
        assert_eq!(stream.conn.protocol_version(), Some(spoken));
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        echoes(&mut server.websocket(&config, "/ws"), "你好");
    }
}

#[test]
fn a_session_is_resumed_by_a_client_that_comes_again() {
    let (_directory, tls, config) = usual();
    let server = Secure::start(server(), &tls);
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let mut stream = server.connect(&config);
        get(&mut stream, "/tell");
        kinds.push(stream.conn.handshake_kind().unwrap());
    }
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
    tls.reload().unwrap();
    let mut stream = server.connect(&config);
    get(&mut stream, "/tell");
    assert_eq!(stream.conn.handshake_kind(), Some(HandshakeKind::Full), "other keys");
}

#[test]
fn a_port_without_tls_knows_that_it_is_not_secure() {
    let (_directory, tls, _) = usual();
    let server = Secure::start(server(), &tls);
    assert_eq!(Client::new(server.plain).get("/tell").text(), "secure false client None");
}

#[test]
fn the_certificate_is_chosen_by_name() {
    let (directory, authority) = (Directory::new(), Authority::new("tests"));
    let second = authority.vouch(&["second.example", "*.wild.example"]);
    let (chain, key) = second.write(&directory, "second");
    let settings = authority.vouch(&["first.example", "localhost"]).settings(&directory, "first");
    let tls = Tls::load(settings.certificate(chain, key)).unwrap();
    let server = Secure::start(server(), &tls);
    let config = authority.client();
    for name in ["first.example", "localhost", "second.example", "SECOND.example", "a.wild.example"]
    {
        // The client checks it.
        get(&mut server.connect_as(&config, name), "/tell");
    }
    for name in ["third.example", "a.b.wild.example", "wild.example"] {
        assert!(try_get(&mut server.connect_as(&config, name), "/tell").is_err(), "{name}");
    }
    let names = tls.certificates().iter().map(|one| one.names().to_vec()).collect::<Vec<_>>();
    assert_eq!(names[1], ["second.example", "*.wild.example"]);
}

#[test]
fn a_client_shows_who_it_is() {
    let (directory, ours, theirs) =
        (Directory::new(), Authority::new("servers"), Authority::new("clients"));
    let authorities = directory.write("clients.pem", &theirs.pem);
    let known = theirs.vouch(&["till-7"]);
    let stranger = Authority::new("strangers").vouch(&["till-7"]);
    let settings = ours.vouch(&["localhost"]).settings(&directory, "server");
    for (auth, is_served) in [(ClientAuth::Optional, true), (ClientAuth::Required, false)] {
        let settings = settings.clone().client_certificates(&authorities, auth);
        let server = Secure::start(server(), &Tls::load(settings).unwrap());
        for version in [&TLS12, &TLS13] {
            let versions = [version];
            let config = ours.client_with(&versions, Some(&known));
            for _ in 0..2 {
                let answer = get(&mut server.connect(&config), "/tell");
                assert!(answer.ends_with("client Some(\"till-7\")"), "{answer}");
            }
            let config = ours.client_with(&versions, Some(&stranger));
            assert!(try_get(&mut server.connect(&config), "/tell").is_err(), "{auth:?}");
            let answer = try_get(&mut server.connect(&ours.client_with(&versions, None)), "/tell");
            assert_eq!(answer.is_ok(), is_served, "{auth:?}: {answer:?}");
        }
    }
}

#[test]
fn plain_http_on_a_port_for_tls_is_answered_in_words() {
    let (_directory, tls, config) = usual();
    let server = Secure::start(server(), &tls);
    let mut client = Client::new(server.address);
    let reply = client.ask("GET /tell HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("https://"), "{}", reply.text());
    client.expect_fin();
    echoes(&mut server.websocket(&config, "/ws"), "others are served");
}

#[test]
fn tls_on_a_plain_port_ends_in_good_order_and_is_logged() {
    logbook::open();
    let (_directory, tls, config) = usual();
    let server = Secure::start(server(), &tls);
    let mut stream = server.connect(&config);
    stream.sock = Client::stream(server.plain);
    let error = stream.write_all(b"GET").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    let port = stream.sock.local_addr().unwrap().port();
    eventually("it is logged", || {
        let port = format!(":{port}: ");
        !logbook::lines_with(&[&port, "speaks TLS, and this port does not"]).is_empty()
    });
}

#[test]
fn rubbish_gets_an_alert_and_an_end() {
    let (_directory, tls, _) = usual();
    let server = Secure::start(server(), &tls);
    for rubbish in [&b"\x16\x03\x01\x00\x05hello"[..], &[0; 64], &[22, 3, 1, 255, 255, 1, 2]] {
        let mut client = Client::new(server.address);
        client.send(rubbish);
        let rest = client.rest();
        assert!(rest.is_empty() || rest[0] == 21, "an alert or nothing, not {rest:?}");
    }
}

#[test]
fn a_handshake_that_drips_ends_at_the_deadline_of_heads() {
    let (_directory, tls, config) = usual();
    let config_of_server = patient().with_head_timeout(Duration::from_millis(300));
    let server = Secure::start(server().config(config_of_server), &tls);
    let mut silent = Client::new(server.address);
    let mut dripping = Client::new(server.address);
    dripping.send([22, 3, 1, 2, 0]);
    let mut stopped = server.connect(&config);
    stopped.conn.write_tls(&mut stopped.sock).unwrap();
    // The server ends all of them, whatever one of them still sends.
    while dripping.try_send([1]) {
        std::thread::sleep(Duration::from_millis(5));
    }
    silent.expect_end();
    let mut rest = Vec::new();
    let _ = stopped.sock.read_to_end(&mut rest);
    eventually("no connection is open", || server.handle.connections() == 0);
}

#[test]
fn a_server_that_stops_waits_for_no_handshake() {
    let (_directory, tls, _) = usual();
    let server = Secure::start(server(), &tls);
    let mut silent = Client::new(server.address);
    eventually("it has come", || server.handle.connections() == 1);
    server.handle.stop();
    silent.expect_end();
}

#[test]
fn a_client_too_many_gets_an_alert() {
    let (_directory, tls, config) = usual();
    let builder = server().config(patient().with_max_connections(Some(1)));
    let server = Secure::start(builder, &tls);
    let mut first = server.websocket(&config, "/ws");
    let error = try_get(&mut server.connect(&config), "/tell").unwrap_err();
    assert!(error.to_string().contains("InternalError"), "{error}");
    echoes(&mut first, "still there");
}

#[test]
fn two_hundred_clients_are_served_at_once() {
    let (_directory, tls, config) = usual();
    let server = Secure::start(server(), &tls);
    let mut clients: Vec<_> = (0..200).map(|_| server.websocket(&config, "/ws")).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(format!("message {number}").into()).unwrap();
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.read().unwrap().into_text().unwrap(), format!("message {number}"));
    }
}

#[test]
fn a_page_that_came_in_the_clear_may_not_connect_over_tls() -> Result<()> {
    let (_directory, tls, config) = usual();
    let handler = accept_websocket(|_: &Request| -> Result<Response> { Ok(Response::closed()) });
    let server = Secure::start(Server::builder().route("/ws", handler), &tls);
    for (origin, status) in [("http://localhost", "403"), ("https://localhost", "101")] {
        let head = Client::handshake_head("/ws");
        let head = head.replace("\r\n\r\n", &format!("\r\nOrigin: {origin}\r\n\r\n"));
        let mut stream = server.connect(&config);
        stream.write_all(head.as_bytes())?;
        let mut line = [0; 12];
        stream.read_exact(&mut line)?;
        assert_eq!(&line[9..], status.as_bytes(), "{origin}");
    }
    Ok(())
}

#[test]
fn an_idle_connection_ends_with_a_goodbye_of_tls() {
    let (_directory, tls, config) = usual();
    let settings = Config::default().with_keep_alive(Duration::from_millis(200));
    let server = Secure::start(server().config(settings), &tls);
    let mut stream = server.connect(&config);
    stream.write_all(b"GET /tell HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    stream.sock.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = String::new();
    // Without close_notify this would be an error.
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("client None"), "{answer}");
}
