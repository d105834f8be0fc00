//! Echoes every message; plain HTTP on the same route echoes `?message=`.
//!
//! `cargo run --example echo`, then `curl 'http://127.0.0.1:8000/echo?message=hello'`.

use landline::{Request, Response, Result, Server, accept_websocket};

fn echo(request: &Request) -> Result<Response> {
    let Some(ws) = request.websocket() else {
        return Ok(Response::text(request.query("message").unwrap_or("say ?message=")));
    };
    for message in ws {
        ws.send(message?)?;
    }
    Ok(Response::closed())
}

fn main() -> Result<()> {
    env_logger::init();
    Server::builder().route("/echo", accept_websocket(echo)).bind("127.0.0.1:8000")?.run()
}
