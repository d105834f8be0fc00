//! Many clients that do anything, right and wrong, in an order that a seed decides.
//!
//! `LANDLINE_SOAK_SEED` repeats a run, `LANDLINE_SOAK_STEPS` makes it longer.

use std::thread;
use std::time::Duration;

use landline::{Config, Request, Result, WebSocket};

use crate::harness::{Client, Running, websocket_server};

/// Clients at a time.
const CLIENTS: u64 = 12;

/// A small generator (xorshift): the same seed, the same run.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        let length = self.below(most) as usize;
        let byte = self.below(256) as u8;
        vec![byte; length]
    }
}

fn number_from(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A handler that does what its messages say.
fn moody(_: &Request, ws: &WebSocket) -> Result<()> {
    while let Some(message) = ws.wait()? {
        match message.as_bytes().first() {
            Some(b'r') => return Ok(()),
            Some(b'e') => return Err(landline::Error::other("asked for")),
            Some(b'p') => panic!("asked for"),
            Some(b'c') => ws.close(4000, "asked for")?,
            Some(b's') => thread::sleep(Duration::from_millis(30)),
            Some(b't') => drop(ws.wait_timeout(Duration::from_millis(5))),
            Some(b'n') => drop((ws.count_messages(), ws.read())),
            Some(b'm') => (0..50).try_for_each(|_| ws.send(vec![0; 5000]))?,
            _ => ws.send(message)?,
        }
    }
    Ok(())
}

/// What a client of the soak does with one connection.
fn one_connection(server: &Running, random: &mut Random) {
    let mut client = server.connect();
    if random.below(10) == 0 {
        let garbage = random.bytes(3000);
        client.try_send(&garbage);
        return;
    }
    client.send(Client::handshake_head("/ws"));
    for _ in 0..random.below(12) {
        if !one_step(&mut client, random) {
            return;
        }
    }
    match random.below(5) {
        0 => client.reset(),
        1 => drop(client),
        2 => {
            client.try_send(Client::frame(0x88, &[3, 232]));
            while client.receive() {}
        }
        3 => {
            let _ = client.stream.shutdown(std::net::Shutdown::Write);
            while client.receive() {}
        }
        _ => {
            client.try_send(Client::frame(0x88, &[3, 232]));
        }
    }
}

/// Sends something; false if the server has ended the connection.
fn one_step(client: &mut Client, random: &mut Random) -> bool {
    let orders = b"repcstnm......";
    let bytes = match random.below(12) {
        0..5 => {
            let order = orders[random.below(orders.len() as u64) as usize];
            Client::frame(0x81, &[order])
        }
        5 => Client::frame(0x82, &random.bytes(40_000)),
        6 => Client::frame(0x89, &random.bytes(125)),
        7 => Client::frame(0x8a, b""),
        8 => [Client::frame(0x01, b"a"), Client::frame(0x89, b""), Client::frame(0x80, b"b")]
            .concat(),
        9 => Client::frame(random.below(256) as u8, &random.bytes(200)),
        10 => random.bytes(300),
        _ => Client::frame(0x81, b"cut here")[..random.below(14) as usize].to_vec(),
    };
    match random.below(3) {
        0 => bytes.iter().take(400).all(|byte| client.try_send([*byte])),
        1 => client.try_send(bytes) && client.receive(),
        _ => client.try_send(bytes),
    }
}

#[test]
fn nothing_that_clients_do_hurts_the_server() {
    let seed = number_from("LANDLINE_SOAK_SEED", u64::from(std::process::id()));
    let steps = number_from("LANDLINE_SOAK_STEPS", 25);
    println!("LANDLINE_SOAK_SEED={seed} LANDLINE_SOAK_STEPS={steps}");
    let short = Duration::from_millis(150);
    let config = Config::default()
        .with_message_bytes(30_000)
        .with_inbox_messages(4)
        .with_inbox_bytes(20_000)
        .with_outbound_bytes(50_000)
        .with_head_timeout(short)
        .with_send_timeout(short)
        .with_close_timeout(short)
        .with_ping_interval(Some(short))
        .with_ping_timeout(Some(short));
    let server = websocket_server(config, moody);
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let server = &server;
            scope.spawn(move || {
                let mut random = Random::new(seed + number);
                for _ in 0..steps {
                    one_connection(server, &mut random);
                }
            });
        }
    });
    server.becomes_empty();
    server.serves_the_next();
}
