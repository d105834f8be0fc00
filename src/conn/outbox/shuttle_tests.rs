//! The outbox under many schedules of two senders whose messages may be held back, a relay, the
//! keeper, a slow peer and an end.
//!
//! The sockets are a Unix pair: what the kernel does for one end is done when the other's call
//! returns, so that a schedule is nearly all there is to chance. It takes one or two messages
//! before it says that it is full.

use std::sync::Weak;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair, sockopt};
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread::{JoinHandle, spawn, yield_now};

use super::*;
use crate::config::Config;
use crate::conn::connection::Shared;
use crate::conn::groups::NoGroups;
use crate::conn::hold::Rounds;
use crate::conn::overflow::Overflow;
use crate::conn::recipient::{Fate, Lane, Parcel, Recipient};
use crate::net::poll::Interest;
use crate::net::stream::{Blocking, Received};
use crate::sync::atomic::AtomicBool;
use crate::sync::model::{SOON, explore, one_of};
use crate::ws::encoded::Encoded;

/// The answer of the handshake, the long one does not fit the socket.
const ANSWERS: [&[u8]; 2] = [b"HTTP/1.1 101\r\n\r\n", &[b'a'; 7000]];

/// Payloads: two sent with their header in one piece and maybe held back, one sent in two, and one
/// longer than the socket takes.
const LENGTHS: [usize; 4] = [2, 400, 700, 3000];

/// Room for nothing, for some messages, and for all that may be held back.
const HELD_BYTES: [usize; 3] = [0, 450, 16_384];

const MESSAGES_EACH: u8 = 4;

/// The name of the relay beside the senders 0 and 1.
const RELAY: u8 = 2;

const POLICIES: [Overflow; 4] =
    [Overflow::Disconnect, Overflow::DropOldest, Overflow::Latest, Overflow::Block(Duration::ZERO)];

/// Room for about two of the longest messages.
const LIMIT: usize = 6500;

/// What ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Close,
    PeerCloses,
    Violation,
    /// The peer says no more, without a close frame, and may still read.
    PeerEnds,
    PeerIsGone,
    Cut,
    GiveUp,
}

const ENDINGS: [Ending; 7] = [
    Ending::Close,
    Ending::PeerCloses,
    Ending::Violation,
    Ending::PeerEnds,
    Ending::PeerIsGone,
    Ending::Cut,
    Ending::GiveUp,
];

impl Ending {
    /// The code of its close frame, if it has one that is sure to arrive.
    fn code(self) -> Option<u16> {
        match self {
            Self::Close => Some(close_code::NORMAL),
            Self::PeerCloses => Some(close_code::GOING_AWAY),
            Self::Violation => Some(close_code::PROTOCOL),
            Self::PeerEnds | Self::PeerIsGone | Self::Cut | Self::GiveUp => None,
        }
    }

    /// True if it drops what is queued.
    fn is_cut(self) -> bool {
        matches!(self, Self::PeerIsGone | Self::Cut | Self::GiveUp)
    }
}

/// What the threads of one schedule share.
struct Scene {
    conn: Arc<Connection>,
    /// The way of the relay's messages.
    lane: Arc<Lane>,
    answer: &'static [u8],
    /// One, or two that meet.
    endings: Vec<Ending>,
    /// The end comes when all is sent: nobody but the keeper can wake a sender.
    ends_late: bool,
    /// The peer reads nothing before the senders are done: nobody but the end can wake them.
    stalls: bool,
    senders_are_done: AtomicBool,
    /// The peer goes away now.
    leave: AtomicBool,
    /// The keeper may go home.
    is_over: AtomicBool,
}

/// A frame that the peer got.
#[derive(Debug)]
struct Frame {
    opcode: u8,
    payload: Vec<u8>,
}

#[test]
fn every_message_arrives_or_is_behind_an_end_and_nobody_waits_for_ever() {
    explore(4000, Duration::from_secs(12), || run(SOON * 2));
}

#[test]
fn a_send_that_gives_up_leaves_whole_frames_in_order() {
    explore(2000, Duration::from_secs(8), || run(SOON / 2));
}

fn run(send_timeout: Duration) {
    let flags = SocketFlags::CLOEXEC;
    let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
    sockopt::set_socket_send_buffer_size(&pair.0, 1).unwrap();
    let [stream, peer] = [pair.0, pair.1].map(|fd| Stream::new(fd, ([127, 0, 0, 1], 1).into()));
    let scene = Arc::new(Scene::new(Arc::new(stream), send_timeout));

    let peer = scene.thread(move |scene| scene.read(peer));
    let keeper = scene.thread(|scene| scene.keep());
    let senders = [0, 1].map(|name| scene.thread(move |scene| scene.send(name)));
    let relay = scene.thread(|scene| scene.relay());
    let senders = scene.thread(|scene| {
        let [one, other] = senders.map(|sender| sender.join().unwrap());
        let sent = [one, other, relay.join().unwrap()];
        scene.senders_are_done.store(true, Ordering::SeqCst);
        sent
    });
    if scene.ends_late {
        // Nobody but the keeper sends what is still held.
        scene.wait_for(|scene| {
            let is_held = !scene.conn.outbox.state.lock().held.is_empty();
            scene.senders_are_done.load(Ordering::SeqCst) && !is_held
        });
    }
    for ending in scene.endings.clone() {
        drop(scene.thread(move |scene| scene.end(ending)));
    }
    let sent = senders.join().unwrap();
    scene.wait_for(|scene| scene.conn.outbox.end().is_some());
    scene.conn.outbox.drain();
    let is_cut = scene.conn.outbox.state.lock().is_broken;
    if scene.endings.contains(&Ending::PeerEnds) {
        scene.conn.release();
    }
    let received = peer.join().unwrap();
    scene.conn.release();
    scene.is_over.store(true, Ordering::SeqCst);
    keeper.join().unwrap();
    scene.check(&received, &sent, is_cut);
}

impl Scene {
    fn new(stream: Arc<Stream>, send_timeout: Duration) -> Self {
        let config = Config::default().with_outbound_bytes(LIMIT).with_send_timeout(send_timeout);
        let config = config.with_held_bytes(one_of(HELD_BYTES));
        let shared = Arc::new(Shared::new(config, Weak::<NoGroups>::new()).unwrap());
        let conn = Arc::new(Connection::new(1, Arc::clone(&stream), shared));
        let lane = Arc::new(Lane::new(one_of(POLICIES), Arc::default()));
        let answer = one_of(ANSWERS);
        conn.open_outbox(stream, answer.to_vec());
        conn.flush();
        let endings = (0..one_of([1, 2])).map(|_| one_of(ENDINGS)).collect();
        let (ends_late, stalls) = one_of([(true, false), (false, false), (false, true)]);
        let [senders_are_done, leave, is_over] = [const { AtomicBool::new(false) }; 3];
        Self { conn, lane, answer, endings, ends_late, stalls, senders_are_done, leave, is_over }
    }

    /// Waits for other threads, and lets them on.
    fn wait_for(&self, is_done: impl Fn(&Self) -> bool) {
        while !is_done(self) {
            yield_now();
        }
    }

    fn thread<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let scene = Arc::clone(self);
        spawn(move || work(&scene))
    }

    /// Sends numbered messages; returns how many were taken.
    fn send(&self, name: u8) -> u8 {
        let mut taken = 0;
        for _ in 0..MESSAGES_EACH {
            let mut payload = vec![name; one_of(LENGTHS)];
            payload[1] = taken;
            let message = Message::from(payload.clone());
            let reply = Patience::Reply;
            let patience = one_of([reply, reply, Patience::Wait, Patience::Refuse]);
            self.conn.record.set_more(thread_rng().gen_bool(0.8));
            let Err(error) = self.conn.send_message(message, patience) else {
                taken += 1;
                continue;
            };
            match error.kind() {
                ErrorKind::Closed => assert!(self.conn.outbox.is_closing()),
                ErrorKind::QueueFull => assert_eq!(patience, Patience::Refuse),
                ErrorKind::Timeout => assert!(self.conn.config.send_timeout() < SOON),
                other => panic!("{other:?}: {error}"),
            }
            assert_eq!(error.into_message(), Some(Message::from(payload)), "it comes back whole");
        }
        taken
    }

    /// Delivers numbered messages of a group, several at a time; returns how many the connection
    /// was there for.
    fn relay(&self) -> u8 {
        let recipient = Recipient::new(&self.conn);
        let timeout = self.conn.config.send_timeout();
        let mut number = 0;
        for _ in 0..3 {
            let count = one_of([1, 2, 3]);
            let payload = |number| [&[RELAY, number][..], &vec![RELAY; one_of(LENGTHS)]].concat();
            let frames: Vec<Bytes> = (number..number + count)
                .map(|number| Encoded::new(Message::from(payload(number))).frame().clone())
                .collect();
            let (frames, joined) = (&frames[..], &frames.concat()[..]);
            let (lane, is_compressed) = (&self.lane, false);
            let parcel = Parcel { frames, joined, is_compressed, lane, is_awaited: true };
            let mut fates = vec![Fate::Gone; frames.len()];
            let delivered = recipient.deliver(&parcel, &mut fates);
            if fates.contains(&Fate::Gone) {
                assert!(fates.iter().all(|fate| *fate == Fate::Gone), "all or none: {fates:?}");
                break;
            }
            number += count;
            let waits = matches!(self.lane.overflow, Overflow::Block(_)) && delivered.is_full;
            if waits && !recipient.wait_for_room(Deadline::after(timeout)) {
                recipient.give_up_slow();
            }
        }
        number
    }

    /// Does the keeper's part: sends when the poller says so and what is held, and pings.
    fn keep(&self) {
        let (mut ready, mut rounds) = (Vec::new(), Rounds::default());
        let holders = &self.conn.shared.holders;
        while !self.is_over.load(Ordering::SeqCst) {
            self.conn.shared.poller.wait(Some(Duration::ZERO), &mut ready).unwrap();
            for ready in ready.drain(..) {
                let Some(stream) = self.conn.stream() else { continue };
                let fired = Interest { read: ready.read, write: ready.write };
                self.conn.watch_fired(&stream, fired);
                if ready.write {
                    self.conn.flush();
                }
            }
            if rounds.begin(holders) {
                // A round may be long in coming.
                if thread_rng().gen_bool(0.1) {
                    rounds.make(holders, |_, seen| self.conn.look_at_hold(seen));
                }
            }
            // A ping would send what is held, as it should be sent without.
            let is_done = self.senders_are_done.load(Ordering::SeqCst);
            if !is_done && thread_rng().gen_bool(0.05) {
                self.conn.send_control(FrameKind::Ping, b"ping");
            }
            yield_now();
        }
    }

    /// Ends the connection at some moment.
    fn end(&self, ending: Ending) {
        for _ in 0..thread_rng().gen_range(0..60) {
            yield_now();
        }
        let frame = |code| CloseFrame::of_server(code, "");
        match ending {
            Ending::Close => self.conn.close(frame(close_code::NORMAL)),
            Ending::PeerCloses => self.conn.peer_closed(frame(close_code::GOING_AWAY)),
            Ending::Violation => self.conn.violated(Violation::Protocol("broken")),
            Ending::PeerEnds => self.conn.lost(Side::Client, "ended"),
            Ending::PeerIsGone => self.leave.store(true, Ordering::SeqCst),
            Ending::Cut => self.conn.cut(Side::Server, "cut"),
            Ending::GiveUp => {
                self.conn.give_up(close_code::INTERNAL, "given up");
            }
        }
    }

    /// Is the peer, who reads slowly, and the handler's thread, which hears at once of its close
    /// and its end.
    fn read(&self, peer: Stream) -> Vec<u8> {
        let mut bytes = Vec::new();
        let is_gone = || self.leave.load(Ordering::SeqCst);
        if self.stalls {
            self.wait_for(|scene| scene.senders_are_done.load(Ordering::SeqCst) || is_gone());
        }
        while !is_gone() {
            let mut piece = Vec::with_capacity(thread_rng().gen_range(1..3000));
            match peer.recv_into(&mut piece, Blocking::Never) {
                Ok(Received::Bytes(_)) => bytes.extend_from_slice(&piece),
                Ok(Received::Nothing) => yield_now(),
                Ok(Received::End) | Err(_) => break,
            }
            if self.frames(&bytes).0.iter().any(|frame| frame.opcode == 8) {
                self.conn.peer_closed(CloseFrame::EMPTY);
            }
        }
        drop(peer);
        self.conn.lost(Side::Client, "gone");
        bytes
    }

    /// The whole frames behind the answer, and true if there is no more than that.
    fn frames(&self, bytes: &[u8]) -> (Vec<Frame>, bool) {
        let mut frames = Vec::new();
        let Some(mut rest) = bytes.strip_prefix(self.answer) else {
            assert!(self.answer.starts_with(bytes), "the answer goes first");
            return (frames, false);
        };
        while let [first, second, behind @ ..] = rest {
            assert!(first & 0x70 == 0 && second & 0x80 == 0, "no header: {:?}", &rest[..2]);
            let (length, behind) = match (second, behind) {
                (126, [high, low, behind @ ..]) => {
                    (usize::from(u16::from_be_bytes([*high, *low])), behind)
                }
                (126, _) => break,
                (length, behind) => (usize::from(*length), behind),
            };
            let Some((payload, behind)) = behind.split_at_checked(length) else { break };
            frames.push(Frame { opcode: first & 0x0f, payload: payload.to_vec() });
            rest = behind;
        }
        (frames, rest.is_empty())
    }

    /// Holds what the peer got against what the senders were told.
    fn check(&self, bytes: &[u8], sent: &[u8; 3], is_cut: bool) {
        let is_patient = self.conn.config.send_timeout() >= SOON;
        let may_cut = !is_patient || self.endings.iter().any(|ending| ending.is_cut());
        let is_slow = self.conn.shared.slow_clients.load(Ordering::SeqCst) > 0;
        assert!(may_cut || !is_cut, "cut: {:?}", self.endings);
        let (frames, is_whole) = self.frames(bytes);
        assert!(may_cut || is_whole, "a frame was cut: {:?}", self.endings);
        let closes = frames.iter().position(|frame| frame.opcode == 8);
        assert!(closes.is_none_or(|at| at + 1 == frames.len()), "behind the close: {frames:?}");
        if !may_cut {
            self.check_close(closes.map(|at| &frames[at].payload[..]), is_slow);
        }
        let received = [0, 1, RELAY].map(|name| numbers(&frames, name));
        for (received, sent) in received.iter().zip(sent).take(2) {
            assert!(received.iter().copied().eq(0..received.len() as u8), "a hole: {received:?}");
            let (count, sent) = (received.len(), usize::from(*sent));
            assert!(count <= sent, "{count} messages came of {sent} that were sent");
            let is_sure = !may_cut && !is_slow;
            assert!(!is_sure || count == sent, "{count} of {sent}: {:?}", self.endings);
        }
        assert!(received[2].is_sorted_by(|one, next| one < next), "{received:?}");
        let known = received[2].len() as u64 + Recipient::new(&self.conn).lost();
        let is_read = !self.endings.contains(&Ending::PeerIsGone);
        assert!(!is_read || known == u64::from(sent[2]), "{known} of {sent:?} {:?}", self.endings);
        let (taken, all) = (sent[0] + sent[1], sent.iter().sum::<u8>());
        let counted = self.conn.outbox.messages_sent();
        assert!((u64::from(taken)..=u64::from(all)).contains(&counted), "{counted}: {sent:?}");
    }

    /// The close frame is that of one of the endings, and missing only behind a silent end.
    fn check_close(&self, payload: Option<&[u8]>, is_slow: bool) {
        let Some([high, low, ..]) = payload else {
            assert!(self.endings.contains(&Ending::PeerEnds), "no close frame: {:?}", self.endings);
            return;
        };
        let code = u16::from_be_bytes([*high, *low]);
        let mut codes: Vec<_> = self.endings.iter().filter_map(|ending| ending.code()).collect();
        codes.extend(is_slow.then_some(close_code::TRY_AGAIN));
        assert!(codes.contains(&code), "close {code}: {:?}", self.endings);
    }
}

/// The numbers of the messages that came from one sender, in the order of their coming.
fn numbers(frames: &[Frame], name: u8) -> Vec<u8> {
    let mut numbers = Vec::new();
    for frame in frames {
        match (frame.opcode, &frame.payload[..]) {
            (2, [from, number, fill @ ..]) if *from == name => {
                assert!(fill.iter().all(|byte| *byte == name), "one message in one frame");
                numbers.push(*number);
            }
            (2, [0..=RELAY, ..]) | (8, _) | (9, b"ping") => {}
            _ => panic!("never sent: {frame:?}"),
        }
    }
    numbers
}
