//! actix-web with actix-ws; members are a list of sessions.

use std::io;
use std::time::Duration;

use actix_web::rt::spawn;
use actix_web::web::{Data, Payload, Query};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, Result, web};
use actix_ws::{AggregatedMessage, Session};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::name::announce;

#[derive(Deserialize)]
struct Question {
    #[serde(default)]
    message: String,
}

type Members = Mutex<Vec<Session>>;

#[actix_web::main]
pub(super) async fn serve() -> io::Result<()> {
    let members = Data::new(Members::default());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(members.clone())
            .route("/echo", web::get().to(echo))
            .route("/broadcast", web::get().to(broadcast))
            .route("/publish", web::get().to(publish))
    })
    .tcp_nodelay(true)
    // By default it waits a second for the client to end the stream first, as RFC 6455 does not.
    .client_disconnect_timeout(Duration::ZERO)
    // Who started this process ends it.
    .disable_signals()
    .bind("127.0.0.1:0")?;
    announce(server.addrs()[0]);
    server.run().await
}

async fn echo(
    request: HttpRequest,
    body: Payload,
    question: Query<Question>,
) -> Result<HttpResponse> {
    if !request.headers().contains_key("upgrade") {
        return Ok(HttpResponse::Ok()
            .content_type("text/plain")
            .body(question.into_inner().message));
    }
    let (response, mut session, stream) = actix_ws::handle(&request, body)?;
    let mut stream = stream.aggregate_continuations();
    spawn(async move {
        while let Some(Ok(message)) = stream.recv().await {
            let sent = match message {
                AggregatedMessage::Text(text) => session.text(text).await,
                AggregatedMessage::Binary(bytes) => session.binary(bytes).await,
                AggregatedMessage::Ping(bytes) => session.pong(&bytes).await,
                AggregatedMessage::Close(reason) => return session.close(reason).await,
                AggregatedMessage::Pong(_) => Ok(()),
            };
            sent?;
        }
        session.close(None).await
    });
    Ok(response)
}

async fn broadcast(
    request: HttpRequest,
    body: Payload,
    members: Data<Members>,
) -> Result<HttpResponse> {
    let (response, mut session, mut stream) = actix_ws::handle(&request, body)?;
    members.lock().await.push(session.clone());
    spawn(async move {
        while let Some(Ok(message)) = stream.recv().await {
            match message {
                actix_ws::Message::Ping(bytes) => session.pong(&bytes).await?,
                actix_ws::Message::Close(reason) => return session.close(reason).await,
                _ => {}
            }
        }
        session.close(None).await
    });
    Ok(response)
}

async fn publish(
    request: HttpRequest,
    body: Payload,
    members: Data<Members>,
) -> Result<HttpResponse> {
    let (response, mut session, stream) = actix_ws::handle(&request, body)?;
    let mut stream = stream.aggregate_continuations();
    spawn(async move {
        while let Some(Ok(message)) = stream.recv().await {
            match message {
                AggregatedMessage::Ping(bytes) => session.pong(&bytes).await?,
                AggregatedMessage::Close(reason) => return session.close(reason).await,
                message => send_to_all(&members, &message).await,
            }
        }
        session.close(None).await
    });
    Ok(response)
}

/// Sends to one after the other, and forgets who has gone.
async fn send_to_all(members: &Members, message: &AggregatedMessage) {
    let mut members = members.lock().await;
    let mut gone = Vec::new();
    for (place, session) in members.iter_mut().enumerate() {
        let sent = match message {
            AggregatedMessage::Text(text) => session.text(text.clone()).await,
            AggregatedMessage::Binary(bytes) => session.binary(bytes.clone()).await,
            _ => Ok(()),
        };
        if sent.is_err() {
            gone.push(place);
        }
    }
    for place in gone.into_iter().rev() {
        members.swap_remove(place);
    }
}
