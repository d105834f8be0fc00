//! What goes out together and what does not, by a socket that keeps what each call sent apart.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair, sockopt};

use super::*;
use crate::config::Config;
use crate::conn::WebSocket;
use crate::conn::connection::Shared;
use crate::conn::groups::NoGroups;
use crate::conn::overflow::Overflow;
use crate::conn::recipient::{Fate, Lane, Parcel, Recipient};
use crate::conn::record::Phase;
use crate::conn::sender::Sender;
use crate::conn::throttle::Pace;
use crate::net::stream::Received;
use crate::sync::atomic::AtomicBool;
use crate::ws::close::{CloseFrame, Side, Violation};
use crate::ws::deflate::agreement::Terms;
use crate::ws::encoded::{Encoded, FrameKind};
use crate::ws::{Bytes, Message};

/// The other end of a connection.
pub(crate) struct Peer(Stream);

impl Peer {
    /// The bytes of the oldest send that was not taken yet; `None` if there is none.
    pub(crate) fn record(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(1 << 20);
        match self.0.recv_into(&mut bytes, Blocking::Never).unwrap() {
            Received::Bytes(_) => Some(bytes),
            Received::Nothing | Received::End => None,
        }
    }

    /// The bytes of each send so far.
    pub(crate) fn records(&self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.record()).collect()
    }

    /// Sends bytes.
    pub(crate) fn say(&self, bytes: &[u8]) {
        assert_eq!(self.0.send(bytes, Blocking::Never).unwrap(), bytes.len());
    }

    pub(crate) fn send(&self, frames: &[Vec<u8>]) {
        self.say(&frames.concat());
    }
}

/// An open connection without a server around it, whose client has sent these frames already.
fn open_as(kind: SocketType, config: Config, early: &[Vec<u8>]) -> (WebSocket, Peer) {
    open_speaking(None, kind, config, early)
}

/// An open connection whose client sends messages that are compressed, or not, as a stream.
pub(crate) fn open_compressed(config: Config) -> (WebSocket, Peer) {
    let terms = Terms { window_bits: 15, has_context_takeover: false };
    open_speaking(Some(terms), SocketType::STREAM, config, &[])
}

fn open_speaking(
    compressed: Option<Terms>,
    kind: SocketType,
    config: Config,
    early: &[Vec<u8>],
) -> (WebSocket, Peer) {
    open_of(&shared(config), 1, compressed, kind, early)
}

/// What the connections of a server share.
pub(crate) fn shared(config: Config) -> Arc<Shared> {
    Arc::new(Shared::new(config, Weak::<NoGroups>::new()).unwrap())
}

/// One of several open connections.
pub(crate) fn open_among(shared: &Arc<Shared>, id: u64) -> (WebSocket, Peer) {
    let (ws, peer) = open_of(shared, id, None, SocketType::SEQPACKET, &[]);
    ws.conn.record.set_phase(Phase::WebSocket);
    (ws, peer)
}

fn open_of(
    shared: &Arc<Shared>,
    id: u64,
    compressed: Option<Terms>,
    kind: SocketType,
    early: &[Vec<u8>],
) -> (WebSocket, Peer) {
    let pair = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap();
    let [stream, peer] = [pair.0, pair.1].map(|fd| Stream::new(fd, ([127, 0, 0, 1], 1).into()));
    let stream = Arc::new(stream);
    let conn = Arc::new(Connection::new(id, Arc::clone(&stream), Arc::clone(shared)));
    conn.open_outbox(Arc::clone(&stream), b"101".to_vec());
    conn.flush();
    let pace = Pace::of(&conn.config);
    conn.receive.lock().open(&conn, stream, compressed, pace, early.concat());
    let (is_open, pending) = (AtomicBool::new(true), Mutex::new(None));
    let peer = Peer(peer);
    assert_eq!(peer.record(), Some(b"101".to_vec()));
    (WebSocket { conn, is_open, pending, offered: Vec::new() }, peer)
}

fn open_with(config: Config, early: &[Vec<u8>]) -> (WebSocket, Peer) {
    open_as(SocketType::SEQPACKET, config, early)
}

/// An open connection whose client has sent so many messages.
pub(crate) fn open(messages: usize) -> (WebSocket, Peer) {
    open_with(Config::default(), &vec![asked("?"); messages])
}

/// A client's frame, whose mask is zero.
fn asked(text: &str) -> Vec<u8> {
    [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0], text.as_bytes()].concat()
}

/// The frame of a server's message.
fn told(message: impl Into<Message>) -> Vec<u8> {
    Encoded::new(message.into()).frame().to_vec()
}

/// Takes so many messages and answers each with its number.
pub(crate) fn answer(ws: &WebSocket, count: usize) {
    for number in 0..count {
        ws.wait().unwrap().expect("a message waits");
        ws.send(number.to_string()).unwrap();
    }
}

/// What [`answer`] sends.
pub(crate) fn answers(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| told(number.to_string())).collect()
}

/// Bytes that the connection has for what it holds.
fn owned(ws: &WebSocket) -> usize {
    ws.conn.outbox.state.lock().held.bytes.capacity()
}

#[test]
fn replies_to_all_that_waits_are_one_send() {
    let (ws, peer) = open(16);
    answer(&ws, 15);
    assert_eq!(peer.record(), None);
    ws.wait().unwrap();
    ws.send("the last").unwrap();
    assert_eq!(peer.records(), [[answers(15).concat(), told("the last")].concat()]);
    assert_eq!((owned(&ws), ws.messages_sent()), (0, 16));
}

#[test]
fn with_no_bytes_to_hold_each_reply_is_a_send() {
    let (ws, peer) = open_with(Config::default().with_held_bytes(0), &vec![asked("?"); 16]);
    answer(&ws, 16);
    assert_eq!(peer.records(), answers(16));
}

#[test]
fn a_reply_with_nothing_behind_it_goes_at_once() {
    let (ws, peer) = open(0);
    for _ in 0..3 {
        peer.send(&[asked("?")]);
        answer(&ws, 1);
        assert_eq!(peer.records(), answers(1));
        assert_eq!(owned(&ws), 0);
    }
    ws.send("unasked").unwrap();
    assert_eq!(peer.records(), [told("unasked")]);
}

#[test]
fn what_comes_later_holds_nothing_back() {
    let (ws, peer) = open(1);
    ws.wait().unwrap();
    peer.send(&vec![asked("?"); 3]);
    assert!(ws.conn.receive.lock().fill_for_keeper(&ws.conn), "as for a handler that is slow");
    ws.send("slow").unwrap();
    assert_eq!(peer.records(), [told("slow")]);
    answer(&ws, 3);
    assert_eq!(peer.records(), [answers(3).concat()]);
}

#[test]
fn a_limit_flushes() {
    // Three frames of three bytes, and one that takes them along.
    let limits = [Config::default().with_held_bytes(9), Config::default().with_outbound_bytes(9)];
    for config in limits {
        let (ws, peer) = open_with(config, &vec![asked("?"); 10]);
        answer(&ws, 10);
        let sizes: Vec<_> = answers(10).chunks(4).map(<[_]>::concat).collect();
        assert_eq!(peer.records(), sizes);
    }
}

#[test]
fn a_large_reply_takes_along_what_is_held() {
    for size in [COPY_BYTES + 1, 70_000] {
        let (ws, peer) = open(4);
        answer(&ws, 2);
        ws.wait().unwrap();
        ws.send(vec![7; size]).unwrap();
        assert_eq!(peer.records(), [[answers(2).concat(), told(vec![7; size])].concat()]);
        answer(&ws, 1);
        assert_eq!(peer.records(), answers(1));
    }
}

#[test]
fn a_handler_that_finds_no_message_holds_nothing() {
    type Look = fn(&WebSocket) -> bool;
    let looks: [Look; 4] = [
        |ws| ws.read().unwrap().is_none(),
        |ws| ws.read_any().unwrap().is_none(),
        |ws| ws.wait_timeout(Duration::ZERO).unwrap_err().is_timeout(),
        |ws| ws.wait_any_timeout(Duration::ZERO).unwrap_err().is_timeout(),
    ];
    for find_nothing in looks {
        let (ws, peer) = open(3);
        answer(&ws, 2);
        ws.wait().unwrap();
        assert_eq!(peer.record(), None);
        assert!(find_nothing(&ws));
        assert_eq!(peer.records(), [answers(2).concat()]);
        assert_eq!(owned(&ws), 0);
    }
}

#[test]
fn whatever_else_is_sent_comes_behind_what_is_held() {
    type Send = fn(&WebSocket);
    let sends: [(Send, Vec<u8>); 5] = [
        (|ws| Sender::new(Arc::clone(&ws.conn)).send("else").unwrap(), told("else")),
        (|ws| Sender::new(Arc::clone(&ws.conn)).try_send("else").unwrap(), told("else")),
        (|ws| deliver(ws, "else"), told("else")),
        (|ws| ws.conn.send_control(FrameKind::Ping, b"p"), b"\x89\x01p".to_vec()),
        (|ws| ws.conn.send_control(FrameKind::Pong, b"p"), b"\x8a\x01p".to_vec()),
    ];
    for (send, expected) in sends {
        let (ws, peer) = open(3);
        answer(&ws, 2);
        send(&ws);
        assert_eq!(peer.records().concat(), [answers(2).concat(), expected].concat());
        answer(&ws, 1);
        assert_eq!(peer.records(), answers(1));
    }
}

fn deliver(ws: &WebSocket, text: &str) {
    let frames = &[Bytes::from(told(text))];
    let lane = &Arc::new(Lane::new(Overflow::Disconnect, Arc::default()));
    let (joined, is_compressed) = (&frames[0][..], false);
    let parcel = Parcel { frames, joined, is_compressed, lane, is_awaited: false };
    let mut fates = [Fate::Gone];
    Recipient::new(&ws.conn).deliver(&parcel, &mut fates);
    assert_eq!(fates, [Fate::Written]);
}

#[test]
fn every_end_in_good_order_comes_behind_what_is_held() {
    type End = fn(&Arc<Connection>);
    let ends: [(End, Option<u16>); 6] = [
        (|conn| conn.close(CloseFrame::of_server(1000, "")), Some(1000)),
        (|conn| conn.peer_closed(CloseFrame::of_server(1001, "")), Some(1001)),
        (|conn| conn.violated(Violation::Utf8), Some(1007)),
        (|conn| assert!(conn.give_up(1011, "")), Some(1011)),
        (|conn| assert!(Recipient::new(conn).give_up_slow()), Some(1013)),
        (|conn| conn.lost(Side::Client, "ended"), None),
    ];
    for (end, code) in ends {
        let (ws, peer) = open(3);
        answer(&ws, 2);
        end(&ws.conn);
        expect_end(&peer, &answers(2).concat(), code);
        ws.send("late").unwrap_err();
        ws.conn.release();
        assert_eq!(peer.record(), None, "nothing comes behind the end");
    }
}

/// Takes these bytes and the close frame behind them, if there is to be one.
fn expect_end(peer: &Peer, bytes: &[u8], code: Option<u16>) {
    let records = peer.records().concat();
    let behind = records.strip_prefix(bytes).expect("first what was held");
    match code {
        None => assert_eq!(behind, b""),
        Some(code) => {
            assert_eq!((behind[0], &behind[2..4]), (0x88, &code.to_be_bytes()[..]));
            assert_eq!(behind.len(), 2 + usize::from(behind[1]), "one frame");
        }
    }
}

#[test]
fn a_handler_that_returns_early_has_its_replies_sent() {
    let goodbye = [&[0x88, 0x82, 0, 0, 0, 0][..], &1000u16.to_be_bytes()].concat();
    let frames = [asked("?"), asked("?"), asked("?"), goodbye];
    let (ws, peer) = open_with(Config::default(), &frames);
    answer(&ws, 2);
    assert_eq!(ws.finish(1000, "").sent, 2);
    expect_end(&peer, &answers(2).concat(), Some(1000));

    let (ws, peer) = open(3);
    peer.0.shutdown_write();
    answer(&ws, 2);
    assert_eq!(ws.finish(1000, "").sent, 2);
    expect_end(&peer, &answers(2).concat(), Some(1000));
}

#[test]
fn an_end_without_a_close_frame_has_the_replies_sent() {
    let (ws, peer) = open(3);
    peer.0.shutdown_write();
    answer(&ws, 2);
    ws.wait().unwrap();
    assert_eq!(peer.record(), None);
    assert!(ws.wait().unwrap_err().is_closed());
    assert_eq!(peer.records(), [answers(2).concat()]);
}

#[test]
fn nothing_is_held_once_the_client_is_gone() {
    let (ws, peer) = open(3);
    answer(&ws, 1);
    drop(peer);
    Sender::new(Arc::clone(&ws.conn)).send("gone?").unwrap_err();
    ws.wait().unwrap();
    assert!(ws.send("gone").unwrap_err().is_closed());
    assert_eq!((owned(&ws), ws.conn.outbox.queued_bytes()), (0, 0));
}

#[test]
fn the_keeper_sends_what_it_sees_twice() {
    let (ws, peer) = open(10);
    answer(&ws, 2);
    let first = ws.conn.look_at_hold(0).expect("worth a second look");
    assert_eq!(peer.record(), None);
    Sender::new(Arc::clone(&ws.conn)).send("else").unwrap();
    peer.records();
    answer(&ws, 2);
    let second = ws.conn.look_at_hold(first).expect("another hold has begun");
    assert_eq!(peer.record(), None);
    assert_eq!(ws.conn.look_at_hold(second), None);
    assert_eq!(peer.records(), [answers(2).concat()]);
    assert_eq!(ws.conn.look_at_hold(second), None, "nothing is held");
}

#[test]
fn a_hold_is_told_to_the_keeper_once_until_it_has_come() {
    let (ws, _peer) = open(10);
    let (holders, mut found) = (&ws.conn.shared.holders, Vec::new());
    for _ in 0..2 {
        answer(&ws, 1);
        Sender::new(Arc::clone(&ws.conn)).send("else").unwrap();
    }
    assert!(holders.take(&mut found));
    assert_eq!(found, [(1, 0)]);
    assert_eq!(ws.conn.look_at_hold(0), None);
    answer(&ws, 1);
    assert!(holders.take(&mut found));
    assert_eq!(found, [(1, 0); 2]);
}

#[test]
fn rounds_end_when_nobody_holds_and_begin_when_somebody_does() {
    let (holders, mut rounds) = (Holders::default(), Rounds::default());
    assert!(!rounds.begin(&holders), "nobody has held yet");
    for _ in 0..2 {
        assert!(holders.add(7), "the keeper has to be woken");
        assert!(!holders.add(8), "it is on its way");
        assert!(rounds.begin(&holders));
        let mut seen = Vec::new();
        let mut look = |id, hold| {
            seen.push((id, hold));
            // The other one is gone.
            (id == 7).then_some(3)
        };
        assert!(rounds.make(&holders, &mut look));
        assert!(rounds.make(&holders, &mut look));
        assert_eq!(seen, [(7, 0), (8, 0), (7, 3)]);
        let mut count = 0;
        while rounds.begin(&holders) {
            count += u32::from(rounds.make(&holders, |_, _| None));
        }
        assert_eq!(count, VAIN_ROUNDS);
    }
}

#[test]
fn who_begins_to_hold_in_a_vain_round_is_not_left() {
    let (holders, mut rounds) = (Holders::default(), Rounds::default());
    holders.add(7);
    rounds.begin(&holders);
    rounds.make(&holders, |_, _| None);
    for _ in 1..VAIN_ROUNDS {
        assert!(rounds.begin(&holders) && rounds.make(&holders, |_, _| None));
    }
    assert!(rounds.begin(&holders));
    assert!(!holders.add(8), "the keeper has not gone");
    assert!(rounds.make(&holders, |_, _| None), "and does not go");
    let mut found = Vec::new();
    assert!(rounds.begin(&holders));
    rounds.make(&holders, |id, _| {
        found.push(id);
        None
    });
    assert_eq!(found, [8]);
}

#[test]
fn what_a_full_socket_does_not_take_is_queued_in_order() {
    for refill in [0, 1, 2, 5, 6, 10] {
        let (ws, peer) = open_as(SocketType::STREAM, Config::default(), &vec![asked("?"); 4]);
        let stream = ws.conn.stream().unwrap();
        sockopt::set_socket_send_buffer_size(&*stream, 1).unwrap();
        let mut filled = 0;
        while let Ok(sent) = stream.send(&[0; 1000], Blocking::Never) {
            filled += sent;
        }
        answer(&ws, 3);
        assert_eq!(ws.conn.outbox.state.lock().queue.bytes(), 0);
        ws.wait().unwrap();
        let last = vec![7; 600 * refill];
        ws.send(last.clone()).unwrap();
        let state = ws.conn.outbox.state.lock();
        assert!(state.held.is_empty() && state.queue.bytes() > 0);
        drop(state);
        let expected = [answers(3).concat(), told(last)].concat();
        let mut received = Vec::new();
        while let Some(bytes) = peer.record() {
            received.extend(bytes);
            ws.conn.flush();
        }
        assert_eq!(received[filled..], expected);
        assert_eq!(ws.conn.outbox.queued_bytes(), 0);
    }
}
