//! Clients that break the protocol: each is told the right code, and only it is hurt.

use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use landline::{Config, ErrorKind, Side, WebSocket, close_code};

use crate::harness::{Client, PATIENCE, Running, Told, patient, tell, websocket_server};

/// What a handler learns of the end: kinds of the error and its cause, code, who, clean or not.
type Seen = (ErrorKind, String, u16, Side, bool);

/// A server that echoes and tells how each connection ended.
fn watched(config: Config) -> (Running, Told<Seen>) {
    let (tell, told) = tell();
    let server = websocket_server(config, move |_, ws: &WebSocket| {
        for message in ws {
            match message {
                Ok(message) => ws.send(message)?,
                Err(error) => {
                    let closed = ws.closed().expect("the connection is over");
                    let (code, by, is_clean) = (closed.code(), closed.by(), closed.is_clean());
                    tell.send((error.kind(), error.chain(), code, by, is_clean)).unwrap();
                    return Err(error);
                }
            }
        }
        Ok(())
    });
    (server, told)
}

/// Sends bytes to a fresh connection, which must be closed with `code` and then end.
fn expect_refused(server: &Running, told: &Told<Seen>, what: &str, bytes: &[u8], code: u16) {
    let mut client = server.websocket("/ws");
    client.expect_echo("before");
    client.send(bytes);
    let (received, reason) = client.expect_close();
    assert_eq!(received, code, "{what}: {reason}");
    assert!(!reason.is_empty() && reason.is_ascii(), "{what}: {reason}");
    client.expect_fin();
    let (kind, chain, closed, by, is_clean) = told.next();
    assert_eq!((kind, closed, by, is_clean), (ErrorKind::Closed, code, Side::Server, false));
    assert!(chain.contains(&code.to_string()), "{what}: {chain}");
}

/// A frame with a free second byte, and a mask of zeros.
fn header(first: u8, second: u8, rest: &[u8]) -> Vec<u8> {
    [&[first, second], rest, &[0; 4]].concat()
}

#[test]
fn broken_frames_are_closed_with_1002() {
    let (server, told) = watched(patient());
    let mut rows = vec![
        ("unmasked text", b"\x81\x02hi".to_vec()),
        ("unmasked empty text", b"\x81\x00".to_vec()),
        ("unmasked close", b"\x88\x02\x03\xe8".to_vec()),
        ("RSV1", Client::frame(0xc1, b"x")),
        ("RSV2", Client::frame(0xa1, b"x")),
        ("RSV3", Client::frame(0x91, b"x")),
        ("RSV1 on a ping", Client::frame(0xc9, b"")),
        ("fragmented ping", Client::frame(0x09, b"x")),
        ("fragmented close", Client::frame(0x08, &[3, 232])),
        ("ping of 126 bytes", Client::frame(0x89, &[0; 126])),
        ("pong of 126 bytes", Client::frame(0x8a, &[0; 126])),
        ("close of 126 bytes", Client::frame(0x88, &[0; 126])),
        ("continuation of nothing", Client::frame(0x80, b"x")),
        ("open continuation of nothing", Client::frame(0x00, b"x")),
        ("text in text", [Client::frame(0x01, b"a"), Client::frame(0x81, b"b")].concat()),
        ("binary in text", [Client::frame(0x01, b"a"), Client::frame(0x02, b"b")].concat()),
        ("close of one byte", Client::frame(0x88, &[3])),
        ("a length of 2^63", header(0x82, 0xff, &[0x80, 0, 0, 0, 0, 0, 0, 0])),
        ("a length of 2^64 - 1", header(0x82, 0xff, &[0xff; 8])),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
    ];
    for opcode in (3..8).chain(11..16) {
        rows.push(("an unknown opcode", Client::frame(0x80 | opcode, b"x")));
    }
    for code in [0u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
        rows.push(("a close code that may not be sent", Client::frame(0x88, &code.to_be_bytes())));
    }
    for (what, bytes) in rows {
        expect_refused(&server, &told, what, &bytes, 1002);
    }
    server.becomes_empty();
    server.serves_the_next();
}

#[test]
fn the_valid_neighbours_of_broken_frames_are_fine() {
    let (server, _told) = watched(patient());
    let mut client = server.websocket("/ws");
    for opcode in [0x89, 0x8a] {
        client.send_frame(opcode, [0; 125]);
    }
    assert_eq!(client.next_frame().payload, [0; 125]);
    client.send_frame(0x01, b"");
    client.send_frame(0x80, b"");
    assert_eq!(client.expect_text(), "");
    // A length in a longer form than needed is understood.
    client.send([&header(0x81, 0xfe, &[0, 2]), &b"hi"[..]].concat());
    assert_eq!(client.expect_text(), "hi");
    client.send([&header(0x81, 0xff, &[0, 0, 0, 0, 0, 0, 0, 2]), &b"hi"[..]].concat());
    assert_eq!(client.expect_text(), "hi");
    for code in [1000, 1001, 1002, 1003, 1007, 1011, 1012, 1014, 3000, 3999, 4999] {
        let mut client = server.websocket("/ws");
        client.send_close(code, "é");
        assert_eq!(client.expect_closed(code), "é");
    }
}

#[test]
fn a_violation_is_noticed_at_the_first_byte_that_shows_it() {
    let (server, told) = watched(patient());
    for (what, bytes, code) in [
        ("an opcode, before the rest of the header", &[0x83, 0x80][..], 1002),
        ("no mask, before the length", &[0x82, 0x7f], 1002),
        ("a long ping, before its length", &[0x89, 0xfe], 1002),
        // A frame of 100 bytes with a mask of zeros, of which the first ones come.
        ("a byte that never is UTF-8", b"\x81\xe4\0\0\0\0ok\xff", 1007),
        ("a surrogate", b"\x81\xe4\0\0\0\0\xed\xa0", 1007),
        ("beyond Unicode", b"\x81\xe4\0\0\0\0\xf4\x90", 1007),
        ("an overlong slash", b"\x81\xe4\0\0\0\0\xc0", 1007),
    ] {
        expect_refused(&server, &told, what, bytes, code);
    }
}

#[test]
fn text_that_is_not_utf8_is_closed_with_1007() {
    let (server, told) = watched(patient());
    let rows = [
        ("a lone continuation byte", Client::frame(0x81, b"\x80")),
        ("a character cut at the end", Client::frame(0x81, b"a\xe4\xbd")),
        ("cut by the last fragment", {
            [Client::frame(0x01, b"\xe4"), Client::frame(0x80, b"\xbd")].concat()
        }),
        ("wrong across fragments", {
            [Client::frame(0x01, b"\xe4"), Client::frame(0x00, b"a")].concat()
        }),
        ("a close reason", Client::frame(0x88, b"\x03\xe8\xff")),
        ("a cut close reason", Client::frame(0x88, b"\x03\xe8\xe4\xbd")),
    ];
    for (what, bytes) in rows {
        expect_refused(&server, &told, what, &bytes, 1007);
    }
    let mut client = server.websocket("/ws");
    client.send_binary(b"\x80");
    assert_eq!(client.expect_binary(), b"\x80", "binary is free");
}

#[test]
fn what_is_too_big_is_closed_with_1009_at_its_header() {
    let (server, told) = watched(patient().with_message_bytes(1000));
    let rows = [
        ("one byte too many", header(0x82, 0xfe, &1001u16.to_be_bytes())),
        ("a length of 2^62", header(0x82, 0xff, &[0x40, 0, 0, 0, 0, 0, 0, 0])),
        ("a length of 2^63 - 1", header(0x82, 0xff, &(u64::MAX >> 1).to_be_bytes())),
        ("text of 4 GiB", header(0x81, 0xff, &(1u64 << 32).to_be_bytes())),
        ("all fragments together", {
            [Client::frame(0x02, &[0; 999]), Client::frame(0x00, b""), header(0x80, 0x82, &[])]
                .concat()
        }),
        ("a fragment with a huge length", {
            let huge = header(0x80, 0xff, &(u64::MAX >> 1).to_be_bytes());
            [Client::frame(0x02, &[0; 999]), huge].concat()
        }),
    ];
    for (what, bytes) in rows {
        expect_refused(&server, &told, what, &bytes, 1009);
    }
    let mut client = server.websocket("/ws");
    client.send_binary(&[7; 1000]);
    assert_eq!(client.expect_binary(), [7; 1000], "the limit itself is allowed");
    client.send_frame(0x02, [7; 999]);
    client.send_frame(0x80, [7]);
    assert_eq!(client.expect_binary(), [7; 1000], "in fragments, too");
}

#[test]
fn the_cause_of_the_end_is_told_to_the_handler() {
    let (server, told) = watched(patient().with_message_bytes(1000));
    for (bytes, cause) in [
        (Client::frame(0x83, b""), "unknown opcode"),
        (Client::frame(0x81, b"\xff"), "not UTF-8"),
        (Client::frame(0x81, &[0; 2000]), "limit of 1000 bytes"),
    ] {
        let mut client = server.websocket("/ws");
        client.send(bytes);
        client.expect_close();
        let (_, chain, ..) = told.next();
        assert!(chain.contains(cause), "{chain}");
    }
}

#[test]
fn a_client_that_talks_on_after_its_violation_can_still_read_why() {
    let (server, told) = watched(patient());
    let mut client = server.websocket("/ws");
    client.send(Client::frame(0x83, b""));
    let bytes = vec![0; 1 << 20];
    for _ in 0..50 {
        client.send(&bytes);
    }
    assert_eq!(client.expect_close().0, close_code::PROTOCOL);
    client.expect_fin();
    assert_eq!(told.next().2, 1002);
    drop(client);
    server.becomes_empty();
}

#[test]
fn a_client_that_never_stops_talking_is_dropped_in_time() {
    let config = Config::default().with_close_timeout(Duration::from_millis(200));
    let (server, told) = watched(config);
    let mut client = server.websocket("/ws");
    client.send(Client::frame(0x83, b""));
    let bytes = vec![0; 1 << 16];
    let start = Instant::now();
    let mut stream = client.stream.try_clone().unwrap();
    let talker = thread::spawn(move || {
        let talks_on = || start.elapsed() < PATIENCE;
        while talks_on() && std::io::Write::write_all(&mut stream, &bytes).is_ok() {}
    });
    assert_eq!(client.expect_close().0, 1002);
    talker.join().unwrap();
    assert!(start.elapsed() < PATIENCE, "it was not left waiting for room");
    told.next();
    server.becomes_empty();
    server.serves_the_next();
}

#[test]
fn a_violator_that_stays_silent_is_dropped_in_time_even_if_the_handler_is_busy() {
    let config = Config::default().with_close_timeout(Duration::from_millis(200));
    let server = websocket_server(config, |_, ws| {
        ws.send("busy")?;
        crate::harness::eventually("the end", || ws.is_closed());
        while let Some(message) = ws.wait()? {
            assert_eq!(message.as_text(), Some("text"));
        }
        panic!("the end is clean");
    });
    let unknown = Client::frame(0x83, b"");
    let many =
        [&Client::frame(0x81, b"text").repeat(20)[..], &Client::frame(0x81, b"\xff")].concat();
    for (violation, code) in [(unknown, 1002), (many, 1007)] {
        let mut client = server.websocket("/ws");
        assert_eq!(client.expect_text(), "busy");
        client.send(violation);
        assert_eq!(client.expect_close().0, code);
        client.expect_fin();
        server.becomes_empty();
        let mut byte = [0];
        let rest = client.stream.read(&mut byte);
        assert!(matches!(rest, Ok(0) | Err(_)));
    }
}

#[test]
fn messages_before_a_violation_are_delivered() {
    let (tell, told) = tell();
    let server = websocket_server(patient(), move |_, ws: &WebSocket| {
        let mut texts = Vec::new();
        let end = loop {
            match ws.wait() {
                Ok(Some(message)) => texts.push(message.as_text().unwrap().to_owned()),
                end => break end,
            }
        };
        tell.send((texts, end.is_err())).unwrap();
        Ok(())
    });
    let mut client = server.websocket("/ws");
    client.send(
        [Client::frame(0x81, b"one"), Client::frame(0x81, b"two"), vec![0x83, 0x80]].concat(),
    );
    assert_eq!(client.expect_close().0, 1002);
    client.expect_fin();
    assert_eq!(told.next(), (vec!["one".to_owned(), "two".to_owned()], true));
}
