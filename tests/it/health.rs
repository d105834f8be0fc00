//! Whether a server is alive and ready, as load balancers and supervisors ask it.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use landline::{Bytes, Hub, Probe, Request, Result, Server, WebSocket, require_websocket};
use serde_json::Value;

use crate::harness::{Reply, Running, echo, patient};

fn probed(hub: Hub) -> Running {
    let member = |_: &Request, ws: &WebSocket| -> Result<()> {
        ws.join("group")?;
        while ws.wait()?.is_some() {}
        Ok(())
    };
    let builder = Server::builder().config(patient()).hub(hub);
    Running::start(
        builder
            .route("/healthz", Probe::alive())
            .route("/readyz", Probe::ready())
            .route("/ws", require_websocket(member))
            .route("/echo", require_websocket(echo)),
    )
}

fn json(reply: &Reply) -> Value {
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    serde_json::from_slice(&reply.body).expect("JSON")
}

/// A payload whose end waits: the code of an application that stalls a relay.
struct Stalling(Mutex<Receiver<()>>);

impl AsRef<[u8]> for Stalling {
    fn as_ref(&self) -> &[u8] {
        b"stall"
    }
}

impl Drop for Stalling {
    fn drop(&mut self) {
        let _ = self.0.lock().unwrap().recv();
    }
}

#[test]
fn a_server_at_rest_is_alive_and_ready() {
    let server = probed(Hub::new());
    let reply = server.connect().get("/healthz");
    let body = json(&reply);
    assert_eq!((reply.status, &body["alive"], &body["keeper"]), (200, &true.into(), &true.into()));
    assert!(body["hub_ms"].as_f64().is_some_and(|time| time > 0.0), "{body}");
    let reply = server.connect().get("/readyz");
    assert_eq!((reply.status, json(&reply)), (200, serde_json::json!({ "ready": true })));
    let mut client = server.connect();
    client.send("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.reply_to("HEAD").status, 200);
    let reply =
        client.ask("POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")));
}

#[test]
fn a_stalled_hub_is_not_alive_and_recovers() {
    let hub = Hub::builder().relays(1).build();
    let server = probed(hub.clone());
    let mut member = server.websocket("/ws");
    crate::harness::eventually("it has joined", || hub.group("group").len() == 1);
    let (release, released) = channel();
    let message = Bytes::from_owner(Stalling(Mutex::new(released)));
    drop(hub.group("group").send(message).unwrap());
    assert_eq!(member.expect_binary(), b"stall");
    let reply = server.connect().get("/healthz");
    let body = json(&reply);
    assert_eq!((reply.status, &body["alive"], &body["hub_ms"]), (503, &false.into(), &Value::Null));
    assert_eq!(body["keeper"], true, "the keeper is not at fault");
    // However often it is asked, what is asked of the hub does not pile up, and it comes back.
    assert_eq!(server.connect().get("/healthz").status, 503);
    drop(release);
    assert_eq!(server.connect().get("/healthz").status, 200);
}

#[test]
fn a_server_that_drains_is_alive_but_not_ready() {
    let server = probed(Hub::new());
    let (mut open, mut client) = (server.connect(), server.websocket("/echo"));
    assert_eq!(open.get("/readyz").status, 200);
    let handle = server.handle.clone();
    let other = Server::builder()
        .route("/readyz", Probe::ready().of(&handle))
        .route("/healthz", Probe::alive().of(&handle));
    let other = Running::start(other);
    assert_eq!(other.connect().get("/readyz").status, 200);
    handle.stop();
    assert_eq!(client.expect_close().0, 1001);
    let reply = other.connect().get("/readyz");
    assert_eq!((reply.status, &json(&reply)["ready"]), (503, &false.into()));
    assert_eq!(other.connect().get("/healthz").status, 200);
    client.send_close(1001, "");
}

#[test]
fn a_full_server_is_not_ready() {
    let config = patient().with_max_connections(Some(1));
    let server =
        Running::start(Server::builder().config(config).route("/ws", require_websocket(echo)));
    assert_eq!(server.handle.reluctance(), None);
    let client = server.websocket("/ws");
    assert_eq!(server.handle.reluctance(), Some("full"));
    drop(client);
}
