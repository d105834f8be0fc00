//! Reads of compressed messages: what waits undecoded, and what an end leaves behind.

use flate2::{Compress, Compression, FlushCompress};

use super::*;
use crate::conn::hold::tests::{Peer, open_compressed};
use crate::conn::socket::WebSocket;
use crate::ws::close::close_code;

const MESSAGE: usize = 1000;

/// A client's frame, whose mask is zero.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() <= 125);
    [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

/// A message of [`MESSAGE`] bytes that takes a few.
fn packed() -> Vec<u8> {
    let mut out = Vec::with_capacity(200);
    let mut compress = Compress::new(Compression::new(6), false);
    compress.compress_vec(&[0; MESSAGE], &mut out, FlushCompress::Sync).unwrap();
    out.truncate(out.len() - 4);
    out
}

/// A connection whose inbox has room for one message.
fn open() -> (WebSocket, Peer) {
    open_compressed(Config::default().with_inbox_bytes(MESSAGE))
}

fn fill(ws: &WebSocket) -> bool {
    ws.conn.receive.lock().fill(&ws.conn, Until::Now)
}

#[test]
fn what_waits_undecoded_is_gone_on_with_by_every_call() {
    let calls: [fn(&WebSocket) -> bool; 5] = [
        |ws| ws.read().unwrap().is_some(),
        |ws| ws.wait().unwrap().is_some(),
        |ws| ws.wait_timeout(std::time::Duration::ZERO).is_ok(),
        |ws| ws.has_messages() && ws.read().unwrap().is_some(),
        |ws| !ws.is_closed() && ws.count_messages() == 1 && ws.read_any().unwrap().is_some(),
    ];
    for take in calls {
        let (ws, peer) = open();
        peer.send(&[frame(0xc2, &packed()), frame(0xc2, &packed()), frame(0xc2, &packed())]);
        for left in (0..3).rev() {
            assert!(take(&ws), "{left} left");
            assert_eq!(ws.conn.receive.lock().has_undecoded(), left > 0);
            assert!(!ws.conn.record.has_more(), "nothing is held for what is not decoded");
        }
        assert_eq!(ws.count_messages(), 0);
    }
}

#[test]
fn pings_of_one_read_are_answered_in_order_before_the_reply() {
    let (ws, peer) = open();
    let pings = [frame(0x89, b"one"), frame(0x89, b""), frame(0x81, b"?"), frame(0x89, b"two")];
    peer.send(&pings);
    assert_eq!(ws.wait().unwrap(), Some(Message::from("?")));
    ws.send("reply").unwrap();
    let sent = peer.records().concat();
    assert_eq!(sent, b"\x8a\x03one\x8a\x00\x8a\x03two\x81\x05reply");
}

#[test]
fn after_our_close_frame_a_read_is_dropped_in_steps() {
    const MESSAGES: usize = 20;
    let (ws, peer) = open();
    ws.close(close_code::NORMAL, "").unwrap();
    let close = frame(0x88, &close_code::NORMAL.to_be_bytes());
    let frames = std::iter::repeat_n(frame(0xc2, &packed()), MESSAGES).chain([close]);
    peer.send(&frames.collect::<Vec<_>>());
    let mut receive = ws.conn.receive.lock();
    let mut before = 0;
    while !receive.has_ended() {
        assert!(receive.fill_for_keeper(&ws.conn));
        let now = ws.conn.heard.messages() as usize;
        assert!(now <= before + 1, "{} in one turn of the keeper", now - before);
        before = now;
    }
    assert_eq!((before, receive.waiting_messages()), (MESSAGES, 0));
}

#[test]
fn an_end_gives_back_the_inflater_though_nobody_comes_for_it() {
    let half = frame(0x42, &packed()[..3]);
    let close = frame(0x88, &close_code::NORMAL.to_be_bytes());
    for end in [Some(frame(0xc9, b"")), Some(close), None] {
        let (ws, peer) = open();
        peer.send(std::slice::from_ref(&half));
        assert!(fill(&ws));
        assert_eq!(ws.conn.shared.pools.ready(), (0, 0), "in use");
        match &end {
            Some(frame) => peer.send(std::slice::from_ref(frame)),
            None => drop(peer),
        }
        assert!(fill(&ws));
        assert!(ws.conn.record.ending_by() != 0);
        assert_eq!(ws.conn.shared.pools.ready(), (0, 1), "{end:x?}");
    }
}
