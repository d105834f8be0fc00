//! Users and sessions that are told to go: who is open, who is on the way in, who comes after.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use landline::{
    Builder, Identity, Request, Result, Server, Verdict, WebSocket, close_code, facility,
    require_websocket,
};

use crate::harness::{Client, Running, echo, eventually, tell};

/// Knows the user and the session that the query names.
fn by_query(request: &Request) -> Result<Verdict> {
    let Some(name) = request.query("user") else { return Ok(Verdict::NotMine) };
    let session = request.query("session").unwrap_or_default();
    Ok(Verdict::Known(Identity::default().user(name).session(session)))
}

fn routes() -> Builder {
    Server::builder().route("/ws", require_websocket(echo)).authenticate(by_query)
}

const LOGGED_OUT: (u16, &str) = (4401, "logged out");

/// Opens a WebSocket; that it echoes says that nothing of its handshake is left to do.
fn enter(server: &Running, path: &str) -> Client {
    let mut client = server.websocket(path);
    client.expect_echo("in");
    client
}

fn expect_told(client: &mut Client) {
    let (code, reason) = client.answer_close();
    assert_eq!((code, reason.as_str()), LOGGED_OUT);
}

#[test]
fn a_user_loses_every_connection_and_nobody_else_one() {
    let server = Running::start(routes());
    let mut anna =
        ["1", "2", ""].map(|session| enter(&server, &format!("/ws?user=anna&session={session}")));
    let mut ben = enter(&server, "/ws?user=ben&session=3");
    assert_eq!(server.handle.close_user("Anna", 4401, "").unwrap(), 0, "names are exact");
    assert_eq!(server.handle.close_user("anna", LOGGED_OUT.0, LOGGED_OUT.1).unwrap(), 3);
    anna.iter_mut().for_each(expect_told);
    ben.expect_echo("still here");
    eventually("they are gone", || server.handle.closed_connections().len() == 3);
    let story = server.handle.closed_connections().remove(0);
    assert_eq!((story.cause, story.info.user.as_deref()), ("operator", Some("anna")));
    assert_eq!(server.handle.close_user("anna", 4401, "").unwrap(), 0);
    // Who comes back is asked again, and is good.
    enter(&server, "/ws?user=anna").expect_echo("back");
    assert!(server.handle.close_user("ben", 1005, "").is_err(), "no such code is sent");
    ben.expect_echo("still here");
}

#[test]
fn a_session_ends_without_the_others_of_its_user() {
    let server = Running::start(routes());
    let mut first = enter(&server, "/ws?user=anna&session=s1");
    let mut same = enter(&server, "/ws?user=anna&session=s1");
    let mut other = enter(&server, "/ws?user=anna&session=s2");
    let mut none = enter(&server, "/ws?user=anna");
    assert_eq!(server.handle.close_session("", 4401, "").unwrap(), 0, "nothing is no session");
    assert_eq!(server.handle.close_session("s1", LOGGED_OUT.0, LOGGED_OUT.1).unwrap(), 2);
    expect_told(&mut first);
    expect_told(&mut same);
    other.expect_echo("another browser");
    none.expect_echo("no session");
    assert_eq!(server.handle.close_session("s1", 4401, "").unwrap(), 0);
}

#[test]
fn who_is_on_the_way_in_gets_no_further() {
    for by_session in [false, true] {
        let (asked, is_asked) = tell();
        let (go, may_go) = channel::<()>();
        let may_go = Mutex::new(may_go);
        let slow = move |_: &Request, ws: &WebSocket| {
            asked.send(()).unwrap();
            may_go.lock().unwrap().recv().unwrap();
            ws.send("welcome")?;
            while ws.wait()?.is_some() {}
            Ok(())
        };
        let builder = Server::builder().route("/ws", require_websocket(slow));
        let server = Running::start(builder.authenticate(by_query));
        let mut clients = ["/ws?user=anna&session=s1", "/ws?user=ben&session=s2"].map(|path| {
            let mut client = server.connect();
            client.send(Client::handshake_head(path));
            client
        });
        is_asked.next();
        is_asked.next();
        let handle = &server.handle;
        let closed = match by_session {
            false => handle.close_user("anna", LOGGED_OUT.0, LOGGED_OUT.1),
            true => handle.close_session("s1", LOGGED_OUT.0, LOGGED_OUT.1),
        };
        assert_eq!(closed.unwrap(), 0, "nobody is open");
        go.send(()).unwrap();
        go.send(()).unwrap();
        for client in &mut clients {
            assert_eq!(client.reply().status, 101);
        }
        let [anna, ben] = &mut clients;
        expect_told(anna);
        assert_eq!(ben.expect_text(), "welcome");
    }
}

#[test]
fn a_facility_s_own_users_and_sessions_can_be_told_too() {
    let who = |request: &Request| {
        let name = request.query("user").unwrap_or_default();
        Identity::default().user(name).session(format!("of {name}"))
    };
    let route = facility().identify(who);
    let server = Running::start(Server::builder().route("/ws/<facility>/", route));
    let mut anna = server.websocket("/ws/news/?user=anna");
    let mut ben = server.websocket("/ws/news/?user=ben");
    server.handle.close_user("anna", close_code::POLICY, "barred").unwrap();
    assert_eq!(anna.answer_close(), (1008, "barred".into()));
    server.handle.close_session("of ben", 4401, "logged out").unwrap();
    expect_told(&mut ben);
    server.becomes_empty();
}
