//! Replies to many messages that came together: all of them arrive, in order, whatever comes
//! between and however it ends.

use std::thread;

use landline::{
    Config, Consumer, Context, Error, Hub, Request, Result, Sender, Server, WebSocket, consumer,
    require_websocket,
};

use crate::harness::{Client, Frame, PATIENCE, Running, echo, patient, tell, websocket_server};

/// Text messages with the numbers from 0 on, to go with one write.
fn numbered(count: usize) -> Vec<u8> {
    (0..count).flat_map(|number| Client::frame(0x81, number.to_string().as_bytes())).collect()
}

fn expect_numbers(client: &mut Client, count: usize) {
    for number in 0..count {
        assert_eq!(client.expect_text(), number.to_string());
    }
}

/// Takes and answers so many messages.
fn answer(ws: &WebSocket, count: usize) -> Result<()> {
    for _ in 0..count {
        if let Some(message) = ws.wait()? {
            ws.send(message)?;
        }
    }
    Ok(())
}

#[test]
fn as_many_replies_come_as_messages_went_whatever_may_be_held() {
    for held_bytes in [0, 1, 40, Config::default().held_bytes(), 1 << 30] {
        let server = websocket_server(patient().with_held_bytes(held_bytes), echo);
        let mut client = server.websocket("/ws");
        for count in [1, 16, 200, 5000] {
            client.send(numbered(count));
            expect_numbers(&mut client, count);
        }
        client.say_goodbye();
    }
}

#[test]
fn all_sizes_keep_their_order_with_pings_between() {
    let messages = [
        (0x81, b"small".to_vec()),
        (0x82, Vec::new()),
        (0x81, b"over what is copied: ".repeat(40)),
        (0x82, vec![7; 512]),
        (0x82, vec![8; 513]),
        (0x81, Vec::new()),
        (0x82, vec![9; 64 * 1024]),
        (0x82, vec![1, 2, 3]),
    ];
    let server = websocket_server(patient(), echo);
    let mut client = server.websocket("/ws");
    let (rounds, mut bytes) = (5u8, Vec::new());
    for round in 0..rounds {
        for (first, payload) in &messages {
            bytes.extend(Client::frame(*first, payload));
            bytes.extend(Client::frame(0x89, &[round]));
        }
    }
    let writer = client.stream.try_clone().unwrap();
    let writing = thread::spawn(move || Client { stream: writer, buffer: Vec::new() }.send(bytes));
    let (mut pong, mut replies) = (0, Vec::new());
    while replies.len() < messages.len() * usize::from(rounds) || pong + 1 < rounds {
        match client.next_frame() {
            Frame { first: 0x8a, payload } => {
                assert!((pong..rounds).contains(&payload[0]), "pongs in the order of the pings");
                pong = payload[0];
            }
            frame => replies.push((frame.first, frame.payload)),
        }
    }
    assert!(replies.chunks(messages.len()).all(|round| round == messages));
    writing.join().unwrap();
}

#[test]
fn a_reply_arrives_though_its_handler_blocks_before_the_next_message() {
    let (go_on, gone_on) = tell::<()>();
    let gone_on = std::sync::Mutex::new(gone_on);
    let server = websocket_server(patient(), move |_, ws: &WebSocket| {
        for _ in 0..3 {
            answer(ws, 1)?;
            gone_on.lock().unwrap().next();
        }
        answer(ws, 1)
    });
    let mut client = server.websocket("/ws");
    client.send(numbered(4));
    for number in 0..4 {
        assert_eq!(client.expect_text(), number.to_string(), "while the handler is blocked");
        let _ = go_on.send(());
    }
    assert_eq!(client.answer_close().0, 1000);
}

#[test]
fn a_reply_arrives_though_its_handler_answers_no_more_and_waits() {
    type Wait = fn(&WebSocket) -> Result<()>;
    let waits: [Wait; 4] = [
        |ws| ws.wait().map(drop),
        |ws| ws.wait_timeout(PATIENCE * 10).map(drop),
        |ws| ws.wait_any().map(drop),
        |ws| ws.wait_any_timeout(PATIENCE * 10).map(drop),
    ];
    for wait in waits {
        let server = websocket_server(patient(), move |_, ws: &WebSocket| {
            answer(ws, 2)?;
            // Two more are taken, and a last one is waited for.
            (0..3).try_for_each(|_| wait(ws))
        });
        let mut client = server.websocket("/ws");
        client.send(numbered(4));
        expect_numbers(&mut client, 2);
        client.send_text("the last");
        assert_eq!(client.answer_close().0, 1000);
    }
}

#[test]
fn a_handler_that_polls_leaves_no_reply_behind() {
    let (go_on, gone_on) = tell::<()>();
    let gone_on = std::sync::Mutex::new(gone_on);
    let server = websocket_server(patient(), move |_, ws: &WebSocket| {
        answer(ws, 2)?;
        let mut left = 2;
        while left > 0 {
            left -= usize::from(ws.read()?.is_some());
        }
        gone_on.lock().unwrap().next();
        Ok(())
    });
    let mut client = server.websocket("/ws");
    client.send(numbered(4));
    expect_numbers(&mut client, 2);
    go_on.send(()).unwrap();
    assert_eq!(client.answer_close().0, 1000);
}

#[test]
fn what_others_send_stands_where_it_was_sent() {
    let hub = Hub::new();
    let handler = |request: &Request, ws: &WebSocket| {
        ws.join("all")?;
        let (sender, group) = (ws.sender()?, request.hub().group("all"));
        answer(ws, 4)?;
        send_elsewhere(&sender, "sender");
        answer(ws, 4)?;
        group.send("group")?.wait();
        answer(ws, 4)?;
        group.send("group")?.wait();
        send_elsewhere(&sender, "sender");
        ws.send("unasked")?;
        answer(ws, 4)
    };
    let builder = Server::builder().config(patient()).hub(hub);
    let server = Running::start(builder.route("/ws", require_websocket(handler)));
    let mut client = server.websocket("/ws");
    client.send(numbered(16));
    let mut expected: Vec<String> = (0..16).map(|number| number.to_string()).collect();
    for (at, text) in [(12, "unasked"), (12, "sender"), (12, "group"), (8, "group"), (4, "sender")]
    {
        expected.insert(at, text.to_owned());
    }
    for text in expected {
        assert_eq!(client.expect_text(), text);
    }
    assert_eq!(client.answer_close().0, 1000);
}

/// Sends from a thread of its own.
fn send_elsewhere(sender: &Sender, text: &'static str) {
    thread::scope(|scope| scope.spawn(|| sender.send(text).unwrap()).join().unwrap());
}

#[test]
fn every_end_by_the_handler_comes_behind_its_replies() {
    type End = fn(&WebSocket) -> Result<()>;
    let ends: [(End, u16); 4] = [
        (|_| Ok(()), 1000),
        (|_| Err(Error::other("out of order")), 1011),
        (|_| panic!("out of order"), 1011),
        (|ws| ws.close(4000, "enough"), 4000),
    ];
    for (end, code) in ends {
        let server = websocket_server(patient(), move |_, ws: &WebSocket| {
            answer(ws, 3)?;
            end(ws)
        });
        let mut client = server.websocket("/ws");
        client.send(numbered(10));
        expect_numbers(&mut client, 3);
        assert_eq!(client.answer_close().0, code);
    }
}

#[test]
fn every_end_by_the_client_comes_behind_the_replies_to_what_was_before_it() {
    let close = Client::frame(0x88, &1000u16.to_be_bytes());
    let violation = Client::frame(0x83, b"");
    // One handler answers all, one leaves the last without an answer.
    for answered in [10, 7] {
        let server = websocket_server(patient(), move |_, ws: &WebSocket| {
            answer(ws, answered)?;
            while ws.wait()?.is_some() {}
            Ok(())
        });
        for (end, code) in [(&close, 1000), (&violation, 1002)] {
            let mut client = server.websocket("/ws");
            client.send([numbered(10), end.clone()].concat());
            expect_numbers(&mut client, answered);
            assert_eq!(client.expect_close().0, code);
            client.finish();
            client.expect_fin();
        }
        let mut client = server.websocket("/ws");
        client.send(numbered(10));
        client.finish();
        expect_numbers(&mut client, answered);
        client.expect_fin();
        server.becomes_empty();
    }
}

#[test]
fn the_stop_comes_behind_the_replies() {
    let (answered, was_answered) = tell();
    let (go_on, gone_on) = tell::<()>();
    let gone_on = std::sync::Mutex::new(gone_on);
    let server = websocket_server(patient(), move |_, ws: &WebSocket| {
        answer(ws, 2)?;
        answered.send(()).unwrap();
        gone_on.lock().unwrap().next();
        Ok(())
    });
    let mut client = server.websocket("/ws");
    client.send(numbered(10));
    was_answered.next();
    server.handle.stop();
    expect_numbers(&mut client, 2);
    assert_eq!(client.answer_close().0, 1001);
    go_on.send(()).unwrap();
}

#[test]
fn several_threads_on_one_socket_answer_everything() {
    let server = websocket_server(patient(), |_, ws: &WebSocket| {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| while answer(ws, 1).is_ok() && ws.closed().is_none() {});
            }
        });
        Ok(())
    });
    let mut client = server.websocket("/ws");
    for _ in 0..20 {
        client.send(numbered(50));
        let mut numbers: Vec<usize> =
            (0..50).map(|_| client.expect_text().parse().unwrap()).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..50));
    }
    client.say_goodbye();
}

struct Counter(usize);

impl Consumer for Counter {
    fn receive_text(&mut self, ctx: &Context<'_>, text: &str) -> Result<()> {
        self.0 += 1;
        // Every third has no answer.
        if self.0.is_multiple_of(3) { Ok(()) } else { ctx.send(text) }
    }
}

#[test]
fn a_consumer_answers_as_a_handler_does() {
    let builder = Server::builder().config(patient());
    let server = Running::start(builder.route("/ws", consumer(|_| Counter(0))));
    let mut client = server.websocket("/ws");
    client.send(numbered(30));
    for number in (0..30).filter(|number| number % 3 != 2) {
        assert_eq!(client.expect_text(), number.to_string());
    }
    client.say_goodbye();
}
