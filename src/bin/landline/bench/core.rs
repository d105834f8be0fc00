//! The connections of one thread of load: opened a few at a time, sent to, ended.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::bench::handshake::Handshake;
use crate::bench::poller::{Interest, Poller, Ready};
use crate::bench::secure::{self, Secured};
use crate::bench::shared::{Phase, Shared, Window};
use crate::bench::socket::{Socket, advice};
use crate::bench::tally::Tally;

/// Why a connection is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As it was meant to.
    Done,
    /// A close frame that nobody asked for.
    Closed { code: Option<u16>, reason: String },
    /// The end of the stream.
    Cut,
    /// An error of the socket.
    Broken(String),
    /// What came is not what the protocol allows.
    Violation(String),
}

/// Where connections go.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The first of them that takes a connection is used.
    pub(crate) addresses: Vec<SocketAddr>,
    /// None for HTTP.
    pub(crate) handshake: Option<Handshake>,
    /// None without TLS.
    pub(crate) secured: Option<Secured>,
}

/// How connections are opened.
#[derive(Clone, Debug)]
pub(crate) struct Dialing {
    pub(crate) targets: Vec<Target>,
    /// In turn; if there are none, the kernel chooses.
    pub(crate) sources: Vec<IpAddr>,
    /// Time for a connection and its handshake.
    pub(crate) timeout: Duration,
    /// Most of them that are being opened at a time.
    pub(crate) at_once: usize,
}

#[derive(Debug)]
enum Stage {
    Connecting,
    /// What has arrived of the answer.
    Shaking(Vec<u8>),
    Open,
}

#[derive(Debug)]
struct Link {
    socket: Socket,
    address: SocketAddr,
    stage: Stage,
    target: usize,
    begun: u64,
    /// What the kernel did not take yet.
    unsent: Vec<u8>,
}

/// What an event on a connection has come to.
pub(crate) enum Step {
    Nothing,
    /// It is open now; the bytes are behind the server's answer.
    Opened(Vec<u8>),
    /// So many bytes are in the buffer.
    Received(usize),
    Ended(End),
}

/// The connections of a thread, by their number.
pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
    /// This thread's number.
    pub(crate) thread: usize,
    pub(crate) window: Window,
    pub(crate) tally: Tally,
    poller: Poller,
    dialing: Dialing,
    links: Vec<Option<Link>>,
    queue: VecDeque<(usize, usize)>,
    opening: usize,
    open: usize,
    dialed: usize,
    failure: Option<String>,
}

impl Core {
    /// Takes a descriptor.
    pub(crate) fn new(shared: Arc<Shared>, thread: usize, dialing: Dialing) -> io::Result<Self> {
        let poller = Poller::new(&shared.wakers[thread])?;
        let window = shared.window();
        Ok(Self {
            shared,
            thread,
            window,
            tally: Tally::new(),
            poller,
            dialing,
            links: Vec::new(),
            queue: VecDeque::new(),
            opening: 0,
            open: 0,
            // Threads begin at different sources.
            dialed: thread,
            failure: None,
        })
    }

    pub(crate) fn phase(&self, now: u64) -> Phase {
        self.window.phase(now)
    }

    /// True while there is to be load, measured or not.
    pub(crate) fn is_loading(&self, now: u64) -> bool {
        matches!(self.phase(now), Phase::Warming | Phase::Measured)
    }

    /// Connections that are open.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// True if every connection that was asked for is open or has ended. One that the server has
    /// ended by now is a fault, and no reason to wait.
    pub(crate) fn is_settled(&self) -> bool {
        self.alive() == self.open
    }

    /// Connections that are open, being opened or asked for.
    pub(crate) fn alive(&self) -> usize {
        self.open + self.opening + self.queue.len()
    }

    pub(crate) fn is_open(&self, id: usize) -> bool {
        self.links.get(id).and_then(Option::as_ref).is_some_and(|link| link.is_open())
    }

    /// Ends the run with a sentence.
    pub(crate) fn fail(&mut self, text: String) {
        self.failure.get_or_insert(text);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    pub(crate) fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }

    /// Asks for a connection of this number.
    pub(crate) fn want(&mut self, id: usize, target: usize) {
        if self.links.len() <= id {
            self.links.resize_with(id + 1, || None);
        }
        self.queue.push_back((id, target));
    }

    /// Forgets what is asked for and not begun.
    pub(crate) fn want_no_more(&mut self) {
        self.queue.clear();
    }

    /// Opens what is asked for, as many as may be opened at a time.
    pub(crate) fn dial(&mut self) {
        while self.opening < self.dialing.at_once
            && let Some((id, target)) = self.queue.pop_front()
        {
            let address = self.dialing.targets[target].addresses[0];
            if let Err(error) = self.dial_one(id, target, address) {
                self.refused(id, target, address, &error);
                return;
            }
        }
    }

    fn dial_one(&mut self, id: usize, target: usize, address: SocketAddr) -> io::Result<()> {
        let source = self.dialing.sources.get(self.dialed % self.dialing.sources.len().max(1));
        self.dialed += 1;
        let place = &self.dialing.targets[target];
        let mut socket = Socket::connect(address, source.copied(), place.secured.as_ref())?;
        let request = place.handshake.as_ref().map_or(&[][..], |it| &it.request);
        let is_open_at_once = place.is_open_at_once();
        // To this machine a connection is there at once, which saves a turn.
        let sent = if is_open_at_once { 0 } else { socket.send(request)? };
        let is_sent = !is_open_at_once && sent == request.len() && !socket.has_unsent();
        let (stage, interest) = match is_sent {
            true => (Stage::Shaking(Vec::new()), Interest::Read),
            false => (Stage::Connecting, Interest::ReadAndWrite),
        };
        let unsent = request[sent..].to_vec();
        self.poller.add(&socket, id, interest)?;
        let begun = self.shared.now();
        self.links[id] = Some(Link { socket, address, stage, target, begun, unsent });
        self.opening += 1;
        Ok(())
    }

    /// A connection cannot be had: the next address is tried, or the run fails.
    fn refused(&mut self, id: usize, target: usize, address: SocketAddr, error: &io::Error) {
        let addresses = &mut self.dialing.targets[target].addresses;
        if self.open == 0 && addresses.len() > 1 && addresses[0] == address {
            addresses.remove(0);
            self.want(id, target);
        } else if addresses[0] != address {
            self.want(id, target);
        } else {
            self.fail(advice(error, address));
        }
    }

    /// Fails if a connection that is being opened takes too long.
    pub(crate) fn check_patience(&mut self, now: u64) {
        if self.opening == 0 {
            return;
        }
        let most = self.dialing.timeout.as_micros() as u64;
        let is_late = |link: &&Link| !link.is_open() && now.saturating_sub(link.begun) > most;
        let Some(link) = self.links.iter().flatten().find(is_late) else { return };
        let address = link.address;
        let what = match link.stage {
            Stage::Connecting => "connect",
            _ => "answer the handshake",
        };
        let seconds = self.dialing.timeout.as_secs_f64();
        self.fail(format!(
            "{address} did not {what} within {seconds} s; does the server run there? give it more \
             time with --connect-timeout"
        ));
    }

    /// When a connection began to be opened.
    pub(crate) fn begun(&self, id: usize) -> u64 {
        self.links[id].as_ref().map_or(0, |link| link.begun)
    }

    /// Sends bytes, or keeps what the kernel does not take until it does.
    ///
    /// # Errors
    /// The connection is broken.
    pub(crate) fn send(&mut self, id: usize, bytes: &[u8]) -> Result<(), End> {
        let Some(link) = self.links[id].as_mut() else { return Ok(()) };
        if !link.unsent.is_empty() {
            link.unsent.extend_from_slice(bytes);
            return Ok(());
        }
        let sent = link.socket.send(bytes).map_err(|error| broken(&error))?;
        if sent < bytes.len() || link.socket.has_unsent() {
            link.unsent.extend_from_slice(&bytes[sent..]);
            let watched = self.poller.modify(&link.socket, id, Interest::ReadAndWrite);
            return watched.map_err(|error| broken(&error));
        }
        Ok(())
    }

    /// Bytes that were given to be sent and that the kernel has not taken yet.
    pub(crate) fn unsent(&self, id: usize) -> usize {
        self.links[id].as_ref().map_or(0, |link| link.unsent.len())
    }

    /// Ends a connection from this side, at once.
    pub(crate) fn end(&mut self, id: usize) {
        if let Some(link) = self.links[id].take() {
            if link.is_open() {
                self.open -= 1;
            } else {
                self.opening -= 1;
            }
        }
    }

    /// Waits for something to happen.
    pub(crate) fn wait(&mut self, time: Duration, ready: &mut Vec<Ready>) -> io::Result<()> {
        self.poller.wait(time, &self.shared.wakers[self.thread], ready)
    }

    /// Does what an event allows; what is received is in `buffer`.
    pub(crate) fn step(&mut self, event: Ready, buffer: &mut [u8]) -> Step {
        let id = event.id;
        let Some(link) = self.links[id].as_mut() else { return Step::Nothing };
        match link.stage {
            Stage::Connecting => self.connected(id),
            Stage::Shaking(_) => match self.go_on_sending(id) {
                Ok(()) => self.shake(id, buffer),
                Err(text) => {
                    self.fail(text);
                    Step::Nothing
                }
            },
            Stage::Open => {
                if event.can_write
                    && link.has_unsent()
                    && let Err(end) = self.flush(id)
                {
                    return Step::Ended(end);
                }
                if event.can_read { self.receive(id, buffer) } else { Step::Nothing }
            }
        }
    }

    fn connected(&mut self, id: usize) -> Step {
        let Some(link) = self.links[id].as_mut() else { return Step::Nothing };
        let (target, address) = (link.target, link.address);
        if let Err(error) = link.socket.result() {
            self.end(id);
            self.refused(id, target, address, &error);
            return Step::Nothing;
        }
        if self.dialing.targets[target].is_open_at_once() {
            link.stage = Stage::Open;
            (self.opening, self.open) = (self.opening - 1, self.open + 1);
        } else {
            link.stage = Stage::Shaking(Vec::new());
        }
        let is_open = link.is_open();
        match self.flush(id) {
            Ok(()) if is_open => Step::Opened(Vec::new()),
            Ok(()) => Step::Nothing,
            // Some loads wait for as many as were asked for to have been open.
            Err(End::Broken(error)) if !is_open => {
                self.fail(format!("cannot send the handshake to {address}: {error}"));
                Step::Nothing
            }
            Err(end) => Step::Ended(end),
        }
    }

    /// Sends what is left of what a connection begins with, as far as it goes.
    fn go_on_sending(&mut self, id: usize) -> Result<(), String> {
        let Some(link) = self.links[id].as_ref().filter(|link| link.has_unsent()) else {
            return Ok(());
        };
        let address = link.address;
        match self.flush(id) {
            Err(End::Broken(error)) => {
                Err(format!("cannot send the handshake to {address}: {error}"))
            }
            _ => Ok(()),
        }
    }

    /// Reads the answer of the handshake: that of TLS first, if there is one.
    fn shake(&mut self, id: usize, buffer: &mut [u8]) -> Step {
        let Some(link) = self.links[id].as_mut() else { return Step::Nothing };
        let Stage::Shaking(head) = &mut link.stage else { return Step::Nothing };
        let address = link.address;
        let outcome = match link.socket.receive(buffer) {
            Ok(None) => Ok(None),
            Ok(Some(0)) => Err(format!("{address} ended the connection instead of a handshake")),
            Ok(Some(count)) => {
                head.extend_from_slice(&buffer[..count]);
                Ok(Some(count))
            }
            Err(error) => Err(advice(&error, address)),
        };
        let outcome = outcome.and_then(|_| match &self.dialing.targets[link.target].handshake {
            Some(_) if head.is_empty() => Ok(None),
            Some(handshake) => handshake.judge(head),
            None => Ok((!link.socket.is_shaking_hands()).then_some(0)),
        });
        match outcome {
            Ok(None) => {
                let watched = match link.socket.has_unsent() {
                    true => self.poller.modify(&link.socket, id, Interest::ReadAndWrite),
                    false => Ok(()),
                };
                if let Err(error) = watched {
                    self.fail(format!("cannot wait for {address}: {error}"));
                }
                Step::Nothing
            }
            Ok(Some(length)) => {
                let rest = head.split_off(length);
                link.stage = Stage::Open;
                (self.opening, self.open) = (self.opening - 1, self.open + 1);
                Step::Opened(rest)
            }
            Err(text) => {
                self.fail(text);
                Step::Nothing
            }
        }
    }

    fn receive(&mut self, id: usize, buffer: &mut [u8]) -> Step {
        let Some(link) = self.links[id].as_mut() else { return Step::Nothing };
        match link.socket.receive(buffer) {
            Ok(None) => Step::Nothing,
            Ok(Some(0)) => Step::Ended(End::Cut),
            Ok(Some(count)) => Step::Received(count),
            Err(error) => Step::Ended(broken(&error)),
        }
    }

    /// Sends what was kept.
    fn flush(&mut self, id: usize) -> Result<(), End> {
        let Some(link) = self.links[id].as_mut() else { return Ok(()) };
        if link.has_unsent() {
            let sent = link.socket.send(&link.unsent).map_err(|error| broken(&error))?;
            link.unsent.drain(..sent);
        }
        if !link.has_unsent() {
            let watched = self.poller.modify(&link.socket, id, Interest::Read);
            watched.map_err(|error| broken(&error))?;
        }
        Ok(())
    }
}

impl Target {
    /// True if nothing needs to be agreed on before the first byte.
    fn is_open_at_once(&self) -> bool {
        self.handshake.is_none() && self.secured.is_none()
    }
}

impl Link {
    /// True if something waits for the kernel to take it, here or in TLS.
    fn has_unsent(&self) -> bool {
        !self.unsent.is_empty() || self.socket.has_unsent()
    }

    fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }
}

fn broken(error: &io::Error) -> End {
    End::Broken(match error.kind() {
        // It has ended with something of ours unread.
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            format!("ended by the server with a reset: {error}")
        }
        _ => secure::advice(error).unwrap_or_else(|| error.to_string()),
    })
}
