//! The ways to load a server.

use crate::servers::Name;

/// What a cell belongs to: the cells of a group stand in one table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Echo,
    Broadcast,
    Http,
    Connect,
    Idle,
}

impl Group {
    pub(crate) const ALL: [Self; 5] =
        [Self::Echo, Self::Broadcast, Self::Http, Self::Connect, Self::Idle];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Broadcast => "broadcast",
            Self::Http => "http",
            Self::Connect => "connect",
            Self::Idle => "idle",
        }
    }

    /// As the heading of its tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Echo => "Echo: connections x payload",
            Self::Broadcast => "Broadcast: 1,000 members, 32 B",
            Self::Http => "HTTP: GET with keep-alive",
            Self::Connect => "Handshake and close",
            Self::Idle => "Idle connections",
        }
    }

    /// What a `message` of the load is here.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Echo => "messages",
            Self::Broadcast => "deliveries",
            Self::Http => "responses",
            Self::Connect => "handshakes",
            Self::Idle => "connections",
        }
    }
}

/// How fast is published.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    InFlight(u32),
    PerSecond(u32),
}

/// One way to load a server.
#[derive(Clone, Copy)]
pub(crate) struct Cell {
    /// As `--cells` takes it.
    pub(crate) id: &'static str,
    /// As tables show it.
    pub(crate) title: &'static str,
    pub(crate) group: Group,
    pub(crate) connections: u32,
    pub(crate) bytes: u32,
    pub(crate) pace: Pace,
}

impl Cell {
    const fn echo(id: &'static str, title: &'static str, load: [u32; 3]) -> Self {
        let [connections, bytes, in_flight] = load;
        Self { id, title, group: Group::Echo, connections, bytes, pace: Pace::InFlight(in_flight) }
    }

    const fn broadcast(id: &'static str, title: &'static str, pace: Pace) -> Self {
        Self { id, title, group: Group::Broadcast, connections: 1000, bytes: 32, pace }
    }

    const fn other(group: Group, id: &'static str, title: &'static str, connections: u32) -> Self {
        Self { id, title, group, connections, bytes: 0, pace: Pace::InFlight(1) }
    }

    /// True if it is meant by a word of `--cells`.
    pub(crate) fn is_called(&self, word: &str) -> bool {
        word == self.id || word == self.group.name()
    }

    /// Why a server is not asked to do this, if it is not.
    pub(crate) fn not_for(&self, server: Name) -> Option<&'static str> {
        (self.group == Group::Http && server == Name::Tungstenite)
            .then_some("answers nothing but WebSocket handshakes")
    }
}

pub(crate) const CELLS: [Cell; 12] = [
    Cell::echo("echo-1x32", "1 x 32 B", [1, 32, 1]),
    Cell::echo("echo-64x32", "64 x 32 B", [64, 32, 1]),
    Cell::echo("echo-1000x32", "1,000 x 32 B", [1000, 32, 1]),
    Cell::echo("echo-64x32x16", "64 x 32 B, 16 in flight", [64, 32, 16]),
    Cell::echo("echo-64x1024", "64 x 1 KiB", [64, 1024, 1]),
    Cell::echo("echo-64x65536", "64 x 64 KiB", [64, 65_536, 1]),
    Cell::broadcast("broadcast-16", "16 in flight", Pace::InFlight(16)),
    Cell::broadcast("broadcast-1", "1 in flight", Pace::InFlight(1)),
    Cell::broadcast("broadcast-rate", "50 a second", Pace::PerSecond(50)),
    Cell::other(Group::Http, "http", "64 connections", 64),
    Cell::other(Group::Connect, "connect", "64 at a time", 64),
    Cell::other(Group::Idle, "idle", "10,000 connections", 10_000),
];
