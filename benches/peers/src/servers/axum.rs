//! axum with its own WebSockets, and tokio's broadcast channel.

use std::io;

use axum::Router;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::broadcast::{Receiver, Sender, channel};

use super::name::announce;

#[derive(Deserialize)]
struct Question {
    #[serde(default)]
    message: String,
}

#[tokio::main]
pub(super) async fn serve() -> io::Result<()> {
    let (messages, _) = channel::<Message>(1024);
    let app = Router::new()
        .route("/echo", get(echo))
        .route("/broadcast", get(broadcast))
        .route("/publish", get(publish))
        .with_state(messages);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, app).await
}

async fn echo(
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    Query(question): Query<Question>,
) -> Response {
    match upgrade {
        Ok(upgrade) => upgrade.on_upgrade(echo_all),
        Err(_) => question.message.into_response(),
    }
}

async fn echo_all(mut ws: WebSocket) {
    while let Some(Ok(message)) = ws.recv().await {
        if matches!(message, Message::Text(_) | Message::Binary(_))
            && ws.send(message).await.is_err()
        {
            return;
        }
    }
}

async fn broadcast(upgrade: WebSocketUpgrade, State(messages): State<Sender<Message>>) -> Response {
    let messages = messages.subscribe();
    upgrade.on_upgrade(|ws| member(ws, messages))
}

/// Two tasks, as in the chat of axum's examples; both end with the client, or when it falls so far
/// behind that it has missed messages.
async fn member(ws: WebSocket, mut messages: Receiver<Message>) {
    let (mut sender, mut receiver) = ws.split();
    let mut sending = tokio::spawn(async move {
        while let Ok(message) = messages.recv().await {
            if sender.send(message).await.is_err() {
                return;
            }
        }
    });
    let mut receiving =
        tokio::spawn(async move { while let Some(Ok(_)) = receiver.next().await {} });
    tokio::select! {
        _ = &mut sending => receiving.abort(),
        _ = &mut receiving => sending.abort(),
    }
}

async fn publish(upgrade: WebSocketUpgrade, State(messages): State<Sender<Message>>) -> Response {
    upgrade.on_upgrade(|mut ws| async move {
        while let Some(Ok(message)) = ws.recv().await {
            if matches!(message, Message::Text(_) | Message::Binary(_)) {
                // An error says that there are no members.
                let _ = messages.send(message);
            }
        }
    })
}
