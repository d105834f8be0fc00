//! Threads and descriptors are back when connections and servers are over.

use std::time::Duration;

use landline::{Config, Hub, Join, Request, Result, Server, WebSocket, require_websocket};

use crate::counts::{alone, hub_threads, routes, server_threads, sockets};
use crate::harness::{Client, Running, eventually};

/// Clients in every state, some of them refused.
fn crowd(server: &Running) -> Vec<Client> {
    let mut clients = Vec::new();
    for turn in 0..120 {
        let mut client = server.connect();
        let bytes = match turn % 6 {
            0 => String::new(),
            1 => "GET / HTTP/1.1\r\nHost: loc".to_owned(),
            2 => "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            3 => "nonsense\r\n\r\n".to_owned(),
            4 => Client::handshake_head("/"),
            _ => "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_owned(),
        };
        client.send(bytes);
        clients.push(client);
    }
    // The last one is answered, or refused, after all others have been accepted.
    assert!(clients.last_mut().unwrap().receive());
    clients
}

fn server(limit: usize) -> Running {
    let config = Config::default()
        .with_max_connections(Some(limit))
        .with_shutdown_grace(Duration::from_millis(300));
    Running::start(routes().config(config))
}

#[test]
fn connections_leave_nothing_behind() {
    let _alone = alone();
    let server = server(100);
    assert_eq!(server.connect().get("/").text(), "here");
    eventually("only the server is there", || server.handle.connections() == 0);
    eventually("only accept and keeper are there", || server_threads() == 2);
    let before = sockets();
    for _ in 0..3 {
        drop(crowd(&server));
        eventually("the places are free", || server.handle.connections() == 0);
        eventually("the threads have ended", || server_threads() == 2);
        eventually("the descriptors are closed", || sockets() == before);
    }
    assert_eq!(server.connect().get("/").text(), "here");
}

#[test]
fn a_server_leaves_nothing_behind() {
    let _alone = alone();
    eventually("the last test is over", || server_threads() == 0);
    let before = sockets();
    for turn in 0..4 {
        let mut server = server(1000);
        let clients = crowd(&server);
        if turn % 2 == 0 {
            server.handle.stop()
        } else {
            server.handle.stop_now()
        }
        server.join().unwrap();
        drop(server);
        eventually("the threads have ended", || server_threads() == 0);
        drop(clients);
        eventually("the descriptors are closed", || sockets() == before);
    }
}

#[test]
fn a_server_that_never_ran_leaves_nothing_behind() {
    let _alone = alone();
    eventually("the last test is over", || server_threads() == 0);
    let before = sockets();
    let server = routes().bind("127.0.0.1:0").unwrap();
    assert!(sockets() > before);
    drop(server);
    let failed = routes().bind("127.0.0.1:0").unwrap().bind("192.0.2.1:1");
    assert!(failed.is_err());
    eventually("the threads have ended", || server_threads() == 0);
    assert_eq!(sockets(), before);
}

/// Joins with a user's name and publishes what it receives.
fn member(request: &Request, ws: &WebSocket) -> Result<()> {
    ws.join_with("room", Join::default().user("anna"))?;
    for message in ws {
        request.hub().group("room").send(message?)?;
    }
    Ok(())
}

#[test]
fn a_hub_leaves_no_thread_behind() {
    let _alone = alone();
    eventually("the last test is over", || hub_threads() == 0);
    let hub = Hub::builder().relays(3).build();
    let builder = Server::builder().hub(hub.clone()).route("/", require_websocket(member));
    let mut server = Running::start(builder);
    assert_eq!(hub_threads(), 0, "a hub that nobody uses has no thread");
    let mut clients: Vec<_> = (0..5).map(|_| server.websocket("/")).collect();
    clients[0].send_text("to all");
    clients.iter_mut().for_each(|client| assert_eq!(client.expect_text(), "to all"));
    // A thread takes its name when it first runs.
    eventually("three relays and presence", || hub_threads() == 4);
    // What is kept of the hub keeps no thread of it.
    let (group, members) = (hub.group("room"), hub.group("room").members());
    let delivery = group.send("the last").unwrap();
    server.handle.stop_now();
    server.join().unwrap();
    drop((server, hub, group));
    eventually("the threads have ended", || hub_threads() == 0);
    assert_eq!(delivery.wait().gone + delivery.wait().written, 5);
    assert_eq!(members.len(), 5);
    drop(clients);
}
