//! The load: one thread with epoll, every delivery checked for content and order.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::client;

/// Every payload: number and time of the publish in hexadecimal.
const PAYLOAD: usize = 32;
const FRAME: usize = 2 + PAYLOAD;

/// What a server sends to members that have been silent for long.
const PING: &[u8] = b"\x89\x00";

/// No delivery takes longer, unless it is lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// How fast is published.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// So many messages are published and not with every member.
    InFlight(usize),
    PerSecond(u32),
}

/// What a load came to.
#[derive(Clone, Copy, Default)]
pub(crate) struct Outcome {
    pub(crate) deliveries: usize,
    pub(crate) seconds: f64,
    /// Server CPU seconds per million deliveries.
    pub(crate) cpu: f64,
    /// Seconds from publish to receipt.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

struct Member {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The number of the message that is due.
    next: usize,
}

/// Open connections to one server: members that read, one publisher, and perhaps a member that
/// does not read.
pub(crate) struct Load {
    members: Vec<Member>,
    publisher: TcpStream,
    stopped: Option<TcpStream>,
    epoll: OwnedFd,
    start: Instant,
    published: usize,
    /// How many members have each message that is not with everybody.
    arrivals: std::collections::VecDeque<usize>,
    /// Messages that are with everybody.
    done: usize,
    latencies: Vec<u32>,
}

impl Load {
    pub(crate) fn open(address: SocketAddr, members: usize, has_stopped: bool) -> Self {
        let epoll = epoll::create(CreateFlags::CLOEXEC).expect("epoll");
        let stopped = has_stopped.then(|| client::open(address));
        let members = (0..members).map(|index| {
            let mut stream = client::open(address);
            let mut ready = [0; 7];
            stream.read_exact(&mut ready).expect("the server says that it is a member");
            assert_eq!(&ready, b"\x81\x05ready");
            stream.set_nonblocking(true).expect("a socket");
            let data = EventData::new_u64(index as u64);
            epoll::add(&epoll, &stream, data, EventFlags::IN).expect("epoll takes it");
            Member { stream, buffer: Vec::new(), next: 0 }
        });
        let members = members.collect();
        let publisher = client::open_at(address, "/publish");
        Self {
            members,
            publisher,
            stopped,
            epoll,
            start: Instant::now(),
            published: 0,
            arrivals: std::collections::VecDeque::new(),
            done: 0,
            latencies: Vec::new(),
        }
    }

    /// Publishes so many messages and waits until every member has them.
    pub(crate) fn publish(&mut self, pace: Pace, messages: usize) -> Outcome {
        let (first, begin) = (self.published, Instant::now());
        self.latencies.clear();
        let last = first + messages;
        while self.done < last {
            let mut wait = PATIENCE;
            let due = match pace {
                Pace::InFlight(number) => (self.done + number).min(last) - self.published,
                Pace::PerSecond(rate) => {
                    let elapsed = begin.elapsed().as_secs_f64();
                    let due = ((elapsed * f64::from(rate)) as usize + 1).min(messages);
                    if first + due < last {
                        let next = due as f64 / f64::from(rate) - elapsed;
                        wait = Duration::from_secs_f64(next.max(0.0));
                    }
                    first + due - self.published
                }
            };
            self.send(due);
            self.receive(wait);
        }
        let seconds = begin.elapsed().as_secs_f64();
        self.latencies.sort_unstable();
        let at = |part: f64| {
            let place = (self.latencies.len() - 1) as f64 * part;
            f64::from(self.latencies[place as usize]) / 1e6
        };
        let deliveries = messages * self.members.len();
        Outcome { deliveries, seconds, cpu: 0.0, p50: at(0.5), p99: at(0.99) }
    }

    /// Lets the member that has not read read now, and tells what became of it.
    pub(crate) fn end_of_stopped(&mut self) -> Option<String> {
        let stopped = self.stopped.as_mut()?;
        stopped.set_read_timeout(Some(Duration::from_secs(3))).expect("a socket");
        let mut bytes = Vec::new();
        let end = stopped.read_to_end(&mut bytes);
        let was_reset = end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset);
        let (mut messages, mut rest) = (0, bytes.strip_prefix(b"\x81\x05ready").expect("ready"));
        loop {
            rest = rest.strip_prefix(PING).unwrap_or(rest);
            if rest.first() != Some(&0x81) || rest.len() < FRAME {
                break;
            }
            messages += 1;
            rest = &rest[FRAME..];
        }
        Some(match rest {
            [0x88, _, high, low, ..] => {
                let code = u16::from_be_bytes([*high, *low]);
                format!("closed with {code} behind {messages} messages")
            }
            _ if was_reset => format!("closed and cut, it can still read {messages} messages"),
            _ => format!("not full, with {messages} messages waiting"),
        })
    }

    fn send(&mut self, messages: usize) {
        let mut frames = Vec::new();
        for _ in 0..messages {
            let micros = self.start.elapsed().as_micros() as u64;
            let payload = format!("{:016x}{micros:016x}", self.published);
            frames.extend(client::masked_frame(0x81, payload.as_bytes()));
            self.published += 1;
            self.arrivals.push_back(0);
        }
        self.publisher.write_all(&frames).expect("the server takes a message");
    }

    fn receive(&mut self, wait: Duration) {
        let wait = Timespec::try_from(wait).expect("a short time");
        let mut events = Vec::with_capacity(256);
        epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&wait)).expect("epoll waits");
        assert!(!events.is_empty() || wait.tv_sec < 10, "deliveries are missing");
        for event in events {
            self.receive_from(event.data.u64() as usize);
        }
        while self.arrivals.front() == Some(&self.members.len()) {
            self.arrivals.pop_front();
            self.done += 1;
        }
    }

    fn receive_from(&mut self, index: usize) {
        let now = self.start.elapsed().as_micros() as u64;
        let member = &mut self.members[index];
        let mut bytes = [0; 64 * 1024];
        let count = match member.stream.read(&mut bytes) {
            Ok(0) => panic!("the server ended the connection of member {index}"),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("member {index}: {error}"),
        };
        member.buffer.extend_from_slice(&bytes[..count]);
        let mut whole = 0;
        while let Some(frame) = member.buffer.get(whole..) {
            if frame.starts_with(PING) {
                member.stream.write_all(&client::masked_frame(0x8a, b"")).expect("room for a pong");
                whole += PING.len();
                continue;
            }
            let Some(frame) = frame.get(..FRAME) else { break };
            assert_eq!(frame[..2], [0x81, PAYLOAD as u8], "no frame of the bench");
            assert_eq!(number(&frame[2..18]), member.next as u64, "order of member {index}");
            self.latencies.push((now.saturating_sub(number(&frame[18..]))) as u32);
            self.arrivals[member.next - self.done] += 1;
            member.next += 1;
            whole += FRAME;
        }
        member.buffer.drain(..whole);
    }
}

fn number(hex: &[u8]) -> u64 {
    let text = std::str::from_utf8(hex).expect("hexadecimal");
    u64::from_str_radix(text, 16).expect("hexadecimal")
}
