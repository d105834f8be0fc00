//! Figures of the last ten minutes, taken every two seconds, for the plots.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use landline::{Handle, Metrics};
use serde_json::{Value, json};

use super::Admin;

/// How often figures are taken.
const EVERY: Duration = Duration::from_secs(2);

/// How many are kept.
const KEPT: usize = 300;

/// The figures so far.
#[derive(Default)]
pub(super) struct Samples {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: VecDeque<Sample>,
    before: Option<(Instant, Metrics)>,
}

/// What the plots show of two seconds.
struct Sample {
    /// Milliseconds since the epoch.
    at: u64,
    connections: usize,
    websockets: usize,
    received: f64,
    sent: f64,
    dropped: f64,
    p50: Option<f64>,
    p99: Option<f64>,
}

impl Sample {
    fn new(time: Duration, before: &Metrics, now: &Metrics) -> Self {
        let seconds = time.as_secs_f64().max(0.001);
        let rate = |before: u64, now: u64| now.saturating_sub(before) as f64 / seconds;
        let latency = now.hub_latency.since(&before.hub_latency);
        let millis = |part| latency.quantile(part).map(|time| time.as_secs_f64() * 1e3);
        Self {
            at: millis_of(SystemTime::now()),
            connections: now.connections,
            websockets: now.routes.iter().map(|route| route.open).sum(),
            received: rate(before.traffic.messages_received, now.traffic.messages_received),
            sent: rate(before.traffic.messages_sent, now.traffic.messages_sent),
            dropped: rate(before.hub.dropped, now.hub.dropped),
            p50: millis(0.5),
            p99: millis(0.99),
        }
    }

    fn to_json(&self) -> Value {
        json!([
            self.at,
            self.connections,
            self.websockets,
            tenths(self.received),
            tenths(self.sent),
            tenths(self.dropped),
            self.p50.map(thousandths),
            self.p99.map(thousandths),
        ])
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Milliseconds since the epoch, as scripts count.
pub(super) fn millis_of(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Samples {
    fn take(&self, metrics: Metrics) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some((then, before)) = &state.before {
            let sample = Sample::new(now - *then, before, &metrics);
            state.kept.push_back(sample);
        }
        if state.kept.len() > KEPT {
            state.kept.pop_front();
        }
        state.before = Some((now, metrics));
    }

    /// Those taken after a moment, the oldest first: each as time, connections, WebSockets,
    /// messages in and out and dropped each second, p50 and p99 of the hub in milliseconds.
    pub(super) fn after(&self, since: u64) -> Vec<Value> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.kept.iter().filter(|sample| sample.at > since).map(Sample::to_json).collect()
    }
}

/// Starts the thread that takes figures; it ends with the page.
pub(super) fn start(admin: &Arc<Admin>, handle: Handle) -> std::io::Result<()> {
    let admin: Weak<Admin> = Arc::downgrade(admin);
    let run = move || {
        while let Some(admin) = admin.upgrade() {
            admin.samples.take(handle.metrics());
            drop(admin);
            thread::sleep(EVERY);
        }
    };
    thread::Builder::new().name("sampler".into()).spawn(run).map(drop)
}
