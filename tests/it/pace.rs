//! Clients that send faster than they may: first slowed down, then closed.

use std::io::Write;
use std::time::{Duration, Instant};

use landline::{
    Config, GroupMessage, Incoming, Rate, Request, Result, Server, WebSocket, require_websocket,
};

use crate::harness::{Client, PATIENCE, Running, echo, eventually, tell, websocket_server};

fn slow(per_second: u64, burst: u64) -> Config {
    let rate = Rate::per_second(per_second).with_burst(burst);
    Config::default().with_message_rate(Some(rate))
}

#[test]
fn a_burst_is_served_at_once_and_the_rest_in_its_time() {
    let server = websocket_server(slow(20, 5), echo);
    let mut client = server.websocket("/echo");
    let start = Instant::now();
    for number in 0..15 {
        client.send_text(&number.to_string());
    }
    for number in 0..15 {
        assert_eq!(client.expect_text(), number.to_string(), "nothing is lost, nothing overtakes");
    }
    let least = Duration::from_millis(10 * 1000 / 20 - 1);
    assert!(start.elapsed() >= least, "ten of them wait for {least:?}");
    client.say_goodbye();
    assert_eq!(server.handle.fast_clients(), 0);
}

#[test]
fn who_goes_on_is_closed_and_others_are_not_held_up() {
    let patience = Some(Duration::from_millis(500));
    let (teller, told) = tell();
    let server = websocket_server(slow(10, 5).with_rate_patience(patience), move |request, ws| {
        let outcome = echo(request, ws);
        let _ = teller.send(outcome.map_err(|error| (error.kind(), error.chain())));
        Ok(())
    });
    let mut quiet = server.websocket("/echo");
    let mut flooding = server.websocket("/ws");
    let flood = Client::frame(0x81, b"flood").repeat(2000);
    let mut sender = flooding.stream.try_clone().unwrap();
    let thread = std::thread::spawn(move || while sender.write_all(&flood).is_ok() {});
    let mut others = 0;
    let reason = loop {
        let frame = flooding.next_frame();
        match frame.first {
            0x81 => assert_eq!(frame.payload, b"flood"),
            0x88 => break frame.payload,
            other => panic!("{other:#x}"),
        }
        others += 1;
        if others % 8 == 1 {
            quiet.expect_echo("in peace");
        }
    };
    assert_eq!(
        (&reason[..2], &reason[2..]),
        (&1008u16.to_be_bytes()[..], &b"too many messages"[..])
    );
    let error = told.next().unwrap_err();
    assert_eq!(error.0, landline::ErrorKind::Closed);
    assert!(error.1.contains("sending faster than it may"), "{}", error.1);
    drop(flooding);
    thread.join().unwrap();
    assert_eq!(server.handle.fast_clients(), 1);
    // Far from all that was sent: the burst, and what was due until patience ended.
    assert!(others <= 5 + 60, "{others} were delivered");
    quiet.expect_echo("still");
}

/// Back-pressure alone: whoever never gets impatient has as much wait as the kernel holds.
#[test]
fn without_an_end_of_patience_the_client_is_only_slowed_down() {
    let server = websocket_server(slow(200, 1).with_rate_patience(None), echo);
    let mut client = server.websocket("/echo");
    for number in 0..100 {
        client.send_text(&number.to_string());
    }
    for number in 0..100 {
        assert_eq!(client.expect_text(), number.to_string());
    }
    client.say_goodbye();
}

#[test]
fn bytes_are_not_read_before_their_time() {
    let rate = Rate::per_second(200_000).with_burst(1000);
    let server = websocket_server(Config::default().with_byte_rate(Some(rate)), echo);
    let mut client = server.websocket("/echo");
    let message = "m".repeat(20_000);
    let start = Instant::now();
    for _ in 0..5 {
        client.expect_echo(&message);
    }
    // Of the last message nothing is due.
    assert!(start.elapsed() >= Duration::from_millis((4 * 20_000 - 1000) * 1000 / 200_000));
    client.say_goodbye();
}

#[test]
fn pings_count_as_bytes_and_a_flood_of_them_ends() {
    let rate = Rate::per_second(1000).with_burst(2000);
    let config = Config::default().with_byte_rate(Some(rate));
    let patience = Some(Duration::from_millis(300));
    let server = websocket_server(config.with_rate_patience(patience), echo);
    let mut client = server.websocket("/echo");
    let flood = Client::frame(0x89, b"0123456789").repeat(1000);
    let mut sender = client.stream.try_clone().unwrap();
    let thread = std::thread::spawn(move || while sender.write_all(&flood).is_ok() {});
    loop {
        match client.next_frame() {
            frame if frame.first == 0x8a => assert_eq!(frame.payload, b"0123456789"),
            frame => {
                assert_eq!((frame.first, &frame.payload[..2]), (0x88, &1008u16.to_be_bytes()[..]));
                break;
            }
        }
    }
    drop(client);
    thread.join().unwrap();
    server.becomes_empty();
}

/// A message is held back for a minute; the connection lives, and ends, all the same.
#[test]
fn whose_message_waits_is_pinged_and_closed_as_any() {
    let config = slow(1, 1).with_rate_patience(None);
    let server = websocket_server(config.with_ping_interval(Some(PATIENCE)), |_, ws| {
        while let Some(message) = ws.wait()? {
            ws.send(message)?;
        }
        Ok(())
    });
    let mut client = server.websocket("/ws");
    for _ in 0..60 {
        client.send_text("again");
    }
    assert_eq!(client.expect_text(), "again");
    client.send_frame(0x89, b"alive?");
    loop {
        let frame = client.next_frame();
        if frame.first == 0x8a {
            assert_eq!(frame.payload, b"alive?");
            break;
        }
        assert_eq!(frame.payload, b"again");
    }
    client.reset();
    server.becomes_empty();
    let mut stopped = server.websocket("/ws");
    for _ in 0..60 {
        stopped.send_text("again");
    }
    assert_eq!(stopped.expect_text(), "again");
    server.handle.stop();
    loop {
        let frame = stopped.next_frame();
        if frame.first == 0x88 {
            assert_eq!(frame.payload[..2], 1001u16.to_be_bytes());
            break;
        }
    }
}

/// What is not there yet, because it has come too fast, no call takes, and none waits for it that
/// does not wait.
#[test]
fn calls_that_do_not_wait_see_what_is_due() {
    let (teller, told) = tell();
    let server = websocket_server(slow(2, 1), move |_, ws| {
        let first = ws.wait()?;
        while ws.count_messages() < 2 {
            std::thread::yield_now();
        }
        let early = (ws.has_messages(), ws.read()?, ws.wait_timeout(Duration::ZERO));
        let late = ws.wait_timeout(PATIENCE)?;
        let _ = teller.send((first, early.0, early.1, early.2.unwrap_err().kind(), late));
        Ok(())
    });
    let mut client = server.websocket("/ws");
    for text in ["one", "two", "three"] {
        client.send_text(text);
    }
    let (first, has, read, timeout, late) = told.next();
    assert_eq!((first, has, read), (Some("one".into()), false, None));
    assert_eq!((timeout, late), (landline::ErrorKind::Timeout, "two".into()));
    assert_eq!(client.answer_close().0, 1000);
}

/// What groups send does not wait for a client that is too fast.
#[test]
fn group_messages_pass_those_that_are_held_back() {
    let (teller, told) = tell::<()>();
    let server = websocket_server(slow(1, 1), move |_, ws| {
        ws.inbox()?.join("news")?;
        while let Some(incoming) = ws.wait_any()? {
            match incoming {
                Incoming::Client(message) => ws.send(message)?,
                Incoming::Group(message) => ws.send(GroupMessage::message(&message).clone())?,
            }
            let _ = teller.send(());
        }
        Ok(())
    });
    let mut client = server.websocket("/ws");
    for text in ["one", "two", "three", "four", "five", "six"] {
        client.send_text(text);
    }
    assert_eq!(client.expect_text(), "one");
    told.next();
    let hub = server.handle.hub();
    for number in 0..50 {
        hub.group("news").send(number.to_string()).unwrap();
    }
    let texts: Vec<String> = (0..51).map(|_| client.expect_text()).collect();
    let own = texts.iter().filter(|text| text.parse::<u32>().is_err()).count();
    assert!(own < 5, "{own} came with the first fifty of the group");
}

#[test]
fn a_route_has_a_pace_of_its_own() {
    let handler = |request: &Request, ws: &WebSocket| -> Result<()> { echo(request, ws) };
    let builder = Server::builder().config(slow(1, 1));
    let builder = builder.route("/free", require_websocket(handler).message_rate(None));
    let fast = require_websocket(handler).message_rate(Rate::per_second(1_000_000));
    let server = Running::start(builder.route("/fast", fast));
    for path in ["/free", "/fast"] {
        let mut client = server.websocket(path);
        // At one a second patience would end before the last.
        (0..100).for_each(|_| client.expect_echo("at once"));
        client.say_goodbye();
    }
    eventually("nobody was too fast", || server.handle.fast_clients() == 0);
}
