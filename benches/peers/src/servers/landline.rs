//! This library, by its public API and with its defaults.

use landline::{
    Hub, Request, Response, Result, Server, WebSocket, accept_websocket, require_websocket,
};

use super::name::announce;

const GROUP: &str = "all";

pub(super) fn serve(relays: Option<usize>) -> Result<()> {
    let hub = match relays {
        Some(relays) => Hub::builder().relays(relays).build(),
        None => Hub::builder().build(),
    };
    let server = Server::builder()
        .hub(hub)
        .route("/echo", accept_websocket(echo))
        .route("/broadcast", require_websocket(broadcast))
        .route("/publish", require_websocket(publish))
        .bind("127.0.0.1:0")?;
    announce(server.local_addrs()[0]);
    server.run()
}

fn echo(request: &Request) -> Result<Response> {
    let Some(ws) = request.websocket() else {
        return Ok(Response::text(request.query("message").unwrap_or_default()));
    };
    for message in ws {
        ws.send(message?)?;
    }
    Ok(Response::closed())
}

fn broadcast(_: &Request, ws: &WebSocket) -> Result<()> {
    ws.join(GROUP)?;
    while ws.wait()?.is_some() {}
    Ok(())
}

fn publish(request: &Request, ws: &WebSocket) -> Result<()> {
    let group = request.hub().group(GROUP);
    for message in ws {
        group.send(message?)?;
    }
    Ok(())
}
