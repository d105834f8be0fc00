//! Who is good no more is closed, whatever its connection does.

use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime};

use landline::{
    Auth, Closed, Consumer, Context, Hub, Identity, Request, Result, Server, Verdict, WebSocket,
    consumer, facility, get, require_websocket,
};

use crate::harness::{Client, Running, echo, eventually, patient, tell};

/// Is good for as many milliseconds as the query says.
fn for_a_while(request: &Request) -> Result<Verdict> {
    let Some(millis) = request.query("for") else { return Ok(Verdict::NotMine) };
    let at = SystemTime::now() + Duration::from_millis(millis.parse().unwrap());
    Ok(Verdict::Known(Identity::default().user("anna").with_expiry(at)))
}

/// Receives the close frame that is due, and not before its time.
fn expect_expired(client: &mut Client, since: SystemTime, millis: u64) -> (u16, String) {
    let (code, reason) = client.expect_close();
    assert!(SystemTime::now() >= since + Duration::from_millis(millis), "too early");
    client.send_close(code, "");
    client.expect_fin();
    (code, reason)
}

fn expired() -> (u16, String) {
    (4401, "token expired".into())
}

#[test]
fn a_waiting_handler_and_a_busy_one_lose_their_client() {
    let (finish, may_finish) = channel::<()>();
    let may_finish = std::sync::Mutex::new(may_finish);
    let busy = move |_: &Request, ws: &WebSocket| {
        ws.send("busy")?;
        may_finish.lock().unwrap().recv().unwrap();
        assert!(ws.is_closed() && ws.send("late").is_err());
        Ok(())
    };
    let server = Running::start(
        Server::builder()
            .config(patient())
            .route("/echo", require_websocket(echo))
            .route("/busy", require_websocket(busy))
            .authenticate(Auth::new(for_a_while).optional()),
    );
    let since = SystemTime::now();
    let mut waiting = server.websocket("/echo?for=400");
    let mut busy = server.websocket("/busy?for=400");
    let mut other = server.websocket("/echo?for=100000");
    let mut stranger = server.websocket("/echo");
    assert_eq!(busy.expect_text(), "busy");
    waiting.expect_echo("in time");
    assert_eq!(expect_expired(&mut waiting, since, 400), expired());
    eventually("it is remembered", || !server.handle.closed_connections().is_empty());
    let story = server.handle.closed_connections().remove(0);
    assert_eq!((story.cause, story.info.user.as_deref()), ("expired", Some("anna")));
    let (code, reason) = busy.expect_close();
    assert_eq!((code, reason), expired());
    busy.send_close(4401, "");
    finish.send(()).unwrap();
    busy.expect_fin();
    other.expect_echo("not yet");
    stranger.expect_echo("never");
    drop((other, stranger));
    server.becomes_empty();
}

#[test]
fn code_and_reason_can_be_others() {
    let auth = Auth::new(for_a_while).close_on_expiry(4001, "log in again").unwrap();
    let route = require_websocket(echo).authenticate(auth);
    let server = Running::start(Server::builder().route("/ws", route));
    let since = SystemTime::now();
    let mut client = server.websocket("/ws?for=200");
    assert_eq!(expect_expired(&mut client, since, 200), (4001, "log in again".into()));
}

#[test]
fn a_facility_and_a_consumer_lose_it_too() {
    struct Probe(std::sync::mpsc::Sender<Closed>);
    impl Consumer for Probe {
        fn disconnect(&mut self, _: &Context<'_>, cause: &Closed) {
            self.0.send(cause.clone()).unwrap();
        }
    }
    let (sender, told) = tell();
    let hub = Hub::new();
    let server = Running::start(
        Server::builder()
            .hub(hub.clone())
            .route("/consumer", consumer(move |_| Probe(sender.clone())))
            .route("/ws/<facility>/", facility())
            .authenticate(for_a_while),
    );
    let since = SystemTime::now();
    let mut one = server.websocket("/consumer?for=200");
    let mut two = server.websocket("/ws/news/?subscribe-user&for=200");
    assert_eq!(expect_expired(&mut one, since, 200), expired());
    assert_eq!(told.next().code(), 4401);
    assert_eq!(expect_expired(&mut two, since, 200), expired());
    eventually("nobody is a member", || hub.is_empty());
}

#[test]
fn a_fresh_token_lets_a_client_stay() {
    fn renew(request: &Request, ws: &WebSocket) -> Result<()> {
        ws.set_expiry(SystemTime::now() + Duration::from_secs(3600));
        ws.send("renewed once")?;
        ws.set_expiry(SystemTime::now() + Duration::from_secs(3600));
        ws.send("renewed twice")?;
        echo(request, ws)
    }
    fn of_its_own(request: &Request, ws: &WebSocket) -> Result<()> {
        ws.send("welcome")?;
        ws.set_expiry(SystemTime::now());
        echo(request, ws)
    }
    let server = Running::start(
        Server::builder()
            .route("/ws", require_websocket(renew))
            .route("/echo", require_websocket(echo))
            .route("/own", require_websocket(of_its_own).authenticate(Auth::open()))
            .authenticate(for_a_while),
    );
    let since = SystemTime::now();
    let mut stays = server.websocket("/ws?for=200");
    assert_eq!(
        (stays.expect_text(), stays.expect_text()),
        ("renewed once".into(), "renewed twice".into())
    );
    let mut goes = server.websocket("/echo?for=200");
    assert_eq!(expect_expired(&mut goes, since, 200), expired());
    stays.expect_echo("still here");
    let mut own = server.websocket("/own");
    assert_eq!(own.expect_text(), "welcome");
    assert_eq!(own.answer_close(), expired());
}

#[test]
fn a_request_that_comes_too_late_is_refused() {
    let server = Running::start(
        Server::builder().route("/", get(|_: &Request| "in")).authenticate(for_a_while),
    );
    let mut client = server.connect();
    assert_eq!(client.get("/?for=60000").status, 200);
    assert_eq!(client.get("/?for=0").status, 403);
    assert_eq!(client.get("/?for=60000").status, 200, "on the same connection");
}

#[test]
fn many_expire_and_nothing_is_left_of_them() {
    const CLIENTS: usize = 40;
    let server = Running::start(
        Server::builder().route("/ws", require_websocket(echo)).authenticate(for_a_while),
    );
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|number| server.websocket(&format!("/ws?for={}", 100 + number * 5)))
        .collect();
    // Some go by themselves.
    clients.truncate(CLIENTS / 2);
    for client in &mut clients {
        assert_eq!(client.answer_close(), expired());
    }
    server.becomes_empty();
}
