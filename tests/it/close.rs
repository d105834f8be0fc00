//! The end of a connection: who says goodbye, how it is answered, and what everybody learns.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use landline::{
    Closed, Config, Error, ErrorKind, Message, Result, Sender, Side, WebSocket, close_code,
};

use crate::harness::{
    Client, PATIENCE, Running, Told, echo, eventually, patient, tell, websocket_server,
};

/// How a handler saw the end: what `wait` said, and the details.
type Seen = (Result<Option<Message>>, Option<Closed>);

/// A server whose handler sends `hello`, waits once and tells how that went.
fn one_wait(config: Config) -> (Running, Told<Seen>) {
    let (tell, told) = tell();
    let server = websocket_server(config, move |_, ws: &WebSocket| {
        ws.send("hello")?;
        let outcome = ws.wait();
        tell.send((outcome, ws.closed())).unwrap();
        Ok(())
    });
    (server, told)
}

fn greeted(server: &Running) -> Client {
    let mut client = server.websocket("/ws");
    assert_eq!(client.expect_text(), "hello");
    client
}

fn details(closed: Option<Closed>) -> (Side, u16, String, bool) {
    let closed = closed.expect("the connection is over");
    (closed.by(), closed.code(), closed.reason().to_owned(), closed.is_clean())
}

#[test]
fn the_clients_close_is_answered_in_kind() {
    let (server, told) = one_wait(patient());
    let long = "x".repeat(123);
    for (code, reason) in [(1000, ""), (1000, "bye"), (1001, "你好"), (3000, &long), (4999, "")] {
        let mut client = greeted(&server);
        client.send_close(code, reason);
        assert_eq!(client.expect_closed(code), reason);
        let (outcome, closed) = told.next();
        assert_eq!(outcome.unwrap(), None);
        assert_eq!(details(closed), (Side::Client, code, reason.to_owned(), true));
    }
    let mut client = greeted(&server);
    client.send_frame(0x88, b"");
    assert_eq!(client.next_frame().payload, b"", "an empty close is answered with one");
    client.expect_fin();
    let (outcome, closed) = told.next();
    assert_eq!(outcome.unwrap(), None);
    let nothing = (Side::Client, close_code::NONE, String::new(), true);
    assert_eq!(details(closed), nothing);
    server.becomes_empty();
    server.serves_the_next();
}

#[test]
fn a_close_of_ours_waits_for_its_answer() {
    let (tell, told) = tell();
    let server = websocket_server(patient(), move |_, ws: &WebSocket| {
        ws.close(4000, "over")?;
        ws.close(4001, "no more")?;
        let error = ws.send("late").unwrap_err();
        assert!(error.is_closed() && ws.is_closed() && ws.closed().is_none());
        assert_eq!(error.into_message(), Some(Message::from("late")));
        tell.send(None).unwrap();
        assert_eq!(ws.wait()?, None);
        tell.send(ws.closed()).unwrap();
        Ok(())
    });
    let mut client = server.websocket("/ws");
    assert_eq!(client.expect_close(), (4000, "over".to_owned()));
    assert_eq!(told.next(), None);
    // What is still under way is not delivered, as in a browser; pings are not answered.
    client.send_text("crossed");
    client.send_frame(0x89, b"?");
    assert!(told.is_silent(), "the handler waits for the answer");
    client.send_close(4002, "mine");
    client.expect_fin();
    assert_eq!(details(told.next()), (Side::Server, 4000, "over".to_owned(), true));
}

#[test]
fn closes_that_cross_are_a_clean_end() {
    let server = websocket_server(patient(), |_, ws| {
        ws.send("now")?;
        eventually("the client's message", || ws.has_messages());
        ws.close(1000, "ours")
    });
    let mut client = server.websocket("/ws");
    assert_eq!(client.expect_text(), "now");
    client.send_text("go");
    client.send_close(1001, "theirs");
    let (code, _) = client.expect_close();
    assert!(code == 1000 || code == 1001);
    client.expect_fin();
    server.becomes_empty();
}

#[test]
fn an_unanswered_close_is_cut_in_time() {
    let config = Config::default().with_close_timeout(Duration::from_millis(150));
    let (tell, told) = tell();
    let server = websocket_server(config, move |_, ws: &WebSocket| {
        ws.close(1000, "")?;
        let outcome = ws.wait();
        tell.send((outcome.unwrap_err().kind(), ws.closed())).unwrap();
        Ok(())
    });
    let mut client = server.websocket("/ws");
    let start = Instant::now();
    assert_eq!(client.expect_close().0, 1000);
    client.expect_end();
    assert!(start.elapsed() >= Duration::from_millis(100), "it was given time");
    let (kind, closed) = told.next();
    assert_eq!(kind, ErrorKind::Closed);
    assert_eq!(details(closed), (Side::Server, 1000, String::new(), false));
    server.becomes_empty();
    server.serves_the_next();
}

#[test]
fn a_client_that_talks_on_instead_of_answering_is_cut_too() {
    let config = Config::default().with_close_timeout(Duration::from_millis(150));
    let server = websocket_server(config, |_, _| Ok(()));
    let mut client = server.websocket("/ws");
    assert_eq!(client.expect_close().0, 1000);
    let bytes = Client::frame(0x82, &[7; 60_000]);
    let start = Instant::now();
    while client.try_send(&bytes) {
        assert!(start.elapsed() < PATIENCE, "it talks and is never cut");
    }
    assert!(start.elapsed() < PATIENCE, "it was told, not left waiting for room");
    server.becomes_empty();
    server.serves_the_next();
}

#[test]
fn the_way_a_handler_ends_chooses_the_code() {
    let server =
        websocket_server(patient(), |_, ws| match ws.wait()?.as_ref().and_then(Message::as_text) {
            Some("fail") => Err(Error::other("the secret is 42")),
            Some("panic") => panic!("the secret is 42"),
            Some("close") => ws.close(3333, "as I like"),
            _ => Ok(()),
        });
    for (said, code, reason) in [
        ("return", 1000, ""),
        ("fail", 1011, "internal error"),
        ("panic", 1011, "internal error"),
        ("close", 3333, "as I like"),
    ] {
        let mut client = server.websocket("/ws");
        client.send_text(said);
        assert_eq!(client.answer_close(), (code, reason.to_owned()), "{said}");
    }
    server.becomes_empty();
    server.serves_the_next();
}

#[test]
fn a_close_from_another_thread_wakes_the_handler() {
    let (tell, told) = tell::<(Sender, Option<Result<Option<Message>>>)>();
    let server = websocket_server(patient(), move |_, ws: &WebSocket| {
        tell.send((ws.sender()?, None)).unwrap();
        tell.send((ws.sender()?, Some(ws.wait()))).unwrap();
        Ok(())
    });
    let mut client = server.websocket("/ws");
    let (sender, _) = told.next();
    sender.close(close_code::POLICY, "out").unwrap();
    assert!(sender.is_closed() && sender.closed().is_none());
    assert_eq!(client.answer_close(), (1008, "out".to_owned()));
    let (_, outcome) = told.next();
    assert_eq!(outcome.unwrap().unwrap(), None);
    assert_eq!(details(sender.closed()), (Side::Server, 1008, "out".to_owned(), true));
}

#[test]
fn a_lost_connection_is_an_error_with_1006() {
    let (server, told) = one_wait(patient());
    type Leave = fn(Client);
    let ways: [(&str, Leave); 3] = [
        ("end without a close", drop),
        ("reset", Client::reset),
        ("end inside a frame", |mut client| client.send(&Client::frame(0x81, b"half")[..8])),
    ];
    for (way, leave) in ways {
        leave(greeted(&server));
        let (outcome, closed) = told.next();
        let error = outcome.unwrap_err();
        assert!(error.is_closed(), "{way}: {error}");
        let (by, code, reason, is_clean) = details(closed);
        assert_eq!((by, code, is_clean), (Side::Client, close_code::LOST, false), "{way}");
        assert!(!reason.is_empty() && error.to_string().contains(&reason), "{way}: {error}");
    }
    server.becomes_empty();
    server.serves_the_next();
}

#[test]
fn messages_before_a_lost_end_are_delivered_first() {
    let (tell, told) = tell();
    let server = websocket_server(patient(), move |_, ws: &WebSocket| {
        ws.send("hello")?;
        eventually("the end", || ws.is_closed());
        assert_eq!(ws.wait()?, Some(Message::from("last words")));
        for _ in 0..3 {
            assert!(ws.wait().unwrap_err().is_closed());
        }
        let items: Vec<_> = ws.messages().collect();
        assert!(items.len() == 1 && items[0].is_err(), "an unclean end is the last item");
        tell.send(ws.send("too late").unwrap_err().into_message()).unwrap();
        Ok(())
    });
    let mut client = greeted(&server);
    client.send_text("last words");
    client.finish();
    client.expect_end();
    assert_eq!(told.next(), Some(Message::from("too late")));
}

#[test]
fn a_close_that_may_not_be_sent_is_not_sent() {
    let server = websocket_server(patient(), |_, ws| {
        let sender = ws.sender()?;
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
            let error = ws.close(code, "").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{code}");
            assert!(error.to_string().contains(&code.to_string()), "{error}");
            assert!(sender.close(code, "").is_err());
        }
        let error = ws.close(1000, &"é".repeat(62)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
        assert!(!ws.is_closed());
        ws.send("nothing was sent")?;
        ws.close(1000, &"x".repeat(123))
    });
    let mut client = server.websocket("/ws");
    assert_eq!(client.expect_text(), "nothing was sent");
    assert_eq!(client.answer_close(), (1000, "x".repeat(123)));
}

#[test]
fn no_frame_stands_behind_the_close_frame() {
    let (tell, told) = tell::<Sender>();
    let server = websocket_server(patient(), move |_, ws: &WebSocket| {
        tell.send(ws.sender()?).unwrap();
        ws.wait().map(drop)
    });
    for round in 0..20 {
        let mut client = server.websocket("/ws");
        let sender = told.next();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let sender = sender.clone();
                thread::spawn(move || {
                    let mut sent = 0;
                    loop {
                        match sender.send("x".repeat(sent % 2000)) {
                            Ok(()) => sent += 1,
                            Err(error) => {
                                assert!(error.is_closed(), "{error}");
                                return sent;
                            }
                        }
                    }
                })
            })
            .collect();
        let mut received = 0;
        while received < round * 20 {
            client.next_frame();
            received += 1;
        }
        if round % 2 == 0 {
            sender.close(1000, "enough").unwrap();
        } else {
            client.send_close(1000, "enough");
        }
        let reason = loop {
            match client.next_frame() {
                frame if frame.first == 0x88 => break frame.payload,
                frame => assert_eq!(frame.first, 0x81),
            }
            received += 1;
        };
        assert_eq!(reason, b"\x03\xe8enough");
        if round % 2 == 0 {
            client.send_close(1000, "");
        }
        client.expect_fin();
        let sent: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(sent, received, "what was taken for sending stands before the close");
    }
}

#[test]
fn what_was_sent_before_the_end_arrives_however_slow_the_client_reads() {
    let (tell, told) = tell::<Sender>();
    let server = websocket_server(patient(), move |_, ws: &WebSocket| {
        let sender = ws.sender()?;
        let mut sent = 0;
        while sender.queued_bytes() < 200_000 {
            ws.send(vec![sent; 50_000])?;
            sent += 1;
        }
        ws.send(vec![sent])?;
        tell.send(sender).unwrap();
        ws.wait().map(drop)
    });
    for is_ours in [false, true] {
        let mut client = server.connect();
        client.hold_little();
        client.handshake("/ws");
        let sender = told.next();
        if is_ours {
            sender.close(1000, "").unwrap();
        } else {
            // The client leaves before it has read anything.
            client.send_close(1000, "");
            eventually("the close is seen", || sender.is_closed());
        }
        let mut number = 0;
        loop {
            let payload = client.expect_binary();
            assert!(payload.iter().all(|byte| *byte == number));
            if payload.len() == 1 {
                break;
            }
            number += 1;
        }
        assert_eq!(client.expect_close().0, 1000);
        if is_ours {
            client.send_close(1000, "");
        }
        client.expect_fin();
    }
    server.becomes_empty();
}

#[test]
fn a_client_that_leaves_and_never_reads_is_cut_in_time() {
    let config = Config::default().with_close_timeout(Duration::from_millis(150));
    let (tell, told) = tell::<Sender>();
    let server = websocket_server(config, move |_, ws: &WebSocket| {
        let sender = ws.sender()?;
        while sender.queued_bytes() < 200_000 {
            ws.send(vec![0; 50_000])?;
        }
        tell.send(sender).unwrap();
        ws.wait().map(drop)
    });
    let mut client = server.connect();
    client.hold_little();
    client.handshake("/ws");
    let sender = told.next();
    client.send_close(1000, "");
    server.becomes_empty();
    assert_eq!(sender.queued_bytes(), 0, "nothing is kept for it");
    server.serves_the_next();
}

#[test]
fn a_full_inbox_does_not_hide_the_answer_to_our_close() {
    let config = patient().with_inbox_messages(4);
    let (go, may_go) = channel::<()>();
    let may_go = Mutex::new(may_go);
    let (tell, told) = tell();
    let server = websocket_server(config, move |_, ws: &WebSocket| {
        let sender = ws.sender()?;
        ws.send("busy")?;
        may_go.lock().unwrap().recv().unwrap();
        ws.close(1000, "")?;
        // Busy all the time: only the keeper can read the answer.
        eventually("the answer", || sender.closed().is_some());
        tell.send(sender.closed()).unwrap();
        Ok(())
    });
    let mut client = server.websocket("/ws");
    assert_eq!(client.expect_text(), "busy");
    let mut bytes = Client::frame(0x81, b"x").repeat(40);
    bytes.extend(Client::frame(0x89, b"read?"));
    client.send(bytes);
    assert_eq!(client.next_frame().payload, b"read?", "the keeper has filled the inbox");
    go.send(()).unwrap();
    assert_eq!(client.expect_close().0, 1000);
    client.send_close(1000, "");
    client.expect_fin();
    assert_eq!(details(told.next()), (Side::Server, 1000, String::new(), true));
}

#[test]
fn an_end_waits_for_the_messages_before_it_but_not_for_ever() {
    let config = Config::default().with_close_timeout(Duration::from_millis(200));
    let (go, may_go) = channel::<()>();
    let may_go = Mutex::new(may_go);
    let (tell, told) = tell();
    let server = websocket_server(config, move |_, ws: &WebSocket| {
        may_go.lock().unwrap().recv().unwrap();
        ws.send("busy")?;
        may_go.lock().unwrap().recv().unwrap();
        assert_eq!(ws.wait()?, Some(Message::from("taken late")));
        assert!(ws.send("answered too late").unwrap_err().is_closed());
        assert_eq!(ws.wait()?, None);
        tell.send(ws.closed()).unwrap();
        Ok(())
    });
    let mut client = server.connect();
    client.send(Client::handshake_head("/ws"));
    client.send_text("taken late");
    client.send_close(1000, "bye");
    go.send(()).unwrap();
    assert_eq!(client.reply().status, 101);
    assert_eq!(client.expect_text(), "busy");
    assert_eq!(client.expect_closed(1000), "bye");
    go.send(()).unwrap();
    assert_eq!(details(told.next()), (Side::Client, 1000, "bye".to_owned(), true));
}

#[test]
fn a_close_wakes_those_who_wait_for_room() {
    let config = Config::default()
        .with_send_timeout(PATIENCE * 10)
        .with_close_timeout(PATIENCE * 10)
        .with_outbound_bytes(10_000);
    let (tell, told) = tell::<Sender>();
    let (tell_end, told_end) = crate::harness::tell();
    let server = websocket_server(config, move |_, ws: &WebSocket| {
        tell.send(ws.sender()?).unwrap();
        let error = loop {
            if let Err(error) = ws.send(vec![0; 5000]) {
                break error;
            }
        };
        tell_end.send(error.kind()).unwrap();
        Ok(())
    });
    let mut client = server.connect();
    client.hold_little();
    client.handshake("/ws");
    let sender = told.next();
    eventually("the queue is full", || sender.queued_bytes() > 5000);
    sender.close(1001, "").unwrap();
    assert_eq!(told_end.next(), ErrorKind::Closed);
    drop(client);
    server.becomes_empty();
}

#[test]
fn nothing_is_delivered_after_our_close_not_even_when_its_deadline_has_passed() {
    let config = Config::default().with_close_timeout(Duration::from_millis(150));
    let (tell, told) = tell();
    let server = websocket_server(config, move |_, ws: &WebSocket| {
        ws.close(1000, "")?;
        eventually("the deadline has passed", || ws.closed().is_some());
        tell.send(ws.messages().filter(|message| message.is_ok()).count()).unwrap();
        Ok(())
    });
    let mut client = server.websocket("/ws");
    let messages = Client::frame(0x81, b"more").repeat(1000);
    while client.try_send(&messages) {}
    assert_eq!(told.next(), 0);
}

#[test]
fn bytes_behind_the_close_frame_are_ignored() {
    let server = websocket_server(patient(), echo);
    let mut client = server.websocket("/ws");
    let mut bytes = Client::frame(0x88, &[3, 232]);
    bytes.extend(Client::frame(0x81, b"behind"));
    bytes.extend(b"GET / HTTP/1.1\r\n\r\n");
    client.send(bytes);
    client.expect_closed(1000);
    server.becomes_empty();
}
