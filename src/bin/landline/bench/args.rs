//! The command line of `landline bench`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::bench::template::{DIGITS, STAMP};
use crate::bench::url::{Url, http_url, ws_url};
use crate::settings::values::{seconds, size};

/// Each has a number in the stamp, and a note of when it published what.
const MOST_PUBLISHERS: usize = 1000;

/// Loads a WebSocket server, ours or any other, checks everything that comes back, and says how
/// much the server did and what it cost.
#[derive(Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true, after_help = EXPLANATION)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    pub(crate) mode: Mode,
}

/// What is done to the server.
#[derive(Debug, Subcommand)]
pub(crate) enum Mode {
    /// Messages that come back: round trips per second, their delay, CPU per message
    #[command(after_help = ECHO)]
    Echo(EchoArgs),
    /// Messages published by one connection and relayed to many others
    #[command(after_help = BROADCAST)]
    Broadcast(BroadcastArgs),
    /// Connections that are open and do nothing: what each of them costs in memory
    #[command(after_help = HOLD)]
    Hold(HoldArgs),
    /// Connections that come and go: handshakes with close per second
    #[command(after_help = CONNECT)]
    Connect(ConnectArgs),
    /// Plain HTTP requests on connections that stay open
    #[command(after_help = HTTP)]
    Http(HttpArgs),
}

#[derive(Args, Debug)]
pub(crate) struct EchoArgs {
    /// A WebSocket that sends back what it gets, as ws://HOST:PORT/PATH or wss://
    #[arg(value_name = "URL", value_parser = ws_url)]
    pub(crate) url: Url,
    #[command(flatten)]
    pub(crate) clients: ClientsArgs,
    /// Messages of each connection that are sent and not yet answered
    #[arg(long, value_name = "N", value_parser = size, default_value = "1")]
    pub(crate) in_flight: usize,
    /// Payload of each message
    #[arg(long, value_name = "BYTES", value_parser = size, default_value = "32")]
    pub(crate) bytes: usize,
    #[command(flatten)]
    pub(crate) message: MessageArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Args, Debug)]
pub(crate) struct BroadcastArgs {
    /// The WebSocket of the subscribers
    #[arg(value_name = "URL", value_parser = ws_url)]
    pub(crate) url: Url,
    /// The WebSocket of the publishers, if it is another; what they receive is ignored
    #[arg(long, value_name = "URL", value_parser = ws_url)]
    pub(crate) publish_url: Option<Url>,
    /// Connections that listen
    #[arg(long, value_name = "N", value_parser = size, default_value = "1000")]
    pub(crate) subscribers: usize,
    /// Connections that publish
    #[arg(long, value_name = "N", value_parser = publishers, default_value = "1")]
    pub(crate) publishers: usize,
    /// Messages of each publisher that not all subscribers have yet
    #[arg(long, value_name = "N", value_parser = size, default_value = "1")]
    pub(crate) in_flight: usize,
    /// Publish so many messages a second instead, all publishers together
    #[arg(long, value_name = "PER_SECOND", value_parser = size, conflicts_with = "in_flight")]
    pub(crate) rate: Option<usize>,
    /// Payload of each message, 16 at least: number and publisher stand in it
    #[arg(long, value_name = "BYTES", value_parser = stamped_size, default_value = "32")]
    pub(crate) bytes: usize,
    #[command(flatten)]
    pub(crate) message: MessageArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Args, Debug)]
pub(crate) struct HoldArgs {
    /// Any WebSocket
    #[arg(value_name = "URL", value_parser = ws_url)]
    pub(crate) url: Url,
    /// Connections
    #[arg(long, value_name = "N", value_parser = size, default_value = "1000")]
    pub(crate) connections: usize,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ConnectArgs {
    /// Any WebSocket
    #[arg(value_name = "URL", value_parser = ws_url)]
    pub(crate) url: Url,
    #[command(flatten)]
    pub(crate) clients: ClientsArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Args, Debug)]
pub(crate) struct HttpArgs {
    /// What to GET, as http://HOST:PORT/PATH or https://
    #[arg(value_name = "URL", value_parser = http_url)]
    pub(crate) url: Url,
    #[command(flatten)]
    pub(crate) clients: ClientsArgs,
    /// What the body of every response must be
    #[arg(long, value_name = "TEXT")]
    pub(crate) expect: Option<String>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ClientsArgs {
    /// Connections at a time
    #[arg(long, value_name = "N", value_parser = size, default_value = "64")]
    pub(crate) connections: usize,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct MessageArgs {
    /// Send binary messages instead of text
    #[arg(long)]
    pub(crate) binary: bool,
    /// Compress: offer permessage-deflate, send JSON that was deflated once, inflate and compare
    /// what comes
    #[arg(long)]
    pub(crate) deflate: bool,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct CommonArgs {
    /// Measured time
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "5")]
    #[arg(help_heading = "Run")]
    pub(crate) duration: Duration,
    /// Time of load before it, which is not measured
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "1")]
    #[arg(help_heading = "Run")]
    pub(crate) warm_up: Duration,
    /// Process of the server on this machine, whose CPU time and memory are to be told
    #[arg(long, value_name = "PID", help_heading = "Run")]
    pub(crate) pid: Option<u32>,
    /// CPU for the load to stay on; give the server another (taskset -c 0 ..)
    #[arg(long, value_name = "CPU", help_heading = "Run")]
    pub(crate) pin: Option<usize>,
    /// Threads of the load, each with its share of the connections
    #[arg(long, value_name = "N", value_parser = size, default_value = "1", help_heading = "Run")]
    pub(crate) threads: usize,
    /// Time for a connection and its handshake
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "10")]
    #[arg(help_heading = "Network")]
    pub(crate) connect_timeout: Duration,
    /// Local address to connect from; may be repeated. One has about 28,000 ports for a server.
    /// To 127.x.x.x others of the kind are used by themselves where one is not enough
    #[arg(long, value_name = "ADDR", help_heading = "Network")]
    pub(crate) source: Vec<IpAddr>,
    /// File with an authority's certificate that is believed besides those of the host, for wss://
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Believe any certificate, so that a server can be measured by another name than its own
    #[arg(long, help_heading = "Network", conflicts_with = "ca_file")]
    pub(crate) accept_any_certificate: bool,
    /// One JSON object on standard output, and nothing else
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    /// No line of progress
    #[arg(long, help_heading = "Output")]
    pub(crate) quiet: bool,
}

/// Reads a number of publishers.
fn publishers(text: &str) -> Result<usize, String> {
    let number = size(text)?;
    if number > MOST_PUBLISHERS {
        Err(format!("give {MOST_PUBLISHERS} or less"))
    } else {
        Ok(number)
    }
}

/// Reads the size of a message that has room for number and publisher.
fn stamped_size(text: &str) -> Result<usize, String> {
    let least = DIGITS + STAMP;
    let size = size(text)?;
    if size < least { Err(format!("give {least} or more")) } else { Ok(size) }
}

const EXPLANATION: &str = "\
Examples, for a server that `landline` has started:
  landline bench echo ws://127.0.0.1:8000/echo
  landline bench echo ws://127.0.0.1:8000/echo --connections 1000 --in-flight 16
  landline bench hold ws://127.0.0.1:8000/echo --connections 10000 --pid $(pidof -s landline)
  landline bench connect ws://127.0.0.1:8000/echo --pid $(pidof -s landline)
  landline bench http 'http://127.0.0.1:8000/echo?message=hi' --expect hi

`landline bench echo --help` and so on explain each mode.

The load is one thread with an event loop unless you ask for more. If \"CPU of the load\" comes near
100 % of a core for each thread, the load is what you measure, not the server: give --threads. On
one machine, put server and load on different cores (taskset, --pin).

Delays are told in microseconds. The clock is read once for each read from a connection, so whatever
came with it has the same moment, and what it allows to be sent is dated with it too. A load that has
to look after thousands of connections finds some answers later than they came.

With wss:// and https:// every connection makes a TLS handshake of its own; no session is resumed. The
load's own part of TLS is about as much work as the server's.

With --pid, CPU is that of the whole process within the measured time, as the kernel accounts it (in
steps of 10 ms).

Exit codes:
  0  everything that came was right
  1  it was not, or the server could not be loaded: a sentence says why
  2  wrong flags";

const ECHO: &str = "\
Each connection keeps --in-flight messages on their way: as answers come, new ones go, in one write.
Every answer is compared byte by byte, and with its number, so what is wrong, swapped, doubled or
missing is told. Answers in fragments are understood.

Example: can this machine serve 1,000 clients, each with a message on its way all the time?
  landline bench echo ws://127.0.0.1:8000/echo --connections 1000 --pid $(pidof -s landline)";

const BROADCAST: &str = "\
The server has to relay what comes on --publish-url as it is to all connections of URL. Content and
order of every delivery are checked, for each publisher by itself. A delivery is one message for one
subscriber; its delay runs from the publishing. What a subscriber gets before the first message of
this run, greetings and what others published, is ignored.

First, one message is published now and then until every subscriber has had one: some servers take a
moment for it after the handshake.

Example: a chat's room, where what anybody writes is sent to all:
  landline bench broadcast ws://127.0.0.1:9000/room --subscribers 1000 --in-flight 16
and 50 messages a second:
  landline bench broadcast ws://127.0.0.1:9000/room --subscribers 1000 --rate 50";

const HOLD: &str = "\
Opens the connections, at most 128 handshakes at a time, holds them for --duration, answers pings, and
counts those that the server ends. Then each is sent a ping that must be answered, and a close frame.

With --pid: memory of the process for each connection (RSS and page tables), and kernel stacks, of
which the kernel tells only the sum of the whole machine: keep it quiet meanwhile.

Example:
  landline bench hold ws://127.0.0.1:8000/echo --connections 10000 --pid $(pidof -s landline)";

const CONNECT: &str = "\
Each of the connections is opened, sends a close frame with 1000, waits for the server's and for the
end of the stream, and is opened anew. The server ends the stream first (RFC 6455 7.1.1), so that
ports are soon free again; to 127.x.x.x the load connects from many addresses of that kind by itself.
The delay runs from the beginning to the server's 101.

Example:
  landline bench connect ws://127.0.0.1:8000/echo --connections 64 --pid $(pidof -s landline)";

const HTTP: &str = "\
Each connection asks again as soon as it has its answer, which must be 200. Bodies may have a length
or be chunked. A connection that the server ends after an answer, as it may, is opened anew.

Example:
  landline bench http 'http://127.0.0.1:8000/echo?message=hi' --expect hi";
