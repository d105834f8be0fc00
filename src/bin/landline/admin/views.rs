//! What the page shows, as JSON.

use std::cmp::Reverse;
use std::time::{Duration, SystemTime};

use landline::{ClosedConnection, ConnectionInfo, Metrics, Request, Response, TraceEvent};
use serde_json::{Value, json};

use super::Admin;
use super::access::{Refused, answer};
use super::sampler::millis_of;

/// Most rows of a table; a filter finds the others.
const MOST_ROWS: usize = 200;

/// The figures for Prometheus, for who may see them.
pub(super) fn metrics(admin: &Admin, request: &Request) -> Result<Response, Refused> {
    let text = admin.server(request)?.metrics().to_prometheus();
    Ok(Response::bytes(Metrics::CONTENT_TYPE, text).with_header("Cache-Control", "no-store"))
}

/// The plots and the numbers above them.
pub(super) fn figures(admin: &Admin, request: &Request) -> Result<Response, Refused> {
    let handle = admin.server(request)?;
    let since = request.query("since").and_then(|since| since.parse().ok()).unwrap_or(0);
    let (metrics, hub) = (handle.metrics(), handle.hub());
    let closes: Vec<Value> = metrics
        .closes
        .iter()
        .map(|close| json!({ "code": close.code, "cause": close.cause, "count": close.count }))
        .collect();
    let routes: Vec<Value> = metrics
        .routes
        .iter()
        .map(|route| json!({ "route": &*route.route, "open": route.open, "opened": route.opened }))
        .collect();
    Ok(answer(&json!({
        "samples": admin.samples.after(since),
        "may_change": admin.access.has_key(),
        "reluctance": handle.reluctance(),
        "connections": metrics.connections,
        "max_connections": metrics.max_connections,
        "websockets": hub.len(),
        "uptime": metrics.uptime().as_secs(),
        "received": metrics.traffic.messages_received,
        "sent": metrics.traffic.messages_sent,
        "queued_bytes": metrics.queued_bytes,
        "queue_high_bytes": metrics.queue_high_bytes,
        "dropped": metrics.hub.dropped,
        "slow_clients": metrics.slow_clients,
        "refused_clients": metrics.refused_clients,
        "refused_handshakes": metrics.refused_handshakes.iter().map(|(_, count)| count).sum::<u64>(),
        "groups": metrics.hub.groups,
        "published": metrics.hub.published,
        "on_the_way": metrics.hub.on_the_way,
        "resident_bytes": metrics.process.resident_bytes,
        "threads": metrics.process.threads,
        "descriptors": metrics.process.descriptors,
        "closes": closes,
        "routes": routes,
    })))
}

/// The open connections.
pub(super) fn connections(admin: &Admin, request: &Request) -> Result<Response, Refused> {
    let filter = Filter::of(request);
    let all = admin.server(request)?.connections_now();
    // The newest first, and among equals too.
    let mut found: Vec<&ConnectionInfo> =
        all.iter().rev().filter(|info| filter.fits_info(info)).collect();
    if let Some(measure) = measure_of(request) {
        found.sort_by_key(|info| Reverse(measure(info)));
    }
    let rows: Vec<Value> = found.iter().take(MOST_ROWS).map(|info| row(info)).collect();
    Ok(answer(&json!({ "all": all.len(), "found": found.len(), "rows": rows })))
}

/// One open connection, with its events.
pub(super) fn connection(admin: &Admin, request: &Request) -> Result<Response, Refused> {
    let id = id_of(request)?;
    let Some((info, events)) = admin.server(request)?.connection(id) else { return Err(gone()) };
    let mut row = row(&info);
    row["groups"] = json!(info.groups);
    row["events"] = self::events(&events);
    Ok(answer(&row))
}

/// The last that have ended.
pub(super) fn closed(admin: &Admin, request: &Request) -> Result<Response, Refused> {
    let filter = Filter::of(request);
    let all = admin.server(request)?.closed_connections();
    let fits = |story: &&std::sync::Arc<ClosedConnection>| filter.fits_closed(story);
    let mut found: Vec<_> = all.iter().filter(fits).collect();
    match (request.query("sort"), measure_of(request)) {
        (Some("age"), _) => found.sort_by_key(|story| Reverse(story.open_for)),
        (_, Some(measure)) => found.sort_by_key(|story| Reverse(measure(&story.info))),
        _ => {}
    }
    let rows: Vec<Value> = found.iter().take(MOST_ROWS).map(|story| closed_row(story)).collect();
    Ok(answer(&json!({ "all": all.len(), "found": found.len(), "rows": rows })))
}

/// One that has ended, with its events.
pub(super) fn closed_one(admin: &Admin, request: &Request) -> Result<Response, Refused> {
    let id = id_of(request)?;
    let all = admin.server(request)?.closed_connections();
    let story = all.iter().find(|story| story.info.id == id).ok_or_else(gone)?;
    let mut row = closed_row(story);
    row["events"] = events(&story.events);
    Ok(answer(&row))
}

/// The groups, those with the most members first.
pub(super) fn groups(admin: &Admin, request: &Request) -> Result<Response, Refused> {
    let filter = Filter::of(request);
    let hub = admin.server(request)?.hub();
    let names = hub.group_names();
    let mut found: Vec<_> = names
        .iter()
        .filter(|name| filter.fits([name.as_str()]))
        .map(|name| (name, hub.group(name).stats()))
        .collect();
    found.sort_by_key(|(_, stats)| {
        Reverse(match request.query("sort").unwrap_or("") {
            "published" => stats.published,
            "written" => stats.written,
            "queued" => stats.queued,
            "dropped" => stats.dropped,
            _ => stats.members as u64,
        })
    });
    let row = |(name, stats): &(&String, landline::GroupStats)| {
        json!({
            "name": name,
            "members": stats.members,
            "published": stats.published,
            "written": stats.written,
            "queued": stats.queued,
            "dropped": stats.dropped,
        })
    };
    let rows: Vec<Value> = found.iter().take(MOST_ROWS).map(row).collect();
    Ok(answer(&json!({ "all": names.len(), "found": found.len(), "rows": rows })))
}

/// What connections are sorted by, the most first; without it the newest comes first.
fn measure_of(request: &Request) -> Option<fn(&ConnectionInfo) -> u64> {
    Some(match request.query("sort")? {
        "age" => |info| age_of(info.since).as_millis() as u64,
        "received" => |info| info.traffic.messages_received,
        "sent" => |info| info.traffic.messages_sent,
        "queued" => |info| info.queued_bytes as u64,
        "groups" => |info| info.groups.len() as u64,
        _ => return None,
    })
}

/// How long ago something was, by the clock that it was taken from: a browser's may go wrong.
fn age_of(time: SystemTime) -> Duration {
    time.elapsed().unwrap_or_default()
}

fn gone() -> Refused {
    Refused::new(404, "There is no such connection any more.")
}

pub(super) fn id_of(request: &Request) -> Result<u64, Refused> {
    request.param("id").and_then(|id| id.parse().ok()).ok_or_else(gone)
}

fn row(info: &ConnectionInfo) -> Value {
    json!({
        "id": info.id,
        "peer": info.peer.to_string(),
        "forwarded": (info.client != info.peer.ip()).then(|| info.client.to_string()),
        "subprotocol": info.subprotocol,
        "compressed": info.is_compressed,
        "route": &*info.route,
        "user": info.user,
        "since": millis_of(info.since),
        "age": age_of(info.since).as_secs_f64(),
        "received": info.traffic.messages_received,
        "sent": info.traffic.messages_sent,
        "bytes_received": info.traffic.bytes_received,
        "bytes_sent": info.traffic.bytes_sent,
        "queued": info.queued_bytes,
        "high": info.queue_high_bytes,
        "lost": info.lost,
        "groups": info.groups.len(),
    })
}

fn closed_row(story: &ClosedConnection) -> Value {
    let mut row = row(&story.info);
    row["ended"] = json!(millis_of(story.ended));
    row["ago"] = json!(age_of(story.ended).as_secs_f64());
    row["seconds"] = json!(story.open_for.as_millis() as f64 / 1000.0);
    row["code"] = json!(story.closed.code());
    row["reason"] = json!(story.closed.reason());
    row["clean"] = json!(story.closed.is_clean());
    row["cause"] = json!(story.cause);
    row
}

fn events(events: &[TraceEvent]) -> Value {
    let seconds = |time: Duration| time.as_millis() as f64 / 1000.0;
    let event = |event: &TraceEvent| json!({ "after": seconds(event.after()), "kind": event.kind(), "text": event.to_string() });
    events.iter().map(event).collect()
}

/// What is looked for, in small letters.
struct Filter(String);

impl Filter {
    fn of(request: &Request) -> Self {
        Self(request.query("filter").unwrap_or("").trim().to_lowercase())
    }

    fn fits<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> bool {
        self.0.is_empty() || texts.into_iter().any(|text| text.to_lowercase().contains(&self.0))
    }

    fn fits_info(&self, info: &ConnectionInfo) -> bool {
        let (id, peer) = (format!("conn-{}", info.id), info.peer.to_string());
        let client = info.client.to_string();
        let user = info.user.as_deref().unwrap_or("");
        let texts = [&*id, &*peer, &*client, &*info.route, user];
        self.fits(texts)
            || (!self.0.is_empty() && self.fits(info.groups.iter().map(|g| g.as_str())))
    }

    fn fits_closed(&self, story: &ClosedConnection) -> bool {
        let code = story.closed.code().to_string();
        self.fits_info(&story.info) || self.fits([&*code, story.closed.reason(), story.cause])
    }
}
