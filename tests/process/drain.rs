//! The real program drains: no client is left without a close frame.
//!
//! `LANDLINE_DRAIN=5000,10` in the environment takes so many clients and seconds, and prints how the
//! closes were spread (with `--nocapture`).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::process::Signal;

use crate::counts::alone;
use crate::harness::{Client, PATIENCE};
use crate::program::Program;

/// A client, and what has come for it.
struct Waiting {
    stream: TcpStream,
    received: Vec<u8>,
    has_ended: bool,
}

/// When each client got its close frame, counted from the signal; all of them must get one, and
/// nothing else, and have the end of the connection when they have answered.
fn closes(clients: Vec<Client>, start: Instant, patience: Duration) -> Vec<Duration> {
    let poller = epoll::create(CreateFlags::CLOEXEC).unwrap();
    let mut waiting: Vec<Waiting> = Vec::new();
    for (number, client) in clients.into_iter().enumerate() {
        client.stream.set_nonblocking(true).unwrap();
        let data = EventData::new_u64(number as u64);
        epoll::add(&poller, &client.stream, data, EventFlags::IN).unwrap();
        waiting.push(Waiting { stream: client.stream, received: client.buffer, has_ended: false });
    }
    let (mut times, mut ended) = (Vec::new(), 0);
    let mut events = Vec::with_capacity(1024);
    while ended < waiting.len() {
        assert!(start.elapsed() < patience, "{} of {} told", times.len(), waiting.len());
        events.clear();
        let second = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
        let buffer = rustix::buffer::spare_capacity(&mut events);
        epoll::wait(&poller, buffer, Some(&second)).unwrap();
        for event in &events {
            let client = &mut waiting[event.data.u64() as usize];
            let before = client.received.len();
            let mut bytes = [0; 256];
            match client.stream.read(&mut bytes) {
                Ok(0) => {
                    client.has_ended = true;
                    ended += 1;
                    epoll::delete(&poller, &client.stream).unwrap();
                }
                Ok(count) => client.received.extend_from_slice(&bytes[..count]),
                Err(error) => panic!("a reset instead of an end: {error}"),
            }
            if before == 0 && !client.has_ended {
                times.push(start.elapsed());
                let answer = Client::frame(0x88, &1001_u16.to_be_bytes());
                client.stream.write_all(&answer).unwrap();
            }
        }
    }
    let expected = [&b"\x88\x18\x03\xe9"[..], b"the server is stopping"].concat();
    for client in &waiting {
        assert_eq!(client.received, expected, "one close frame, and nothing else");
    }
    times
}

#[test]
fn every_client_gets_its_close_frame() {
    let _alone = alone();
    let asked = std::env::var("LANDLINE_DRAIN").unwrap_or("500,1".into());
    let (count, seconds) = asked.split_once(',').expect("LANDLINE_DRAIN=clients,seconds");
    let count: usize = count.parse().expect("a number of clients");
    let program = Program::serve(&["--drain-time", seconds, "--no-access-log"]);
    let clients: Vec<Client> = (0..count).map(|_| program.websocket("/echo")).collect();
    let start = Instant::now();
    program.signal(Signal::TERM);
    let time = Duration::from_secs_f64(seconds.parse().expect("seconds"));
    let times = closes(clients, start, time + PATIENCE);
    assert_eq!(times.len(), count);
    let ended = program.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let most = (0..).map_while(|slot| {
        let slot = Duration::from_millis(100) * slot;
        let within = |time: &&Duration| (slot..slot + Duration::from_millis(100)).contains(*time);
        (slot <= *times.last()?).then(|| times.iter().filter(within).count())
    });
    println!(
        "{count} clients over {seconds} s: the first told after {:?}, the last after {:?}, at most \
         {} within 100 ms, the process ended after {:?}",
        times[0],
        times[count - 1],
        most.max().unwrap_or(0),
        start.elapsed()
    );
}
