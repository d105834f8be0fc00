//! Clients that read slowly or not at all, and handlers that do not keep up.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use landline::{Bytes, Config, Error, ErrorKind, Message, Result, Sender, WebSocket};

use crate::harness::{Client, PATIENCE, Running, echo, eventually, tell, websocket_server};

/// A handler that tells its sender and waits for the end.
fn sender_server(config: Config) -> (Running, crate::harness::Told<Sender>) {
    let (tell, told) = tell();
    let server = websocket_server(config, move |_, ws: &WebSocket| {
        tell.send(ws.sender()?).unwrap();
        while let Ok(Some(_)) = ws.wait() {}
        Ok(())
    });
    (server, told)
}

/// A queue that the kernel can never take whole, whatever the host's limits.
fn standing_queue() -> Config {
    let limits = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_wmem").expect("Linux");
    let most = limits.split_whitespace().last().expect("three numbers").parse::<usize>().unwrap();
    Config::default().with_outbound_bytes(most + (2 << 20))
}

/// A client that does not read, and the sender to it.
fn stopped_reader(server: &Running, told: &crate::harness::Told<Sender>) -> (Client, Sender) {
    let mut client = server.connect();
    client.hold_little();
    client.handshake("/ws");
    (client, told.next())
}

/// Sends until the queue has no room for one more; returns how many were taken.
fn fill(sender: &Sender, size: usize) -> u32 {
    let mut count = 0u32;
    loop {
        let mut payload = vec![0; size];
        payload[..4].copy_from_slice(&count.to_be_bytes());
        match sender.try_send(payload) {
            Ok(()) => count += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::QueueFull, "{error}");
                let message = error.into_message().expect("the message comes back");
                assert_eq!(message.as_bytes()[..4], count.to_be_bytes());
                return count;
            }
        }
    }
}

/// Reads so many messages, which must be those that were taken, in their order.
fn expect_numbers(client: &mut Client, count: u32) {
    for number in 0..count {
        let frame = client.next_frame();
        assert_eq!(frame.payload[..4], number.to_be_bytes());
    }
}

#[test]
fn try_send_gives_the_message_back_and_nothing_is_lost() {
    let (server, told) = sender_server(Config::default().with_outbound_bytes(100_000));
    let (mut client, sender) = stopped_reader(&server, &told);
    assert_eq!(sender.queued_bytes(), 0);
    let count = fill(&sender, 10_000);
    let queued = sender.queued_bytes();
    assert!((90_000..=100_000).contains(&queued), "{queued} bytes are queued");
    expect_numbers(&mut client, count);
    eventually("the queue is empty", || sender.queued_bytes() == 0);
    sender.try_send("room again").unwrap();
    assert_eq!(client.expect_text(), "room again");
    client.say_goodbye();
}

#[test]
fn a_send_waits_for_room_and_goes_on_when_there_is() {
    let (server, told) = sender_server(Config::default().with_outbound_bytes(100_000));
    let (mut client, sender) = stopped_reader(&server, &told);
    let count = fill(&sender, 10_000);
    let waiting = thread::spawn(move || sender.send(vec![9; 50_000]));
    // The sending thread may or may not be waiting yet; either way its message comes last.
    expect_numbers(&mut client, count);
    assert_eq!(client.expect_binary(), vec![9; 50_000]);
    waiting.join().unwrap().unwrap();
    client.say_goodbye();
}

#[test]
fn a_send_to_a_trickling_reader_ends_with_timeout_and_the_message() {
    let config = standing_queue().with_send_timeout(Duration::from_millis(600));
    let limit = config.outbound_bytes();
    let (server, told) = sender_server(config);
    let (mut client, sender) = stopped_reader(&server, &told);
    let count = fill(&sender, 10_000);
    let waiting = thread::spawn(move || {
        let start = Instant::now();
        // As large as the limit: it has room only when all the rest is gone.
        let error = sender.send(vec![9; limit]).unwrap_err();
        (error.kind(), error.into_message(), start.elapsed(), sender)
    });
    // Progress all the time, but too little: the queue lives, the message does not get in.
    let mut number = 0;
    while !waiting.is_finished() {
        assert!(number < count, "the queue went out too fast");
        assert_eq!(client.next_frame().payload[..4], u32::to_be_bytes(number));
        number += 1;
        thread::sleep(Duration::from_millis(10));
    }
    let (kind, message, time, sender) = waiting.join().unwrap();
    assert_eq!((kind, message), (ErrorKind::Timeout, Some(Message::from(vec![9; limit]))));
    assert!(time >= Duration::from_millis(600));
    assert!(!sender.is_closed(), "the connection is as it was");
    while number < count {
        assert_eq!(client.next_frame().payload[..4], u32::to_be_bytes(number));
        number += 1;
    }
    sender.send("whole").unwrap();
    assert_eq!(client.expect_text(), "whole", "nothing of the refused message was sent");
}

#[test]
fn a_queue_that_does_not_move_ends_the_connection() {
    let config = standing_queue().with_send_timeout(Duration::from_millis(200));
    let (server, told) = sender_server(config);
    let (mut client, sender) = stopped_reader(&server, &told);
    fill(&sender, 10_000);
    eventually("it is given up", || sender.is_closed());
    let closed = sender.closed().unwrap();
    assert_eq!((closed.code(), closed.reason()), (1013, "client too slow"));
    assert!(!closed.is_clean());
    // It is counted by the thread that gave it up, a moment later.
    eventually("it is counted", || server.handle.slow_clients() == 1);
    let error = sender.send("late").unwrap_err();
    assert!(error.is_closed());
    server.becomes_empty();
    assert_eq!(sender.queued_bytes(), 0, "nothing is kept for it");
    while client.receive() {}
    server.serves_the_next();
}

#[test]
fn an_ordinary_echo_closes_a_stopped_reader_with_1013() {
    let config = standing_queue().with_send_timeout(Duration::from_millis(200));
    let (tell, told) = tell::<Sender>();
    let server = websocket_server(config, move |request, ws: &WebSocket| {
        tell.send(ws.sender()?).unwrap();
        crate::harness::echo(request, ws)
    });
    let mut client = server.websocket("/ws");
    let sender = told.next();
    // Writes until the server takes no more, and reads nothing.
    let message = Client::frame(0x82, &[7; 100_000]);
    while client.try_send(&message) {}
    eventually("it is given up", || sender.closed().is_some());
    let closed = sender.closed().unwrap();
    assert_eq!((closed.code(), closed.reason()), (1013, "client too slow"));
    server.becomes_empty();
    assert_eq!(server.handle.slow_clients(), 1);
    server.serves_the_next();
}

#[test]
fn a_handler_that_passes_on_the_time_out_of_its_send_closes_with_1013() {
    let config = standing_queue().with_send_timeout(Duration::from_millis(200));
    let limit = config.outbound_bytes();
    let (tell_count, told_count) = tell();
    let (tell_kind, told_kind) = tell();
    let server = websocket_server(config, move |_, ws: &WebSocket| {
        tell_count.send(fill(&ws.sender()?, 10_000)).unwrap();
        // It has room only when all the rest is gone.
        ws.send(vec![9; limit]).inspect_err(|error| tell_kind.send(error.kind()).unwrap())
    });
    let mut client = server.connect();
    client.hold_little();
    client.handshake("/ws");
    let (count, mut number, mut kind) = (told_count.next(), 0, None);
    let mut expect_next = |number| {
        assert_eq!(client.next_frame().payload[..4], u32::to_be_bytes(number));
    };
    while kind.is_none() {
        assert!(number < count, "the queue went out too fast");
        expect_next(number);
        number += 1;
        thread::sleep(Duration::from_millis(10));
        kind = told_kind.try_next();
    }
    assert_eq!(kind, Some(ErrorKind::Timeout));
    (number..count).for_each(expect_next);
    assert_eq!(client.answer_close(), (1013, "client too slow".to_owned()));
    assert_eq!(server.handle.slow_clients(), 1);
}

#[test]
fn a_handler_that_sends_to_a_stopped_reader_is_told() {
    let config =
        Config::default().with_outbound_bytes(50_000).with_send_timeout(Duration::from_millis(200));
    let (tell, told) = tell();
    let server = websocket_server(config, move |_, ws: &WebSocket| {
        // A time-out may come first; then the queue's own deadline ends the connection.
        let last = loop {
            match ws.send(vec![0; 10_000]) {
                Err(error) if !error.is_timeout() => break error,
                _ => {}
            }
        };
        tell.send((last.kind(), last.into_message(), ws.closed())).unwrap();
        ws.wait().map(drop)
    });
    let mut client = server.connect();
    client.hold_little();
    client.handshake("/ws");
    let (kind, message, closed) = told.next();
    assert_eq!((kind, closed.map(|closed| closed.code())), (ErrorKind::Closed, Some(1013)));
    assert_eq!(message, Some(Message::from(vec![0; 10_000])));
    server.becomes_empty();
}

#[test]
fn pongs_pass_a_full_queue_and_a_close_ends_it() {
    let (tell_sender, told) = tell();
    let (tell_read, read) = tell();
    let server = websocket_server(standing_queue(), move |_, ws: &WebSocket| {
        tell_sender.send(ws.sender()?).unwrap();
        for message in ws {
            tell_read.send(message?).unwrap();
        }
        Ok(())
    });
    let (mut client, sender) = stopped_reader(&server, &told);
    let count = fill(&sender, 10_000);
    for number in 0..100u8 {
        client.send_frame(0x89, [number]);
    }
    client.send_text("all read?");
    assert_eq!(read.next(), Message::from("all read?"));
    sender.close(1000, "enough").unwrap();
    let mut next = 0u32;
    let mut pongs = Vec::new();
    let code = loop {
        let frame = client.next_frame();
        match frame.first {
            0x82 => {
                assert_eq!(frame.payload[..4], next.to_be_bytes());
                next += 1;
            }
            0x8a => {
                assert!(next < count, "it passed what had not begun");
                pongs.push(frame.payload);
            }
            _ => break frame.payload,
        }
    };
    assert_eq!((next, &code[..]), (count, &b"\x03\xe8enough"[..]), "all of it, then the close");
    // The kernel may have taken a few before it was full.
    assert_eq!(pongs.last(), Some(&vec![99]), "of many pongs the last one goes out");
    assert!(pongs.len() < 50, "{} pongs were queued", pongs.len());
    client.send_close(1000, "");
    client.expect_fin();
}

#[test]
fn a_message_larger_than_the_limit_passes_when_nothing_waits() {
    let (server, told) = sender_server(Config::default().with_outbound_bytes(1000));
    let mut client = server.websocket("/ws");
    let sender = told.next();
    for _ in 0..3 {
        eventually("nothing waits", || sender.queued_bytes() == 0);
        sender.try_send(vec![5; 3_000_000]).unwrap();
        assert!(client.expect_binary() == vec![5; 3_000_000]);
    }
    client.say_goodbye();
}

#[test]
fn a_stopped_reader_delays_nobody_else() {
    let (server, told) = sender_server(Config::default().with_outbound_bytes(50_000));
    let mut stopped: Vec<_> = (0..20).map(|_| stopped_reader(&server, &told)).collect();
    let blocked: Vec<_> = stopped
        .iter()
        .map(|(_, sender)| {
            fill(sender, 10_000);
            let sender = sender.clone();
            thread::spawn(move || sender.send(vec![0; 40_000]))
        })
        .collect();
    let start = Instant::now();
    for _ in 0..10 {
        server.serves_the_next();
    }
    assert!(start.elapsed() < Config::default().send_timeout(), "nobody waited");
    for (client, _) in stopped.drain(..) {
        client.reset();
    }
    for thread in blocked {
        assert!(thread.join().unwrap().unwrap_err().is_closed());
    }
    server.becomes_empty();
}

#[test]
fn sixteen_mebibytes_both_ways_do_not_lock_up() {
    let config = Config::default().with_message_bytes(16 << 20);
    let server = websocket_server(config, echo);
    let mut client = server.websocket("/ws");
    // Everything is written before anything is read. The second message fits the server's inbox
    // while the handler waits for the first one to be taken.
    let frame = Client::frame(0x82, &vec![3; 16 << 20]);
    client.send(&frame);
    client.send(&frame);
    for _ in 0..2 {
        assert!(client.expect_binary() == vec![3; 16 << 20]);
    }
    client.say_goodbye();
}

#[test]
fn a_client_that_only_writes_is_ended_not_buffered() {
    let config = Config::default()
        .with_message_bytes(16 << 20)
        .with_send_timeout(Duration::from_millis(300))
        .with_close_timeout(Duration::from_millis(300));
    let (tell, told) = tell();
    let server = websocket_server(config, move |_, ws: &WebSocket| {
        let result = echo_rest(ws);
        tell.send(result.as_ref().err().map(Error::kind)).unwrap();
        result
    });
    let mut client = server.websocket("/ws");
    let frame = Client::frame(0x82, &vec![3; 8 << 20]);
    let start = Instant::now();
    while client.try_send(&frame) {
        assert!(start.elapsed() < PATIENCE, "nobody ends it");
    }
    let kind = told.next();
    assert!(matches!(kind, Some(ErrorKind::Timeout | ErrorKind::Closed)), "{kind:?}");
    server.becomes_empty();
    server.serves_the_next();
}

fn echo_rest(ws: &WebSocket) -> Result<()> {
    for message in ws {
        ws.send(message?)?;
    }
    Ok(())
}

#[test]
fn a_handler_that_does_not_keep_up_slows_its_client_down() {
    let (tell, told) = tell();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let may_go = std::sync::Mutex::new(may_go);
    let server = websocket_server(Config::default(), move |_, ws: &WebSocket| {
        ws.send("busy")?;
        may_go.lock().unwrap().recv().unwrap();
        let mut next = 0u32;
        for message in ws {
            assert_eq!(message?.as_bytes()[..4], next.to_be_bytes());
            next += 1;
        }
        tell.send(next).unwrap();
        Ok(())
    });
    let mut client = server.websocket("/ws");
    assert_eq!(client.expect_text(), "busy");
    client.stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    // The client writes until nothing has moved for half a second.
    let mut rest = Vec::new();
    let mut count = 0u32;
    loop {
        if rest.is_empty() {
            let mut payload = vec![0; 60_000];
            payload[..4].copy_from_slice(&count.to_be_bytes());
            rest = Client::frame(0x82, &payload);
            count += 1;
            assert!(count < 1000, "the server takes without limit");
        }
        match client.stream.write(&rest) {
            Ok(written) => drop(rest.drain(..written)),
            Err(_) => break,
        }
    }
    client.stream.set_write_timeout(Some(PATIENCE)).unwrap();
    go.send(()).unwrap();
    client.send(rest);
    client.send_close(1000, "");
    client.expect_closed(1000);
    assert_eq!(told.next(), count, "nothing is lost");
}

/// What an application hands over to be sent, and what may fail when it is let go.
struct Fragile(Vec<u8>);

impl AsRef<[u8]> for Fragile {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        assert_ne!(thread::current().name(), Some("keeper"), "as asked");
    }
}

#[test]
fn a_panic_of_what_the_keeper_sends_harms_nobody_else() {
    let config = standing_queue();
    let size = config.outbound_bytes() - 4096;
    let (server, told) = sender_server(config.with_keep_alive(Duration::from_millis(100)));
    for _ in 0..2 {
        let (mut client, sender) = stopped_reader(&server, &told);
        sender.try_send(Bytes::from_owner(Fragile(vec![b'x'; size]))).unwrap();
        assert_eq!(client.next_frame().payload.len(), size);
    }
    let mut idle = server.connect();
    assert_eq!(idle.get("/").status, 404);
    idle.expect_fin();
}
