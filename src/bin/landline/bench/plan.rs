//! What a run is to do: made of the command line, and cut into a share for each thread.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::bench::args::{BenchArgs, CommonArgs, EchoArgs, MessageArgs, Mode};
use crate::bench::core::{Core, Dialing, Target};
use crate::bench::echo::{EchoLoad, EchoPlan};
use crate::bench::frames::Kind;
use crate::bench::handshake::Handshake;
use crate::bench::report::Subject;
use crate::bench::shared::Shared;
use crate::bench::template::Payload;
use crate::bench::url::Url;
use crate::bench::worker::{self, Word};

/// Most handshakes at a time: what the backlog of any listener takes.
const AT_ONCE: usize = 128;

/// Connections that one local address has ports for, with some left to others.
const PORTS: usize = 20_000;

/// Addresses of loopback that are used in turn.
const MOST_SOURCES: usize = 250;

/// A load that waits for its connections.
pub(crate) type Start = Box<dyn FnOnce(Core, &dyn Fn(Word)) + Send>;

/// The load of one mode.
#[derive(Debug)]
enum Work {
    Echo(EchoPlan),
}

/// A run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) subject: Subject,
    pub(crate) common: CommonArgs,
    dialing: Dialing,
    work: Work,
}

impl Plan {
    /// Looks names up and makes what is sent.
    ///
    /// # Blocking
    /// Until the resolver answers.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn new(args: BenchArgs) -> Result<Self, String> {
        match args.mode {
            Mode::Echo(args) => echo(args),
            _ => Err("not there yet".into()),
        }
    }

    /// How a thread opens its connections.
    pub(crate) fn dialing(&self, thread: usize) -> Dialing {
        let at_once = share(self.dialing.at_once, self.common.threads, thread).max(1);
        Dialing { at_once, ..self.dialing.clone() }
    }

    /// The load of a thread.
    pub(crate) fn load(&self, thread: usize, _shared: &Arc<Shared>) -> Start {
        let threads = self.common.threads;
        match &self.work {
            Work::Echo(plan) => {
                let connections = share(plan.connections, threads, thread);
                started(EchoLoad::new(EchoPlan { connections, ..plan.clone() }))
            }
        }
    }
}

fn started(mut load: impl worker::Load + Send + 'static) -> Start {
    Box::new(move |core, tell| worker::run(core, &mut load, tell))
}

/// A thread's part of a number.
fn share(number: usize, threads: usize, thread: usize) -> usize {
    number / threads + usize::from(thread < number % threads)
}

fn echo(args: EchoArgs) -> Result<Plan, String> {
    let EchoArgs { url, connections, in_flight, message, common } = args;
    let targets = vec![websocket(&url, message.deflate)?];
    Ok(Plan {
        subject: Subject {
            mode: "echo",
            messages: "echoes",
            url: url.text,
            settings: vec![
                ("connections", connections as u64),
                ("in_flight", in_flight as u64),
                ("payload_bytes", message.bytes as u64),
            ],
            connections: connections as u64,
        },
        dialing: dialing(targets, connections, &common),
        work: Work::Echo(EchoPlan {
            connections,
            in_flight,
            payload: payload(&message, ""),
            is_compressed: message.deflate,
        }),
        common,
    })
}

fn payload(message: &MessageArgs, stamp: &str) -> Payload {
    let kind = if message.binary { Kind::Binary } else { Kind::Text };
    Payload::new(kind, message.bytes, stamp, message.deflate)
}

fn websocket(url: &Url, offers_deflate: bool) -> Result<Target, String> {
    let handshake = Some(Handshake::new(url, offers_deflate));
    Ok(Target { addresses: url.resolve()?, handshake })
}

fn dialing(targets: Vec<Target>, connections: usize, common: &CommonArgs) -> Dialing {
    let mut sources = common.source.clone();
    let is_loopback =
        targets.iter().all(|target| target.addresses.iter().all(|it| is_loopback(it.ip())));
    if sources.is_empty() && is_loopback && connections > PORTS {
        sources = loopback_sources(connections.div_ceil(PORTS));
    }
    Dialing { targets, sources, timeout: common.connect_timeout, at_once: AT_ONCE }
}

fn is_loopback(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.is_loopback())
}

/// Addresses of this machine that need not be set up.
fn loopback_sources(number: usize) -> Vec<IpAddr> {
    let last = number.min(MOST_SOURCES) as u8;
    (1..=last).map(|last| Ipv4Addr::new(127, 0, 0, last).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        for (number, threads) in [(10, 3), (1, 4), (0, 1), (1000, 7)] {
            let sum: usize = (0..threads).map(|thread| share(number, threads, thread)).sum();
            assert_eq!(sum, number);
        }
    }

    #[test]
    fn there_are_as_many_sources_as_are_needed() {
        assert_eq!(loopback_sources(2), [[127, 0, 0, 1], [127, 0, 0, 2]].map(IpAddr::from));
        assert_eq!(loopback_sources(1000).len(), MOST_SOURCES);
    }
}
