//! Who is here: users with several connections, the grace, snapshots without a hole.

use std::collections::BTreeSet;
use std::time::Duration;

use landline::{
    Hub, Join, Message, PresenceChange, Request, Result, Server, WebSocket, require_websocket,
};
use serde_json::json;

use crate::harness::{Client, PATIENCE, Running, eventually};

/// A change in words: `3 +anna`.
fn words(change: &PresenceChange) -> Option<Message> {
    let sign = if change.has_joined() { '+' } else { '-' };
    Some(format!("{} {sign}{}", change.sequence(), change.user()).into())
}

fn hub(grace: Duration) -> Hub {
    Hub::builder().presence_grace(grace).announce(words).build()
}

/// A server whose clients are in `room` under the name of their path.
fn server(hub: &Hub) -> Running {
    let member = |request: &Request, ws: &WebSocket| -> Result<()> {
        let user = request.param("user").unwrap_or_default();
        let metadata = json!({ "from": request.query("from") });
        ws.join_with("room", Join::default().user(user).metadata(metadata))?;
        while ws.wait()?.is_some() {}
        Ok(())
    };
    let watcher = |_: &Request, ws: &WebSocket| -> Result<()> {
        ws.join("room")?;
        while ws.wait()?.is_some() {}
        Ok(())
    };
    let builder = Server::builder().hub(hub.clone());
    let builder = builder.route("/watch", require_websocket(watcher));
    Running::start(builder.route("/as/<user>", require_websocket(member)))
}

fn watcher(server: &Running, hub: &Hub) -> Client {
    let client = server.websocket("/watch");
    eventually("the watcher is a member", || hub.group("room").len() == 1);
    client
}

fn names(hub: &Hub) -> Vec<(String, usize)> {
    let presence = hub.group("room").presence();
    presence.users().iter().map(|user| (user.name().to_owned(), user.connections())).collect()
}

#[test]
fn a_user_comes_with_the_first_connection_and_goes_with_the_last() {
    let hub = hub(Duration::from_millis(1));
    let server = server(&hub);
    let mut watcher = watcher(&server, &hub);
    let mut first = server.websocket("/as/anna?from=desk");
    assert_eq!(watcher.expect_text(), "1 +anna");
    let mut second = server.websocket("/as/anna?from=phone");
    eventually("both count", || names(&hub) == [("anna".into(), 2)]);
    let presence = hub.group("room").presence();
    assert_eq!(presence.users()[0].metadata(), &json!({ "from": "phone" }));
    first.say_goodbye_among_others();
    eventually("one is left", || names(&hub) == [("anna".into(), 1)]);
    let _bob = server.websocket("/as/bob");
    assert_eq!(watcher.expect_text(), "2 +bob", "the end of one of two connections says nothing");
    second.say_goodbye_among_others();
    assert_eq!(watcher.expect_text(), "3 -anna");
    assert_eq!(names(&hub), [("bob".into(), 1)]);
}

impl Client {
    /// Says goodbye while messages of the group may still come.
    fn say_goodbye_among_others(&mut self) {
        self.send_close(1000, "");
        while self.next_frame().first != 0x88 {}
        self.expect_fin();
    }
}

#[test]
fn a_reconnect_within_the_grace_is_no_news() {
    let hub = hub(PATIENCE * 10);
    let server = server(&hub);
    let mut watcher = watcher(&server, &hub);
    for number in 0..5 {
        let mut anna = server.websocket("/as/anna");
        if number == 0 {
            assert_eq!(watcher.expect_text(), "1 +anna");
        }
        anna.say_goodbye_among_others();
        eventually("she is awaited", || names(&hub) == [("anna".into(), 0)]);
    }
    let _bob = server.websocket("/as/bob");
    assert_eq!(watcher.expect_text(), "2 +bob");
}

#[test]
fn a_snapshot_and_the_changes_after_it_have_no_hole() {
    let hub = hub(Duration::ZERO);
    let server = server(&hub);
    let _keeper = watcher(&server, &hub);
    std::thread::scope(|scope| {
        let observers: Vec<_> = (0..5)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = server.websocket("/watch");
                    observe(&mut client, &hub);
                })
            })
            .collect();
        for number in 0..60 {
            let mut client = server.websocket(&format!("/as/user-{}", number % 7));
            if number % 3 > 0 {
                client.say_goodbye_among_others();
            }
        }
        let _last = server.websocket("/as/last");
        for observer in observers {
            observer.join().unwrap();
        }
    });
}

/// Takes a snapshot once it is a member, then applies what comes until the last user is here and
/// all others have gone.
fn observe(client: &mut Client, hub: &Hub) {
    let presence = hub.group("room").presence();
    let mut sequence = presence.sequence();
    let names = presence.users().iter().map(|user| user.name().to_owned());
    let mut here: BTreeSet<String> = names.collect();
    while here.len() != 1 || !here.contains("last") {
        let text = client.expect_text();
        let (number, change) = text.split_once(' ').unwrap();
        let number: u64 = number.parse().unwrap();
        if number <= sequence {
            continue;
        }
        assert_eq!(number, sequence + 1, "a change is missing before {text}");
        sequence = number;
        match change.split_at(1) {
            ("+", name) => assert!(here.insert(name.to_owned()), "{text}: came twice"),
            (_, name) => assert!(here.remove(name), "{text}: was not here"),
        }
    }
}

#[test]
fn a_panic_of_the_announcement_ends_nothing() {
    let hub = Hub::builder()
        .presence_grace(Duration::ZERO)
        .announce(|change| {
            assert_ne!(change.user(), "evil", "as asked");
            words(change)
        })
        .build();
    let server = server(&hub);
    let mut watcher = watcher(&server, &hub);
    let _evil = server.websocket("/as/evil");
    eventually("he is here all the same", || names(&hub).len() == 1);
    let _anna = server.websocket("/as/anna");
    assert_eq!(watcher.expect_text(), "2 +anna");
}

#[test]
fn a_user_that_joins_again_has_not_been_away() {
    let hub = hub(Duration::ZERO);
    let again = |request: &Request, ws: &WebSocket| -> Result<()> {
        let user = request.param("user").unwrap_or_default();
        for number in 0..500 {
            ws.join_with("room", Join::default().user(user).metadata(json!(number)))?;
        }
        ws.wait().map(drop)
    };
    let builder = Server::builder().hub(hub.clone());
    let server = Running::start(builder.route("/again/<user>", require_websocket(again)));
    let mut bob = server.websocket("/again/bob");
    assert_eq!(bob.expect_text(), "1 +bob");
    let _anna = server.websocket("/again/anna");
    assert_eq!(bob.expect_text(), "2 +anna");
    let _cleo = server.websocket("/again/cleo");
    assert_eq!(bob.expect_text(), "3 +cleo");
}
