//! The routes of the demo: two echoes and a chat, their pages, a page that leads to them, and
//! facilities.

use landline::{
    Builder, Hub, Request, Response, Result, WebSocket, accept_websocket, facility, get,
    require_websocket,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::chat;
use crate::doctor::served;
use crate::pages::{Pages, guarded};

/// Adds the demo to a server.
pub(crate) fn routes(builder: Builder, pages: Pages) -> Builder {
    let hub = Hub::builder().announce(chat::announce).build();
    let mut builder = builder
        .hub(hub)
        .templates(pages.templates)
        .route("/", get(|request: &Request| page(request, "index.html", json!({}))))
        .route("/index/", get(|request: &Request| page(request, "echo_once.html", json!({}))))
        .route("/index2/", get(|request: &Request| page(request, "echo.html", json!({}))))
        .route("/echo_once", require_websocket(echo_once))
        .route("/echo", get(accept_websocket(echo)));
    builder = served::route(chat::routes(builder));
    builder = pages.files.serve(builder);
    // Behind every other route below /ws/. Clients listen here; publishing is for the server.
    builder.route("/ws/<facility>/", facility())
}

/// What the templates may show.
#[derive(Serialize)]
struct Values<'a> {
    version: &'static str,
    /// Host and port as the browser knows them.
    address: &'a str,
    /// What only this page shows.
    #[serde(flatten)]
    own: Value,
}

/// Answers with a page that is filled with `own` values, an object, besides those of all pages.
pub(crate) fn page(request: &Request, template: &str, own: Value) -> Result<Response> {
    let version = env!("CARGO_PKG_VERSION");
    let values = Values { version, address: request.host(), own };
    Ok(guarded(request.render(template, values)?))
}

/// Sends one message back; returning closes the connection.
fn echo_once(_request: &Request, ws: &WebSocket) -> Result<()> {
    if let Some(message) = ws.wait()? {
        ws.send(message)?;
    }
    Ok(())
}

/// Sends every message back; without WebSocket, the text of `?message=` or the page.
fn echo(request: &Request) -> Result<Response> {
    let Some(ws) = request.websocket() else {
        return match request.query("message") {
            Some(message) => Ok(Response::text(message)),
            None => page(request, "echo.html", json!({})),
        };
    };
    for message in ws {
        ws.send(message?)?;
    }
    Ok(Response::closed())
}
