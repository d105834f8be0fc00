//! What a run is to do: made of the command line, and cut into a share for each thread.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::bench::args::{
    BenchArgs, BroadcastArgs, CommonArgs, ConnectArgs, EchoArgs, HoldArgs, HttpArgs, MessageArgs,
    Mode,
};
use crate::bench::board::{Board, MOST_IN_FLIGHT};
use crate::bench::broadcast::{BroadcastLoad, BroadcastPlan, Pace};
use crate::bench::connect::ConnectLoad;
use crate::bench::core::{Core, Dialing, Target};
use crate::bench::echo::{EchoLoad, EchoPlan};
use crate::bench::frames::Kind;
use crate::bench::handshake::Handshake;
use crate::bench::hold::HoldLoad;
use crate::bench::http::{HttpLoad, HttpPlan};
use crate::bench::report::Subject;
use crate::bench::secure::Secured;
use crate::bench::template::Payload;
use crate::bench::url::Url;
use crate::bench::worker::{self, Word};
use crate::trust::Trust;

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
    Broadcast(BroadcastPlan, Arc<Board>),
    Hold(usize),
    Connect(usize),
    Http(HttpPlan),
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
            Mode::Broadcast(args) => broadcast(args),
            Mode::Hold(args) => hold(args),
            Mode::Connect(args) => connect(args),
            Mode::Http(args) => http(args),
        }
    }

    /// How a thread opens its connections.
    pub(crate) fn dialing(&self, thread: usize) -> Dialing {
        let at_once = share(self.dialing.at_once, self.common.threads, thread).max(1);
        Dialing { at_once, ..self.dialing.clone() }
    }

    /// The load of a thread.
    pub(crate) fn load(&self, thread: usize) -> Start {
        let share = |number| share(number, self.common.threads, thread);
        match &self.work {
            Work::Echo(plan) => {
                let connections = share(plan.connections);
                started(EchoLoad::new(EchoPlan { connections, ..plan.clone() }))
            }
            Work::Broadcast(plan, board) => {
                let subscribers = share(plan.all_subscribers);
                let plan = BroadcastPlan { subscribers, ..plan.clone() };
                started(BroadcastLoad::new(plan, Arc::clone(board), thread))
            }
            Work::Hold(connections) => started(HoldLoad::new(share(*connections))),
            Work::Connect(connections) => started(ConnectLoad::new(share(*connections))),
            Work::Http(plan) => {
                let connections = share(plan.connections);
                started(HttpLoad::new(HttpPlan { connections, ..plan.clone() }))
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
    let EchoArgs { url, clients, in_flight, bytes, message, common } = args;
    let connections = clients.connections;
    let targets = vec![websocket(&url, message.deflate, &common)?];
    let settings =
        [("connections", connections), ("in_flight", in_flight), ("payload_bytes", bytes)];
    Ok(Plan {
        subject: subject("echo", "echoes", url, &settings, connections),
        dialing: dialing(targets, connections, &common),
        work: Work::Echo(EchoPlan {
            connections,
            in_flight,
            payload: Payload::new(kind(&message), bytes, "", message.deflate),
            is_compressed: message.deflate,
        }),
        common,
    })
}

fn broadcast(args: BroadcastArgs) -> Result<Plan, String> {
    let message = args.message;
    let mut targets = vec![websocket(&args.url, message.deflate, &args.common)?];
    if let Some(url) = &args.publish_url {
        targets.push(websocket(url, message.deflate, &args.common)?);
    }
    let in_flight = args.in_flight.min(MOST_IN_FLIGHT as usize);
    let (pace, told) = match args.rate {
        Some(rate) => (Pace::PerSecond(rate as u64), ("rate", rate)),
        None => (Pace::InFlight(in_flight as u64), ("in_flight", in_flight)),
    };
    let (subscribers, publishers) = (args.subscribers, args.publishers);
    let settings = [
        ("subscribers", subscribers),
        ("publishers", publishers),
        told,
        ("payload_bytes", args.bytes),
    ];
    // What an earlier run has left on the server is told apart.
    let run = std::process::id() & 0xffff;
    let payload = |publisher| {
        let stamp = format!("{run:04x}{publisher:04x}");
        Payload::new(kind(&message), args.bytes, &stamp, message.deflate)
    };
    let plan = BroadcastPlan {
        subscribers,
        all_subscribers: subscribers,
        pace,
        payloads: (0..publishers).map(payload).collect(),
        is_compressed: message.deflate,
        publish_target: targets.len() - 1,
        patience: args.common.connect_timeout,
    };
    let board = Arc::new(Board::new(publishers, args.common.threads, subscribers));
    Ok(Plan {
        subject: subject("broadcast", "deliveries", args.url, &settings, subscribers),
        dialing: dialing(targets, subscribers + publishers, &args.common),
        work: Work::Broadcast(plan, board),
        common: args.common,
    })
}

fn hold(args: HoldArgs) -> Result<Plan, String> {
    let HoldArgs { url, connections, common } = args;
    let targets = vec![websocket(&url, false, &common)?];
    Ok(Plan {
        subject: subject("hold", "messages", url, &[("connections", connections)], connections),
        dialing: dialing(targets, connections, &common),
        work: Work::Hold(connections),
        common,
    })
}

fn connect(args: ConnectArgs) -> Result<Plan, String> {
    let ConnectArgs { url, clients, common } = args;
    let connections = clients.connections;
    let targets = vec![websocket(&url, false, &common)?];
    // Each port is in use for a while after its connection.
    let dialing = dialing(targets, MOST_SOURCES * PORTS, &common);
    let handshakes = "handshakes";
    Ok(Plan {
        subject: subject("connect", handshakes, url, &[("connections", connections)], connections),
        dialing: Dialing { at_once: connections, ..dialing },
        work: Work::Connect(connections),
        common,
    })
}

fn http(args: HttpArgs) -> Result<Plan, String> {
    let HttpArgs { url, clients, expect, common } = args;
    let connections = clients.connections;
    let targets = vec![target(&url, None, &common)?];
    let plan = HttpPlan::new(&url, connections, expect);
    Ok(Plan {
        subject: subject("http", "responses", url, &[("connections", connections)], connections),
        dialing: dialing(targets, connections, &common),
        work: Work::Http(plan),
        common,
    })
}

fn subject(
    mode: &'static str,
    messages: &'static str,
    url: Url,
    settings: &[(&'static str, usize)],
    connections: usize,
) -> Subject {
    let settings = settings.iter().map(|(name, value)| (*name, *value as u64)).collect();
    Subject { mode, messages, url: url.text, settings, connections: connections as u64 }
}

fn kind(message: &MessageArgs) -> Kind {
    if message.binary { Kind::Binary } else { Kind::Text }
}

fn websocket(url: &Url, offers_deflate: bool, common: &CommonArgs) -> Result<Target, String> {
    target(url, Some(Handshake::new(url, offers_deflate)), common)
}

fn target(url: &Url, handshake: Option<Handshake>, common: &CommonArgs) -> Result<Target, String> {
    let trust = Trust { file: common.ca_file.clone(), is_blind: common.accept_any_certificate };
    let secured = Secured::of(url, &trust)?;
    Ok(Target { addresses: url.resolve()?, handshake, secured })
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
