//! permessage-deflate in groups: a message is compressed for many at a time, and each member gets
//! it in a form it can read.

use std::time::Instant;

use landline::{
    Deflate, Hub, HubBuilder, Overflow, Request, Result, Server, WebSocket, require_websocket,
};

use crate::harness::{Client, PATIENCE, Running, eventually, patient};
use crate::packed::Packed;

const PMD: &str = "permessage-deflate";

/// Members of `all`, which repeat what they get from their client.
fn server(hub: &Hub, deflate: Deflate, outbound_bytes: usize) -> Running {
    let member = |_: &Request, ws: &WebSocket| -> Result<()> {
        ws.join("all")?;
        for message in ws {
            ws.send(message?)?;
        }
        Ok(())
    };
    let config = patient().with_compression(Some(deflate)).with_outbound_bytes(outbound_bytes);
    let builder = Server::builder().config(config.with_ping_interval(None)).hub(hub.clone());
    Running::start(builder.route("/", require_websocket(member)))
}

fn joined<T>(hub: &Hub, open: impl FnOnce() -> T) -> T {
    let before = hub.group("all").len();
    let client = open();
    eventually("it is a member", || hub.group("all").len() == before + 1);
    client
}

/// Numbered texts that compress well, and differ.
fn text(number: usize) -> String {
    format!("{number:08} {}", format!("{{\"id\":{number},\"ok\":true}}").repeat(40))
}

#[test]
fn members_of_all_kinds_get_the_same_in_their_own_form() {
    let hub = Hub::new();
    let takes_over = Deflate::new().with_threshold_bytes(100).with_server_context_takeover(true);
    let server = server(&hub, takes_over, 1 << 20);
    let mut plain: Vec<Client> = (0..3).map(|_| joined(&hub, || server.websocket("/"))).collect();
    let offers = [
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=12",
        "permessage-deflate",
        "permessage-deflate; server_max_window_bits=9",
    ];
    let twice = offers.iter().chain(&offers);
    let mut packed: Vec<Packed> =
        twice.map(|offer| joined(&hub, || Packed::open(&server, "/", offer))).collect();
    for number in 0..100 {
        hub.group("all").send(text(number)).unwrap();
        if number % 7 == 0 {
            hub.group("all").send("short").unwrap();
        }
    }
    let counts = hub.group("all").send("end").unwrap().wait();
    assert_eq!(counts.written, plain.len() + packed.len());
    for number in 0..100 {
        for client in &mut plain {
            assert_eq!(client.expect_text(), text(number));
        }
        for client in &mut packed {
            let got = client.next();
            assert!(got.is_compressed && got.wire_bytes < 200, "{got:?}");
            assert_eq!(got.text(), text(number));
        }
        if number % 7 == 0 {
            plain.iter_mut().for_each(|client| assert_eq!(client.expect_text(), "short"));
            packed.iter_mut().for_each(|client| {
                let got = client.next();
                assert_eq!((got.is_compressed, got.text()), (false, "short"));
            });
        }
    }
    packed.iter_mut().for_each(|client| assert_eq!(client.next().text(), "end"));
}

#[test]
fn own_messages_and_those_of_groups_keep_one_history() {
    let hub = Hub::new();
    let both = Deflate::new().with_threshold_bytes(100).with_server_context_takeover(true);
    let server = server(&hub, both.with_client_context_takeover(true), 1 << 20);
    let mut client = joined(&hub, || Packed::open(&server, "/", PMD));
    let first = client.expect_echo(&text(1)).wire_bytes;
    assert!(client.expect_echo(&text(1)).wire_bytes < first);
    for number in 0..20 {
        hub.group("all").send(text(number)).unwrap();
        assert_eq!(client.next().text(), text(number));
        // What came between is not what the connection's compressor knows.
        assert_eq!(client.expect_echo(&text(1)).wire_bytes, first);
        assert!(client.expect_echo(&text(1)).wire_bytes < first);
        hub.group("all").send("not compressed").unwrap();
        assert_eq!(client.next().text(), "not compressed");
        assert!(client.expect_echo(&text(1)).wire_bytes < first);
    }
}

/// Publishes until `until` says so; a reader in the same group gets everything.
fn flood(hub: &Hub, reader: &mut Packed, until: impl Fn() -> bool) -> usize {
    let (start, mut sent) = (Instant::now(), 0);
    while !until() {
        assert!(start.elapsed() < PATIENCE, "the flood has no effect: {:?}", hub.stats());
        hub.group("all").send(noisy(sent)).unwrap().wait();
        assert_eq!(reader.next().data, noisy(sent), "the reader gets everything, in order");
        sent += 1;
    }
    sent
}

/// Half of it is lost by compression.
fn noisy(number: usize) -> Vec<u8> {
    let mut state = number as u32 + 1;
    let noise = (0..2000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    (number as u32).to_be_bytes().into_iter().chain(noise).chain([0; 2000]).collect()
}

fn number(data: &[u8]) -> usize {
    u32::from_be_bytes(data[..4].try_into().unwrap()) as usize
}

fn slow(server: &Running) -> Packed {
    let client = server.connect();
    client.hold_little();
    Packed::on(client, "/", PMD)
}

#[test]
fn what_is_counted_against_a_slow_member_is_what_waits_for_it() {
    const LIMIT: usize = 256 * 1024;
    let hub = HubBuilder::default().overflow(Overflow::DropOldest).build();
    let server = server(&hub, Deflate::new(), LIMIT);
    let mut reader = joined(&hub, || Packed::open(&server, "/", PMD));
    let mut stopped = joined(&hub, || slow(&server));
    let sent = flood(&hub, &mut reader, || hub.stats().dropped > 0);
    let stats = hub.stats();
    let total = stats.written + stats.queued + stats.dropped;
    assert_eq!(total, 2 * sent as u64, "every message is counted once for each member: {stats:?}");
    // Compressed frames of half the size: twice as many of them wait as plain ones would.
    let frame = 2000 + 100;
    assert!(stats.queued > (LIMIT / (2 * frame)) as u64, "{stats:?}");
    assert!(stats.queued < (LIMIT / 2000) as u64, "{stats:?}");

    let mut got = Vec::new();
    while got.last() != Some(&(sent - 1)) {
        got.push(number(&stopped.next().data));
    }
    assert!(got.is_sorted(), "in order");
    assert_eq!(got.len() as u64, sent as u64 - stats.dropped);
}

#[test]
fn a_slow_member_is_closed_behind_a_whole_frame() {
    let hub = HubBuilder::default().overflow(Overflow::Disconnect).build();
    let server = server(&hub, Deflate::new(), 64 * 1024);
    let mut reader = joined(&hub, || Packed::open(&server, "/", PMD));
    let mut stopped = joined(&hub, || slow(&server));
    flood(&hub, &mut reader, || hub.stats().disconnected > 0);
    let mut received = 0;
    let reason = loop {
        let frame = stopped.client.next_frame();
        if frame.first == 0x88 {
            break frame.payload;
        }
        assert_eq!(frame.first, 0xc2);
        received += 1;
    };
    assert!(received > 0);
    assert_eq!(reason, [&1013u16.to_be_bytes()[..], b"client too slow"].concat());
}

#[test]
fn what_was_dropped_is_not_referred_to() {
    let both = Deflate::new().with_threshold_bytes(100).with_server_context_takeover(true);
    for overflow in [Overflow::DropOldest, Overflow::Latest] {
        let hub = HubBuilder::default().overflow(overflow).build();
        let server = server(&hub, both.with_client_context_takeover(true), 64 * 1024);
        let mut reader = joined(&hub, || Packed::open(&server, "/", PMD));
        let mut stopped = joined(&hub, || slow(&server));
        let mut last = None;
        for round in 0..4 {
            let dropped = hub.stats().dropped;
            flood(&hub, &mut reader, || hub.stats().dropped > dropped);
            // Of its own it gets answers that refer to one another, between frames for all.
            for number in 0..3 {
                stopped.send_text(&text(number));
                hub.group("all").send(noisy(number)).unwrap().wait();
                assert_eq!(reader.next().data, noisy(number));
            }
            let end = 1_000_000 + round;
            hub.group("all").send(noisy(end)).unwrap().wait();
            assert_eq!(reader.next().data, noisy(end));
            let mut answers = 0;
            while answers < 3 || last != Some(end) {
                let got = stopped.next();
                if got.is_text {
                    assert_eq!(got.text(), text(answers));
                    answers += 1;
                } else {
                    let found = number(&got.data);
                    assert_eq!(got.data, noisy(found));
                    last = Some(found);
                }
            }
        }
    }
}
