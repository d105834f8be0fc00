//! What is counted: against traffic that is known, while connections come and go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use landline::{
    Config, Error, Metrics, Origins, Probe, Request, Response, Result, Server, Traffic, WebSocket,
    accept_websocket, require_websocket,
};

use crate::harness::{Client, Running, echo, eventually, patient, websocket_server};

/// The value of a sample in Prometheus' text.
fn sample(text: &str, name: &str) -> Option<f64> {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

fn opened(metrics: &Metrics, route: &str) -> (usize, u64) {
    let found = metrics.routes.iter().find(|figures| &*figures.route == route);
    found.map_or((0, 0), |figures| (figures.open, figures.opened))
}

fn closes(metrics: &Metrics, code: u16, cause: &str) -> u64 {
    let same = |close: &&landline::CloseFigures| (close.code, close.cause) == (code, cause);
    metrics.closes.iter().find(same).map_or(0, |close| close.count)
}

fn refusals(metrics: &Metrics, word: &str) -> u64 {
    let found = metrics.refused_handshakes.iter().find(|(reason, _)| *reason == word);
    found.expect("a known reason").1
}

#[test]
fn messages_and_bytes_are_those_that_went_by() {
    let server = websocket_server(patient(), echo);
    let before = server.handle.metrics().traffic;
    assert_eq!(before, Traffic::default());
    let mut client = server.connect();
    let answer = client.handshake("/ws").head.len() as u64;
    for number in 0..20 {
        client.expect_echo(&format!("{number:010}"));
    }
    // Pings are no messages.
    client.send_frame(0x89, "are you there");
    assert_eq!(client.next_frame().first, 0x8a);
    let now = server.handle.metrics();
    assert_eq!((now.traffic.messages_received, now.traffic.messages_sent), (20, 20));
    assert_eq!(now.traffic.bytes_received, 20 * (6 + 10) + 6 + 13);
    assert_eq!(now.traffic.bytes_sent, answer + 20 * (2 + 10) + 2 + 13);
    assert_eq!((now.connections, opened(&now, "/ws"), now.queued_bytes), (1, (1, 1), 0));
    assert!(now.websocket_handlers.count() >= 1);
    client.say_goodbye();
    server.becomes_empty();
    let then = server.handle.metrics();
    assert_eq!((then.traffic.messages_received, then.traffic.messages_sent), (20, 20));
    assert_eq!((opened(&then, "/ws"), closes(&then, 1000, "client")), ((0, 1), 1));
}

#[test]
fn no_count_goes_back_while_connections_end() {
    const CLIENTS: u64 = 60;
    const MESSAGES: u64 = 15;
    let server = websocket_server(patient(), echo);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let scraper = scope.spawn(|| {
            let mut looks = 0;
            let mut before = server.handle.metrics();
            while !is_over.load(Ordering::Relaxed) {
                let now = server.handle.metrics();
                let (old, new) = (before.traffic, now.traffic);
                assert!(old.messages_received <= new.messages_received, "{old:?} {new:?}");
                assert!(old.messages_sent <= new.messages_sent, "{old:?} {new:?}");
                assert!(old.bytes_received <= new.bytes_received, "{old:?} {new:?}");
                assert!(old.bytes_sent <= new.bytes_sent, "{old:?} {new:?}");
                let ended = |metrics: &Metrics| metrics.closes.iter().map(|c| c.count).sum::<u64>();
                assert!(ended(&before) <= ended(&now));
                before = now;
                looks += 1;
            }
            looks
        });
        let clients = [(); 3].map(|()| {
            scope.spawn(|| {
                for _ in 0..CLIENTS / 3 {
                    let mut client = server.websocket("/ws");
                    (0..MESSAGES).for_each(|_| client.expect_echo("tick"));
                    client.say_goodbye();
                }
            })
        });
        clients.into_iter().for_each(|client| client.join().unwrap());
        server.becomes_empty();
        is_over.store(true, Ordering::Relaxed);
        assert!(scraper.join().unwrap() > 0);
    });
    let metrics = server.handle.metrics();
    let all = CLIENTS * MESSAGES;
    assert_eq!((metrics.traffic.messages_received, metrics.traffic.messages_sent), (all, all));
    assert_eq!(
        (opened(&metrics, "/ws"), closes(&metrics, 1000, "client")),
        ((0, CLIENTS), CLIENTS)
    );
}

#[test]
fn every_end_has_its_cause_and_clients_cannot_invent_one() {
    let handler = |_: &Request, ws: &WebSocket| {
        match ws.wait()?.and_then(|message| message.as_text().map(str::to_owned)).as_deref() {
            Some("fail") => return Err(Error::other("as asked")),
            Some("panic") => panic!("as asked"),
            Some("close") => ws.close(4001, "said by the application")?,
            Some("wait") => while ws.wait()?.is_some() {},
            _ => {}
        }
        Ok(())
    };
    let server = websocket_server(patient(), handler);
    for word in ["done", "fail", "panic", "close"] {
        let mut client = server.websocket("/ws");
        client.send_text(word);
        client.answer_close();
    }
    for code in [4000, 4711, 4999] {
        let mut client = server.websocket("/ws");
        client.send_close(code, "\"} 1\nlandline_stopping 1");
        client.expect_closed(code);
    }
    server.websocket("/ws").reset();
    let mut client = server.websocket("/ws");
    client.send_frame(0x83, "reserved");
    client.expect_close();
    drop(client);
    server.becomes_empty();
    let metrics = server.handle.metrics();
    for (code, cause, count) in [
        (1000, "done", 1),
        (1011, "handler-failed", 2),
        (4000, "application", 1),
        (4000, "client", 3),
        (1006, "lost", 1),
        (1002, "protocol", 1),
    ] {
        assert_eq!(closes(&metrics, code, cause), count, "{code} {cause}: {:?}", metrics.closes);
    }
    let text = metrics.to_prometheus();
    let name = "landline_websocket_closes_total{code=\"4xxx\",reason=\"client\"}";
    assert_eq!(sample(&text, name), Some(3.0));
    assert_eq!(sample(&text, "landline_stopping"), Some(0.0));
}

#[test]
fn refused_handshakes_and_answers_are_counted_by_what_they_were() {
    let page = accept_websocket(|request: &Request| match request.query("no") {
        Some(_) => Response::text("no").with_status(401),
        None => Response::text("a page"),
    });
    let server = Running::start(
        Server::builder()
            .origins(Origins::same_host())
            .route("/ws", require_websocket(echo))
            .route("/page", page)
            .route("/plain", |_: &Request| "plain"),
    );
    let ask = |head: &str| server.connect().ask(head).status;
    let handshake = |path: &str, more: &str| {
        Client::handshake_head(path).replace("\r\n\r\n", &format!("\r\n{more}\r\n\r\n"))
    };
    let foreign = handshake("/ws", "Origin: http://evil.example");
    for (head, status) in [
        (foreign, 403),
        (handshake("/nowhere", "X: y"), 404),
        (handshake("/plain", "X: y"), 400),
        (handshake("/page?no=1", "X: y"), 401),
        (handshake("/ws", "X: y").replace("Version: 13", "Version: 12"), 426),
        ("GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n".into(), 426),
        ("GET /plain HTTP/1.1\r\nHost: localhost\r\n\r\n".into(), 200),
        ("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n".into(), 404),
        ("nonsense\r\n\r\n".into(), 400),
    ] {
        assert_eq!(ask(&head), status, "{head}");
    }
    let metrics = server.handle.metrics();
    let counted = ["origin", "not-found", "bad-request", "unauthorized", "version", "forbidden"];
    assert_eq!(counted.map(|word| refusals(&metrics, word)), [1, 1, 1, 1, 1, 0]);
    assert_eq!(metrics.responses, [0, 1, 0, 8, 0]);
    assert_eq!(metrics.http_handlers.count(), 8, "but for the one that was not understood");
}

#[test]
fn a_path_is_never_a_label() {
    let server = Running::start(
        Server::builder()
            .route("/room/<name>/", require_websocket(echo))
            .route("/metrics", Probe::metrics()),
    );
    let clients: Vec<Client> =
        ["a", "b", "%22%7d"].map(|name| server.websocket(&format!("/room/{name}/"))).into();
    let reply = server.connect().get("/metrics");
    assert_eq!(reply.header("content-type"), Some(Metrics::CONTENT_TYPE));
    let samples = reply.text().lines().filter(|line| line.starts_with("landline_websockets{"));
    assert_eq!(samples.collect::<Vec<_>>(), ["landline_websockets{route=\"/room/<name>/\"} 3"]);
    assert_eq!(clients.len(), 3);
}

#[test]
fn what_waits_for_a_client_is_seen_and_so_is_what_is_dropped() {
    let config = patient().with_outbound_bytes(256 * 1024);
    let hub = landline::Hub::builder().overflow(landline::Overflow::DropOldest).build();
    let member = |_: &Request, ws: &WebSocket| -> Result<()> {
        ws.join("news")?;
        while ws.wait()?.is_some() {}
        Ok(())
    };
    let builder = Server::builder().config(config).hub(hub.clone());
    let server = Running::start(builder.route("/ws", require_websocket(member)));
    let mut client = server.connect();
    client.hold_little();
    client.handshake("/ws");
    let group = hub.group("news");
    let mut rounds = 0;
    while group.stats().dropped == 0 {
        group.send(vec![b'x'; 64 * 1024]).unwrap().wait();
        rounds += 1;
        assert!(rounds < 10_000, "the queue never fills");
    }
    let metrics = server.handle.metrics();
    assert!(metrics.queued_bytes > 128 * 1024, "{}", metrics.queued_bytes);
    assert!(metrics.queue_high_bytes >= metrics.queued_bytes);
    let dropped: Vec<_> = hub.dropped_by_policy().filter(|(_, count)| *count > 0).collect();
    assert_eq!(dropped, [("drop-oldest", group.stats().dropped)]);
    assert_eq!(metrics.hub.published, rounds);
    assert!(metrics.hub_latency.count() >= rounds, "{:?}", metrics.hub_latency);
    let all = server.handle.connections_now();
    assert_eq!(
        (all[0].lost, &all[0].groups[..]),
        (group.stats().dropped, &["news".to_owned()][..])
    );
    eventually("the flight recorder notes it", || {
        let (_, events) = server.handle.connection(all[0].id).expect("an open connection");
        let kinds: Vec<&str> = events.iter().map(landline::TraceEvent::kind).collect();
        kinds.contains(&"dropped") && kinds.contains(&"queue-high")
    });
}

#[test]
fn whatever_the_policy_each_drop_is_counted_under_its_name_and_in_all() {
    use landline::Overflow::{Block, Disconnect, DropOldest, Latest};
    let member = |_: &Request, ws: &WebSocket| -> Result<()> {
        ws.join("news")?;
        while ws.wait()?.is_some() {}
        Ok(())
    };
    for (policy, word) in [
        (Disconnect, "disconnect"),
        (DropOldest, "drop-oldest"),
        (Latest, "latest"),
        (Block(Duration::from_millis(1)), "block"),
    ] {
        let hub = landline::Hub::builder().overflow(policy).build();
        let config = patient().with_outbound_bytes(256 * 1024);
        let builder = Server::builder().config(config).hub(hub.clone());
        let server = Running::start(builder.route("/ws", require_websocket(member)));
        let mut client = server.connect();
        client.hold_little();
        client.handshake("/ws");
        let (group, mut rounds, mut told) = (hub.group("news"), 0, 0);
        // Ones that are too large for the queue are dropped at once, whatever it holds.
        for bytes in [64, 2048].map(|kib| kib * 1024) {
            let before = hub.stats().dropped;
            while hub.stats().dropped == before && group.len() == 1 {
                told += group.send(vec![b'x'; bytes]).unwrap().wait().dropped;
                rounds += 1;
                assert!(rounds < 10_000, "{word}: the queue never fills");
            }
        }
        let metrics = server.handle.metrics();
        let counted: Vec<_> = metrics.dropped_by_policy.iter().filter(|(_, n)| *n > 0).collect();
        assert_eq!(counted, [&(word, metrics.hub.dropped)], "{word}");
        assert!(metrics.hub.dropped >= told as u64 && metrics.hub.dropped > 0, "{word}: {told}");
        let hub = &metrics.hub;
        let all = hub.written + hub.queued + hub.dropped + hub.abandoned + hub.gone;
        assert_eq!(all, hub.published, "{word}: there is one member");
    }
}

#[test]
fn who_a_connection_is_and_what_was_agreed_on_is_told_until_after_its_end() {
    let builder = Server::builder()
        .trusted_proxies("127.0.0.1".parse().unwrap())
        .proxy_headers(landline::ProxyHeaders::XForwarded)
        .route("/ws", require_websocket(echo).subprotocols(["chat.v2"]))
        .route("/chosen", accept_websocket(chosen));
    let server = Running::start(builder);
    let lines = "X-Forwarded-For: 10.1.2.3\r\nSec-WebSocket-Protocol: other, chat.v2\r\n\
                 Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let shake = |path: &str, lines: &str| {
        let mut client = server.connect();
        let head = Client::handshake_head(path);
        let reply = client.ask(format!("{}{lines}", head.strip_suffix("\r\n").unwrap()));
        assert_eq!(reply.status, 101, "{}", reply.text());
        client
    };
    let mut clients =
        [shake("/ws", lines), shake("/chosen", "Sec-WebSocket-Protocol: other\r\n\r\n")];
    let plain = shake("/ws", "\r\n");
    let told: Vec<_> = server.handle.connections_now();
    let [one, two, three] = &told[..] else { panic!("three are open: {told:?}") };
    assert_eq!((one.client, one.is_compressed), ([10, 1, 2, 3].into(), true));
    assert_eq!(one.subprotocol.as_deref(), Some("chat.v2"));
    assert_eq!((two.client, two.is_compressed), ([127, 0, 0, 1].into(), false));
    assert_eq!(two.subprotocol.as_deref(), Some("other"));
    assert_eq!((three.client, &three.subprotocol), (three.peer.ip(), &None));
    clients.iter_mut().for_each(Client::say_goodbye);
    drop(plain);
    server.becomes_empty();
    let closed = server.handle.closed_connections();
    let story = closed.iter().find(|story| story.info.id == one.id).expect("it has ended");
    assert_eq!((story.info.client, &story.info.subprotocol), (one.client, &one.subprotocol));
    assert_eq!((story.info.is_compressed, story.cause), (true, "client"));
}

/// Chooses what the client offers first.
fn chosen(request: &Request) -> Result<Response> {
    let Some(ws) = request.websocket() else { return Ok(Response::text("none")) };
    ws.accept_with(ws.subprotocols().first().map(String::as_str), &[])?;
    echo(request, ws)?;
    Ok(Response::closed())
}

#[test]
fn the_process_has_figures() {
    let server = websocket_server(Config::default(), echo);
    let metrics = server.handle.metrics();
    assert!(metrics.process.resident_bytes > 0 && metrics.process.descriptors > 0);
    assert!(metrics.uptime() < Duration::from_secs(24 * 3600));
    let text = metrics.to_prometheus();
    for name in ["process_resident_memory_bytes", "process_threads", "process_open_fds"] {
        assert!(sample(&text, name).is_some_and(|value| value > 0.0), "{name}");
    }
    let version = format!("landline_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(sample(&text, &version), Some(1.0));
}
