//! The echo server of this library, with the ordinary handler.

use landline::{Config, Request, Result, Server, WebSocket, require_websocket};

fn echo(_request: &Request, ws: &WebSocket) -> Result<()> {
    for message in ws {
        ws.send(message?)?;
    }
    Ok(())
}

/// Serves until the process is killed; the first line of stdout is the address.
pub(crate) fn serve() {
    let config = Config::default().with_max_connections(Some(15_000));
    let builder = Server::builder().config(config).route("/", require_websocket(echo));
    let server = builder.bind("127.0.0.1:0").expect("a free port");
    println!("{}", server.local_addrs()[0]);
    server.run().expect("the server runs");
}
