//! tungstenite with a thread per connection.
//!
//! A member's socket is cloned for the publishers' threads, which write to one member after the
//! other: of what is commonly written the fastest, but one member that does not read holds
//! everybody up. A writing thread per connection would not, at several times the cost. It is no
//! HTTP server, so there is no plain GET.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use tungstenite::handshake::server::{Request, Response};
use tungstenite::protocol::Role;
use tungstenite::{Error, Message, WebSocket, accept_hdr};

use super::name::announce;

type Members = Mutex<Vec<WebSocket<TcpStream>>>;

pub(super) fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    announce(listener.local_addr()?);
    let members = Arc::new(Members::default());
    for stream in listener.incoming().flatten() {
        let members = Arc::clone(&members);
        thread::spawn(move || client(stream, &members));
    }
    Ok(())
}

/// Serves one client; its end is an error, as always with tungstenite.
fn client(stream: TcpStream, members: &Members) -> tungstenite::Result<()> {
    stream.set_nodelay(true)?;
    let for_publishers = stream.try_clone()?;
    let mut path = String::new();
    let mut joining: Option<MutexGuard<'_, Vec<_>>> = None;
    #[allow(clippy::result_large_err, reason = "the signature is the library's")]
    let look = |request: &Request, response: Response| {
        path = request.uri().path().to_owned();
        if path == "/broadcast" {
            // Nothing is published until this client has its 101.
            joining = Some(members.lock().expect("no thread panics"));
        }
        Ok(response)
    };
    let ws = accept_hdr(stream, look).map_err(|_| Error::ConnectionClosed)?;
    if let Some(mut members) = joining {
        members.push(WebSocket::from_raw_socket(for_publishers, Role::Server, None));
    } else {
        drop(for_publishers);
    }
    match path.as_str() {
        "/publish" => publish(ws, members),
        "/echo" => echo(ws),
        _ => wait(ws),
    }
}

fn echo(mut ws: WebSocket<TcpStream>) -> tungstenite::Result<()> {
    loop {
        let message = ws.read()?;
        if message.is_text() || message.is_binary() {
            ws.send(message)?;
        }
    }
}

fn wait(mut ws: WebSocket<TcpStream>) -> tungstenite::Result<()> {
    loop {
        ws.read()?;
    }
}

fn publish(mut ws: WebSocket<TcpStream>, members: &Members) -> tungstenite::Result<()> {
    loop {
        let message = ws.read()?;
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            let mut members = members.lock().expect("no thread panics");
            members.retain_mut(|member| member.send(message.clone()).is_ok());
        }
    }
}
