//! permessage-deflate on one connection: what is agreed, and messages both ways.

use std::sync::{Arc, Barrier};

use landline::{Config, Deflate, Result, Server, require_websocket};

use crate::harness::{Client, Running, echo, patient, tell, websocket_server};
use crate::packed::{Packed, answer, head, pack};

const PMD: &str = "permessage-deflate";

/// A server whose `/echo` compresses like this.
fn server(deflate: Deflate) -> Running {
    let config = patient().with_compression(Some(deflate));
    websocket_server(config, |_, ws| ws.send("unused"))
}

/// Compresses every message that gets smaller.
fn eager() -> Deflate {
    Deflate::new().with_threshold_bytes(0)
}

/// Text of this many bytes that compresses well.
fn text(bytes: usize) -> String {
    "{\"price\":17.25,\"open\":true},".chars().cycle().take(bytes).collect()
}

#[test]
fn the_first_offer_that_can_be_accepted_is_answered() {
    let server = server(Deflate::new());
    let plain = format!("{PMD}; server_no_context_takeover; client_no_context_takeover");
    for (offers, expected) in [
        (&["permessage-deflate"][..], Some("")),
        (&["permessage-deflate; client_max_window_bits"], Some("")),
        (
            &["permessage-deflate; client_max_window_bits=\"10\""],
            Some("; client_max_window_bits=10"),
        ),
        (&["permessage-deflate; client_max_window_bits=8"], Some("")),
        (&["permessage-deflate; server_max_window_bits=9"], Some("; server_max_window_bits=9")),
        (&["x-first; a=b, permessage-deflate"], Some("")),
        (
            &[
                "permessage-deflate; server_max_window_bits=8",
                "permessage-deflate; unknown=1,, permessage-deflate; server_max_window_bits=12",
            ],
            Some("; server_max_window_bits=12"),
        ),
        (&["permessage-deflate; server_max_window_bits=8"], None),
        (&["permessage-deflate; server_max_window_bits"], None),
        (&["permessage-deflate; client_no_context_takeover; client_no_context_takeover"], None),
        (&["x-webkit-deflate-frame"], None),
        (&[""], None),
        (&[], None),
    ] {
        let expected = expected.map(|more| format!("{plain}{more}"));
        assert_eq!(answer(&server, "/echo", offers), expected, "{offers:?}");
    }
}

#[test]
fn what_is_no_list_of_extensions_is_400() {
    let server = server(Deflate::new());
    for wrong in ["permessage-deflate;", "permessage-deflate; a=\"", "a b", "=", "\u{e4}"] {
        let reply = server.connect().ask(head("/echo", &[PMD, wrong]));
        assert_eq!(reply.status, 400, "{wrong}");
        assert_eq!(reply.text(), "Sec-WebSocket-Extensions is malformed.\n");
    }
    server.serves_the_next();
}

#[test]
fn each_setting_shows_in_the_answer() {
    let both = Deflate::new().with_server_context_takeover(true).with_client_context_takeover(true);
    let small = both.with_server_max_window_bits(11).with_client_max_window_bits(10);
    for (deflate, offer, expected) in [
        (both, "permessage-deflate", "permessage-deflate"),
        (
            both,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        (small, "permessage-deflate", "permessage-deflate; server_max_window_bits=11"),
        (
            small,
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10",
        ),
    ] {
        let answer = answer(&server(deflate), "/echo", &[offer]);
        assert_eq!(answer.as_deref(), Some(expected), "{offer}");
    }
}

#[test]
fn messages_of_all_kinds_come_back_compressed() {
    let server = server(eager());
    let mut client = Packed::open(&server, "/echo", PMD);
    for length in [100, 1000, 65_536, 200_000] {
        let got = client.expect_echo(&text(length));
        assert!(got.is_compressed && got.wire_bytes < length / 2, "{length}: {}", got.wire_bytes);
        client.send_binary(text(length).as_bytes());
        let got = client.next();
        assert!(!got.is_text && got.is_compressed);
        assert_eq!(got.data, text(length).as_bytes());
    }
    let noise: Vec<u8> = (0..2000u64).map(|i| ((i * i * i) >> 7) as u8 ^ (i >> 3) as u8).collect();
    client.send_binary(&noise);
    assert_eq!(client.next().data, noise);
    client.client.say_goodbye();
}

#[test]
fn empty_plain_and_fragmented_messages_may_be_mixed_with_control_frames() {
    let server = server(eager());
    let mut client = Packed::open(&server, "/echo", PMD);
    for empty in [&[0][..], &[]] {
        client.client.send_frame(0xc1, empty);
        assert_eq!(client.next().data, b"");
    }
    client.client.send_text("plain");
    assert_eq!(client.next().text(), "plain");
    let (whole, packed) = (text(5000), pack(text(5000).as_bytes()));
    let (last, others) = packed.split_last().unwrap();
    for (at, byte) in others.iter().enumerate() {
        client.client.send_frame(if at == 0 { 0x41 } else { 0x00 }, [*byte]);
        client.client.send_frame(0x89, [at as u8]);
        assert_eq!(client.client.next_frame().payload, [at as u8], "a pong between fragments");
    }
    client.client.send_frame(0x80, [*last]);
    assert_eq!(client.next().text(), whole);
    client.client.say_goodbye();
}

#[test]
fn every_window_is_kept_to() {
    let server = server(eager());
    // What comes again is further away than the smallest windows reach.
    let line: String = (0..3000u32).map(|i| char::from(b'a' + (i * i % 23) as u8)).collect();
    let whole = format!("{line}{}{line}", "-".repeat(600));
    for bits in 9..=15 {
        for own in [format!("={bits}"), String::new()] {
            let offer =
                format!("{PMD}; server_max_window_bits={bits}; client_max_window_bits{own}");
            let mut client = Packed::open(&server, "/echo", &offer);
            assert!(client.expect_echo(&whole).is_compressed, "{offer}");
        }
    }
}

#[test]
fn with_takeover_the_second_message_is_shorter_both_ways() {
    let both = eager().with_server_context_takeover(true).with_client_context_takeover(true);
    let server = server(both);
    let mut client = Packed::open(&server, "/echo", PMD);
    let message = text(80);
    let first = client.expect_echo(&message);
    for _ in 0..3 {
        assert!(client.expect_echo(&message).wire_bytes < first.wire_bytes / 2);
    }
    // What is not sent compressed is not part of what later messages refer to.
    let noise: String = (0..90u8).map(|i| char::from(b'!' + i)).collect();
    client.send_text(&noise);
    let got = client.next();
    assert_eq!((got.is_compressed, got.text()), (false, &noise[..]));
    assert_eq!(client.expect_echo(&message).wire_bytes, first.wire_bytes);
    let mut one_way =
        Packed::open(&server, "/echo", "permessage-deflate; server_no_context_takeover");
    let (first, second) = (one_way.expect_echo(&message), one_way.expect_echo(&message));
    assert_eq!(first, second);
}

#[test]
fn short_messages_go_out_as_they_are() {
    let server = server(Deflate::new().with_threshold_bytes(500));
    let mut client = Packed::open(&server, "/echo", PMD);
    for (length, is_compressed) in [(499, false), (500, true)] {
        assert_eq!(client.expect_echo(&text(length)).is_compressed, is_compressed, "{length}");
    }
}

#[test]
fn a_client_that_offers_nothing_gets_nothing_compressed() {
    let server = server(eager());
    let mut client = server.websocket("/echo");
    client.expect_echo(&text(5000));
    for first in [0xc1, 0xc2] {
        let mut client = server.websocket("/echo");
        client.send_frame(first, pack(b"compressed all the same"));
        assert_eq!(client.expect_closed(1002), "reserved bit set");
    }
}

#[test]
fn reserved_bits_out_of_place_are_1002() {
    let server = server(eager());
    for frames in [
        vec![(0xa1, &b"x"[..])],
        vec![(0x91, b"x")],
        vec![(0xc9, b"x")],
        vec![(0xc8, b"")],
        vec![(0x01, b"x"), (0xc0, b"x")],
        vec![(0x41, &[0x00]), (0xc0, &[0x00])],
    ] {
        let mut client = Packed::open(&server, "/echo", PMD).client;
        frames.iter().for_each(|(first, payload)| client.send_frame(*first, payload));
        assert_eq!(client.expect_closed(1002), "reserved bit set", "{frames:x?}");
    }
}

#[test]
fn what_cannot_be_inflated_is_1007() {
    let (said, told) = tell();
    let server = websocket_server(patient(), move |_, ws| {
        let error = ws.wait().expect_err("a violation");
        said.send(std::error::Error::source(&error).expect("a cause").to_string()).unwrap();
        Err(error)
    });
    let whole = pack(text(500).as_bytes());
    for broken in [&b"never compressed"[..], &[0xff], &whole[..whole.len() / 2]] {
        let mut client = Packed::open(&server, "/ws", PMD).client;
        client.send_frame(0xc1, broken);
        assert_eq!(client.expect_closed(1007), "bad compressed data");
        assert_eq!(told.next(), "a compressed message from the client is broken");
    }
    let mut client = Packed::open(&server, "/ws", PMD).client;
    client.send_frame(0x41, pack(b"not UTF-8: \xff"));
    assert_eq!(client.expect_closed(1007), "not UTF-8");
    Packed::open(&server, "/echo", PMD).expect_echo(&text(2000));
}

#[test]
fn a_bomb_is_1009_at_the_limit() {
    let config = patient().with_message_bytes(100_000);
    let server = websocket_server(config, |_, ws| ws.wait().map(drop));
    let bomb = pack(&vec![0; 32 << 20]);
    assert!(bomb.len() < 40_000, "{}", bomb.len());
    for first in [0xc1, 0xc2] {
        let mut client = Packed::open(&server, "/ws", PMD).client;
        // A tenth of it is enough, so nothing waits for the rest.
        let frame = Client::frame(first, &bomb);
        client.send(&frame[..4000]);
        assert_eq!(client.expect_close(), (1009, "message over 100000 bytes".into()));
    }
    let mut client = Packed::open(&server, "/ws", PMD).client;
    let nothing = [0x00, 0x00, 0x00, 0xff, 0xff].repeat(30_000);
    client.send_frame(0xc2, nothing);
    assert_eq!(client.expect_close().0, 1009, "blocks that hold nothing");
    server.serves_the_next();
}

#[test]
fn a_read_that_inflates_to_much_waits_in_its_small_form() {
    const MESSAGES: usize = 40;
    let (said, told) = tell();
    let all_there = Arc::new(Barrier::new(2));
    let is_there = Arc::clone(&all_there);
    let config = patient().with_message_bytes(1 << 20).with_inbox_bytes(3 << 20);
    let server = websocket_server(config, move |_, ws| {
        ws.sender()?;
        is_there.wait();
        let waiting = ws.count_messages();
        let lengths = (0..MESSAGES).map(|_| Ok(ws.wait()?.expect("a message").len()));
        said.send((waiting, lengths.collect::<Result<Vec<_>>>()?)).unwrap();
        Ok(())
    });
    let mut client = Packed::open(&server, "/ws", PMD);
    let messages = (0..MESSAGES).map(|number| pack(&vec![0; (1 << 20) - number]));
    let frames: Vec<u8> = messages.flat_map(|packed| Client::frame(0xc2, &packed)).collect();
    assert!(frames.len() < 64 * 1024, "one read brings them all");
    client.client.send(frames);
    client.client.settle();
    all_there.wait();
    let (waiting, lengths) = told.next();
    assert!((2..=4).contains(&waiting), "{waiting} messages of 1 MiB in an inbox of 3 MiB");
    assert_eq!(lengths, (0..MESSAGES).map(|number| (1 << 20) - number).collect::<Vec<_>>());
    client.client.answer_close();
}

#[test]
fn a_message_that_cannot_be_sent_comes_back_as_it_was() {
    let (said, told) = tell();
    let config = patient().with_outbound_bytes(1000).with_compression(Some(eager()));
    let server = websocket_server(config, move |_, ws| {
        let sender = ws.sender()?;
        ws.close(1000, "")?;
        let error = sender.try_send(text(3000)).expect_err("closing");
        said.send(error.into_message()).unwrap();
        Ok(())
    });
    let mut client = Packed::open(&server, "/ws", PMD);
    assert_eq!(told.next(), Some(text(3000).into()));
    client.client.answer_close();
}

#[test]
fn the_server_and_each_route_can_say_how() {
    let off = Config::default().with_compression(None);
    let builder = Server::builder().config(off);
    let builder = builder.route("/plain", require_websocket(echo));
    let compressed = require_websocket(echo).compression(eager());
    let server = Running::start(builder.route("/compressed", compressed));
    assert_eq!(answer(&server, "/plain", &[PMD]), None);
    Packed::open(&server, "/compressed", PMD).expect_echo(&text(100));

    let builder = Server::builder().route("/plain", require_websocket(echo).compression(None));
    let server = Running::start(builder.route("/compressed", require_websocket(echo)));
    assert_eq!(answer(&server, "/plain", &[PMD]), None);
    assert!(answer(&server, "/compressed", &[PMD]).is_some());
}

#[test]
fn replies_that_are_held_back_are_compressed_too() {
    for takes_over in [false, true] {
        let deflate = eager().with_server_context_takeover(takes_over);
        let server = websocket_server(patient().with_compression(Some(deflate)), echo);
        let mut client = Packed::open(&server, "/ws", PMD);
        let texts: Vec<String> =
            (0..200).map(|number| format!("{number} {}", text(60 + number))).collect();
        let frames = texts.iter().flat_map(|text| Client::frame(0xc1, &pack(text.as_bytes())));
        client.client.send(frames.collect::<Vec<u8>>());
        for text in &texts {
            assert_eq!(client.next().text(), text);
        }
        client.client.say_goodbye();
    }
}

#[test]
fn every_end_comes_behind_the_replies_to_what_waited_undecoded() {
    const MESSAGES: usize = 50;
    let config = patient().with_compression(Some(eager())).with_inbox_bytes(3000);
    let server = websocket_server(config, |_, ws| {
        for message in ws {
            ws.send(message?.len().to_string())?;
        }
        Ok(())
    });
    let close = Client::frame(0x88, &1000u16.to_be_bytes());
    let after = Client::frame(0x81, b"after the end");
    for end in [Some([close, after].concat()), Some(Client::frame(0xc9, b"")), None] {
        let mut client = Packed::open(&server, "/ws", PMD);
        let frames = (0..MESSAGES).flat_map(|number| {
            let ping = Client::frame(0x89, &[number as u8]);
            [ping, Client::frame(0xc1, &pack(text(1000 + number).as_bytes()))].concat()
        });
        client.client.send(frames.chain(end.iter().flatten().copied()).collect::<Vec<u8>>());
        if end.is_none() {
            client.client.finish();
        }
        let (mut replies, mut pongs) = (0, 0);
        while (replies, pongs) != (MESSAGES, MESSAGES) {
            let frame = client.client.next_frame();
            if frame.first == 0x8a {
                assert_eq!(frame.payload, [pongs as u8]);
                pongs += 1;
            } else {
                assert_eq!(frame.payload, (1000 + replies).to_string().into_bytes());
                assert!(replies < pongs, "a ping is answered before the message behind it");
                replies += 1;
            }
        }
        match end {
            Some(end) if end[0] == 0x88 => assert_eq!(client.client.expect_close().0, 1000),
            Some(_) => assert_eq!(client.client.expect_closed(1002), "reserved bit set"),
            None => client.client.expect_end(),
        }
    }
}
