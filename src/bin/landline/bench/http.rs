//! `http`: a GET on each connection, again and again.

use std::time::Duration;

use crate::bench::core::{Core, End};
use crate::bench::peer::blame;
use crate::bench::response;
use crate::bench::shared::Phase;
use crate::bench::url::Url;
use crate::bench::worker::Load;

/// Longest response.
const RESPONSE_BYTES: usize = 64 * 1024 * 1024;

/// How much is asked.
#[derive(Clone, Debug)]
pub(crate) struct HttpPlan {
    pub(crate) connections: usize,
    pub(crate) request: Vec<u8>,
    pub(crate) expect: Option<Vec<u8>>,
}

impl HttpPlan {
    pub(crate) fn new(url: &Url, connections: usize, expect: Option<String>) -> Self {
        let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", url.path, url.authority);
        let expect = expect.map(String::into_bytes);
        Self { connections, request: request.into_bytes(), expect }
    }
}

#[derive(Debug, Default)]
struct Client {
    is_open: bool,
    /// A request is not answered yet.
    is_asking: bool,
    asked_at: u64,
    /// Answers on this connection.
    answers: u64,
    /// A response that is cut.
    carry: Vec<u8>,
}

/// The clients of one thread.
#[derive(Debug)]
pub(crate) struct HttpLoad {
    plan: HttpPlan,
    clients: Vec<Client>,
    /// The last response that was right, byte by byte: most are the same, and need no parsing.
    known: Vec<u8>,
    is_started: bool,
    outstanding: u64,
}

impl HttpLoad {
    pub(crate) fn new(plan: HttpPlan) -> Self {
        let clients = (0..plan.connections).map(|_| Client::default()).collect();
        Self { plan, clients, known: Vec::new(), is_started: false, outstanding: 0 }
    }

    fn ask(&mut self, core: &mut Core, id: usize, now: u64) -> Result<(), End> {
        let client = &mut self.clients[id];
        if !client.is_open || client.is_asking || !core.is_loading(now) {
            return Ok(());
        }
        client.is_asking = true;
        client.asked_at = now;
        self.outstanding += 1;
        core.send(id, &self.plan.request)
    }

    /// Takes what has come of a response.
    fn take(
        &mut self,
        core: &mut Core,
        id: usize,
        bytes: &[u8],
        is_at_end: bool,
        now: u64,
    ) -> Result<(), End> {
        let client = &mut self.clients[id];
        if !client.is_asking {
            return Err(End::Violation("a response that nobody asked for".into()));
        }
        if client.carry.is_empty() && bytes == self.known {
            return self.answered(core, id, now);
        }
        client.carry.extend_from_slice(bytes);
        if client.carry.len() > RESPONSE_BYTES {
            return Err(End::Violation("a response of more than 64 MiB".into()));
        }
        let bytes = std::mem::take(&mut client.carry);
        let whole = response::read(&bytes, is_at_end).map_err(End::Violation)?;
        let Some(whole) = whole else {
            client.carry = bytes;
            return Ok(());
        };
        if whole.length < bytes.len() {
            return Err(End::Violation("bytes behind the response".into()));
        }
        self.judge(core, id, &whole);
        let is_right = core.tally.faults.content == 0;
        if whole.closes {
            self.answered_last(core, now, id);
            return Err(End::Done);
        }
        if is_right {
            self.known = bytes;
        }
        self.answered(core, id, now)
    }

    fn judge(&mut self, core: &mut Core, id: usize, whole: &response::Whole) {
        let status = whole.status;
        let expect = self.plan.expect.as_ref();
        if status == 200 && expect.is_none_or(|expect| *expect == whole.body) {
            return;
        }
        core.tally.faults.content += 1;
        core.tally.blame(|| match status {
            200 => {
                let body = String::from_utf8_lossy(&whole.body[..whole.body.len().min(100)]);
                format!("connection {id}: the body is \"{}\"", body.escape_debug())
            }
            status => format!("connection {id}: the response has status {status} instead of 200"),
        });
    }

    fn answered_last(&mut self, core: &mut Core, now: u64, id: usize) {
        let client = &mut self.clients[id];
        client.is_asking = false;
        client.answers += 1;
        self.outstanding -= 1;
        if core.phase(now) == Phase::Measured {
            let delay = now - client.asked_at;
            core.tally.count(1, delay);
        }
    }

    fn answered(&mut self, core: &mut Core, id: usize, now: u64) -> Result<(), End> {
        self.answered_last(core, now, id);
        self.ask(core, id, now)
    }
}

impl Load for HttpLoad {
    fn begin(&mut self, core: &mut Core) {
        (0..self.clients.len()).for_each(|id| core.want(id, 0));
    }

    fn is_ready(&self, core: &Core) -> bool {
        core.is_settled()
    }

    fn opened(&mut self, core: &mut Core, id: usize, now: u64) -> Result<(), End> {
        self.clients[id].is_open = true;
        self.ask(core, id, now)
    }

    fn received(&mut self, core: &mut Core, id: usize, bytes: &[u8], now: u64) -> Result<(), End> {
        self.take(core, id, bytes, false, now)
    }

    fn ended(&mut self, core: &mut Core, id: usize, end: End, now: u64) {
        let end = match end {
            // A body without a length ends with the stream.
            End::Cut if self.clients[id].is_asking && !self.clients[id].carry.is_empty() => {
                self.take(core, id, &[], true, now).err().unwrap_or(End::Cut)
            }
            end => end,
        };
        let client = std::mem::take(&mut self.clients[id]);
        if client.is_asking {
            self.outstanding -= 1;
        }
        let is_good = match &end {
            End::Done => true,
            // A server may end a connection that it has answered before; the request is asked anew.
            End::Cut | End::Broken(_) => client.answers > 0 && client.carry.is_empty(),
            _ => false,
        };
        if !is_good {
            blame(core, id, end);
            return;
        }
        core.tally.reconnects += 1;
        if core.is_loading(now) {
            core.want(id, 0);
        }
    }

    fn turn(&mut self, core: &mut Core, now: u64) -> Option<Duration> {
        if !self.is_started && core.is_loading(now) {
            self.is_started = true;
            for id in 0..self.clients.len() {
                let now = core.shared.now();
                if let Err(end) = self.ask(core, id, now) {
                    core.end(id);
                    self.ended(core, id, end, now);
                }
            }
        }
        None
    }

    fn is_done(&self, _core: &Core) -> bool {
        self.outstanding == 0
    }

    fn give_up(&mut self, core: &mut Core) {
        let lost = self.outstanding;
        core.tally.faults.lost += lost;
        core.tally.blame(|| format!("{lost} requests were not answered"));
    }

    fn farewell(&mut self, core: &mut Core) -> u64 {
        (0..self.clients.len()).for_each(|id| core.end(id));
        0
    }
}
