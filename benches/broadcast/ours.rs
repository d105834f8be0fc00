//! This library's hub as it comes.

use landline::{Request, Result, Server, WebSocket, require_websocket};

/// Serves until the process is killed; the first line of stdout is the address.
pub(crate) fn serve() {
    let _ = landline::raise_descriptor_limit();
    let server = Server::builder()
        .route("/", require_websocket(member))
        .route("/publish", require_websocket(publish))
        .bind("127.0.0.1:0")
        .expect("a free port");
    println!("{}", server.local_addrs()[0]);
    server.run().expect("a running server");
}

fn member(_: &Request, ws: &WebSocket) -> Result<()> {
    ws.join("all")?;
    ws.send("ready")?;
    while ws.wait()?.is_some() {}
    Ok(())
}

fn publish(request: &Request, ws: &WebSocket) -> Result<()> {
    let group = request.hub().group("all");
    for message in ws {
        group.send(message?)?;
    }
    Ok(())
}
