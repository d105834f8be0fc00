//! What a run has come to, for people and for machines.

use std::fmt::Write as _;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::bench::process::Sample;
use crate::bench::tally::Tally;

/// Delays that are told, with their names for people and for machines.
const PERCENTILES: [(&str, &str, f64); 4] =
    [("p50", "p50", 0.5), ("p90", "p90", 0.9), ("p99", "p99", 0.99), ("p99.9", "p99_9", 0.999)];

/// What is counted as a message.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) mode: &'static str,
    /// "echoes" and the like.
    pub(crate) messages: &'static str,
    pub(crate) url: String,
    /// What the mode was told, with the names of the JSON.
    pub(crate) settings: Vec<(&'static str, u64)>,
    /// Connections whose memory is told.
    pub(crate) connections: u64,
}

/// The server's process: before there were connections, and at both ends of the measured time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerSamples {
    pub(crate) pid: u32,
    pub(crate) before: Sample,
    pub(crate) from: Sample,
    pub(crate) until: Sample,
}

/// Everything that is told.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) subject: Subject,
    /// Measured.
    pub(crate) seconds: f64,
    pub(crate) tally: Tally,
    pub(crate) server: Option<ServerSamples>,
    pub(crate) client_cpu_seconds: f64,
    pub(crate) was_interrupted: bool,
}

impl Report {
    fn is_hold(&self) -> bool {
        self.subject.mode == "hold"
    }

    fn per_second(&self) -> f64 {
        self.tally.messages as f64 / self.seconds.max(1e-9)
    }

    /// The sentence that says what was wrong.
    pub(crate) fn complaint(&self) -> Option<String> {
        let faults = &self.tally.faults;
        let kinds = [
            (faults.content, "wrong in content"),
            (faults.order, "out of order"),
            (faults.lost, "lost"),
            (faults.closed, "closed"),
        ];
        let wrong: Vec<String> = kinds
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, kind)| format!("{count} {kind}"))
            .collect();
        if wrong.is_empty() {
            let is_idle = self.tally.messages == 0 && !self.is_hold() && !self.was_interrupted;
            return is_idle.then(|| {
                format!("no {} within the measured time; is it too short?", self.subject.messages)
            });
        }
        let first = self.tally.first_fault.as_deref().unwrap_or("unknown");
        Some(format!("{}; the first: {first}", wrong.join(", ")))
    }

    /// One JSON object.
    pub(crate) fn json(&self) -> Value {
        let (subject, tally) = (&self.subject, &self.tally);
        let mut report = Map::new();
        let mut put = |name: &str, value: Value| report.insert(name.into(), value);
        put("mode", json!(subject.mode));
        put("url", json!(subject.url));
        for (name, value) in &subject.settings {
            put(name, json!(value));
        }
        put("seconds", json!(rounded(self.seconds, 6)));
        put("messages", json!(tally.messages));
        put("per_second", json!(rounded(self.per_second(), 1)));
        if subject.mode == "broadcast" {
            put("published", json!(tally.published));
        }
        if !self.is_hold() {
            put("latency_us", delays_json(&tally.delays));
        }
        let faults = &tally.faults;
        put(
            "faults",
            json!({"content": faults.content, "order": faults.order, "lost": faults.lost,
                "closed": faults.closed}),
        );
        if let Some(first) = &tally.first_fault {
            put("first_fault", json!(first));
        }
        if tally.reconnects > 0 {
            put("reconnects", json!(tally.reconnects));
        }
        if tally.left_open > 0 {
            put("left_open", json!(tally.left_open));
        }
        if self.was_interrupted {
            put("interrupted", json!(true));
        }
        if let Some(server) = &self.server {
            put("server", self.server_json(server));
        }
        let cpu = self.client_cpu_seconds;
        let share = rounded(cpu / self.seconds.max(1e-9), 4);
        put("client", json!({"cpu_seconds": rounded(cpu, 6), "cpu_share": share}));
        Value::Object(report)
    }

    fn server_json(&self, server: &ServerSamples) -> Value {
        let (user, system) = cpu(server);
        let mut figures = json!({
            "pid": server.pid,
            "cpu_user_seconds": rounded(user, 3),
            "cpu_system_seconds": rounded(system, 3),
            "cpu_seconds_per_million": self.per_million(server),
            "rss_kib": server.until.rss_kib,
            "threads": server.until.threads,
        });
        if let (true, Some(figures)) = (self.is_hold(), figures.as_object_mut()) {
            let each = PerConnection::new(server, self.subject.connections);
            figures.insert("rss_kib_before".into(), json!(server.before.rss_kib));
            figures.insert("threads_before".into(), json!(server.before.threads));
            figures.insert("rss_kib_per_connection".into(), json!(rounded(each.rss, 3)));
            let stacks = json!(rounded(each.kernel_stacks, 3));
            figures.insert("kernel_stack_kib_per_connection".into(), stacks);
            let tables = json!(rounded(each.page_tables, 3));
            figures.insert("page_tables_kib_per_connection".into(), tables);
        }
        figures
    }

    fn per_million(&self, server: &ServerSamples) -> Option<f64> {
        let (user, system) = cpu(server);
        let messages = self.tally.messages;
        (messages > 0).then(|| rounded((user + system) * 1e6 / messages as f64, 3))
    }

    /// A short table.
    pub(crate) fn text(&self) -> String {
        let (subject, tally) = (&self.subject, &self.tally);
        let mut text = String::new();
        let mut line = |label: &str, value: String| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "  {label:<18}{value}");
        };
        line(subject.mode, subject.url.clone());
        let settings = subject
            .settings
            .iter()
            .map(|(name, value)| format!("{} {}", grouped(*value), name.replace('_', " ")));
        line("with", settings.collect::<Vec<_>>().join(", "));
        line("measured", format!("{:.2} s", self.seconds));
        if subject.mode == "broadcast" {
            line("published", grouped(tally.published));
        }
        if !self.is_hold() {
            let rate = grouped(self.per_second().round() as u64);
            line(subject.messages, format!("{} ({rate} a second)", grouped(tally.messages)));
            line("delay", delays_text(&tally.delays));
        }
        if let Some(server) = &self.server {
            self.server_text(server, &mut line);
        }
        let share = self.client_cpu_seconds * 100.0 / self.seconds.max(1e-9);
        line("CPU of the load", format!("{share:.0} % of a core"));
        if tally.reconnects > 0 {
            line("opened anew", format!("{} connections", grouped(tally.reconnects)));
        }
        if tally.left_open > 0 {
            let count = grouped(tally.left_open);
            line("left open", format!("{count} connections, by the server, after the close"));
        }
        line("faults", if tally.faults.sum() == 0 { "none".into() } else { "see below".into() });
        text
    }

    fn server_text(&self, server: &ServerSamples, line: &mut impl FnMut(&str, String)) {
        let (user, system) = cpu(server);
        let share = (user + system) * 100.0 / self.seconds.max(1e-9);
        line(
            "CPU of the server",
            format!("{user:.2} s user, {system:.2} s system ({share:.0} % of a core)"),
        );
        if let Some(cost) = self.per_million(server) {
            line("", format!("{cost:.2} s for a million {}", self.subject.messages));
        }
        let (rss, threads) = (grouped(server.until.rss_kib), grouped(server.until.threads));
        line("its memory", format!("{rss} KiB resident, {threads} threads"));
        if self.is_hold() {
            let (rss, threads) = (grouped(server.before.rss_kib), grouped(server.before.threads));
            line("before", format!("{rss} KiB resident, {threads} threads"));
            let each = PerConnection::new(server, self.subject.connections);
            line(
                "each connection",
                format!(
                    "{:.2} KiB resident, {:.2} KiB page tables, {:.2} KiB kernel stack",
                    each.rss, each.page_tables, each.kernel_stacks
                ),
            );
            line("", "(kernel stacks are those of the whole machine)".into());
        }
    }
}

/// What one connection more takes, in KiB.
struct PerConnection {
    rss: f64,
    page_tables: f64,
    kernel_stacks: f64,
}

impl PerConnection {
    fn new(server: &ServerSamples, connections: u64) -> Self {
        let each =
            |before: u64, after: u64| (after as f64 - before as f64) / connections.max(1) as f64;
        let (before, after) = (&server.before, &server.until);
        Self {
            rss: each(before.rss_kib, after.rss_kib),
            page_tables: each(before.page_tables_kib, after.page_tables_kib),
            kernel_stacks: each(before.kernel_stacks_kib, after.kernel_stacks_kib),
        }
    }
}

/// User and system seconds within the measured time.
fn cpu(server: &ServerSamples) -> (f64, f64) {
    (server.until.user - server.from.user, server.until.system - server.from.system)
}

fn delays_json(delays: &Histogram<u64>) -> Value {
    let mut told = Map::new();
    for (_, name, part) in PERCENTILES {
        told.insert(name.into(), json!(delays.value_at_quantile(part)));
    }
    told.insert("max".into(), json!(delays.max()));
    Value::Object(told)
}

fn delays_text(delays: &Histogram<u64>) -> String {
    let percentiles = PERCENTILES
        .map(|(name, _, part)| format!("{name} {}", duration(delays.value_at_quantile(part))));
    format!("{}, max {}", percentiles.join(", "), duration(delays.max()))
}

/// Microseconds for people.
fn duration(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros} us"),
        1000..1_000_000 => format!("{:.2} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

/// A number with commas.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(mode: &'static str) -> Report {
        let mut tally = Tally::new();
        tally.count(900, 100);
        tally.count(99, 2_000);
        tally.count(1, 3_000_000);
        let sample =
            Sample { user: 1.0, system: 2.0, rss_kib: 100, threads: 3, ..Sample::default() };
        let until = Sample { user: 1.5, system: 2.25, rss_kib: 1100, ..sample };
        let settings = vec![("connections", 10), ("in_flight", 1)];
        let url = "ws://a/".to_owned();
        let server = ServerSamples { pid: 7, before: sample, from: sample, until };
        Report {
            subject: Subject { mode, messages: "echoes", url, settings, connections: 10 },
            seconds: 2.0,
            tally,
            server: Some(server),
            client_cpu_seconds: 1.0,
            was_interrupted: false,
        }
    }

    #[test]
    fn machines_read_every_figure() {
        let json = report("echo").json();
        assert_eq!((&json["messages"], &json["per_second"]), (&json!(1000), &json!(500.0)));
        assert_eq!(json["latency_us"]["p50"], json!(100));
        assert_eq!(json["latency_us"]["p90"], json!(100));
        assert_eq!(json["faults"], json!({"content": 0, "order": 0, "lost": 0, "closed": 0}));
        assert_eq!(json["server"]["cpu_user_seconds"], json!(0.5));
        assert_eq!(json["server"]["cpu_seconds_per_million"], json!(750.0));
        assert_eq!(json["client"], json!({"cpu_seconds": 1.0, "cpu_share": 0.5}));
        assert_eq!(json["published"], Value::Null);
        let json = report("hold").json();
        assert_eq!(json["server"]["rss_kib_per_connection"], json!(100.0));
        assert_eq!(
            (&json["server"]["rss_kib_before"], &json["latency_us"]),
            (&json!(100), &Value::Null)
        );
    }

    #[test]
    fn people_read_a_table() {
        let text = report("echo").text();
        for part in [
            "10 connections, 1 in flight",
            "1,000 (500 a second)",
            "p50 100 us",
            "max 3.00 s",
            "750.00 s for a million echoes",
            "50 % of a core",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(report("hold").text().contains("100.00 KiB resident"));
    }

    #[test]
    fn what_was_wrong_is_one_sentence() {
        let mut wrong = report("echo");
        assert_eq!(wrong.complaint(), None);
        wrong.tally.faults.order = 2;
        wrong.tally.faults.lost = 1;
        wrong.tally.blame(|| "this".into());
        assert_eq!(wrong.complaint().unwrap(), "2 out of order, 1 lost; the first: this");
    }

    #[test]
    fn delays_and_numbers_have_units_for_people() {
        assert_eq!(
            [999, 1000, 999_999, 2_500_000].map(duration),
            ["999 us", "1.00 ms", "1000.00 ms", "2.50 s"]
        );
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
