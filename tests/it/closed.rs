//! Who was connected, why it ended, and the events before: the flight recorder from outside.

use std::time::Duration;

use landline::{Config, ErrorKind, Join, Request, Result, TraceEvent, WebSocket};

use crate::harness::{echo, eventually, patient, websocket_server};

fn kinds(events: &[TraceEvent]) -> Vec<&'static str> {
    events.iter().map(TraceEvent::kind).collect()
}

#[test]
fn a_closed_connection_is_remembered_with_its_end_and_its_events() {
    let server = websocket_server(patient(), echo);
    let mut client = server.websocket("/ws");
    let peer = client.stream.local_addr().unwrap();
    client.expect_echo("one");
    client.expect_echo("two");
    client.send_frame(0x89, "ping");
    client.next_frame();
    client.send_close(4321, "<b>bye</b>");
    client.expect_closed(4321);
    server.becomes_empty();
    let closed = server.handle.closed_connections();
    let [story] = &closed[..] else { panic!("one has ended: {closed:?}") };
    assert_eq!((story.info.peer, &*story.info.route, &story.info.user), (peer, "/ws", &None));
    assert_eq!((story.closed.code(), story.closed.reason()), (4321, "<b>bye</b>"));
    assert_eq!((story.cause, story.closed.is_clean()), ("client", true));
    assert_eq!((story.info.traffic.messages_received, story.info.traffic.messages_sent), (2, 2));
    let kinds = kinds(&story.events);
    let place = |kind| kinds.iter().position(|known| *known == kind).expect(kind);
    assert_eq!((kinds[0], place("ping-received") > 0), ("opened", true));
    assert!(place("messages") < place("close-received"), "{kinds:?}");
    assert!(place("close-received") < place("close-sent"), "{kinds:?}");
    let messages: u64 = story.events.iter().map(|event| event.traffic().messages_received).sum();
    assert_eq!(messages, 2);
}

#[test]
fn of_the_ended_the_last_thousand_are_remembered_the_newest_first() {
    let server = websocket_server(patient(), |_, _| Ok(()));
    for round in 0..1010 {
        let mut client = server.connect();
        client.handshake("/echo");
        client.send_close(4000 + (round % 900), "");
        client.expect_closed(4000 + (round % 900));
    }
    server.becomes_empty();
    let closed = server.handle.closed_connections();
    assert_eq!(closed.len(), 1000);
    assert_eq!(closed[0].closed.code(), 4000 + 1009 % 900);
    assert!(closed.windows(2).all(|pair| pair[0].ended >= pair[1].ended));
}

#[test]
fn an_operator_closes_one_and_the_others_stay() {
    let server = websocket_server(patient(), echo);
    let (mut one, mut other) = (server.websocket("/ws"), server.websocket("/ws"));
    let all = server.handle.connections_now();
    let of = |client: &crate::harness::Client| {
        let own = client.stream.local_addr().unwrap();
        all.iter().find(|info| info.peer == own).expect("it is listed").id
    };
    let id = of(&one);
    let wrong = server.handle.close_connection(id, 1005, "").unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Protocol);
    assert!(server.handle.close_connection(id, 4100, "out you go").unwrap());
    assert!(!server.handle.close_connection(id, 4100, "again").unwrap(), "it is closing already");
    assert!(!server.handle.close_connection(u64::MAX, 4100, "").unwrap(), "there is none");
    assert_eq!(one.answer_close(), (4100, "out you go".to_owned()));
    other.expect_echo("still here");
    eventually("it is remembered", || server.handle.closed_connections().len() == 1);
    let closed = server.handle.closed_connections();
    assert_eq!((closed[0].info.id, closed[0].cause), (id, "operator"));
    assert!(kinds(&closed[0].events).contains(&"operator"));
    assert!(server.handle.connection(id).is_none());
    assert!(server.handle.connection(of(&other)).is_some());
}

#[test]
fn a_member_with_a_name_is_listed_with_it_and_with_its_groups() {
    let server = websocket_server(patient(), |_: &Request, ws: &WebSocket| -> Result<()> {
        ws.join_with("b", Join::default().user("<anna>"))?;
        ws.join("a")?;
        while ws.wait()?.is_some() {}
        Ok(())
    });
    let mut client = server.websocket("/ws");
    eventually("it has joined", || server.handle.hub().group("a").len() == 1);
    let all = server.handle.connections_now();
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].user.as_deref(), &all[0].groups),
        (Some("<anna>"), &vec!["a".into(), "b".into()])
    );
    client.say_goodbye();
    eventually("it is remembered", || !server.handle.closed_connections().is_empty());
    let closed = server.handle.closed_connections();
    assert_eq!(closed[0].info.user.as_deref(), Some("<anna>"));
}

#[test]
fn silence_is_a_few_events_however_long_it_lasts() {
    let interval = Some(Duration::from_millis(1));
    let config = Config::default().with_ping_interval(interval);
    let server = websocket_server(config, echo);
    let mut client = server.websocket("/ws");
    for _ in 0..5 {
        let ping = client.next_frame();
        assert_eq!(ping.first, 0x89);
        client.send_frame(0x8a, ping.payload);
    }
    client.say_goodbye();
    eventually("it is remembered", || !server.handle.closed_connections().is_empty());
    let closed = server.handle.closed_connections();
    let count = |kind| kinds(&closed[0].events).iter().filter(|known| **known == kind).count();
    assert_eq!((count("ping-sent"), count("pong-received")), (1, 1));
    let text = closed[0].events.iter().find(|event| event.kind() == "pong-received").unwrap();
    assert!(text.to_string().starts_with("5 pongs received, the last after "), "{text}");
}
