//! Messages of all sizes in both directions at once, and how connections end.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use landline::{Config, ErrorKind, Request, Result, Server, WebSocket, require_websocket};
use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use super::certificates::usual;
use super::client::{Secure, cut_off, echoes, get};
use crate::harness::{Client, echo, eventually, patient, tell};

fn echo_server(
    config: Config,
) -> (super::certificates::Directory, Secure, Arc<rustls::ClientConfig>) {
    let (directory, tls, client) = usual();
    let builder = Server::builder().config(config).route("/ws", require_websocket(echo));
    (directory, Secure::start(builder, &tls), client)
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

#[test]
fn messages_of_every_size_come_back_whole() {
    let (_directory, server, config) = echo_server(patient());
    let mut client = server.websocket(&config, "/ws");
    let mut sizes: Vec<usize> = (0..20).chain(480..520).chain(2000..2060).collect();
    sizes.extend([4096, 16_383, 16_384, 16_385, 32_767, 32_768, 32_769, 65_535, 65_536, 100_000]);
    sizes.extend([1 << 20, 1, 1 << 20]);
    for size in sizes {
        echoes(&mut client, pattern(size));
    }
}

/// Records that end anywhere, and come in pieces of any size.
#[test]
fn records_and_frames_need_not_fit_each_other() {
    let (_directory, server, config) = echo_server(patient());
    for piece in [1, 7, 100, 1000, 5000] {
        let mut stream = server.connect(&config);
        stream.write_all(Client::handshake_head("/ws").as_bytes()).unwrap();
        let mut head = [0; 129];
        stream.read_exact(&mut head).unwrap();
        assert!(head.ends_with(b"\r\n\r\n"), "{}", String::from_utf8_lossy(&head));
        let frames: Vec<u8> =
            (1..30).flat_map(|size| Client::frame(0x82, &pattern(size * 97))).collect();
        let mut ciphertext = Vec::new();
        for plain in frames.chunks(piece) {
            stream.conn.writer().write_all(plain).unwrap();
            while stream.conn.wants_write() {
                stream.conn.write_tls(&mut ciphertext).unwrap();
            }
        }
        let reader = std::thread::spawn({
            let mut sock = stream.sock.try_clone().unwrap();
            move || {
                ciphertext.chunks(piece * 3 / 2 + 1).for_each(|part| sock.write_all(part).unwrap())
            }
        });
        for size in 1..30 {
            let expected = pattern(size * 97);
            let header = if expected.len() < 126 { 2 } else { 4 };
            let mut frame = vec![0; header + expected.len()];
            stream.read_exact(&mut frame).unwrap();
            assert!(
                frame[header..] == expected[..],
                "size {} in pieces of {piece}",
                expected.len()
            );
        }
        reader.join().unwrap();
    }
}

/// Many small messages in one record, which a reader with little room cannot take at once.
#[test]
fn what_is_decrypted_already_is_not_forgotten() {
    let (told, heard) = tell();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let (_directory, tls, config) = usual();
    let handler = move |_: &Request, ws: &WebSocket| -> Result<()> {
        let first = ws.wait()?.expect("a message").len();
        wait.lock().unwrap().recv().unwrap();
        let mut counts = vec![first];
        for step in 0..3 {
            counts.push(ws.count_messages());
            match step {
                0 => drop(ws.read()?),
                1 => drop(ws.wait_timeout(Duration::from_secs(20))?),
                _ => drop(ws.wait()?),
            }
        }
        told.send(counts).unwrap();
        while ws.wait()?.is_some() {}
        Ok(())
    };
    let builder = Server::builder().config(patient()).route("/ws", require_websocket(handler));
    let server = Secure::start(builder, &tls);
    let mut client = server.websocket(&config, "/ws");
    for _ in 0..40 {
        client.write(Message::binary(pattern(100))).unwrap();
    }
    client.flush().unwrap();
    go.send(()).unwrap();
    assert_eq!(heard.next(), [100, 39, 38, 37]);
}

/// A handler that waits for its groups as well waits for readiness, which tells nothing of it.
#[test]
fn who_waits_for_groups_too_sees_what_is_decrypted_already() {
    let (_directory, tls, config) = usual();
    let handler = |_: &Request, ws: &WebSocket| -> Result<()> {
        ws.inbox()?.join("room")?;
        while let Some(incoming) = ws.wait_any()? {
            if let landline::Incoming::Client(message) = incoming {
                ws.send(message)?;
            }
        }
        Ok(())
    };
    let builder = Server::builder().config(patient()).route("/ws", require_websocket(handler));
    let server = Secure::start(builder, &tls);
    let mut client = server.websocket(&config, "/ws");
    // All in one record, more than is read at a time.
    let frames: Vec<u8> = (1..100).flat_map(|size| Client::frame(0x82, &pattern(size))).collect();
    client.get_mut().write_all(&frames).unwrap();
    for size in 1..100 {
        assert_eq!(client.read().unwrap().into_data(), pattern(size));
    }
}

/// The keeper reads for a handler that is away, and the socket says nothing of what is decrypted.
#[test]
fn the_end_is_noticed_behind_what_is_decrypted() {
    let (told, heard) = tell();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let (_directory, tls, config) = usual();
    let handler = move |_: &Request, ws: &WebSocket| -> Result<()> {
        ws.wait()?;
        wait.lock().unwrap().recv().unwrap();
        let mut received = 0;
        while ws.wait()?.is_some() {
            received += 1;
        }
        told.send((received, ws.closed().unwrap().code())).unwrap();
        Ok(())
    };
    // The inbox is full at once, so that the rest stays where it is.
    let settings = patient().with_inbox_messages(1).with_inbox_bytes(100);
    let builder = Server::builder().config(settings).route("/ws", require_websocket(handler));
    let server = Secure::start(builder, &tls);
    let mut client = server.websocket(&config, "/ws");
    for _ in 0..50 {
        client.write(Message::binary(pattern(300))).unwrap();
    }
    client.close(None).unwrap();
    client.flush().unwrap();
    go.send(()).unwrap();
    assert_eq!(heard.next(), (49, 1005));
}

/// One thread floods while the handler waits and answers: neither holds up the other.
#[test]
fn a_flood_out_does_not_hold_up_what_comes_in() {
    const FLOOD: usize = 200;
    let (_directory, tls, config) = usual();
    let handler = |_: &Request, ws: &WebSocket| -> Result<()> {
        let sender = ws.sender()?;
        let flood =
            std::thread::spawn(move || (0..FLOOD).try_for_each(|_| sender.send(pattern(50_000))));
        for message in ws {
            ws.send(message?)?;
        }
        flood.join().expect("no panic")
    };
    let builder = Server::builder().config(patient()).route("/ws", require_websocket(handler));
    let server = Secure::start(builder, &tls);
    let mut client = server.websocket(&config, "/ws");
    let (mut floods, mut echoes, mut sent) = (0, 0, 0);
    while floods < FLOOD || echoes < sent {
        if sent < 300 {
            client.send(format!("message {sent}").into()).unwrap();
            sent += 1;
        }
        match client.read().unwrap() {
            Message::Binary(bytes) => {
                assert!(bytes[..] == pattern(50_000)[..]);
                floods += 1;
            }
            Message::Text(text) => {
                assert_eq!(text.as_str(), format!("message {echoes}"));
                echoes += 1;
            }
            other => panic!("{other}"),
        }
    }
    client.close(None).unwrap();
    assert!(client.read().unwrap().is_close());
}

/// The client stops reading: what the kernel does not take waits in the queue, in its order, with
/// pongs between the messages.
#[test]
fn what_the_kernel_does_not_take_goes_out_in_order() {
    const MESSAGES: u32 = 400;
    let (_directory, tls, config) = usual();
    let handler = |_: &Request, ws: &WebSocket| -> Result<()> {
        let sender = ws.sender()?;
        let flood = std::thread::spawn(move || {
            (0..MESSAGES).try_for_each(|number| {
                let length = 1 + number as usize * 7919 % 70_000;
                sender.send([&number.to_be_bytes()[..], &pattern(length)].concat())
            })
        });
        while ws.wait()?.is_some() {}
        flood.join().expect("no panic")
    };
    let settings = patient().with_outbound_bytes(200_000);
    let builder = Server::builder().config(settings).route("/ws", require_websocket(handler));
    let server = Secure::start(builder, &tls);
    let stream = server.connect(&config);
    rustix::net::sockopt::set_socket_recv_buffer_size(&stream.sock, 32 * 1024).unwrap();
    let mut client = server.websocket_over(stream, "/ws");
    let mut next = 0;
    while next < MESSAGES {
        client.send(Message::Ping(next.to_be_bytes().to_vec().into())).unwrap();
        if let Message::Binary(bytes) = client.read().unwrap() {
            assert_eq!(bytes[..4], next.to_be_bytes());
            assert!(bytes[4..] == pattern(1 + next as usize * 7919 % 70_000)[..], "{next}");
            next += 1;
        }
    }
}

#[test]
fn a_client_that_takes_nothing_is_given_up() {
    let (told, heard) = tell();
    let (_directory, tls, config) = usual();
    let handler = move |_: &Request, ws: &WebSocket| -> Result<()> {
        let error = loop {
            if let Err(error) = ws.send(vec![0; 100_000]) {
                break error;
            }
        };
        told.send(error.kind()).unwrap();
        Err(error)
    };
    let settings = Config::default().with_send_timeout(Duration::from_millis(300));
    let builder = Server::builder().config(settings).route("/ws", require_websocket(handler));
    let server = Secure::start(builder, &tls);
    let _client = server.websocket(&config, "/ws");
    assert_eq!(heard.next(), ErrorKind::Closed);
    eventually("it is given up", || server.handle.slow_clients() == 1);
}

#[test]
fn members_of_a_group_get_what_is_said_whatever_they_speak() {
    let (_directory, tls, config) = usual();
    let handler = |_: &Request, ws: &WebSocket| -> Result<()> {
        ws.join("room")?;
        while ws.wait()?.is_some() {}
        Ok(())
    };
    let builder = Server::builder().config(patient()).route("/ws", require_websocket(handler));
    let server = Secure::start(builder, &tls);
    let mut secure: Vec<_> = (0..10).map(|_| server.websocket(&config, "/ws")).collect();
    let mut plain = Client::new(server.plain);
    plain.handshake("/ws");
    let group = server.handle.hub().group("room");
    eventually("all are members", || group.len() == 11);
    for number in 0..200 {
        group.send(format!("news {number} {}", "x".repeat(number * 50))).unwrap();
    }
    for number in 0..200 {
        let expected = format!("news {number} {}", "x".repeat(number * 50));
        for client in &mut secure {
            assert_eq!(client.read().unwrap().into_text().unwrap().as_str(), expected);
        }
        assert_eq!(plain.expect_text(), expected);
    }
}

#[test]
fn a_member_that_does_not_read_is_closed_and_the_others_go_on() {
    let (_directory, tls, config) = usual();
    let handler = |_: &Request, ws: &WebSocket| -> Result<()> {
        ws.join("room")?;
        while ws.wait()?.is_some() {}
        Ok(())
    };
    let settings = patient().with_outbound_bytes(100_000);
    let builder = Server::builder().config(settings).route("/ws", require_websocket(handler));
    let server = Secure::start(builder, &tls);
    let mut slow = server.websocket(&config, "/ws");
    let mut quick = server.websocket(&config, "/ws");
    let group = server.handle.hub().group("room");
    eventually("both are members", || group.len() == 2);
    let reader = std::thread::spawn(move || {
        let mut count = 0;
        while quick.read().unwrap().is_binary() {
            count += 1;
        }
        count
    });
    let mut sent = 0;
    while server.handle.slow_clients() == 0 {
        group.send(vec![1; 50_000]).unwrap();
        sent += 1;
    }
    // It wakes up: whole messages, then the reason.
    let reason = loop {
        match slow.read().unwrap() {
            Message::Binary(bytes) => assert_eq!(bytes.len(), 50_000),
            Message::Close(frame) => break frame.unwrap(),
            other => panic!("{other}"),
        }
    };
    assert_eq!(reason.code, CloseCode::Again);
    server.handle.stop();
    assert!(reader.join().unwrap() >= 1);
    assert!(sent >= 1);
}

#[test]
fn closing_codes_and_the_goodbye_of_tls_come_from_either_side() {
    let (told, heard) = tell();
    let (_directory, tls, config) = usual();
    let handler = move |request: &Request, ws: &WebSocket| -> Result<()> {
        if request.query("close").is_some() {
            return ws.close(4000, "enough");
        }
        while ws.wait()?.is_some() {}
        told.send(ws.closed().unwrap()).unwrap();
        Ok(())
    };
    let builder = Server::builder().config(patient()).route("/ws", require_websocket(handler));
    let server = Secure::start(builder, &tls);
    let mut client = server.websocket(&config, "/ws?close=1");
    let Message::Close(Some(frame)) = client.read().unwrap() else { panic!("a close frame") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4000, "enough"));
    let _ = client.flush();
    let mut rest = Vec::new();
    // Without close_notify this would be an error.
    client.get_mut().read_to_end(&mut rest).unwrap();
    let mut client = server.websocket(&config, "/ws");
    client.close(None).unwrap();
    while client.read().is_ok() {}
    assert!(heard.next().is_clean());
    client.get_mut().read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
}

#[test]
fn a_stream_that_is_cut_off_is_lost_and_not_over() {
    let (told, heard) = tell();
    let (_directory, tls, config) = usual();
    let handler = move |_: &Request, ws: &WebSocket| -> Result<()> {
        let error = ws.wait().unwrap_err();
        told.send((error.chain(), ws.closed().unwrap().is_clean())).unwrap();
        Ok(())
    };
    let builder = Server::builder().config(patient()).route("/ws", require_websocket(handler));
    let server = Secure::start(builder, &tls);
    let client = server.websocket(&config, "/ws");
    cut_off(client.get_ref());
    let (why, is_clean) = heard.next();
    assert!(why.contains("cut off") && !is_clean, "{why}");
    let mut client = server.websocket(&config, "/ws");
    client.get_mut().conn.send_close_notify();
    client.get_mut().flush().unwrap();
    let (why, is_clean) = heard.next();
    assert!(why.contains("ended without a close frame") && !is_clean, "{why}");
}

#[test]
fn a_record_that_was_changed_on_the_way_ends_the_connection() {
    let (told, heard) = tell();
    let (_directory, tls, config) = usual();
    let handler = move |_: &Request, ws: &WebSocket| -> Result<()> {
        told.send(ws.wait().unwrap_err().chain()).unwrap();
        Ok(())
    };
    let builder = Server::builder().config(patient()).route("/ws", require_websocket(handler));
    let server = Secure::start(builder, &tls);
    let mut client = server.websocket(&config, "/ws");
    let stream = client.get_mut();
    stream.conn.writer().write_all(&Client::frame(0x81, b"true")).unwrap();
    let mut ciphertext = Vec::new();
    stream.conn.write_tls(&mut ciphertext).unwrap();
    *ciphertext.last_mut().unwrap() ^= 1;
    stream.sock.write_all(&ciphertext).unwrap();
    assert!(heard.next().contains("decrypt"), "it says why");
    let error = stream.read(&mut [0; 10]).unwrap_err();
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
}

#[test]
fn keys_are_renewed_in_the_middle() {
    let (_directory, server, config) = echo_server(patient());
    let mut client = server.websocket(&config, "/ws");
    for _ in 0..20 {
        client.get_mut().conn.refresh_traffic_keys().unwrap();
        echoes(&mut client, pattern(1000));
    }
}

#[test]
fn large_answers_of_http_arrive_whole() {
    let (_directory, tls, config) = usual();
    let body = "0123456789".repeat(300_000);
    let answer = body.clone();
    let builder = Server::builder().config(patient());
    let builder = builder.route("/big", move |_: &Request| answer.clone());
    let server = Secure::start(builder, &tls);
    let text = get(&mut server.connect(&config), "/big");
    assert!(text.ends_with(&body), "{} bytes", text.len());
}
