//! The flight recorder: the last events of a connection, for those who ask why it ended.
//!
//! Messages leave no event of their own. The keeper compares the connection's counts once a second
//! and notes what went by since, so recording costs a message nothing; and what happens again and
//! again (pings, dropped messages) is counted in one event. A connection on which nothing has
//! happened yet owns no memory for events.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::conn::traffic::Traffic;

/// Events that are kept of each connection.
pub(crate) const MAX_EVENTS: usize = 64;

/// How many events back a repeated one is looked for, so that pings and their answers, which take
/// turns, do not push everything else out.
const LOOK_BACK: usize = 3;

/// What happened, in two bytes and a few numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mark {
    Opened { is_compressed: bool },
    PingSent,
    PongReceived,
    PingReceived,
    QueueHigh,
    Paused,
    Resumed,
    Dropped,
    CloseSent(u16),
    CloseReceived(u16),
    Violated(u16),
    Lost,
    Cut,
    Operator,
    Expired,
    HandlerReturned,
    HandlerFailed,
    HandlerPanicked,
    HandlerTooSlow,
    Traffic,
}

impl Mark {
    /// Why the server closes, where this says so.
    pub(super) fn cause(self) -> Option<&'static str> {
        match self {
            Self::Operator => Some("operator"),
            Self::Expired => Some("expired"),
            _ => None,
        }
    }

    /// True if several of a kind are counted in one event.
    fn adds_up(self) -> bool {
        matches!(self, Self::PingSent | Self::PongReceived | Self::PingReceived | Self::Dropped)
    }

    /// True for what comes at the end only.
    fn is_end(self) -> bool {
        matches!(
            self,
            Self::CloseSent(_)
                | Self::CloseReceived(_)
                | Self::Violated(_)
                | Self::Lost
                | Self::Cut
                | Self::Operator
                | Self::Expired
                | Self::HandlerReturned
                | Self::HandlerFailed
                | Self::HandlerPanicked
                | Self::HandlerTooSlow
        )
    }
}

/// One event, packed.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Hundredths of a second since the connection opened.
    at: u32,
    /// How many, and when the last was; or what went by, see [`Traffic`].
    numbers: [u32; 4],
    mark: Mark,
}

/// The last events of one connection.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// The first event, which every open connection has: whether messages are compressed.
    opened: Option<bool>,
    /// Why the server closes, if it is none of its usual reasons.
    cause: Option<&'static str>,
    entries: VecDeque<Entry>,
    /// What had gone through when the keeper last looked.
    seen: Traffic,
    /// When that was.
    seen_at: u32,
    /// The highest queue that was noted.
    high: u32,
}

/// Hundredths of a second.
fn hundredths(millis: u64) -> u32 {
    small(millis / 10)
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Trace {
    /// A trace of a connection; whether its messages are compressed, if it is open.
    pub(crate) fn begun(opened: Option<bool>) -> Self {
        Self { opened, ..Self::default() }
    }

    /// The connection is open.
    pub(crate) fn open(&mut self, is_compressed: bool) {
        self.opened = Some(is_compressed);
    }

    /// Why the server closes, if it is none of its usual reasons.
    pub(crate) fn cause(&self) -> Option<&'static str> {
        self.cause
    }

    /// Notes an event, `millis` after the connection opened; `number` is how many or how much.
    pub(crate) fn note(&mut self, millis: u64, mark: Mark, number: u64) {
        self.cause = self.cause.or(mark.cause());
        let at = hundredths(millis);
        if mark.adds_up()
            && let Some(last) =
                self.entries.iter_mut().rev().take(LOOK_BACK).find(|entry| entry.mark == mark)
        {
            last.numbers[0] = last.numbers[0].saturating_add(small(number));
            last.numbers[1] = at;
            return;
        }
        self.push(Entry { at, numbers: [small(number), at, 0, 0], mark });
    }

    fn push(&mut self, entry: Entry) {
        if self.entries.len() >= MAX_EVENTS {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// Notes what has gone through since the last look, if anything has.
    pub(crate) fn look(&mut self, millis: u64, now: Traffic) {
        if let Some(entry) = self.since_last_look(millis, now) {
            self.push(entry);
        }
    }

    /// As [`look`](Self::look), for the last time: what went by stands before the end.
    pub(crate) fn finish(&mut self, millis: u64, now: Traffic) {
        let Some(entry) = self.since_last_look(millis, now) else { return };
        self.push(entry);
        let end = self.entries.iter().position(|entry| entry.mark.is_end());
        if let (Some(end), Some(entry)) = (end, self.entries.pop_back()) {
            self.entries.insert(end, entry);
        } else {
            self.entries.push_back(entry);
        }
    }

    fn since_last_look(&mut self, millis: u64, now: Traffic) -> Option<Entry> {
        let before = std::mem::replace(&mut self.seen, now);
        let from = std::mem::replace(&mut self.seen_at, hundredths(millis));
        let numbers = [
            small(now.messages_received - before.messages_received),
            small(now.messages_sent - before.messages_sent),
            small(now.bytes_received - before.bytes_received),
            small(now.bytes_sent - before.bytes_sent),
        ];
        // Bytes alone are pings and the like, which have events of their own.
        (numbers[0] > 0 || numbers[1] > 0).then_some(Entry {
            at: from,
            numbers,
            mark: Mark::Traffic,
        })
    }

    /// Notes how much is queued, if it is much and twice what was noted before.
    pub(crate) fn note_queue(&mut self, millis: u64, bytes: usize) {
        const MUCH: u32 = 16 * 1024;
        let bytes = small(bytes as u64);
        if bytes >= MUCH.max(self.high.saturating_mul(2)) {
            self.high = bytes;
            self.note(millis, Mark::QueueHigh, u64::from(bytes));
        }
    }

    /// The events in their order.
    pub(crate) fn events(&self) -> Vec<TraceEvent> {
        let is_whole = self.entries.len() < MAX_EVENTS;
        let opened = self.opened.filter(|_| is_whole).map(|is_compressed| Entry {
            at: 0,
            numbers: [0; 4],
            mark: Mark::Opened { is_compressed },
        });
        opened.iter().chain(&self.entries).map(|entry| TraceEvent { entry: *entry }).collect()
    }
}

/// Something that happened to a connection: what the flight recorder kept of it.
///
/// Its text is for people: `3 pings sent, the last after 75.02 s`.
#[derive(Clone, Copy, Debug)]
pub struct TraceEvent {
    entry: Entry,
}

fn time(hundredths: u32) -> Duration {
    Duration::from_millis(u64::from(hundredths) * 10)
}

impl TraceEvent {
    /// When it was, counted from the opening of the connection; for messages, when those that are
    /// counted in one event began. Exact to a hundredth of a second.
    pub fn after(&self) -> Duration {
        time(self.entry.at)
    }

    /// What it was in one word, for programs: `opened`, `messages`, `ping-sent`, `pong-received`,
    /// `ping-received`, `queue-high`, `paused`, `resumed`, `dropped`, `close-sent`,
    /// `close-received`, `violation`, `lost`, `cut`, `operator`, `expired`, `handler-returned`,
    /// `handler-failed`, `handler-panicked`, `handler-too-slow`. There may be more in time.
    pub fn kind(&self) -> &'static str {
        match self.entry.mark {
            Mark::Opened { .. } => "opened",
            Mark::PingSent => "ping-sent",
            Mark::PongReceived => "pong-received",
            Mark::PingReceived => "ping-received",
            Mark::QueueHigh => "queue-high",
            Mark::Paused => "paused",
            Mark::Resumed => "resumed",
            Mark::Dropped => "dropped",
            Mark::CloseSent(_) => "close-sent",
            Mark::CloseReceived(_) => "close-received",
            Mark::Violated(_) => "violation",
            Mark::Lost => "lost",
            Mark::Cut => "cut",
            Mark::Operator => "operator",
            Mark::Expired => "expired",
            Mark::HandlerReturned => "handler-returned",
            Mark::HandlerFailed => "handler-failed",
            Mark::HandlerPanicked => "handler-panicked",
            Mark::HandlerTooSlow => "handler-too-slow",
            Mark::Traffic => "messages",
        }
    }

    /// What went by; nothing unless [`kind`](Self::kind) is `messages`.
    pub fn traffic(&self) -> Traffic {
        if self.entry.mark != Mark::Traffic {
            return Traffic::default();
        }
        let [messages_received, messages_sent, bytes_received, bytes_sent] =
            self.entry.numbers.map(u64::from);
        Traffic { messages_received, messages_sent, bytes_received, bytes_sent }
    }

    fn write_many(&self, f: &mut fmt::Formatter<'_>, one: &str, many: &str) -> fmt::Result {
        let [number, last, ..] = self.entry.numbers;
        if number == 1 {
            return f.write_str(one);
        }
        write!(f, "{number} {many}, the last after {:.2} s", time(last).as_secs_f64())
    }
}

impl fmt::Display for TraceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [number, sent, bytes_received, bytes_sent] = self.entry.numbers;
        match self.entry.mark {
            Mark::Opened { is_compressed: false } => f.write_str("opened"),
            Mark::Opened { is_compressed: true } => f.write_str("opened, messages compressed"),
            Mark::PingSent => self.write_many(f, "ping sent", "pings sent"),
            Mark::PongReceived => self.write_many(f, "pong received", "pongs received"),
            Mark::PingReceived => self.write_many(f, "ping received", "pings received"),
            Mark::Dropped => self.write_many(
                f,
                "a group's message dropped by its policy",
                "messages of groups dropped by their policy",
            ),
            Mark::QueueHigh => write!(f, "{number} bytes wait for the client"),
            Mark::Paused => f.write_str("reading paused, the handler's inbox is full"),
            Mark::Resumed => f.write_str("reading goes on"),
            Mark::CloseSent(code) => write!(f, "close {code} sent"),
            Mark::CloseReceived(1005) => f.write_str("close without a code received"),
            Mark::CloseReceived(code) => write!(f, "close {code} received"),
            Mark::Violated(code) => {
                write!(f, "the client broke the protocol, to close with {code}")
            }
            Mark::Lost => f.write_str("the client is gone"),
            Mark::Cut => f.write_str("cut by the server"),
            Mark::Operator => f.write_str("close asked for by the operator"),
            Mark::Expired => f.write_str("the time of its user is over"),
            Mark::HandlerReturned => f.write_str("the handler returned"),
            Mark::HandlerFailed => f.write_str("the handler failed"),
            Mark::HandlerPanicked => f.write_str("the handler panicked"),
            Mark::HandlerTooSlow => f.write_str("the handler gave up a client that is too slow"),
            Mark::Traffic => write!(
                f,
                "{number} messages received ({bytes_received} bytes), {sent} sent ({bytes_sent} bytes)"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(trace: &Trace) -> Vec<&'static str> {
        trace.events().iter().map(TraceEvent::kind).collect()
    }

    fn traffic(messages: u64) -> Traffic {
        Traffic { messages_received: messages, bytes_received: 10 * messages, ..Traffic::default() }
    }

    #[test]
    fn an_entry_is_small_and_nothing_costs_nothing() {
        assert!(size_of::<Entry>() <= 24, "{}", size_of::<Entry>());
        assert_eq!(Trace::default().entries.capacity(), 0);
    }

    #[test]
    fn pings_and_their_answers_are_two_events_however_many_they_are() {
        let mut trace = Trace::default();
        for round in 1..=100 {
            trace.note(round * 25_000, Mark::PingSent, 1);
            trace.note(round * 25_000 + 40, Mark::PongReceived, 1);
        }
        let texts: Vec<String> = trace.events().iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "100 pings sent, the last after 2500.00 s",
                "100 pongs received, the last after 2500.04 s"
            ]
        );
        assert_eq!(trace.events()[0].after(), Duration::from_secs(25));
    }

    #[test]
    fn the_last_64_events_stay() {
        let mut trace = Trace::default();
        trace.open(true);
        assert_eq!((kinds(&trace), trace.entries.capacity()), (vec!["opened"], 0));
        for at in 0..1000u16 {
            trace.note(u64::from(at) * 10, Mark::CloseSent(at), 0);
        }
        let events = trace.events();
        assert_eq!((events.len(), events[0].after()), (64, Duration::from_millis(9360)));
        assert!(trace.entries.capacity() <= 2 * MAX_EVENTS);
    }

    #[test]
    fn what_went_by_is_one_event_for_each_look_and_none_for_silence() {
        let mut trace = Trace::default();
        trace.look(1000, traffic(5));
        trace.look(2000, traffic(5));
        trace.look(3000, traffic(7));
        let events = trace.events();
        assert_eq!(
            (events.len(), events[0].traffic(), events[1].traffic()),
            (2, traffic(5), traffic(2))
        );
        assert_eq!(events[1].after(), Duration::from_secs(2), "when the second look was over");
    }

    #[test]
    fn the_last_messages_stand_before_the_end() {
        let mut trace = Trace::default();
        trace.open(false);
        trace.note(90, Mark::CloseReceived(1000), 0);
        trace.note(91, Mark::CloseSent(1000), 0);
        trace.finish(92, traffic(1));
        assert_eq!(kinds(&trace), ["opened", "messages", "close-received", "close-sent"]);
    }

    #[test]
    fn a_queue_is_noted_when_it_has_doubled() {
        let mut trace = Trace::default();
        for bytes in [100, 16_384, 20_000, 32_767, 32_768, 100, 1 << 20] {
            trace.note_queue(0, bytes);
        }
        let texts: Vec<String> = trace.events().iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 3);
        assert_eq!(texts[2], "1048576 bytes wait for the client");
    }
}
