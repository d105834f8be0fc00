//! The live server and the communicator that applications test with: each verb, each failure.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use landline::testing::{Communicator, LiveServer};
use landline::{
    Builder, Config, Error, ErrorKind, Message, Method, Request, Response, Result, Server, Side,
    WebSocket, accept_websocket, require_websocket,
};
use serde_json::{Value, json};

use crate::harness::{PATIENCE, echo, tell};

/// Long enough for a server on the same host, short enough to wait for in vain.
const SHORT: Duration = Duration::from_millis(100);

fn start(builder: Builder) -> LiveServer {
    LiveServer::start(builder).expect("a free port").with_timeout(PATIENCE)
}

/// A server with one WebSocket handler, and a client of it.
fn connected<H>(handler: H) -> (LiveServer, Communicator)
where
    H: Fn(&Request, &WebSocket) -> Result<()> + Send + Sync + 'static,
{
    let server = start(Server::builder().route("/ws", require_websocket(handler)));
    let client = Communicator::connect(&server, "/ws").expect("a handshake");
    (server, client)
}

/// Checks kind and text of an error.
fn assert_error(error: &Error, kind: ErrorKind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error:?}");
    let text = error.to_string();
    assert!(parts.iter().all(|part| text.contains(part)), "{text:?} lacks some of {parts:?}");
}

#[test]
fn messages_of_every_kind_come_back_and_may_be_empty() {
    let (_server, mut client) = connected(echo);
    for text in ["hello", "", "房间"] {
        client.send_text(text).unwrap();
        assert_eq!(client.receive_text().unwrap(), text);
    }
    for bytes in [&b"\x00\xff"[..], b"", &[7; 100_000]] {
        client.send_binary(bytes).unwrap();
        assert_eq!(client.receive_binary().unwrap(), bytes);
    }
    client.send_json(&json!({ "message": [1, null] })).unwrap();
    assert_eq!(client.receive_json::<Value>().unwrap(), json!({ "message": [1, null] }));
    client.send_text("any").unwrap();
    assert_eq!(client.receive().unwrap(), Message::from("any"));
    assert_eq!(client.closed(), None);
}

#[test]
fn a_message_of_the_other_kind_is_an_error_that_holds_it() {
    let (_server, mut client) = connected(echo);
    client.send_binary(b"\x01\x02").unwrap();
    let error = client.receive_text().unwrap_err();
    assert_error(&error, ErrorKind::Protocol, &["a text message was due", "binary [01, 02] came"]);
    assert_eq!(error.into_message(), Some(Message::from(b"\x01\x02")));
    client.send_text("no").unwrap();
    let error = client.receive_binary().unwrap_err();
    assert_error(&error, ErrorKind::Protocol, &["a binary message was due", "text \"no\" came"]);
    client.send_text("{").unwrap();
    let error = client.receive_json::<Value>().unwrap_err();
    assert_error(&error, ErrorKind::Json, &["text \"{\" is not the expected JSON"]);
    assert!(error.chain().contains("line 1 column 1"), "{}", error.chain());
    assert_eq!(error.into_message(), Some(Message::from("{")));
    client.send_text("the connection goes on").unwrap();
    assert_eq!(client.receive_text().unwrap(), "the connection goes on");
    let unwritable = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert_error(&client.send_json(&unwritable).unwrap_err(), ErrorKind::Json, &["cannot be JSON"]);
}

#[test]
fn silence_is_an_error_where_a_message_is_due_and_none_where_it_is_not() {
    let (_server, mut client) = connected(echo);
    client.set_timeout(SHORT);
    let start = Instant::now();
    let error = client.receive().unwrap_err();
    assert!(start.elapsed() >= SHORT);
    assert_error(&error, ErrorKind::Timeout, &["a message was due, nothing came within 1"]);
    client.receive_nothing(SHORT).unwrap();
    assert_error(&client.wait_closed().unwrap_err(), ErrorKind::Timeout, &["the server's close"]);
    client.set_timeout(PATIENCE);
    client.send_text("still open").unwrap();
    assert_eq!(client.receive_text().unwrap(), "still open");
}

#[test]
fn a_message_where_silence_is_due_can_still_be_received() {
    let (_server, mut client) = connected(echo);
    client.send_text("early").unwrap();
    for _ in 0..2 {
        let error = client.receive_nothing(PATIENCE).unwrap_err();
        assert_error(&error, ErrorKind::Protocol, &["silence for 20s", "text \"early\" came"]);
    }
    let error = client.wait_closed().unwrap_err();
    assert_error(&error, ErrorKind::Protocol, &["the server's close was due", "\"early\""]);
    assert_eq!(client.receive_text().unwrap(), "early");
}

#[test]
fn pings_are_answered_while_a_call_receives() {
    let config = Config::default()
        .with_ping_interval(Some(Duration::from_millis(1)))
        .with_ping_timeout(Some(Duration::from_millis(200)));
    let server = start(Server::builder().config(config).route("/ws", require_websocket(echo)));
    let mut client = Communicator::connect(&server, "/ws").unwrap();
    client.receive_nothing(Duration::from_secs(1)).unwrap();
    client.send_text("alive").unwrap();
    assert_eq!(client.receive_text().unwrap(), "alive");
}

#[test]
fn the_server_s_close_is_received_with_code_and_reason() {
    let (_server, mut client) = connected(|_, ws| {
        ws.send("last")?;
        ws.close(4001, "enough")
    });
    assert_eq!(client.receive_text().unwrap(), "last");
    let closed = client.wait_closed().unwrap();
    assert_eq!((closed.by(), closed.code(), closed.reason()), (Side::Server, 4001, "enough"));
    assert!(closed.is_clean());
    let error = client.receive().unwrap_err();
    assert_error(&error, ErrorKind::Closed, &["a message was due", "closed by the server", "4001"]);
    let error = client.receive_nothing(SHORT).unwrap_err();
    assert_error(&error, ErrorKind::Closed, &["silence for 100ms was due", "4001"]);
    let error = client.send_text("too late").unwrap_err();
    assert_error(&error, ErrorKind::Closed, &["room for text \"too late\" was due", "4001"]);
    assert_eq!(error.into_message(), Some(Message::from("too late")));
    assert_eq!(client.disconnect().unwrap(), closed);
    assert_eq!(client.closed(), Some(&closed));
}

#[test]
fn a_close_where_a_message_is_due_is_an_error() {
    let (_server, mut client) = connected(|_, ws| {
        ws.sender()?;
        Err(Error::other("the till is empty"))
    });
    let error = client.receive_json::<Value>().unwrap_err();
    assert_error(&error, ErrorKind::Closed, &["JSON was due", "closed by the server with 1011"]);
    assert_eq!(client.closed().map(|closed| closed.code()), Some(1011));
}

#[test]
fn a_cut_connection_is_closed_and_not_clean() {
    let (server, mut client) = connected(echo);
    server.handle().stop_now();
    let closed = client.wait_closed().unwrap();
    assert_eq!((closed.by(), closed.code(), closed.is_clean()), (Side::Server, 1006, false));
}

#[test]
fn who_disconnects_hears_the_answer_and_the_handler_the_reason() {
    let (ended, told) = tell();
    let (_server, mut client) = connected(move |_, ws| {
        while let Some(message) = ws.wait()? {
            ws.send(&message)?;
            ws.send(message)?;
        }
        ended.send(ws.closed()).unwrap();
        Ok(())
    });
    client.send_text("never read").unwrap();
    let closed = client.disconnect_with(4000, "so long").unwrap();
    assert_eq!((closed.by(), closed.code(), closed.reason()), (Side::Client, 4000, "so long"));
    assert!(closed.is_clean());
    let heard = told.next().expect("an end");
    assert_eq!((heard.by(), heard.code(), heard.reason()), (Side::Client, 4000, "so long"));
    assert_eq!(client.disconnect().unwrap(), closed, "the first goodbye counts");
}

#[test]
fn a_goodbye_that_may_not_be_said_changes_nothing() {
    let (_server, mut client) = connected(echo);
    let error = client.disconnect_with(1006, "").unwrap_err();
    assert_error(&error, ErrorKind::Protocol, &["1006"]);
    let error = client.disconnect_with(4000, &"x".repeat(124)).unwrap_err();
    assert_error(&error, ErrorKind::Limit, &["124 bytes"]);
    client.send_text("open").unwrap();
    assert_eq!(client.receive_text().unwrap(), "open");
    assert_eq!(client.disconnect().unwrap().code(), 1000);
}

#[test]
fn a_goodbye_without_an_answer_is_late() {
    let (go, waiting) = channel::<()>();
    let waiting = Mutex::new(waiting);
    let (_server, mut client) = connected(move |_, ws| {
        ws.send("taken")?;
        // The message behind which the close comes is not taken, so neither is the close.
        let _ = waiting.lock().unwrap().recv();
        Ok(())
    });
    assert_eq!(client.receive_text().unwrap(), "taken");
    client.send_text("waits").unwrap();
    client.set_timeout(SHORT);
    let error = client.disconnect().unwrap_err();
    assert_error(&error, ErrorKind::Timeout, &["the answer to our close was due"]);
    drop(go);
    client.set_timeout(PATIENCE);
    assert_eq!(client.disconnect().unwrap().by(), Side::Client);
}

#[test]
fn a_server_that_takes_nothing_holds_no_send() {
    let (go, waiting) = channel::<()>();
    let waiting = Mutex::new(waiting);
    let (_server, mut client) = connected(move |_, ws| {
        ws.send("taken")?;
        let _ = waiting.lock().unwrap().recv();
        Ok(())
    });
    assert_eq!(client.receive_text().unwrap(), "taken");
    client.set_timeout(SHORT);
    let large = vec![0; 1024 * 1024];
    let error = (0..100).find_map(|_| client.send_binary(&large).err()).expect("it gets full");
    assert_error(&error, ErrorKind::Timeout, &["room for binary of 1048576 bytes [00"]);
    drop(go);
}

#[test]
fn a_handshake_carries_headers_origin_and_subprotocols() {
    fn tell_all(request: &Request, ws: &WebSocket) -> Result<()> {
        let header = |name| request.header(name).unwrap_or("none");
        let shown = format!("{} {}", header("cookie"), header("origin"));
        ws.accept_with(ws.subprotocols().get(1).map(String::as_str), &[])?;
        ws.send(shown)
    }
    let server = start(Server::builder().route("/ws", require_websocket(tell_all)));
    let origin = format!("http://{}", server.address());
    let mut client = Communicator::builder(&server, "/ws")
        .header("Cookie", "session=1")
        .origin(&origin)
        .subprotocols(["chat.v1", "chat.v2"])
        .timeout(PATIENCE)
        .connect()
        .unwrap();
    assert_eq!(client.subprotocol(), Some("chat.v2"));
    assert_eq!(client.receive_text().unwrap(), format!("session=1 {origin}"));
    let mut plain = Communicator::connect(&server, "/ws").unwrap();
    assert_eq!(plain.subprotocol(), None);
    assert_eq!(plain.receive_text().unwrap(), "none none");
}

#[test]
fn a_refused_handshake_is_an_error_that_holds_the_answer() {
    fn members_only(request: &Request) -> Result<Response> {
        let Some(ws) = request.websocket().filter(|_| request.cookie("session").is_some()) else {
            return Ok(Response::text("please log in").with_status(401).with_header("X-A", "b"));
        };
        ws.send("welcome")?;
        Ok(Response::closed())
    }
    let server = start(Server::builder().route("/<room>/", accept_websocket(members_only)));
    let error = Communicator::connect(&server, "/房间/").unwrap_err();
    let parts = ["the 101 of /房间/ was due, 401 with \"please log in\" came after"];
    assert_error(&error, ErrorKind::Protocol, &parts);
    let reply = error.into_reply().expect("the answer");
    assert_eq!((reply.status(), reply.header("x-a")), (401, Some("b")));
    assert_eq!(reply.text(), "please log in");
    let foreign = Communicator::builder(&server, "/a/").origin("http://elsewhere.example");
    let reply = foreign.connect().unwrap_err().into_reply().expect("the answer");
    assert_eq!(reply.status(), 403);
    let named = Communicator::builder(&server, "/a/").header("Host", "elsewhere.example");
    assert_eq!(named.connect().unwrap_err().into_reply().expect("the answer").status(), 421);
    assert!(Error::other("no answer").into_reply().is_none());
}

#[test]
fn a_handshake_that_is_not_answered_is_late() {
    let (go, waiting) = channel::<()>();
    let waiting = Mutex::new(waiting);
    let idle = move |_: &Request, _: &WebSocket| {
        let _ = waiting.lock().unwrap().recv();
        Ok(())
    };
    let server = start(Server::builder().route("/ws", require_websocket(idle))).with_timeout(SHORT);
    let error = Communicator::connect(&server, "/ws").unwrap_err();
    assert_error(&error, ErrorKind::Timeout, &["the 101 of /ws was due, nothing came within"]);
    drop(go);
}

#[test]
fn what_cannot_be_asked_for_is_not_sent() {
    let server = start(Server::builder());
    for error in [
        server.get("no/slash").unwrap_err(),
        server.get("/a\r\nX: y").unwrap_err(),
        server.request(Method::Get, "/", &[("A", "b\nc")], "").unwrap_err(),
        Communicator::connect(&server, "").unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
        assert!(error.into_reply().is_none());
    }
}

#[test]
fn plain_http_is_asked_and_answered() {
    fn show(request: &Request) -> Result<Response> {
        let body = String::from_utf8(request.body()?.to_vec())?;
        let kind = request.header("content-type").unwrap_or("none");
        Response::json(&json!([request.method().as_str(), request.path(), kind, body]))
    }
    let server =
        start(Server::builder().route("/show/<name>", show).route("/stream", |_: &Request| {
            Response::reader("text/plain", &b"piece by piece"[..], None)
        }));
    let reply = server.get("/show/a b").unwrap();
    assert_eq!((reply.status(), reply.header("Connection")), (200, Some("close")));
    assert_eq!(reply.json::<Value>().unwrap(), json!(["GET", "/show/a b", "none", ""]));
    let reply = server.post("/show/x", "text/plain", "body").unwrap();
    assert_eq!(reply.json::<Value>().unwrap(), json!(["POST", "/show/x", "text/plain", "body"]));
    let reply = server.request(Method::Put, "/show/x", &[("Content-Type", "a/b")], "1").unwrap();
    assert_eq!(reply.json::<Value>().unwrap(), json!(["PUT", "/show/x", "a/b", "1"]));
    let reply = server.request(Method::Head, "/show/x", &[], "").unwrap();
    assert_eq!((reply.status(), reply.body()), (200, &b""[..]));
    assert!(reply.headers().get("content-length").is_some_and(|length| length != "0"));
    assert_eq!(server.get("/stream").unwrap().text(), "piece by piece");
    let reply = server.get("/nowhere").unwrap();
    assert_eq!(reply.status(), 404);
    assert_error(&reply.json::<Value>().unwrap_err(), ErrorKind::Json, &["the answer 404"]);
}

#[test]
fn an_answer_that_does_not_come_is_late() {
    let (go, waiting) = channel::<()>();
    let waiting = Mutex::new(waiting);
    let slow = move |_: &Request| {
        let _ = waiting.lock().unwrap().recv();
        "at last"
    };
    let server = start(Server::builder().route("/slow", slow)).with_timeout(SHORT);
    assert_eq!(server.timeout(), SHORT);
    let error = server.get("/slow").unwrap_err();
    assert_error(&error, ErrorKind::Timeout, &["the answer to GET /slow was due, nothing came"]);
    drop(go);
}

#[test]
fn a_server_ends_with_its_test() {
    let (server, mut client) = connected(echo);
    let (address, handle) = (server.address(), server.handle());
    assert_eq!(handle.connections(), 1);
    drop(server);
    assert_eq!(handle.connections(), 0);
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens");
    assert!(!client.wait_closed().unwrap().is_clean());
}

#[test]
fn a_server_can_be_stopped_as_by_an_operator() {
    let (server, mut client) = connected(echo);
    let stopped = std::thread::spawn(move || server.stop());
    let closed = client.wait_closed().unwrap();
    assert_eq!((closed.code(), closed.is_clean()), (1001, true));
    stopped.join().unwrap().unwrap();
}

#[test]
fn an_application_that_is_wrong_does_not_start() {
    let builder = Server::builder().route("no slash", |_: &Request| "x");
    assert_eq!(LiveServer::start(builder).unwrap_err().kind(), ErrorKind::Config);
}
