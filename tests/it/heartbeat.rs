//! Signs of life: pings both ways, and what the keeper does for a handler that is busy.

use std::net::Shutdown;
use std::sync::mpsc::{Sender as Channel, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use landline::{Closed, Config, Message, Result, Sender, Side, WebSocket};

use crate::harness::{Client, Running, Told, echo, eventually, patient, tell, websocket_server};

const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// Pings after 100 ms of silence and gives up after so much more.
fn pinging(timeout: Duration) -> Config {
    let interval = Some(Duration::from_millis(100));
    Config::default().with_ping_interval(interval).with_ping_timeout(Some(timeout))
}

/// Longer than any test: a client that answers must not die of a slow machine.
const LONG: Duration = Duration::from_secs(60);

/// Times in which a client that is silent on purpose dies.
const SHORT: Duration = Duration::from_millis(100);

/// A server whose handler tells its sender, then is busy until the test lets it go on, and then
/// echoes.
fn busy_server(config: Config) -> (Running, Told<Sender>, Channel<()>) {
    let (tell, told) = tell();
    let (go, may_go) = channel::<()>();
    let may_go = Mutex::new(may_go);
    let server = websocket_server(config, move |request, ws: &WebSocket| {
        tell.send(ws.sender()?).unwrap();
        let _ = may_go.lock().unwrap().recv();
        echo(request, ws)
    });
    (server, told, go)
}

#[test]
fn a_silent_client_is_pinged_and_a_pong_keeps_it() {
    let server = websocket_server(pinging(LONG), echo);
    let mut client = server.websocket("/ws");
    for _ in 0..3 {
        let ping = client.next_frame();
        assert_eq!(ping.first, PING);
        client.send_frame(PONG, ping.payload);
    }
    client.send_text("alive");
    client.send_close(1000, "");
    // The next ping may be on its way already.
    let frames =
        std::iter::repeat_with(|| client.next_frame().first).filter(|first| *first != PING);
    assert_eq!(frames.take(2).collect::<Vec<_>>(), [0x81, 0x88]);
}

#[test]
fn a_client_without_life_is_told_and_cut() {
    let (tell, told) = tell::<(Result<Option<Message>>, Option<Closed>)>();
    let server = websocket_server(pinging(SHORT), move |_, ws: &WebSocket| {
        tell.send((ws.wait(), ws.closed())).unwrap();
        Ok(())
    });
    let start = Instant::now();
    let mut client = server.websocket("/ws");
    assert_eq!(client.next_frame().first, PING);
    assert_eq!(client.expect_closed(1011), "keepalive ping timeout");
    assert!(start.elapsed() >= Duration::from_millis(200), "not before its time");
    let (outcome, closed) = told.next();
    assert!(outcome.unwrap_err().is_closed());
    let closed = closed.unwrap();
    assert_eq!((closed.by(), closed.code()), (Side::Server, 1011));
    assert_eq!((closed.reason(), closed.is_clean()), ("keepalive ping timeout", false));
    server.becomes_empty();
}

#[test]
fn any_byte_is_life() {
    let server = websocket_server(pinging(Duration::from_secs(1)), echo);
    let mut client = server.websocket("/ws");
    // A message that takes longer than interval and timeout, a byte at a time, and no pong.
    let bytes = Client::frame(0x81, &[b'x'; 60]);
    for byte in bytes {
        client.send([byte]);
        thread::sleep(Duration::from_millis(25));
    }
    let text = loop {
        match client.next_frame() {
            frame if frame.first == PING => {}
            frame => break frame,
        }
    };
    assert_eq!((text.first, text.payload.len()), (0x81, 60));
}

#[test]
fn no_interval_is_no_ping() {
    let config = pinging(SHORT).with_ping_interval(None);
    let (server, told, go) = busy_server(config);
    let mut client = server.websocket("/ws");
    told.next();
    client.stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut byte = [0];
    let read = std::io::Read::read(&mut client.stream, &mut byte);
    assert!(read.is_err(), "something came: {read:?} {byte:?}");
    client.stream.set_read_timeout(Some(crate::harness::PATIENCE)).unwrap();
    go.send(()).unwrap();
    client.expect_echo("still there");
}

#[test]
fn no_timeout_is_no_end_and_the_silent_are_pinged_again() {
    let server = websocket_server(pinging(SHORT).with_ping_timeout(None), echo);
    let mut client = server.websocket("/ws");
    for _ in 0..3 {
        assert_eq!(client.next_frame().first, PING);
    }
    client.send_text("late");
    let text = loop {
        match client.next_frame() {
            frame if frame.first == PING => {}
            frame => break frame.payload,
        }
    };
    assert_eq!(text, b"late");
}

#[test]
fn pings_are_answered_while_the_handler_is_busy() {
    let (server, told, go) = busy_server(patient());
    let mut client = server.websocket("/ws");
    told.next();
    for round in 0..3u8 {
        client.send_frame(PING, [round; 125]);
        let pong = client.next_frame();
        assert_eq!((pong.first, pong.payload), (PONG, vec![round; 125]));
    }
    client.send_frame(PING, b"");
    assert_eq!(client.next_frame().payload, b"");
    go.send(()).unwrap();
    client.expect_echo("at last");
    client.say_goodbye();
}

#[test]
fn pings_are_answered_while_the_handler_waits_and_pongs_are_ignored() {
    let server = websocket_server(patient(), echo);
    let mut client = server.websocket("/ws");
    client.send_frame(PONG, b"nobody asked");
    client.send_frame(PING, b"?");
    assert_eq!(client.next_frame().payload, b"?");
    client.send_frame(PONG, b"");
    client.expect_echo("hello");
}

#[test]
fn a_busy_handler_can_learn_that_its_client_has_gone() {
    type Leave = fn(Client) -> Option<Client>;
    let ways: [(&str, u16, Leave); 3] = [
        ("close", 1000, |mut client| {
            client.send_close(1000, "");
            Some(client)
        }),
        ("end", 1006, |client| {
            drop(client);
            None
        }),
        ("reset", 1006, |client| {
            client.reset();
            None
        }),
    ];
    for (way, code, leave) in ways {
        let (server, told, go) = busy_server(patient());
        let client = server.websocket("/ws");
        let sender = told.next();
        assert!(!sender.is_closed());
        let left = leave(client);
        eventually(way, || sender.is_closed());
        assert_eq!(sender.closed().map(|closed| closed.code()), Some(code), "{way}");
        assert!(sender.send("too late").unwrap_err().is_closed());
        if let Some(mut client) = left {
            client.expect_closed(1000);
        }
        go.send(()).unwrap();
        server.becomes_empty();
    }
}

#[test]
fn a_busy_handler_that_asks_for_it_sees_the_end_itself() {
    let (tell, told) = tell();
    let server = websocket_server(patient(), move |_, ws: &WebSocket| {
        ws.send("busy")?;
        eventually("the end", || ws.is_closed());
        tell.send(ws.closed().map(|closed| closed.code())).unwrap();
        Ok(())
    });
    let mut client = server.websocket("/ws");
    assert_eq!(client.expect_text(), "busy");
    client.send_close(4321, "");
    client.expect_closed(4321);
    assert_eq!(told.next(), Some(4321));
}

#[test]
fn nobody_is_declared_dead_while_we_do_not_read() {
    let config = pinging(SHORT).with_inbox_messages(8);
    let (server, told, go) = busy_server(config);
    let mut client = server.websocket("/ws");
    let sender = told.next();
    // More than the inbox takes, so the keeper stops reading; the pongs stand behind.
    let mut bytes: Vec<u8> =
        (0..2000).flat_map(|number: u32| Client::frame(0x82, &number.to_be_bytes())).collect();
    bytes.extend(Client::frame(0x82, &[0; 200_000]));
    client.send(bytes);
    // Several times interval and timeout.
    thread::sleep(Duration::from_millis(900));
    assert!(!sender.is_closed());
    go.send(()).unwrap();
    for number in 0..2000u32 {
        loop {
            let frame = client.next_frame();
            if frame.first == PING {
                client.send_frame(PONG, frame.payload);
            } else {
                assert_eq!(frame.payload, number.to_be_bytes());
                break;
            }
        }
    }
}

#[test]
fn a_ping_flood_that_reads_nothing_costs_one_pong_and_nobody_else() {
    let config = Config::default().with_send_timeout(Duration::from_millis(300));
    let (tell, told) = tell::<Sender>();
    let server = websocket_server(config, move |request, ws: &WebSocket| {
        tell.send(ws.sender()?).unwrap();
        echo(request, ws)
    });
    // With a tiny receive buffer the client's kernel would drop pongs with the acknowledgements
    // on them, and the flood would choke itself.
    let mut client = server.websocket("/ws");
    let sender = told.next();
    let pings = Client::frame(PING, &[b'p'; 125]).repeat(1000);
    let start = Instant::now();
    while client.try_send(&pings) {
        assert!(start.elapsed() < crate::harness::PATIENCE, "nobody stops it");
        let queued = sender.queued_bytes();
        assert!(queued < 1000, "{queued} bytes of pongs are queued");
    }
    assert_eq!(sender.closed().map(|closed| closed.code()), Some(1013));
    server.becomes_empty();
    server.serves_the_next();
}

#[test]
fn no_close_overtakes_the_answer_that_is_in_work() {
    let (tell, told) = tell();
    let server = websocket_server(patient(), move |_, ws: &WebSocket| {
        while let Some(message) = ws.wait()? {
            let start = Instant::now();
            tell.send((true, true)).unwrap();
            thread::sleep(Duration::from_millis(5));
            let sent = ws.send(message);
            // A machine that sleeps for a whole tick makes this handler one that is away.
            tell.send((sent.is_ok(), start.elapsed() > Duration::from_millis(80))).unwrap();
        }
        Ok(())
    });
    for _ in 0..150 {
        let mut client = server.websocket("/ws");
        client.send_text("question");
        told.next();
        client.send_close(1000, "");
        let (is_sent, is_late) = told.next();
        assert!(is_sent || is_late);
        if is_sent {
            assert_eq!(client.expect_text(), "question");
        }
        client.expect_closed(1000);
    }
}

#[test]
fn an_end_that_was_read_unnoticed_is_answered_for_a_busy_handler() {
    let (go, may_go) = channel::<()>();
    let may_go = Mutex::new(may_go);
    let server = websocket_server(patient(), move |_, ws: &WebSocket| {
        ws.send("ready")?;
        may_go.lock().unwrap().recv().unwrap();
        assert_eq!(ws.count_messages(), 0, "a close is no message");
        may_go.lock().unwrap().recv().unwrap();
        Ok(())
    });
    let mut client = server.websocket("/ws");
    assert_eq!(client.expect_text(), "ready");
    client.send_close(1000, "bye");
    client.settle();
    go.send(()).unwrap();
    assert_eq!(client.expect_closed(1000), "bye");
    go.send(()).unwrap();
}

#[test]
fn floods_to_busy_handlers_hold_up_nobodys_time() {
    // The flooders' handlers are away until the end, so it is the keeper who reads their pings.
    let config = pinging(SHORT).with_ping_timeout(None).with_send_timeout(Duration::from_secs(60));
    let hold = Arc::new(Mutex::new(()));
    let held = Arc::clone(&hold);
    let server = websocket_server(config, move |_, ws: &WebSocket| {
        ws.send("away")?;
        drop(held.lock().unwrap());
        Ok(())
    });
    let guard = hold.lock().unwrap();
    let mut flooders = Vec::new();
    for _ in 0..20 {
        let mut client = server.websocket("/ws");
        let end = client.stream.try_clone().unwrap();
        let flood = move || {
            let pings = Client::frame(PING, b"").repeat(10_000);
            while client.try_send(&pings) {}
        };
        flooders.push((end, thread::spawn(flood)));
    }
    let mut bystander = server.websocket("/echo");
    for _ in 0..10 {
        assert_eq!(bystander.next_frame().first, PING);
    }
    for (end, flooder) in flooders {
        end.shutdown(Shutdown::Both).unwrap();
        flooder.join().unwrap();
    }
    drop(guard);
}

#[test]
fn a_handler_that_only_sends_is_a_good_peer() {
    let server = websocket_server(patient(), |_, ws| {
        loop {
            if let Err(error) = ws.send("tick") {
                assert!(error.is_closed());
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
    });
    let mut client = server.websocket("/ws");
    client.send_frame(PING, b"?");
    loop {
        let frame = client.next_frame();
        if frame.first == PONG {
            break;
        }
        assert_eq!(frame.payload, b"tick");
    }
    client.send_close(1000, "done");
    loop {
        let frame = client.next_frame();
        if frame.first == 0x88 {
            assert_eq!(frame.payload, b"\x03\xe8done");
            break;
        }
    }
    client.expect_fin();
    server.becomes_empty();
}
