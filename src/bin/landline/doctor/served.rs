//! `/doctor/`: what `landline doctor` asks through a proxy. It tells a client nothing but what the
//! server takes the client's own address for.

use std::io::{self, Read};
use std::thread;
use std::time::Duration;

use landline::{Builder, Request, Response, Result, accept_websocket, get};
use serde_json::json;

/// Where it is.
pub(crate) const PATH: &str = "/doctor/";

/// The pause between the two parts of the answer: who gets them apart is not buffered.
const PAUSE: Duration = Duration::from_secs(1);

/// Longest message that is sent back.
const ECHO_BYTES: usize = 1024;

/// Adds the route.
pub(crate) fn route(builder: Builder) -> Builder {
    builder.route(PATH, get(accept_websocket(answer)))
}

fn answer(request: &Request) -> Result<Response> {
    let first = json!({ "landline": env!("CARGO_PKG_VERSION"), "address": address(request) });
    let Some(ws) = request.websocket() else {
        let body = TwoParts { parts: [format!("{first}\n"), "end\n".into()], next: 0 };
        return Ok(Response::reader("text/plain; charset=utf-8", body, None)
            .with_header("Cache-Control", "no-store"));
    };
    ws.send(first.to_string())?;
    for message in ws {
        let message = message?;
        if message.as_bytes().len() <= ECHO_BYTES {
            ws.send(message)?;
        }
    }
    Ok(Response::closed())
}

fn address(request: &Request) -> String {
    request.client().to_canonical().to_string()
}

/// A body whose second part comes later.
struct TwoParts {
    parts: [String; 2],
    next: usize,
}

impl Read for TwoParts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(part) = self.parts.get(self.next) else { return Ok(0) };
        if self.next > 0 {
            thread::sleep(PAUSE);
        }
        self.next += 1;
        // The parts are far shorter than any buffer of a body.
        let count = part.len().min(buffer.len());
        buffer[..count].copy_from_slice(&part.as_bytes()[..count]);
        Ok(count)
    }
}
