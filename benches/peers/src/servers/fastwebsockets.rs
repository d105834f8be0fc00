//! fastwebsockets on hyper, as in its examples, and tokio's broadcast channel.

use std::convert::Infallible;
use std::io;

use fastwebsockets::upgrade::{UpgradeFut, is_upgrade_request, upgrade};
use fastwebsockets::{
    FragmentCollector, FragmentCollectorRead, Frame, OpCode, Payload, WebSocketError,
};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};

use super::name::announce;

/// What is published: a text or bytes.
type Published = (OpCode, Bytes);
type Members = broadcast::Sender<Published>;

#[tokio::main]
pub(super) async fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?);
    let members = Members::new(1024);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(client(stream, members.clone()));
    }
}

async fn client(stream: TcpStream, members: Members) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let members = members.clone();
        async move { answer(request, &members) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let _ = connection.with_upgrades().await;
}

fn answer(
    mut request: Request<Incoming>,
    members: &Members,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if !is_upgrade_request(&request) {
        let message = request.uri().query().and_then(|query| query.strip_prefix("message="));
        let mut response = Response::new(Full::from(message.unwrap_or_default().to_owned()));
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, plain);
        return Ok(response);
    }
    let Ok((response, ws)) = upgrade(&mut request) else {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    };
    // Without a budget for each turn, as in the library's examples.
    match request.uri().path() {
        "/broadcast" => {
            tokio::spawn(tokio::task::unconstrained(member(ws, members.subscribe())));
        }
        "/publish" => {
            tokio::spawn(tokio::task::unconstrained(publish(ws, members.clone())));
        }
        _ => {
            tokio::spawn(tokio::task::unconstrained(echo(ws)));
        }
    }
    Ok(response.map(|_| Full::default()))
}

async fn echo(ws: UpgradeFut) -> Result<(), WebSocketError> {
    let mut ws = FragmentCollector::new(ws.await?);
    loop {
        let frame = ws.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => ws.write_frame(frame).await?,
            _ => {}
        }
    }
}

async fn publish(ws: UpgradeFut, members: Members) -> Result<(), WebSocketError> {
    let mut ws = FragmentCollector::new(ws.await?);
    loop {
        let frame = ws.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => {
                // An error says that there are no members.
                let _ = members.send((frame.opcode, Bytes::copy_from_slice(&frame.payload)));
            }
            _ => {}
        }
    }
}

/// Ends with the client, and if it falls so far behind that it has missed messages.
///
/// Its two halves, because reading a frame must not be broken off.
async fn member(
    ws: UpgradeFut,
    mut messages: broadcast::Receiver<Published>,
) -> Result<(), WebSocketError> {
    let (read, mut write) = ws.await?.split(tokio::io::split);
    let mut read = FragmentCollectorRead::new(read);
    let (answer, mut answers) = mpsc::unbounded_channel();
    let reading = async move {
        let mut answer = |frame| std::future::ready(answer.send(frame));
        while read.read_frame(&mut answer).await?.opcode != OpCode::Close {}
        Ok::<(), WebSocketError>(())
    };
    tokio::pin!(reading);
    loop {
        tokio::select! {
            published = messages.recv() => {
                let Ok((opcode, payload)) = published else { return Ok(()) };
                let frame = Frame::new(true, opcode, None, Payload::Borrowed(&payload));
                write.write_frame(frame).await?;
            }
            Some(frame) = answers.recv() => write.write_frame(frame).await?,
            ended = &mut reading => {
                ended?;
                if let Ok(frame) = answers.try_recv() {
                    write.write_frame(frame).await?;
                }
                return Ok(());
            }
        }
    }
}
