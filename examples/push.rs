//! Pushes from another thread while the handler waits: the question that is asked most.
//!
//! `cargo run --example push`, then connect to ws://127.0.0.1:8000/clock: the time of day comes
//! every second, and whatever you send is answered at once.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use landline::{Request, Result, Sender, Server, WebSocket, require_websocket};

/// Tells the seconds until the connection is over; `send` fails then, and the thread ends.
fn tell_time(sender: &Sender) {
    let seconds = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    while sender.send(format!("it is {}", seconds())).is_ok() {
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn clock(_request: &Request, ws: &WebSocket) -> Result<()> {
    let sender = ws.sender()?;
    std::thread::spawn(move || tell_time(&sender));
    for message in ws {
        ws.send(message?)?;
    }
    Ok(())
}

fn main() -> Result<()> {
    env_logger::init();
    Server::builder().route("/clock", require_websocket(clock)).bind("127.0.0.1:8000")?.run()
}
