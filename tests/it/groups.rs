//! Groups: who gets what, in which order, and how memberships end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use landline::{
    Bytes, Config, ErrorKind, Hub, Join, MemberEvent, Request, Result, Server, WebSocket,
    require_websocket,
};
use serde_json::json;

use crate::harness::{Client, PATIENCE, Running, eventually, patient, tell};

/// A server whose clients join the group of their path and whose messages go to that group.
fn rooms(config: Config, hub: &Hub) -> Running {
    let builder = Server::builder().config(config).hub(hub.clone());
    Running::start(builder.route("/<room>", require_websocket(room)))
}

fn room(request: &Request, ws: &WebSocket) -> Result<()> {
    let name = request.param("room").unwrap_or_default();
    let group = request.hub().group(name);
    ws.join_with(name, Join::default().metadata(json!({ "path": request.path() })))?;
    for message in ws {
        group.send(message?)?;
    }
    Ok(())
}

/// So many clients that are members already.
fn members(server: &Running, hub: &Hub, path: &str, number: usize) -> Vec<Client> {
    let before = hub.group(&path[1..]).len();
    let clients = (0..number).map(|_| server.websocket(path)).collect();
    eventually("all are members", || hub.group(&path[1..]).len() == before + number);
    clients
}

#[test]
fn every_member_gets_every_message_in_the_same_order() {
    let hub = Hub::new();
    let server = rooms(Config::default(), &hub);
    let mut clients = members(&server, &hub, "/a", 5);
    let mut other = members(&server, &hub, "/b", 1).remove(0);
    std::thread::scope(|scope| {
        for sender in 0..3 {
            let group = hub.group("a");
            scope.spawn(move || {
                for number in 0..200 {
                    group.send(format!("{sender}:{number}")).unwrap();
                }
            });
        }
    });
    let seen: Vec<Vec<String>> =
        clients.iter_mut().map(|client| (0..600).map(|_| client.expect_text()).collect()).collect();
    assert!(seen.iter().all(|texts| *texts == seen[0]), "not all saw the same order");
    for sender in 0..3 {
        let own = format!("{sender}:");
        let of_one = seen[0].iter().filter(|text| text.starts_with(&own));
        let expected: Vec<String> = (0..200).map(|number| format!("{own}{number}")).collect();
        assert_eq!(of_one.cloned().collect::<Vec<_>>(), expected);
    }
    hub.group("b").send("only b").unwrap();
    assert_eq!(other.expect_text(), "only b");
}

#[test]
fn send_tells_what_became_of_the_message() {
    let hub = Hub::new();
    let server = rooms(Config::default(), &hub);
    let mut clients = members(&server, &hub, "/a", 3);
    let delivery = hub.group("a").send("x").unwrap();
    assert_eq!(delivery.members(), 3);
    let counts = delivery.wait();
    assert_eq!((counts.written, counts.queued, counts.dropped, counts.gone), (3, 0, 0, 0));
    let ids: Vec<u64> = hub.group("a").members().iter().map(|member| member.conn_id()).collect();
    let delivery = hub.group("a").send_except(ids[1], "not for one").unwrap();
    assert_eq!((delivery.members(), delivery.wait().written), (2, 2));
    let texts: Vec<String> = clients.iter_mut().map(|client| client.expect_text()).collect();
    assert_eq!(texts, ["x", "x", "x"]);
    let stats = hub.group("a").stats();
    assert_eq!((stats.members, stats.published, stats.written), (3, 2, 5));
    let nobody = hub.group("nobody").send("x").unwrap();
    assert_eq!((nobody.members(), nobody.wait().written), (0, 0));
}

#[test]
fn the_excepted_connection_alone_is_left_out_of_a_batch() {
    let hub = Hub::new();
    let server = rooms(Config::default(), &hub);
    let mut clients = members(&server, &hub, "/a", 4);
    let ids: Vec<u64> = hub.group("a").members().iter().map(|member| member.conn_id()).collect();
    for number in 0..400 {
        let except = ids[number % 4];
        hub.group("a").send_except(except, number.to_string()).unwrap();
    }
    for (place, client) in clients.iter_mut().enumerate() {
        let expected = (0..400).filter(|number| number % 4 != place);
        for number in expected {
            assert_eq!(client.expect_text(), number.to_string());
        }
    }
}

#[test]
fn a_message_to_one_comes_behind_what_was_published_before() {
    let hub = Hub::new();
    let server = rooms(Config::default(), &hub);
    let mut clients = members(&server, &hub, "/a", 2);
    let id = hub.group("a").members()[0].conn_id();
    for number in 0..100 {
        hub.group("a").send(number.to_string()).unwrap();
        hub.send_to(id, format!("only you {number}")).unwrap();
    }
    for number in 0..100 {
        assert_eq!(clients[0].expect_text(), number.to_string());
        assert_eq!(clients[0].expect_text(), format!("only you {number}"));
        assert_eq!(clients[1].expect_text(), number.to_string());
    }
    assert_eq!(hub.send_to(0, "x").unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn whoever_has_the_answer_of_the_handshake_is_a_member() {
    let hub = Hub::new();
    let server = rooms(Config::default(), &hub);
    for number in 1..=200 {
        let mut client = server.websocket("/a");
        assert_eq!(hub.group("a").send("hello").unwrap().members(), 1, "client {number}");
        assert_eq!(client.expect_text(), "hello");
        client.say_goodbye();
        eventually("it has left", || hub.group("a").is_empty());
    }
}

#[test]
fn joining_again_loses_nothing_that_is_on_its_way() {
    const MESSAGES: usize = 3000;
    let hub = Hub::new();
    let is_done = Arc::new(AtomicBool::new(false));
    let (told, ready) = tell();
    let handler = {
        let is_done = Arc::clone(&is_done);
        move |_: &Request, ws: &WebSocket| {
            ws.join("a")?;
            told.send(()).unwrap();
            while !is_done.load(Relaxed) {
                ws.join("a")?;
            }
            ws.wait().map(drop)
        }
    };
    let builder = Server::builder().hub(hub.clone()).route("/", require_websocket(handler));
    let server = Running::start(builder);
    let mut client = server.websocket("/");
    ready.next();
    let sent: Vec<_> =
        (0..MESSAGES).map(|number| hub.group("a").send(number.to_string()).unwrap()).collect();
    let gone: usize = sent.iter().map(|delivery| delivery.wait().gone).sum();
    is_done.store(true, Relaxed);
    assert_eq!(gone, 0);
    for number in 0..MESSAGES {
        assert_eq!(client.expect_text(), number.to_string());
    }
}

#[test]
fn a_broadcast_reaches_those_without_a_group_too() {
    let hub = Hub::new();
    let server = rooms(Config::default(), &hub);
    let mut clients = members(&server, &hub, "/a", 2);
    clients.extend(members(&server, &hub, "/b", 1));
    assert_eq!(hub.len(), 3);
    assert_eq!(hub.broadcast(b"\xff\x00").unwrap().wait().written, 3);
    for client in &mut clients {
        assert_eq!(client.expect_binary(), b"\xff\x00");
    }
}

#[test]
fn names_are_any_utf8_within_their_limits() {
    let hub = Hub::new();
    let server = rooms(Config::default(), &hub);
    let mut client = server.websocket("/%E6%88%BF%E9%97%B4");
    eventually("it is a member", || hub.group("房间").len() == 1);
    hub.group("房间").send("你好 🦀").unwrap();
    assert_eq!(client.expect_text(), "你好 🦀");
    assert_eq!(hub.group_names(), ["房间"]);
    let kind = |name: &str| hub.group(name).send("x").unwrap_err().kind();
    assert_eq!(kind(&"x".repeat(256)), ErrorKind::Limit);
    assert_eq!(kind(""), ErrorKind::Protocol);
    assert_eq!(kind("a\tb"), ErrorKind::Protocol);
    assert!(hub.group("a\tb").watch().is_err());
}

#[test]
fn a_connection_is_in_a_thousand_groups_and_not_in_one_more() {
    let hub = Hub::new();
    let (tell, told) = tell();
    let joiner = move |_: &Request, ws: &WebSocket| {
        (0..1000).try_for_each(|number| ws.join(number.to_string()))?;
        tell.send(ws.join("one more").unwrap_err().kind()).unwrap();
        ws.join("999")?;
        assert!(ws.leave("500") && !ws.leave("500"));
        ws.join("one more")?;
        ws.wait().map(drop)
    };
    let builder = Server::builder().hub(hub.clone());
    let server = Running::start(builder.route("/", require_websocket(joiner)));
    let mut client = server.websocket("/");
    assert_eq!(told.next(), ErrorKind::Limit);
    eventually("there was room for another", || hub.group("one more").len() == 1);
    hub.group("999").send("once").unwrap().wait();
    hub.group("0").send("to the first").unwrap();
    assert_eq!(
        (client.expect_text(), client.expect_text()),
        ("once".into(), "to the first".into())
    );
    assert_eq!(hub.group_names().len(), 1000);
    client.say_goodbye();
    server.becomes_empty();
    assert_eq!((hub.group_names(), hub.stats().groups), (vec![], 0));
}

#[test]
fn members_have_their_metadata_and_watchers_see_them_come_and_go() {
    let hub = Hub::new();
    let server = rooms(Config::default(), &hub);
    let _first = members(&server, &hub, "/a", 1);
    let watch = hub.group("a").watch().unwrap();
    assert_eq!(watch.members().len(), 1);
    assert_eq!(watch.members()[0].metadata(), &json!({ "path": "/a" }));
    let mut second = server.websocket("/a");
    let MemberEvent::Joined(joined) = watch.wait_timeout(PATIENCE).unwrap() else {
        panic!("a join was due")
    };
    assert_ne!(joined.conn_id(), watch.members()[0].conn_id());
    second.say_goodbye();
    let MemberEvent::Left(left) = watch.wait_timeout(PATIENCE).unwrap() else {
        panic!("a leave was due")
    };
    assert_eq!(left.conn_id(), joined.conn_id());
    assert!(watch.read().is_none(), "one event for each change");
    assert_eq!(hub.group("a").len(), 1);
}

#[test]
fn a_watcher_that_is_too_slow_is_told_so() {
    let hub = Hub::new();
    let (told, ready) = tell();
    let flapping = move |_: &Request, ws: &WebSocket| {
        for _ in 0..1000 {
            ws.join("a")?;
            assert!(ws.leave("a") && !ws.leave("a"));
        }
        told.send(()).unwrap();
        ws.wait().map(drop)
    };
    let builder = Server::builder().hub(hub.clone()).route("/", require_websocket(flapping));
    let server = Running::start(builder);
    let watch = hub.group("a").watch().unwrap();
    let _client = server.websocket("/");
    ready.next();
    let mut seen = 0;
    loop {
        match watch.wait_timeout(PATIENCE).unwrap() {
            MemberEvent::Missed => break,
            _ => seen += 1,
        }
    }
    assert_eq!(seen, 1024);
    assert_eq!(watch.wait_timeout(PATIENCE).unwrap_err().kind(), ErrorKind::Closed);
    drop(watch);
    assert!(hub.group_names().is_empty(), "a group without anybody is forgotten");
}

/// How a connection comes to its end.
type Ending = fn(Client, &Running);

#[test]
fn a_membership_ends_once_however_the_connection_ends() {
    let endings: [(&str, Ending); 6] = [
        ("the client says goodbye", |mut client, _| client.say_goodbye()),
        ("the client is reset", |client, _| client.reset()),
        ("the stream ends", |mut client, _| {
            client.finish();
            client.expect_end();
        }),
        ("the protocol is broken", |mut client, _| client.send_frame(0x83, "?")),
        ("the handler fails", |mut client, _| client.send_text("fail")),
        ("the handler panics", |mut client, _| client.send_text("panic")),
    ];
    let hub = Hub::new();
    let handler = |_: &Request, ws: &WebSocket| {
        ws.join("a")?;
        ws.join("b")?;
        match ws.wait()?.and_then(|message| message.as_text().map(str::to_owned)).as_deref() {
            Some("fail") => Err(landline::Error::other("as asked")),
            Some("panic") => panic!("as asked"),
            _ => Ok(()),
        }
    };
    let builder = Server::builder().hub(hub.clone()).config(patient());
    let server = Running::start(builder.route("/", require_websocket(handler)));
    for (what, end) in endings {
        let watches = [hub.group("a").watch().unwrap(), hub.group("b").watch().unwrap()];
        let client = server.websocket("/");
        for watch in &watches {
            assert!(matches!(watch.wait_timeout(PATIENCE), Ok(MemberEvent::Joined(_))), "{what}");
        }
        end(client, &server);
        for watch in &watches {
            assert!(matches!(watch.wait_timeout(PATIENCE), Ok(MemberEvent::Left(_))), "{what}");
        }
        server.becomes_empty();
        assert!(watches.iter().all(|watch| watch.read().is_none()), "{what}: left twice");
        assert_eq!((hub.len(), hub.group("a").len()), (0, 0), "{what}");
    }
}

#[test]
fn a_dead_cable_ends_the_membership_while_the_handler_is_busy() {
    let hub = Hub::new();
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let wait = Arc::new(std::sync::Mutex::new(wait));
    let handler = move |_: &Request, ws: &WebSocket| {
        ws.join("a")?;
        let _ = wait.lock().unwrap().recv_timeout(PATIENCE);
        Ok(())
    };
    let config = Config::default()
        .with_ping_interval(Some(Duration::from_millis(50)))
        .with_ping_timeout(Some(Duration::from_millis(50)));
    let builder = Server::builder().hub(hub.clone()).config(config);
    let server = Running::start(builder.route("/", require_websocket(handler)));
    let watch = hub.group("a").watch().unwrap();
    // A client that answers no ping is as good as one without a cable.
    let _silent = server.websocket("/");
    assert!(matches!(watch.wait_timeout(PATIENCE), Ok(MemberEvent::Joined(_))));
    assert!(matches!(watch.wait_timeout(PATIENCE), Ok(MemberEvent::Left(_))));
    assert_eq!(server.handle.connections(), 1, "the handler is still busy");
    done.send(()).unwrap();
}

#[test]
fn a_stop_of_the_server_ends_every_membership() {
    let hub = Hub::new();
    let mut server = rooms(Config::default(), &hub);
    let mut clients = members(&server, &hub, "/a", 3);
    server.handle.stop();
    for client in &mut clients {
        assert_eq!(client.answer_close().0, 1001);
    }
    server.join().unwrap();
    assert_eq!((hub.len(), hub.group("a").len(), hub.stats().groups), (0, 0, 0));
}

#[test]
fn two_servers_can_share_a_hub() {
    let hub = Hub::new();
    let (one, other) = (rooms(Config::default(), &hub), rooms(Config::default(), &hub));
    let mut here = members(&one, &hub, "/a", 1).remove(0);
    let mut there = members(&other, &hub, "/a", 1).remove(0);
    here.send_text("hello");
    assert_eq!((here.expect_text(), there.expect_text()), ("hello".into(), "hello".into()));
    assert_eq!(one.handle.hub().len(), 2);
}

#[test]
fn nobody_joins_on_a_connection_that_is_over() {
    let hub = Hub::new();
    let (told, errors) = tell();
    let handler = move |_: &Request, ws: &WebSocket| {
        while ws.wait()?.is_some() {}
        told.send(ws.join("a").unwrap_err().kind()).unwrap();
        Ok(())
    };
    let builder = Server::builder().hub(hub.clone()).route("/", require_websocket(handler));
    let server = Running::start(builder);
    server.websocket("/").say_goodbye();
    assert_eq!(errors.next(), ErrorKind::Closed);
    assert!(hub.group("a").is_empty());
}

/// What an application hands over to be sent, and what may fail when it is let go.
struct Fragile;

impl AsRef<[u8]> for Fragile {
    fn as_ref(&self) -> &[u8] {
        b"fragile"
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        let thread = std::thread::current();
        assert!(!thread.name().is_some_and(|name| name.starts_with("relay")), "as asked");
    }
}

#[test]
fn a_panic_in_a_relay_ends_neither_the_relay_nor_a_wait() {
    let hub = Hub::new();
    let server = rooms(Config::default(), &hub);
    let mut clients = members(&server, &hub, "/room", 2);
    for _ in 0..50 {
        let message = Bytes::from_owner(Fragile);
        let delivery = hub.group("room").send(message).unwrap();
        let counts = delivery.wait_timeout(PATIENCE).expect("nobody waits for ever");
        assert_eq!(counts.written + counts.gone, 2);
    }
    hub.group("room").send("still here").unwrap();
    for client in &mut clients {
        while client.next_frame().payload != b"still here" {}
    }
}
