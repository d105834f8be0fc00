//! Consumers: every method is called when it is due, and `disconnect` exactly once on every path.

use std::net::Shutdown;
use std::sync::mpsc::Sender as Channel;
use std::time::Duration;

use landline::{
    Admission, Closed, Config, Consumer, Context, Error, JsonConsumer, Message, Result, Server,
    Side, close_code, consumer, json_consumer,
};
use serde_json::{Value, json};

use crate::harness::{Client, Frame, Running, Told, eventually, patient, tell};
use crate::logbook;

/// What happened to a consumer.
#[derive(Debug, PartialEq)]
enum Event {
    Connect,
    Disconnect(Closed),
    Dropped,
}

/// Does what its client asks for: `?do=` when it connects, a text message later.
struct Probe {
    tell: Channel<Event>,
}

impl Probe {
    fn obey(&self, ctx: &Context<'_>, order: &str) -> Result<()> {
        match order {
            "fail" => Err(Error::other("the kettle is cold 8151")),
            "panic" => panic!("the kettle is empty 8152"),
            "break" => panic!("the kettle is gone 8154"),
            "panic at the end" => Ok(()),
            "close" => ctx.close(4000, "bye"),
            "close and send" => {
                ctx.close(4001, "enough")?;
                ctx.send("too late")
            }
            other => ctx.send(other),
        }
    }
}

impl Consumer for Probe {
    fn connect(&mut self, ctx: &Context<'_>) -> Result<Admission> {
        self.tell.send(Event::Connect).unwrap();
        match ctx.request().query("do").unwrap_or_default() {
            "" => Ok(Admission::accept()),
            "reject" => Ok(Admission::reject()),
            "reject with" => {
                let rejection = Admission::reject_with(401, "Who are you?");
                Ok(rejection.with_header("WWW-Authenticate", "Basic"))
            }
            "reject late" => {
                ctx.send("welcome")?;
                Ok(Admission::reject_with(403, "n".repeat(122) + "ö"))
            }
            "refuse" => Ok(Admission::close(4003, "nope")),
            "refuse wrongly" => Ok(Admission::close(1005, "")),
            "chat" => Ok(Admission::accept().with_subprotocol("chat.v1")),
            "headers" => Ok(Admission::accept().with_header("Set-Cookie", "a=b")),
            order => self.obey(ctx, order).map(|()| Admission::accept()),
        }
    }

    fn receive_text(&mut self, ctx: &Context<'_>, text: &str) -> Result<()> {
        self.obey(ctx, text)
    }

    fn receive_binary(&mut self, ctx: &Context<'_>, data: &[u8]) -> Result<()> {
        ctx.send([data, data].concat())
    }

    fn disconnect(&mut self, ctx: &Context<'_>, cause: &Closed) {
        assert!(ctx.send("nobody listens").unwrap_err().is_closed());
        self.tell.send(Event::Disconnect(cause.clone())).unwrap();
        if ctx.request().query("do") == Some("panic at the end") {
            panic!("the lights are out 8153");
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = self.tell.send(Event::Dropped);
    }
}

fn server(config: Config) -> (Running, Told<Event>) {
    let (tell, told) = tell();
    let route = consumer(move |_| Probe { tell: tell.clone() });
    let builder = Server::builder().config(config);
    let builder = builder.route("/ws", route.clone().subprotocols(["chat.v2", "chat.v1"]));
    (Running::start(builder.route("/plain", route.reject_status(400))), told)
}

impl Told<Event> {
    /// Takes the events of one consumer, whose `disconnect` must have come once.
    fn cause(&self) -> Closed {
        assert_eq!(self.next(), Event::Connect);
        let Event::Disconnect(cause) = self.next() else { panic!("disconnect was due") };
        assert_eq!(self.next(), Event::Dropped);
        cause
    }
}

fn shown(cause: &Closed) -> (Side, u16, &str, bool) {
    (cause.by(), cause.code(), cause.reason(), cause.is_clean())
}

fn handshake(server: &Running, order: &str) -> (u16, Client) {
    let mut client = server.connect();
    let target = format!("/ws?do={}", order.replace(' ', "+"));
    let reply = client.ask(Client::handshake_head(&target));
    (reply.status, client)
}

#[test]
fn messages_reach_the_method_of_their_kind() {
    let (server, told) = server(patient());
    let mut client = server.websocket("/ws");
    client.expect_echo("hello");
    client.expect_echo("");
    client.send_binary(&[1, 2]);
    assert_eq!(client.expect_binary(), [1, 2, 1, 2]);
    client.send_close(4242, "bye");
    assert_eq!(client.expect_closed(4242), "bye");
    assert_eq!(shown(&told.cause()), (Side::Client, 4242, "bye", true));
    server.becomes_empty();
    assert!(told.is_silent());
}

#[test]
fn plain_http_meets_no_consumer() {
    let (server, told) = server(patient());
    assert_eq!(server.connect().get("/ws").status, 426);
    assert_eq!(server.connect().get("/plain").status, 400);
    server.becomes_empty();
    assert!(told.is_silent());
}

#[test]
fn a_subprotocol_and_headers_are_chosen_with_the_acceptance() {
    let (server, told) = server(patient());
    let ask = |order: &str| {
        let head = Client::handshake_head(&format!("/ws?do={order}"));
        let offer = "Sec-WebSocket-Protocol: chat.v1, chat.v2\r\n\r\n";
        server.connect().ask(head.trim_end().to_owned() + "\r\n" + offer)
    };
    for (order, chosen, cookie) in
        [("", "chat.v2", None), ("chat", "chat.v1", None), ("headers", "chat.v2", Some("a=b"))]
    {
        let reply = ask(order);
        assert_eq!(reply.status, 101);
        assert_eq!(reply.header("sec-websocket-protocol"), Some(chosen));
        assert_eq!(reply.header("set-cookie"), cookie);
        told.cause();
    }
    // A subprotocol that was not offered is a failure of the consumer, and nothing was sent.
    assert_eq!(handshake(&server, "chat").0, 500);
    assert_eq!(told.cause().code(), close_code::LOST);
}

#[test]
fn a_rejection_is_plain_http_and_the_connection_goes_on() {
    let (server, told) = server(patient());
    let mut client = server.connect();
    let reply = client.ask(Client::handshake_head("/ws?do=reject"));
    assert_eq!((reply.status, reply.text()), (403, "This connection is not allowed.\n"));
    let cause = told.cause();
    assert_eq!((cause.by(), cause.code(), cause.is_clean()), (Side::Server, 1006, false));
    let reply = client.ask(Client::handshake_head("/ws?do=reject+with"));
    assert_eq!((reply.status, reply.text()), (401, "Who are you?\n"));
    assert_eq!(reply.header("www-authenticate"), Some("Basic"));
    told.cause();
    client.handshake("/ws");
    client.expect_echo("third time lucky");
    client.say_goodbye();
    told.cause();
}

#[test]
fn a_rejection_after_the_welcome_closes_with_1008() {
    let (server, told) = server(patient());
    let (status, mut client) = handshake(&server, "reject late");
    assert_eq!((status, client.expect_text()), (101, "welcome".into()));
    assert_eq!(client.answer_close(), (1008, "n".repeat(122)));
    assert_eq!(told.cause().code(), 1008);
}

#[test]
fn accept_then_close_brings_code_and_reason_to_the_client() {
    let (server, told) = server(patient());
    let (status, mut client) = handshake(&server, "refuse");
    assert_eq!((status, client.answer_close()), (101, (4003, "nope".into())));
    assert_eq!(shown(&told.cause()), (Side::Server, 4003, "nope", true));
    let (status, _) = handshake(&server, "refuse wrongly");
    assert_eq!(status, 500, "no close frame may say 1005");
    told.cause();
}

#[test]
fn a_consumer_closes_and_is_told_of_the_answer() {
    let (server, told) = server(patient());
    let mut client = server.websocket("/ws");
    // In one piece, so that both are there when the first is taken.
    let orders = [Client::frame(0x81, b"close"), Client::frame(0x81, b"fail")];
    client.send(orders.concat());
    assert_eq!(client.answer_close(), (4000, "bye".into()));
    assert_eq!(shown(&told.cause()), (Side::Server, 4000, "bye", true));
    let mut client = server.websocket("/ws");
    client.send_text("close and send");
    assert_eq!(client.answer_close(), (4001, "enough".into()));
    assert_eq!((told.cause().code(), told.is_silent()), (4001, true));
}

#[test]
fn errors_and_panics_close_with_1011_and_are_logged_once() {
    logbook::open();
    let (server, told) = server(patient());
    for (order, words) in [("fail", "kettle is cold 8151"), ("panic", "kettle is empty 8152")] {
        let mut client = server.websocket("/ws");
        client.send_text(order);
        // Told before the client answers, so before the connection is over.
        assert_eq!(client.expect_close(), (1011, "internal error".into()));
        assert_eq!(shown(&told.cause()), (Side::Server, 1011, "internal error", false));
        client.send_close(1011, "");
        client.expect_fin();
        let (status, _) = handshake(&server, order);
        assert_eq!(status, 500);
        assert_eq!(told.cause().code(), close_code::LOST);
        server.becomes_empty();
        assert_eq!(logbook::lines_with(&["ERROR", words]).len(), 2, "one each");
    }
    assert!(told.is_silent());
}

#[test]
fn a_panic_at_the_end_is_logged_and_changes_nothing() {
    logbook::open();
    let (server, told) = server(patient());
    let (status, mut client) = handshake(&server, "panic at the end");
    assert_eq!(status, 101);
    client.expect_echo("fine so far");
    client.say_goodbye();
    assert_eq!(told.cause().code(), 1000);
    let (_, mut client) = handshake(&server, "panic at the end");
    client.send_text("break");
    assert_eq!(client.answer_close().0, 1011);
    assert_eq!(told.cause().code(), 1011);
    server.becomes_empty();
    assert_eq!(logbook::lines_with(&["ERROR", "the lights are out 8153"]).len(), 2);
}

#[test]
fn a_cut_cable_and_an_end_without_a_close_are_told_as_1006() {
    let (server, told) = server(patient());
    let mut client = server.websocket("/ws");
    client.expect_echo("hello");
    client.reset();
    let cause = told.cause();
    assert_eq!((cause.by(), cause.code(), cause.is_clean()), (Side::Client, 1006, false));
    let client = server.websocket("/ws");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(told.cause().code(), 1006);
    server.becomes_empty();
    assert!(told.is_silent());
}

#[test]
fn who_breaks_the_protocol_is_told_of_as_well() {
    let (server, told) = server(patient());
    let mut client = server.websocket("/ws");
    client.send_frame(0x81, [0xff]);
    assert_eq!(client.expect_close().0, 1007);
    drop(client);
    let cause = told.cause();
    assert_eq!((cause.by(), cause.code(), cause.is_clean()), (Side::Server, 1007, false));
}

#[test]
fn a_silent_client_is_told_of_as_1011() {
    let short = Some(Duration::from_millis(100));
    let config = Config::default().with_ping_interval(short).with_ping_timeout(short);
    let (server, told) = server(config);
    let mut client = server.websocket("/ws");
    assert_eq!(client.next_frame(), Frame { first: 0x89, payload: vec![] });
    let cause = told.cause();
    assert_eq!(shown(&cause), (Side::Server, 1011, "keepalive ping timeout", false));
}

#[test]
fn the_servers_stop_is_told_to_every_consumer() {
    let (mut server, told) = server(patient());
    let mut clients: Vec<_> = (0..5).map(|_| server.websocket("/ws")).collect();
    for _ in &clients {
        assert_eq!(told.next(), Event::Connect);
    }
    server.handle.stop();
    for client in &mut clients[1..] {
        client.answer_close();
    }
    // Each has its own moment; this one hears of the stop and does not answer.
    assert_eq!(clients[0].next_frame().first, 0x88);
    server.handle.stop_now();
    server.join().unwrap();
    let mut ends = Vec::new();
    for _ in &clients {
        for _ in 0..2 {
            if let Event::Disconnect(cause) = told.next() {
                ends.push((cause.code(), cause.is_clean()));
            }
        }
    }
    ends.sort_unstable();
    assert_eq!(ends, [(1001, false), (1001, true), (1001, true), (1001, true), (1001, true)]);
    assert!(told.is_silent());
}

#[test]
fn a_client_that_takes_nothing_is_closed_with_1013() {
    struct Flood(Channel<Closed>);
    impl Consumer for Flood {
        fn receive_text(&mut self, ctx: &Context<'_>, _: &str) -> Result<()> {
            loop {
                ctx.send(vec![0; 64 * 1024])?;
            }
        }
        fn disconnect(&mut self, _: &Context<'_>, cause: &Closed) {
            self.0.send(cause.clone()).unwrap();
        }
    }
    let (tell, told) = tell();
    let config = Config::default().with_send_timeout(Duration::from_millis(300));
    let route = consumer(move |_| Flood(tell.clone()));
    let server = Running::start(Server::builder().config(config).route("/ws", route));
    let mut client = server.websocket("/ws");
    client.send_text("go");
    assert_eq!(told.next().code(), 1013);
    eventually("it is counted", || server.handle.slow_clients() == 1);
}

/// Answers values, and keeps the connection for text that is none if its client says so.
struct Sums {
    is_lenient: bool,
}

impl JsonConsumer for Sums {
    fn receive_json(&mut self, ctx: &Context<'_>, value: Value) -> Result<()> {
        let numbers = value.as_array().into_iter().flatten();
        let sum: i64 = numbers.filter_map(Value::as_i64).sum();
        ctx.send_json(&json!({ "sum": sum }))
    }

    fn invalid_json(&mut self, ctx: &Context<'_>, message: &Message, error: &Error) -> Result<()> {
        if self.is_lenient {
            return ctx.send_json(&json!({ "length": message.len(), "error": error.chain() }));
        }
        Default.invalid_json(ctx, message, error)
    }
}

/// What happens to bad JSON if nothing else is said.
struct Default;

impl JsonConsumer for Default {
    fn receive_json(&mut self, _: &Context<'_>, _: Value) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_json_consumer_gets_values_and_decides_about_the_rest() {
    let route = json_consumer(|request| Sums { is_lenient: request.query("lenient").is_some() });
    let server = Running::start(Server::builder().route("/ws", route));
    let mut client = server.websocket("/ws?lenient=1");
    client.send_text("[1, 2, 39]");
    assert_eq!(client.expect_text(), r#"{"sum":42}"#);
    client.send_text("[1,\n oh]");
    let answer: Value = serde_json::from_str(&client.expect_text()).unwrap();
    assert_eq!(answer["length"], 8);
    assert!(answer["error"].as_str().unwrap().contains("line 2 column 2"), "{answer}");
    for bad in ["", "{\"a\":", &"[".repeat(100_000)] {
        client.send_text(bad);
        assert!(client.expect_text().contains("error"));
    }
    client.send_binary(b"[1]");
    assert!(client.expect_text().contains("binary"));
    client.say_goodbye();

    let mut client = server.websocket("/ws");
    client.send_text("not json");
    assert_eq!(client.answer_close(), (1007, "not JSON".into()));
    let mut client = server.websocket("/ws");
    client.send_binary(b"[1]");
    assert_eq!(client.answer_close(), (1003, "not text".into()));
}
