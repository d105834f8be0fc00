//! Prometheus' text format: a help and a type for each metric, then its samples.
//!
//! # Source
//! Prometheus, exposition formats, text-based format 0.0.4.

use std::fmt::{self, Display, Write};

use super::Metrics;
use crate::histogram::Timings;

/// What a metric is.
#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// The text so far.
#[derive(Default)]
struct Page(String);

/// The value of a label: `\`, `"` and line ends are escaped.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

impl Page {
    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Memory takes everything.
        let _ = self.0.write_fmt(line);
        self.0.push('\n');
    }

    fn head(&mut self, name: &str, kind: Kind, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// A metric without labels.
    fn one(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.head(name, kind, help);
        self.line(format_args!("{name} {value}"));
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.one(name, Kind::Counter, help, value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.one(name, Kind::Gauge, help, value);
    }

    /// A sample with labels, of a metric whose head is written.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            // Memory takes everything.
            let _ = write!(self.0, "{before}{label}=\"{}\"", Escaped(text));
        }
        self.line(format_args!("}} {value}"));
    }

    /// The samples of a histogram, whose head is written.
    fn histogram(&mut self, name: &str, label: Option<(&str, &str)>, timings: &Timings) {
        let bucket = format!("{name}_bucket");
        for (bound, below) in timings.buckets() {
            let bound = bound.as_secs_f64().to_string();
            let labels: Vec<_> = label.into_iter().chain([("le", &*bound)]).collect();
            self.sample(&bucket, &labels, below);
        }
        let labels: Vec<_> = label.into_iter().chain([("le", "+Inf")]).collect();
        self.sample(&bucket, &labels, timings.count());
        for (part, value) in [
            ("sum", timings.sum().as_secs_f64().to_string()),
            ("count", timings.count().to_string()),
        ] {
            match label {
                Some(label) => self.sample(&format!("{name}_{part}"), &[label], value),
                None => self.line(format_args!("{name}_{part} {value}")),
            }
        }
    }
}

/// Writes everything.
pub(super) fn write(metrics: &Metrics) -> String {
    let mut page = Page(String::with_capacity(16 * 1024));
    let version = env!("CARGO_PKG_VERSION");
    page.head("landline_build_info", Kind::Gauge, "The version that runs; always 1.");
    page.sample("landline_build_info", &[("version", version)], 1);
    connections(&mut page, metrics);
    traffic(&mut page, metrics);
    ends(&mut page, metrics);
    http(&mut page, metrics);
    hub(&mut page, metrics);
    process(&mut page, metrics);
    page.0
}

fn connections(page: &mut Page, metrics: &Metrics) {
    page.gauge(
        "landline_connections",
        "Open connections, HTTP and WebSocket.",
        metrics.connections,
    );
    page.gauge(
        "landline_connections_limit",
        "Most connections that are admitted.",
        metrics.max_connections,
    );
    page.gauge(
        "landline_stopping",
        "1 while the server accepts nothing new because it is to stop.",
        u8::from(metrics.is_stopping),
    );
    let name = "landline_websockets";
    page.head(name, Kind::Gauge, "Open WebSockets by the pattern of their route.");
    for route in &metrics.routes {
        page.sample(name, &[("route", &route.route)], route.open);
    }
    let name = "landline_websockets_opened_total";
    page.head(name, Kind::Counter, "WebSockets opened, by the pattern of their route.");
    for route in &metrics.routes {
        page.sample(name, &[("route", &route.route)], route.opened);
    }
}

fn traffic(page: &mut Page, metrics: &Metrics) {
    let traffic = &metrics.traffic;
    page.counter(
        "landline_websocket_messages_received_total",
        "Whole messages of WebSocket clients; pings, pongs and closes are not counted.",
        traffic.messages_received,
    );
    page.counter(
        "landline_websocket_messages_sent_total",
        "Whole messages taken to be sent to WebSocket clients; pings, pongs and closes are not \
         counted.",
        traffic.messages_sent,
    );
    page.counter(
        "landline_websocket_received_bytes_total",
        "Bytes of WebSocket clients, headers and control frames included.",
        traffic.bytes_received,
    );
    page.counter(
        "landline_websocket_sent_bytes_total",
        "Bytes that the kernel has taken for WebSocket clients, the handshake's answer included.",
        traffic.bytes_sent,
    );
    page.gauge(
        "landline_websocket_queued_bytes",
        "Bytes that wait for WebSocket clients.",
        metrics.queued_bytes,
    );
    page.gauge(
        "landline_websocket_queue_high_water_bytes",
        "The most memory that the queue of one WebSocket client ever took.",
        metrics.queue_high_bytes,
    );
}

fn ends(page: &mut Page, metrics: &Metrics) {
    let name = "landline_websocket_closes_total";
    page.head(name, Kind::Counter, "WebSockets that have ended, by close code and reason.");
    for close in &metrics.closes {
        let code = match close.code {
            3000 => "3xxx".to_owned(),
            4000 => "4xxx".to_owned(),
            code => code.to_string(),
        };
        page.sample(name, &[("code", &code), ("reason", close.cause)], close.count);
    }
    let name = "landline_websocket_handshakes_refused_total";
    page.head(name, Kind::Counter, "Handshakes answered with another status than 101, by reason.");
    for (reason, count) in &metrics.refused_handshakes {
        page.sample(name, &[("reason", reason)], count);
    }
    let name = "landline_clients_refused_total";
    page.head(name, Kind::Counter, "Clients turned away by a limit, or for what their proxy said.");
    for (reason, count) in &metrics.refused_by_reason {
        page.sample(name, &[("reason", reason)], count);
    }
    page.gauge(
        "landline_silent_connections",
        "Open connections that have not sent a whole request yet.",
        metrics.silent_connections,
    );
    page.counter(
        "landline_clients_fast_total",
        "WebSocket clients that went on sending faster than they may and were closed with 1008.",
        metrics.fast_clients,
    );
    page.counter(
        "landline_clients_slow_total",
        "WebSocket clients that stopped reading and were closed with 1013.",
        metrics.slow_clients,
    );
}

fn http(page: &mut Page, metrics: &Metrics) {
    let name = "landline_http_responses_total";
    page.head(name, Kind::Counter, "HTTP answers by class of status.");
    for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(metrics.responses) {
        page.sample(name, &[("status", class)], count);
    }
    let name = "landline_handler_duration_seconds";
    page.head(
        name,
        Kind::Histogram,
        "Time of handlers: for HTTP from the end of the request's head until the handler returned, \
         for WebSocket from a message until the handler came for the next or returned (at most one \
         message of each connection and second is timed).",
    );
    page.histogram(name, Some(("kind", "http")), &metrics.http_handlers);
    page.histogram(name, Some(("kind", "websocket")), &metrics.websocket_handlers);
}

fn hub(page: &mut Page, metrics: &Metrics) {
    let hub = &metrics.hub;
    page.gauge(
        "landline_hub_groups",
        "Groups and channels with members, watchers or stored messages.",
        hub.groups,
    );
    page.counter(
        "landline_hub_messages_published_total",
        "Messages published to groups that are in use, channels, connections and everybody.",
        hub.published,
    );
    let name = "landline_hub_deliveries_total";
    let help = "Messages times members, by what became of them: written to the kernel at once, \
                abandoned in the queue of a connection that ended, or meant for a member that was \
                gone.";
    page.head(name, Kind::Counter, help);
    for (fate, count) in
        [("written", hub.written), ("abandoned", hub.abandoned), ("gone", hub.gone)]
    {
        page.sample(name, &[("fate", fate)], count);
    }
    let name = "landline_hub_messages_dropped_total";
    page.head(name, Kind::Counter, "Messages times members, dropped by the policy of their group.");
    for (policy, count) in &metrics.dropped_by_policy {
        page.sample(name, &[("policy", policy)], count);
    }
    page.gauge(
        "landline_hub_deliveries_queued",
        "Messages times members that wait for the member's client or handler.",
        hub.queued,
    );
    page.counter(
        "landline_hub_members_closed_total",
        "Members that the policy of their group closed with 1013.",
        hub.disconnected,
    );
    page.gauge(
        "landline_hub_relay_queue_messages",
        "Messages published and not yet with every member's relay.",
        hub.on_the_way,
    );
    page.gauge("landline_hub_relay_queue_bytes", "What those take.", hub.on_the_way_bytes);
    let name = "landline_hub_latency_seconds";
    page.head(
        name,
        Kind::Histogram,
        "From the publishing of a message until a relay had served the last of its members; one \
         time for each message and relay.",
    );
    page.histogram(name, None, &metrics.hub_latency);
}

fn process(page: &mut Page, metrics: &Metrics) {
    let process = &metrics.process;
    page.gauge("process_resident_memory_bytes", "Resident memory.", process.resident_bytes);
    page.gauge("process_virtual_memory_bytes", "Address space.", process.virtual_bytes);
    page.gauge("process_threads", "Threads.", process.threads);
    page.gauge("process_open_fds", "Open descriptors.", process.descriptors);
    page.gauge("process_max_fds", "Most open descriptors.", process.max_descriptors);
    page.counter("process_cpu_seconds_total", "User and system time.", process.cpu.as_secs_f64());
    page.gauge(
        "process_start_time_seconds",
        "When the process was started, since the epoch.",
        process.started.as_secs_f64(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_escaped() {
        let mut page = Page::default();
        page.sample("a", &[("route", "/\"<x>\\\n"), ("b", "")], 1);
        assert_eq!(page.0, "a{route=\"/\\\"<x>\\\\\\n\",b=\"\"} 1\n");
    }

    #[test]
    fn a_histogram_ends_with_all_its_sum_and_its_count() {
        let mut page = Page::default();
        page.histogram("h", Some(("kind", "x")), &Timings::default());
        let lines: Vec<&str> = page.0.lines().collect();
        assert_eq!(lines[0], "h_bucket{kind=\"x\",le=\"0.00001\"} 0");
        let end =
            ["h_bucket{kind=\"x\",le=\"+Inf\"} 0", "h_sum{kind=\"x\"} 0", "h_count{kind=\"x\"} 0"];
        assert!(lines.ends_with(&end), "{lines:?}");
    }
}
