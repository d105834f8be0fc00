//! What an inbox for group messages costs: a descriptor, from its first use to the end.

use landline::{Hub, Result, Server, WebSocket, require_websocket};

use crate::counts::{alone, server_threads, sockets};
use crate::descriptors::Exhausted;
use crate::harness::{Client, Running, eventually, tell};

/// Waits for both if its client says so, for the client alone otherwise.
fn wait(ws: &WebSocket) -> Result<()> {
    while let Some(message) = ws.wait()? {
        ws.send(message.clone())?;
        if message.as_text() == Some("both") {
            return ws.wait_any().map(drop);
        }
    }
    Ok(())
}

#[test]
fn an_inbox_takes_a_descriptor_when_it_is_used_and_gives_it_back() {
    let _alone = alone();
    let (tell, told) = tell();
    let server = Running::start(Server::builder().route(
        "/ws",
        require_websocket(move |_, ws| {
            // A sender that is kept must keep no descriptor.
            tell.send(ws.sender()?).unwrap();
            wait(ws)
        }),
    ));
    // The server has everything of its own once it has served somebody.
    assert_eq!(server.connect().get("/").status, 404);
    eventually("nobody is connected", || server.handle.connections() == 0);
    eventually("only accept and keeper are there", || server_threads() == 2);
    let empty = sockets();
    let mut clients: Vec<Client> = (0..10).map(|_| server.websocket("/ws")).collect();
    clients.iter_mut().for_each(|client| client.expect_echo("here"));
    let before = sockets();
    clients[..5].iter_mut().for_each(|client| client.expect_echo("both"));
    eventually("five have an inbox", || sockets() == before + 5);
    drop(clients);
    eventually("all are gone", || server.handle.connections() == 0);
    eventually("the descriptors are back", || sockets() == empty);
    let senders: Vec<_> = (0..10).map(|_| told.next()).collect();
    assert!(senders.iter().all(|sender| sender.is_closed()));
}

#[test]
fn without_a_descriptor_the_handshake_is_answered_500() {
    let _alone = alone();
    let hub = Hub::new();
    let builder = Server::builder().hub(hub.clone());
    let builder = builder.route("/any", require_websocket(|_, ws| ws.wait_any().map(drop)));
    let builder = builder.route("/inbox", require_websocket(|_, ws| ws.inbox()?.join("room")));
    let server = Running::start(builder.route("/plain", require_websocket(|_, ws| wait(ws))));
    let mut clients: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    // They have their threads and descriptors before there are none.
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 404));
    let exhausted = Exhausted::new();
    for (client, path) in clients.iter_mut().zip(["/any", "/inbox"]) {
        assert_eq!(client.ask(Client::handshake_head(path)).status, 500, "{path}");
    }
    assert!(hub.is_empty() && hub.group("room").is_empty());
    clients[2].handshake("/plain");
    clients[2].expect_echo("it needs none");
    drop(exhausted);
    clients[0].handshake("/inbox");
    assert_eq!(clients[0].answer_close().0, 1000);
}
