//! Many members, many messages, members that come and go: nothing is lost and every message is
//! counted.

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use landline::{
    Config, Delivery, Hub, HubStats, Join, Overflow, Request, Result, Server, WebSocket,
    require_websocket,
};

use crate::harness::{Client, PATIENCE, Running, eventually, patient};

/// A server whose clients join the group of their path, and change groups on demand.
fn server(hub: &Hub, config: Config) -> Running {
    let member = |request: &Request, ws: &WebSocket| -> Result<()> {
        ws.join(request.param("group").unwrap_or_default())?;
        while let Some(order) = ws.wait()? {
            match order.as_text().and_then(|text| text.split_once(' ')) {
                Some(("join", group)) => ws.join(group)?,
                Some(("inbox", group)) => ws.join_with(group, Join::default().to_inbox())?,
                Some(("leave", group)) => drop(ws.leave(group)),
                _ => return Ok(()),
            }
        }
        Ok(())
    };
    let builder = Server::builder().config(config).hub(hub.clone());
    Running::start(builder.route("/<group>", require_websocket(member)))
}

fn members(server: &Running, hub: &Hub, number: usize) -> Vec<Client> {
    let clients = (0..number).map(|_| server.websocket("/all")).collect();
    eventually("all are members", || hub.group("all").len() == number);
    clients
}

/// 32 bytes that say their number.
fn text(number: usize) -> String {
    format!("{number:032}")
}

/// Receives the messages with these numbers, byte for byte.
fn expect_all(client: &mut Client, messages: usize) {
    let mut received = vec![0; messages * 34];
    let early = std::mem::take(&mut client.buffer);
    received[..early.len()].copy_from_slice(&early);
    client.stream.read_exact(&mut received[early.len()..]).expect("every message comes");
    for (number, frame) in received.chunks_exact(34).enumerate() {
        assert_eq!(frame, [b"\x81\x20", text(number).as_bytes()].concat(), "message {number}");
    }
}

#[test]
fn a_thousand_members_get_everything_in_order() {
    landline::raise_descriptor_limit().unwrap();
    let hub = Hub::builder().overflow(Overflow::Block(PATIENCE)).build();
    let server = server(&hub, patient());
    let mut clients = members(&server, &hub, 1000);
    const MESSAGES: usize = 1000;
    let group = hub.group("all");
    let mut last = None;
    for number in 0..MESSAGES {
        last = Some(group.send(text(number)).unwrap());
    }
    clients.iter_mut().for_each(|client| expect_all(client, MESSAGES));
    last.expect("many were sent").wait();
    let stats = hub.stats();
    assert_eq!((stats.dropped, stats.abandoned, stats.gone), (0, 0, 0));
    assert_eq!(stats.written + stats.queued, 1000 * MESSAGES as u64);
}

#[test]
fn members_that_come_and_go_take_nothing_from_those_that_stay() {
    let hub = Hub::new();
    let server = server(&hub, Config::default().with_outbound_bytes(64 << 20));
    let mut stable = members(&server, &hub, 20);
    let (is_over, published) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let number = published.fetch_add(1, Ordering::Relaxed);
                hub.group("all").send(text(number as usize)).unwrap();
            }
            hub.group("all").send("the end").unwrap();
        });
        let readers: Vec<_> = stable
            .iter_mut()
            .map(|client| {
                scope.spawn(|| {
                    for number in 0.. {
                        let received = client.expect_text();
                        if received == "the end" {
                            return number;
                        }
                        assert_eq!(received, text(number));
                    }
                    unreachable!()
                })
            })
            .collect();
        // Half of them with the connection, half by leaving: 400 joins and 400 leaves.
        let mut walker = server.websocket("/walker");
        for number in 0..200 {
            drop(server.websocket("/all"));
            let order = if number % 2 == 0 { "join all" } else { "leave all" };
            walker.send_text(order);
        }
        walker.send_text("join done");
        let is_done = || hub.group("done").len() == 1;
        let drained = scope.spawn(move || while walker.receive() {});
        eventually("the walker has done its way", is_done);
        is_over.store(true, Ordering::Relaxed);
        for reader in readers {
            assert_eq!(reader.join().unwrap() as u64, published.load(Ordering::Relaxed));
        }
        server.handle.stop_now();
        drained.join().unwrap();
    });
}

/// A small generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

const GROUPS: [&str; 4] = ["disconnect", "oldest", "latest", "block"];

fn mixed_hub() -> Hub {
    Hub::builder()
        .overflow_for("oldest", Overflow::DropOldest)
        .overflow_for("latest", Overflow::Latest)
        .overflow_for("block", Overflow::Block(Duration::from_millis(5)))
        .build()
}

/// A client that joins, leaves, reads, stops reading and ends as chance will have it.
fn wander(server: &Running, random: &mut Random) {
    let mut client = server.connect();
    if random.below(2) == 0 {
        client.hold_little();
    }
    client.handshake(&format!("/{}", GROUPS[random.below(4) as usize]));
    for _ in 0..random.below(30) {
        let group = GROUPS[random.below(4) as usize];
        let is_sent = match random.below(6) {
            0 => client.try_send(Client::frame(0x81, format!("join {group}").as_bytes())),
            1 => client.try_send(Client::frame(0x81, format!("inbox {group}").as_bytes())),
            2 => client.try_send(Client::frame(0x81, format!("leave {group}").as_bytes())),
            3 => client.try_send(Client::frame(0x89, b"ping")),
            // What it does not read waits for it.
            _ => {
                let mut bytes = [0; 64 * 1024];
                client.stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
                !matches!(client.stream.read(&mut bytes), Ok(0))
            }
        };
        if !is_sent {
            return;
        }
    }
    match random.below(3) {
        0 => client.reset(),
        1 => drop(client.try_send(Client::frame(0x88, &1000u16.to_be_bytes()))),
        _ => {}
    }
}

/// Publishes to chance's groups; returns how many deliveries that meant.
fn publish(hub: &Hub, random: &mut Random, sent: usize) -> usize {
    let mut deliveries = Vec::new();
    let payload = vec![b'x'; 20_000];
    for _ in 0..sent {
        let group = hub.group(GROUPS[random.below(4) as usize]);
        let members = group.members();
        let message = &payload[..random.below(20_000) as usize];
        deliveries.push(match members.first() {
            Some(member) if random.below(3) == 0 => {
                group.send_except(member.conn_id(), message).unwrap()
            }
            _ => group.send(message).unwrap(),
        });
    }
    deliveries.iter().map(check).sum()
}

/// Every member of a delivery is accounted for.
fn check(delivery: &Delivery) -> usize {
    let counts = delivery.wait();
    let sum = counts.written + counts.queued + counts.dropped + counts.gone;
    assert_eq!(sum, delivery.members(), "{counts:?}");
    sum
}

fn total(stats: &HubStats) -> u64 {
    stats.written + stats.queued + stats.dropped + stats.abandoned + stats.gone
}

#[test]
fn whatever_members_do_every_message_is_counted_and_every_membership_ends() {
    for seed in 1..=8 {
        let hub = mixed_hub();
        let config = Config::default().with_outbound_bytes(100_000).with_inbox_bytes(100_000);
        let server = server(&hub, config.with_close_timeout(Duration::from_millis(100)));
        let published: usize = std::thread::scope(|scope| {
            let wanderers: Vec<_> = (0..8)
                .map(|number| {
                    let server = &server;
                    let mut random = Random(seed * 1000 + number);
                    scope.spawn(move || (0..6).for_each(|_| wander(server, &mut random)))
                })
                .collect();
            let publishers: Vec<_> = (0..2)
                .map(|number| {
                    let (hub, mut random) = (&hub, Random(seed * 77 + number));
                    scope.spawn(move || publish(hub, &mut random, 300))
                })
                .collect();
            wanderers.into_iter().for_each(|thread| thread.join().unwrap());
            publishers.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        server.becomes_empty();
        assert_eq!((hub.len(), hub.group_names()), (0, vec![]), "seed {seed}");
        assert_eq!(total(&hub.stats()), published as u64, "seed {seed}: {:?}", hub.stats());
    }
}
