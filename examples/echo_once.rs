//! Answers one message and closes: `require_websocket` refuses plain HTTP with 426.
//!
//! `cargo run --example echo_once`, then in a browser's console on http://127.0.0.1:8000/:
//! `s = new WebSocket("ws://127.0.0.1:8000/echo_once"); s.onmessage = e => console.log(e.data);
//! s.onopen = () => s.send("hello")`.

use landline::{Request, Result, Server, WebSocket, require_websocket};

fn echo_once(_request: &Request, ws: &WebSocket) -> Result<()> {
    if let Some(message) = ws.wait()? {
        ws.send(message)?;
    }
    Ok(()) // returning closes with 1000
}

fn main() -> Result<()> {
    env_logger::init();
    Server::builder()
        .route("/", |_: &Request| "open the console and connect to /echo_once")
        .route("/echo_once", require_websocket(echo_once))
        .bind("127.0.0.1:8000")?
        .run()
}
