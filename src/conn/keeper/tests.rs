//! What the keeper does for handlers that are away or hold replies back, turn by turn.

use super::*;
use crate::config::Config;
use crate::conn::hold::tests::{Peer, answer, answers, open, open_among, open_compressed, shared};
use crate::conn::waiting::Until;
use crate::net::stream::{Blocking, Received};

fn work(shared: &Arc<Shared>) -> (Work, Arc<Mail>) {
    let mail = Arc::new(Mail::new());
    (Work::new(Arc::clone(shared), Arc::clone(&mail)), mail)
}

#[test]
fn who_arrives_and_holds_between_two_looks_at_the_mail_is_not_forgotten() {
    let (ws, peer) = open(3);
    let (mut work, mail) = work(&ws.conn.shared);
    work.welcome();
    mail.arrivals.lock().push(Arc::clone(&ws.conn));
    answer(&ws, 2);
    work.look_at_holders();
    assert_eq!(peer.record(), None);
    work.look_at_holders();
    assert_eq!(peer.records(), [answers(2).concat()]);
}

/// What a connection that waits for a request does when the keeper ends its wait by `end`: what has
/// come is taken, more may come, and only what was no request is ended by the next look.
fn outlives_what_it_has_not_taken(end: impl Fn(&Connection, &Stream)) {
    let (ws, peer) = open(0);
    let (conn, stream) = (&ws.conn, ws.conn.stream().unwrap());
    conn.record.set_phase(Phase::Idle);
    conn.record.begin_idle(Idle::Next);
    look_at_http(conn, &stream, 1);
    peer.say(b"GET /");
    end(conn, &stream);
    let mut bytes = Vec::with_capacity(64);
    let received = stream.recv_into(&mut bytes, Blocking::Never).unwrap();
    assert_eq!((received, &*bytes), (Received::Bytes(5), &b"GET /"[..]));
    let received = stream.recv_into(&mut bytes, Blocking::Never).unwrap();
    assert_eq!(received, Received::Nothing, "there may be more to come");
    // What came was no request, or the thread would have said so.
    end(conn, &stream);
    assert_eq!(stream.recv_into(&mut bytes, Blocking::Never).unwrap(), Received::End);
}

/// On a host that is short of time the thread of a connection may run long after the bytes that it
/// waits for have come.
#[test]
fn what_came_in_time_is_no_idleness_however_late_its_thread_runs() {
    outlives_what_it_has_not_taken(|conn, stream| {
        look_at_http(conn, stream, 1 + millis(conn.config.keep_alive()));
    });
}

#[test]
fn a_request_that_has_begun_before_the_stop_is_not_cut_off() {
    outlives_what_it_has_not_taken(|conn, stream| obey(conn, stream, Order::Drain));
}

#[test]
fn what_waits_undecoded_is_gone_on_with_though_the_socket_is_silent() {
    let (ws, peer) = open_compressed(Config::default().with_inbox_bytes(1));
    let conn = &ws.conn;
    let stream = conn.stream().unwrap();
    // The keeper was to be told of bytes, and the handler came back and took them itself.
    conn.watch_read(&stream);
    peer.send(&[b"\x81\x81\0\0\0\0?\x89\x82\0\0\0\0hi".to_vec()]);
    assert!(conn.receive.lock().fill(conn, Until::Now));
    assert!(ws.wait().unwrap().is_some());
    assert_eq!(peer.record(), None);
    conn.record.mark_away(1);
    let mut entry = Entry { conn: Arc::clone(conn), pinged_at: 0 };
    entry.look_at_websocket(&stream, 3, 2);
    assert_eq!(peer.record().as_deref(), Some(&b"\x8a\x02hi"[..]));
}

/// How many of the peers have been sent a close frame.
fn told(peers: &[Peer]) -> usize {
    peers.iter().filter_map(Peer::record).inspect(|bytes| assert_eq!(bytes[0], 0x88)).count()
}

#[test]
fn a_drain_takes_its_time_from_how_many_are_told() {
    let shared = shared(Config::default().with_ping_interval(None));
    let (mut work, mail) = work(&shared);
    let (_sockets, _peers): (Vec<_>, Vec<_>) = (1..=4)
        .map(|id| {
            let (ws, peer) = open_among(&shared, id);
            mail.arrivals.lock().push(Arc::clone(&ws.conn));
            (ws, peer)
        })
        .unzip();
    work.welcome();
    mail.order.store(Order::Drain as u8, Ordering::SeqCst);
    let before = shared.clock.now();
    work.look_up();
    assert!(!work.drain.is_over(before + 7));
    assert!(work.drain.is_over(shared.clock.now() + 8));
}

#[test]
fn a_spread_drain_tells_each_in_its_turn_and_at_the_end_whoever_came_late() {
    let span = Duration::from_secs(3600);
    let config = Config::default().with_ping_interval(None);
    let shared = shared(config.with_drain_time(Some(span)).with_close_timeout(2 * span));
    let (mut work, mail) = work(&shared);
    let open = |id| {
        let (ws, peer) = open_among(&shared, id);
        mail.arrivals.lock().push(Arc::clone(&ws.conn));
        (ws, peer)
    };
    let (_sockets, peers): (Vec<_>, Vec<_>) = (1..=4).map(open).unzip();
    work.welcome();
    mail.order.store(Order::Drain as u8, Ordering::SeqCst);
    work.look_up();
    assert_eq!(told(&peers), 0);
    let (_socket, late) = open(5);
    work.welcome();
    for slot in 0..4 {
        let at = work.drain.next_at().unwrap();
        work.tick(at);
        assert_eq!(told(&peers), 0, "{slot} is not due yet");
        work.drain_due(at);
        assert_eq!(told(&peers), 1, "{slot}");
    }
    assert_eq!(work.drain.next_at(), None);
    let end = work.shared.clock.now() + millis(span);
    work.tick(end);
    assert_eq!(told(&[late]), 1);
}
