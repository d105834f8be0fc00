//! A client that does anything after the handshake: sends, renews its keys, ends, and has bytes of
//! its records altered on their way.
#![no_main]

mod tls;

use std::io::{Read, Write};
use std::sync::Arc;

use landline::internals::TlsRecords;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;

/// Renewals of keys that no server takes amiss, not even in a row.
const MOST_RENEWALS: usize = 32;

struct Both {
    client: ClientConnection,
    server: TlsRecords,
    /// Ciphertext of the client that has not been received.
    on_the_way: Vec<u8>,
    sent: Vec<u8>,
    answered: Vec<u8>,
    received: Vec<u8>,
    renewals: usize,
    is_altered: bool,
    has_ended: bool,
}

impl Both {
    fn new() -> Self {
        let (tls, config) = &*tls::BOTH;
        let name = ServerName::try_from("localhost").expect("a name");
        let client = ClientConnection::new(Arc::clone(config), name).expect("a client");
        let server = TlsRecords::new(tls).expect("a session");
        let mut both = Self {
            client,
            server,
            on_the_way: Vec::new(),
            sent: Vec::new(),
            answered: Vec::new(),
            received: Vec::new(),
            renewals: 0,
            is_altered: false,
            has_ended: false,
        };
        while both.client.is_handshaking() || both.server.is_shaking_hands() {
            both.collect();
            both.deliver(usize::MAX, 0);
        }
        both
    }

    /// Takes what the client has to send.
    fn collect(&mut self) {
        while self.client.wants_write() {
            self.client.write_tls(&mut self.on_the_way).expect("memory");
        }
    }

    /// Gives the server so much of it, and the client what the server answers.
    fn deliver(&mut self, most: usize, room: usize) {
        let count = most.min(self.on_the_way.len());
        let part: Vec<u8> = self.on_the_way.drain(..count).collect();
        self.server.receive(&part, room);
        assert!(self.server.kept_bytes() <= 64 * 1024, "more than records of a handshake");
        let answer = self.server.take_unsent();
        let mut rest = &answer[..];
        while !rest.is_empty() {
            // After the end nothing is taken any more.
            if !self.client.read_tls(&mut rest).is_ok_and(|count| count > 0) {
                return;
            }
            if self.client.process_new_packets().is_err() {
                assert!(self.server.fault().is_some() || self.is_altered, "the server spoke badly");
                return;
            }
            let _ = self.client.reader().read_to_end(&mut self.received);
        }
    }

    fn step(&mut self, operation: u8, argument: u8) {
        let size = usize::from(argument) * usize::from(argument);
        match operation % 8 {
            0 | 1 if !self.has_ended => {
                let text: Vec<u8> = (0..size).map(|at| (at ^ self.sent.len()) as u8).collect();
                if self.client.writer().write_all(&text).is_ok() {
                    self.sent.extend_from_slice(&text);
                }
            }
            2 if self.renewals < MOST_RENEWALS => {
                self.renewals += 1;
                drop(self.client.refresh_traffic_keys());
            }
            3 => {
                let text: Vec<u8> = (0..size).map(|at| (at * 7) as u8).collect();
                if !text.is_empty() && self.server.encrypt(&text) {
                    self.answered.extend_from_slice(&text);
                }
            }
            4 if argument < 16 => {
                self.client.send_close_notify();
                self.has_ended = true;
            }
            5 if argument < 64 && !self.on_the_way.is_empty() => {
                let place = usize::from(argument) * self.on_the_way.len() / 64;
                self.on_the_way[place] ^= 1 << (argument % 8);
                self.is_altered = true;
            }
            6 => self.deliver(size, usize::from(argument)),
            7 if argument < 16 => self.server.say_goodbye(),
            _ => {}
        }
        self.collect();
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut both = Both::new();
    for step in data.chunks_exact(2).take(200) {
        both.step(step[0], step[1]);
        assert!(both.sent.starts_with(both.server.plain()), "what comes is what was sent");
        assert!(both.answered.starts_with(&both.received), "and so the other way");
    }
    both.deliver(usize::MAX, 100);
    assert!(both.sent.starts_with(both.server.plain()), "what comes is what was sent");
    if both.is_altered || both.server.fault().is_some() {
        assert!(both.is_altered, "{:?}", both.server.fault());
    } else {
        assert_eq!(both.server.plain().len(), both.sent.len(), "all of it comes");
    }
});
