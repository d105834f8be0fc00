//! A handler that waits for both, over a real socket.

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Weak};
use std::thread;

use super::*;
use crate::config::Config;
use crate::conn::connection::{Connection, Shared};
use crate::conn::groups::NoGroups;
use crate::conn::overflow::Overflow;
use crate::conn::recipient::{Fate, Lane, Recipient};
use crate::conn::throttle::Pace;
use crate::net::stream::Stream;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicBool;

const PATIENCE: Duration = Duration::from_secs(20);

/// An open connection without a server around it, and its client.
fn open() -> (WebSocket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_nodelay(true).unwrap();
    let (accepted, peer) = listener.accept().unwrap();
    let stream = Arc::new(Stream::new(accepted.into(), peer));
    let shared = Arc::new(Shared::new(Config::default(), Weak::<NoGroups>::new()).unwrap());
    let conn = Arc::new(Connection::new(1, Arc::clone(&stream), shared));
    conn.open_outbox(Arc::clone(&stream), b"101".to_vec());
    let pace = Pace::of(&conn.config);
    conn.receive.lock().open(&conn, stream, None, pace, Vec::new());
    let (is_open, pending) = (AtomicBool::new(true), Mutex::new(None));
    (WebSocket { conn, is_open, pending, offered: Vec::new() }, client)
}

/// Sends a masked text frame; the mask is zero.
fn send(client: &mut TcpStream, text: &str) {
    assert!(text.len() < 126);
    let head = [0x81, 0x80 | text.len() as u8, 0, 0, 0, 0];
    client.write_all(&[&head, text.as_bytes()].concat()).unwrap();
}

fn say_goodbye(client: &mut TcpStream) {
    client.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]).unwrap();
}

fn push(ws: &WebSocket, sequence: u64) -> Fate {
    let lane = Arc::new(Lane::new(Overflow::Disconnect, Arc::default()));
    let message = GroupMessage { group: "g".into(), sequence, message: Message::from("group") };
    let mut fate = [Fate::Gone];
    Recipient::new(&ws.conn).deliver_to_handler(&lane, true, [message], &mut fate);
    fate[0]
}

fn shown(incoming: &Incoming) -> String {
    match incoming {
        Incoming::Client(message) => format!("{:?}", message.as_text().unwrap()),
        Incoming::Group(message) => format!("{}", message.sequence()),
    }
}

fn next(ws: &WebSocket) -> String {
    shown(&ws.wait_any_timeout(PATIENCE).unwrap())
}

#[test]
fn each_side_wakes_a_handler_that_waits_for_both() {
    let (ws, mut client) = open();
    ws.conn.open_mailbox().unwrap();
    let after = |act: &mut dyn FnMut()| {
        thread::scope(|scope| {
            let handler = scope.spawn(|| shown(&ws.wait_any().unwrap().unwrap()));
            while !ws.conn.is_waiting() {
                thread::yield_now();
            }
            assert_eq!(ws.conn.record.away_since(), 0, "the keeper sees it waiting");
            act();
            handler.join().unwrap()
        })
    };
    assert_eq!(after(&mut || assert_eq!(push(&ws, 1), Fate::Queued)), "1");
    assert_eq!(after(&mut || send(&mut client, "hello")), "\"hello\"");
    assert_eq!(after(&mut || assert_eq!(push(&ws, 2), Fate::Queued)), "2");
    assert_ne!(ws.conn.record.away_since(), 0);
    assert!(!ws.conn.is_waiting());
}

#[test]
fn a_mailbox_is_made_at_the_first_use_and_ends_with_the_connection() {
    let (ws, _client) = open();
    assert_eq!(push(&ws, 1), Fate::Gone);
    assert!(ws.read_any().unwrap().is_none() && ws.conn.mailbox().is_none());
    assert!(ws.wait_any_timeout(Duration::ZERO).unwrap_err().is_timeout());
    push(&ws, 2);
    ws.conn.release();
    assert!(ws.conn.mailbox().unwrap().is_empty());
    assert_eq!(push(&ws, 3), Fate::Gone);
}

#[test]
fn both_sides_take_turns() {
    let (ws, mut client) = open();
    ws.conn.open_mailbox().unwrap();
    for sequence in 1..=4 {
        push(&ws, sequence);
        send(&mut client, "c");
    }
    let order: Vec<_> = (0..8).map(|_| next(&ws)).collect();
    assert_eq!(order, ["\"c\"", "1", "\"c\"", "2", "\"c\"", "3", "\"c\"", "4"]);
    push(&ws, 5);
    push(&ws, 6);
    assert_eq!((next(&ws), next(&ws)), ("5".into(), "6".into()), "none waits for nobody");
}

#[test]
fn a_read_takes_turns_too_and_never_waits() {
    let (ws, mut client) = open();
    ws.conn.open_mailbox().unwrap();
    push(&ws, 1);
    push(&ws, 2);
    send(&mut client, "c");
    let stream = ws.conn.stream().unwrap();
    assert!(stream.wait_readable(Some(PATIENCE)).unwrap());
    let order: Vec<_> = (0..3).map(|_| shown(&ws.read_any().unwrap().unwrap())).collect();
    assert_eq!(order, ["\"c\"", "1", "2"]);
    assert!(ws.read_any().unwrap().is_none());
}

#[test]
fn a_flood_of_a_group_hides_neither_message_nor_end() {
    let (ws, mut client) = open();
    ws.conn.open_mailbox().unwrap();
    push(&ws, 1);
    send(&mut client, "c");
    say_goodbye(&mut client);
    client.shutdown(Shutdown::Write).unwrap();
    let (mut groups, mut clients) = (0, 0);
    let end = loop {
        push(&ws, 2);
        match ws.wait_any() {
            Ok(Some(Incoming::Client(_))) => clients += 1,
            Ok(Some(Incoming::Group(_))) => groups += 1,
            end => break end,
        }
        assert!(groups < 1000, "the group hides the client");
    };
    assert!(end.unwrap().is_none(), "a clean end");
    assert_eq!(clients, 1);
    assert!(ws.read_any().unwrap_err().is_closed());
    assert!(ws.wait_any().unwrap().is_none(), "and it stays so");
}

#[test]
fn after_our_goodbye_nothing_of_a_group_is_delivered() {
    let (ws, mut client) = open();
    ws.conn.open_mailbox().unwrap();
    push(&ws, 1);
    ws.close(1000, "").unwrap();
    assert_eq!(push(&ws, 2), Fate::Gone);
    assert!(ws.wait_any_timeout(Duration::ZERO).unwrap_err().is_timeout());
    thread::scope(|scope| {
        let handler = scope.spawn(|| ws.wait_any().unwrap());
        say_goodbye(&mut client);
        assert!(handler.join().unwrap().is_none());
    });
}

#[test]
fn a_cut_ends_the_wait() {
    let (ws, client) = open();
    ws.conn.open_mailbox().unwrap();
    thread::scope(|scope| {
        let handler = scope.spawn(|| ws.wait_any());
        drop(client);
        assert!(handler.join().unwrap().unwrap_err().is_closed());
    });
    assert!(ws.wait_any_timeout(PATIENCE).unwrap_err().is_closed());
}

/// Long ago, as the keeper sees it.
const LONG_AWAY: u64 = 1;

#[test]
fn a_handler_that_takes_the_last_message_is_there_without_having_waited() {
    let (ws, mut client) = open();
    ws.conn.open_mailbox().unwrap();
    let clock = &ws.conn.shared.clock;
    let is_away = || ws.conn.record.away_since() == LONG_AWAY;
    while clock.advance() == LONG_AWAY {
        thread::yield_now();
    }
    send(&mut client, "a");
    send(&mut client, "b");
    while ws.count_messages() < 2 {}
    ws.conn.record.mark_away(LONG_AWAY);
    assert_eq!(next(&ws), "\"a\"");
    assert!(is_away(), "it is busy with what is in the inbox, and the keeper reads");
    assert_eq!(ws.wait().unwrap().unwrap().as_text(), Some("b"));
    assert!(!is_away());
    ws.conn.record.mark_away(LONG_AWAY);
    push(&ws, 1);
    assert_eq!(next(&ws), "1");
    assert!(!is_away());
}
