//! What becomes of messages for members that do not keep up: nothing is lost without being
//! counted, and nobody else waits.

use std::time::{Duration, Instant};

use landline::{
    Config, Hub, HubBuilder, Join, MemberEvent, Overflow, Request, Result, Server, WebSocket,
    require_websocket,
};

use crate::harness::{Client, PATIENCE, Running, eventually, patient, tell};

/// A limit that a flood reaches at once.
const LIMIT: usize = 64 * 1024;

fn flood_config() -> Config {
    patient().with_outbound_bytes(LIMIT).with_ping_interval(None)
}

/// A server on whose only route clients join the group `all`.
fn server(hub: &Hub, config: Config) -> Running {
    let member = |_: &Request, ws: &WebSocket| -> Result<()> {
        ws.join("all")?;
        while ws.wait()?.is_some() {}
        Ok(())
    };
    let builder = Server::builder().config(config).hub(hub.clone());
    Running::start(builder.route("/", require_websocket(member)))
}

fn hub(overflow: Overflow) -> Hub {
    HubBuilder::default().overflow(overflow).build()
}

fn member(server: &Running, hub: &Hub) -> Client {
    let before = hub.group("all").len();
    let mut client = server.connect();
    client.hold_little();
    client.handshake("/");
    eventually("it is a member", || hub.group("all").len() == before + 1);
    client
}

/// A text that says its number and is long enough for a flood.
fn text(number: usize) -> String {
    format!("{number:08} {}", "x".repeat(1000))
}

fn number(text: &str) -> usize {
    text[..8].parse().unwrap()
}

/// Publishes until the stopped member has lost something, or is gone; returns how many that were.
fn flood(hub: &Hub, reader: &mut Client, until: impl Fn(&Hub) -> bool) -> usize {
    let (start, mut sent) = (Instant::now(), 0);
    while !until(hub) {
        assert!(start.elapsed() < PATIENCE, "the flood has no effect: {:?}", hub.stats());
        hub.group("all").send(text(sent)).unwrap().wait();
        assert_eq!(number(&reader.expect_text()), sent, "the reader gets everything, in order");
        sent += 1;
    }
    sent
}

#[test]
fn a_member_that_stops_reading_is_closed_with_1013_and_delays_nobody() {
    let hub = hub(Overflow::Disconnect);
    let server = server(&hub, flood_config());
    let (mut reader, mut stopped) = (member(&server, &hub), member(&server, &hub));
    let watch = hub.group("all").watch().unwrap();
    let sent = flood(&hub, &mut reader, |hub| hub.stats().disconnected > 0);
    let event = watch.wait_timeout(PATIENCE).unwrap();
    let MemberEvent::Left(left) = event else { panic!("a leave was due, not {event:?}") };
    assert_eq!(hub.group("all").len(), 1, "its membership has ended");
    assert_eq!(server.handle.slow_clients(), 1);

    // It wakes up: a part of what was sent, then the reason, and nothing behind it.
    let mut received = 0;
    loop {
        let frame = stopped.next_frame();
        if frame.first == 0x88 {
            assert_eq!(frame.payload, [&1013u16.to_be_bytes()[..], b"client too slow"].concat());
            break;
        }
        assert_eq!(number(std::str::from_utf8(&frame.payload).unwrap()), received);
        received += 1;
    }
    stopped.send_close(1013, "");
    stopped.expect_fin();
    assert_eq!(left.lost(), (sent - received) as u64, "what it did not get is counted");
    let stats = hub.stats();
    assert_eq!(stats.dropped, left.lost());
    assert_eq!(stats.written + stats.queued + stats.dropped, 2 * sent as u64, "{stats:?}");
    reader.say_goodbye();
}

#[test]
fn the_oldest_are_dropped_and_the_newest_arrive() {
    let hub = hub(Overflow::DropOldest);
    let server = server(&hub, flood_config());
    let (mut reader, mut stopped) = (member(&server, &hub), member(&server, &hub));
    let sent = flood(&hub, &mut reader, |hub| hub.stats().dropped >= 500);
    let lost = hub.group("all").members()[1].lost();
    assert_eq!(lost, hub.stats().dropped);
    assert_eq!(hub.group("all").stats().dropped, lost);

    let mut seen = Vec::new();
    while seen.last() != Some(&(sent - 1)) {
        seen.push(number(&stopped.expect_text()));
    }
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "order is kept");
    assert_eq!(seen.len() as u64 + lost, sent as u64, "all others are counted");
    // It keeps up again and loses nothing any more.
    hub.group("all").send(text(sent)).unwrap();
    assert_eq!(number(&stopped.expect_text()), sent);
    assert_eq!((hub.group("all").len(), server.handle.slow_clients()), (2, 0));
}

#[test]
fn only_the_latest_waits_for_a_slow_member() {
    let hub = hub(Overflow::Latest);
    let server = server(&hub, flood_config());
    let (mut reader, mut stopped) = (member(&server, &hub), member(&server, &hub));
    let sent = flood(&hub, &mut reader, |hub| hub.stats().dropped >= 500);
    let mut seen = vec![];
    while seen.last() != Some(&(sent - 1)) {
        seen.push(number(&stopped.expect_text()));
    }
    let gaps: Vec<_> = seen.windows(2).filter(|pair| pair[1] != pair[0] + 1).collect();
    assert_eq!(gaps.len(), 1, "all that the kernel took, then the last: {gaps:?}");
    assert_eq!(hub.stats().dropped, (sent - seen.len()) as u64);
}

#[test]
fn a_publisher_that_may_wait_loses_nothing() {
    let hub = hub(Overflow::Block(PATIENCE));
    let server = server(&hub, flood_config());
    let (mut reader, mut slow) = (member(&server, &hub), member(&server, &hub));
    const MESSAGES: usize = 20_000;
    std::thread::scope(|scope| {
        let group = hub.group("all");
        let publisher = scope.spawn(move || {
            for number in 0..MESSAGES {
                group.send(text(number)).unwrap();
            }
        });
        scope.spawn(|| {
            for expected in 0..MESSAGES {
                assert_eq!(number(&reader.expect_text()), expected);
            }
        });
        eventually("the publisher waits", || {
            let members = hub.group("all").stats();
            members.queued > 0
        });
        for expected in 0..MESSAGES {
            assert_eq!(number(&slow.expect_text()), expected);
        }
        publisher.join().unwrap();
    });
    let stats = hub.stats();
    assert_eq!((stats.dropped, stats.abandoned, stats.gone), (0, 0, 0));
    assert_eq!(hub.group("all").len(), 2);
}

#[test]
fn a_member_that_is_full_after_the_wait_is_closed_and_the_others_lose_nothing() {
    let hub = hub(Overflow::Block(Duration::from_millis(50)));
    let server = server(&hub, flood_config());
    let (mut reader, _stopped) = (member(&server, &hub), member(&server, &hub));
    flood(&hub, &mut reader, |hub| hub.stats().disconnected > 0);
    assert_eq!(hub.group("all").len(), 1);
    assert!(hub.stats().dropped > 0);
    hub.group("all").send("still here").unwrap();
    assert_eq!(reader.expect_text(), "still here");
    assert_eq!(server.handle.slow_clients(), 1);
}

#[test]
fn a_wait_of_no_time_at_all_closes_who_is_full_at_once() {
    let hub = hub(Overflow::Block(Duration::ZERO));
    let server = server(&hub, flood_config());
    let (mut reader, _stopped) = (member(&server, &hub), member(&server, &hub));
    flood(&hub, &mut reader, |hub| hub.stats().disconnected > 0);
    assert_eq!(hub.group("all").len(), 1);
}

#[test]
fn a_publisher_that_is_itself_the_slow_member_waits_no_longer_than_for_another() {
    for is_inbox in [false, true] {
        let hub = hub(Overflow::Block(Duration::from_millis(50)));
        let (tell, told) = tell();
        let publisher = move |request: &Request, ws: &WebSocket| -> Result<()> {
            let join = if is_inbox { Join::default().to_inbox() } else { Join::default() };
            ws.join_with("all", join)?;
            let group = request.hub().group("all");
            while !group.is_empty() {
                group.send(text(0))?;
            }
            tell.send(ws.is_closed()).unwrap();
            Ok(())
        };
        let builder = Server::builder().config(flood_config()).hub(hub.clone());
        let server = Running::start(builder.route("/", require_websocket(publisher)));
        let mut client = server.connect();
        client.hold_little();
        client.handshake("/");
        assert!(told.next(), "its own group has closed it");
        assert_eq!(hub.stats().disconnected, 1);
        drop(client);
    }
}

#[test]
fn a_flood_that_nobody_waits_for_is_bounded_in_memory() {
    // The queue of a stopped member of small messages: entries count, not only their bytes.
    let hub = hub(Overflow::DropOldest);
    let server = server(&hub, flood_config());
    let (mut reader, _stopped) = (member(&server, &hub), member(&server, &hub));
    let (mut sent, start, small) = (0, Instant::now(), "x".repeat(50));
    while hub.stats().dropped < 1000 {
        assert!(start.elapsed() < PATIENCE, "nothing is dropped: {:?}", hub.stats());
        for _ in 0..1000 {
            hub.group("all").send(&small).unwrap();
        }
        for _ in 0..1000 {
            assert_eq!(reader.expect_text(), small);
        }
        sent += 1000;
    }
    let of_both = |hub: &Hub| hub.stats().written + hub.stats().queued + hub.stats().dropped;
    eventually("both members are served", || of_both(&hub) == 2 * sent);
    // 52 bytes each on the wire, and more than that again for the queue's own entry.
    let held = hub.stats().queued;
    assert!(held < LIMIT as u64 / 100, "{held} messages wait within {LIMIT} bytes");
}

#[test]
fn what_waits_for_a_client_that_goes_is_counted_as_abandoned() {
    let hub = hub(Overflow::Disconnect);
    let config = flood_config().with_outbound_bytes(1 << 20);
    let server = server(&hub, config);
    let (mut reader, stopped) = (member(&server, &hub), member(&server, &hub));
    flood(&hub, &mut reader, |hub| hub.stats().queued >= 20);
    let queued = hub.stats().queued;
    stopped.reset();
    eventually("it has left", || hub.group("all").len() == 1);
    eventually("the rest is counted", || hub.stats().abandoned == queued);
    assert_eq!(hub.stats().dropped, 0);
}

#[test]
fn a_message_that_nobody_waits_for_closes_a_member_that_is_full_twice_over() {
    let hub = hub(Overflow::Block(PATIENCE));
    let server = server(&hub, flood_config());
    let stopped = member(&server, &hub);
    let (id, start) = (hub.group("all").members()[0].conn_id(), Instant::now());
    let mut most = 0;
    while hub.stats().disconnected == 0 {
        assert!(start.elapsed() < PATIENCE, "the flood has no effect: {:?}", hub.stats());
        most = most.max(hub.stats().queued);
        assert!(most < 3 * LIMIT as u64 / 1000, "{most} messages wait within {LIMIT} bytes");
        let _ = hub.send_to(id, text(0)).map(|delivery| delivery.wait());
    }
    assert!(most > LIMIT as u64 / 1100, "who is waited for elsewhere is not closed at once");
    assert_eq!((hub.len(), hub.stats().dropped > 0), (0, true));
    drop(stopped);
}

#[test]
fn many_publishers_that_wait_pass_the_limit_by_no_more_than_one_does() {
    const PUBLISHERS: usize = 100;
    const BYTES: usize = 4096;
    // Without end: whoever waits is let go by the end of the member.
    let hub = hub(Overflow::Block(Duration::MAX));
    let server = server(&hub, flood_config());
    let (mut reader, stopped) = (member(&server, &hub), member(&server, &hub));
    flood(&hub, &mut reader, |hub| hub.stats().queued > 0);
    let reader_id = hub.group("all").members()[0].conn_id();
    std::thread::scope(|scope| {
        for _ in 0..PUBLISHERS {
            let group = hub.group("all");
            scope.spawn(move || group.send(vec![b'x'; BYTES]).unwrap());
        }
        eventually("the member is full", || hub.stats().queued >= (LIMIT / BYTES) as u64);
        // Time for those who do not wait as they should.
        for _ in 0..1000 {
            hub.send_to(reader_id, "tick").unwrap().wait();
        }
        let held = hub.stats().queued as usize * BYTES;
        assert!(held < LIMIT + 64 * 1024 + 2 * BYTES, "{held} bytes wait");
        stopped.reset();
    });
    assert_eq!(hub.group("all").stats().disconnected, 0);
    drop(reader);
}

/// A member whose queue is full of what its own handler has sent.
fn stuffed(server: &Running, hub: &Hub) -> Client {
    let mut client = server.connect();
    client.hold_little();
    client.handshake("/stuffed");
    eventually("it is a member", || hub.group("all").len() == 1);
    client
}

#[test]
fn the_newest_waits_even_where_others_leave_no_room() {
    for overflow in [Overflow::Latest, Overflow::DropOldest] {
        let hub = hub(overflow);
        let (tell, told) = tell();
        let member = move |_: &Request, ws: &WebSocket| -> Result<()> {
            ws.join("all")?;
            let sender = ws.sender()?;
            while sender.try_send(text(0)).is_ok() {}
            tell.send(()).unwrap();
            ws.wait().map(drop)
        };
        let builder = Server::builder().config(flood_config()).hub(hub.clone());
        let server = Running::start(builder.route("/stuffed", require_websocket(member)));
        let mut client = stuffed(&server, &hub);
        told.next();
        for number in 1..=3 {
            let counts = hub.group("all").send(text(number)).unwrap().wait();
            assert_eq!((counts.queued, counts.dropped), (1, 0), "{overflow:?}");
        }
        assert_eq!((hub.stats().queued, hub.stats().dropped), (1, 2), "{overflow:?}");
        let mut last = 0;
        while last == 0 {
            last = number(&client.expect_text());
        }
        assert_eq!(last, 3, "{overflow:?}");
        drop(client);
    }
}
