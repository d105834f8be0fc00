//! What an idle WebSocket keeps resident: two pages of its thread's stack and little of the heap.

use crate::counts::{Growth, alone, routes};
use crate::harness::{Client, Running, eventually};

const CONNECTIONS: usize = 400;

/// Most bytes for each, those of its client in this process included. Frames of code that is not
/// optimised are several times as large.
const MOST: usize = if cfg!(debug_assertions) { 32 << 10 } else { 14 << 10 };

fn opened(server: &Running, count: usize) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..count).map(|_| server.websocket("/")).collect();
    for client in &mut clients {
        client.expect_echo("hello");
        client.buffer = Vec::new();
    }
    clients
}

#[test]
fn an_idle_websocket_is_small() {
    let _alone = alone();
    let server = Running::start(routes());
    let warm = opened(&server, 20);
    let growth = Growth::start();
    let clients = opened(&server, CONNECTIONS);
    let each = growth.most() / CONNECTIONS;
    assert!(each < MOST, "{each} bytes for each idle connection");
    drop((warm, clients));
    eventually("the places are free", || server.handle.connections() == 0);
}

/// A burst of large messages leaves nothing behind with the connections.
#[test]
fn what_large_messages_needed_is_given_back() {
    let _alone = alone();
    let server = Running::start(routes());
    let mut clients = opened(&server, 100);
    let large = "x".repeat(200_000);
    clients[0].expect_echo(&large);
    let growth = Growth::start();
    for client in &mut clients {
        client.expect_echo(&large);
        client.buffer = Vec::new();
    }
    let most = growth.most();
    assert!(most < 100 * 200_000 / 4, "{most} bytes are kept");
}
