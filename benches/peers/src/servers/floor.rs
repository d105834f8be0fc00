//! The least that blocking threads can do: a thread per connection reads, unmasks and writes.
//!
//! No library (but for the key of the handshake), no limits, no check of UTF-8, no time-outs. The
//! replies to what came with one read go out with one write. Two relay threads carry what is
//! published, joined as far as it waits; a member that does not read holds its relay up for ever.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use tungstenite::handshake::derive_accept_key;

use super::name::announce;

const RELAYS: usize = 2;
const BUFFER_BYTES: usize = 16 * 1024;
const STACK_BYTES: usize = 256 * 1024;

enum Order {
    /// A new member, and the answer to its handshake.
    Join(TcpStream, Vec<u8>),
    Publish(Vec<u8>),
}

/// What a client's messages are for.
enum Purpose {
    Echo,
    Membership,
    Publishing,
}

pub(super) fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    announce(listener.local_addr()?);
    let relays: Vec<Sender<Order>> = (0..RELAYS)
        .map(|_| {
            let (sender, orders) = channel();
            thread::spawn(move || relay(&orders));
            sender
        })
        .collect();
    for (number, stream) in listener.incoming().flatten().enumerate() {
        let relays = relays.clone();
        let thread = thread::Builder::new().stack_size(STACK_BYTES);
        thread.spawn(move || Client::new(stream, relays).run(number))?;
    }
    Ok(())
}

fn relay(orders: &Receiver<Order>) {
    let mut members: Vec<TcpStream> = Vec::new();
    let mut joined = Vec::new();
    while let Ok(first) = orders.recv() {
        joined.clear();
        for order in std::iter::once(first).chain(orders.try_iter()).take(32) {
            match order {
                Order::Publish(frame) => joined.extend_from_slice(&frame),
                Order::Join(mut member, answer) => {
                    // What was published before is for those who were there before.
                    send(&mut members, &joined);
                    joined.clear();
                    if member.write_all(&answer).is_ok() {
                        members.push(member);
                    }
                }
            }
        }
        send(&mut members, &joined);
    }
}

fn send(members: &mut Vec<TcpStream>, joined: &[u8]) {
    if !joined.is_empty() {
        members.retain_mut(|member| member.write_all(joined).is_ok());
    }
}

struct Client {
    stream: TcpStream,
    relays: Vec<Sender<Order>>,
    buffer: Vec<u8>,
    /// How much of the buffer has been received and not been used.
    filled: usize,
}

impl Client {
    fn new(stream: TcpStream, relays: Vec<Sender<Order>>) -> Self {
        Self { stream, relays, buffer: vec![0; BUFFER_BYTES], filled: 0 }
    }

    /// Answers plain requests until one asks for a WebSocket; returns when the client goes.
    fn run(mut self, number: usize) -> Result<()> {
        self.stream.set_nodelay(true)?;
        loop {
            let head = self.head()?;
            let target = head.split(' ').nth(1).unwrap_or_default();
            let Some(key) = websocket_key(&head) else {
                let message = target.split_once("message=").map_or("", |(_, message)| message);
                let length = message.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\
                     Content-Length: {length}\r\n\r\n{message}"
                );
                self.stream.write_all(answer.as_bytes())?;
                continue;
            };
            let accept = derive_accept_key(key.as_bytes());
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            if target == "/broadcast" {
                let join = Order::Join(self.stream.try_clone()?, answer.into_bytes());
                let _ = self.relays[number % RELAYS].send(join);
                return self.frames(&Purpose::Membership);
            }
            self.stream.write_all(answer.as_bytes())?;
            let is_publisher = target == "/publish";
            return self.frames(if is_publisher { &Purpose::Publishing } else { &Purpose::Echo });
        }
    }

    fn head(&mut self) -> Result<String> {
        loop {
            let received = &self.buffer[..self.filled];
            if let Some(at) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&received[..at]).into_owned();
                self.use_up(at + 4);
                return Ok(head);
            }
            self.receive()?;
        }
    }

    fn frames(&mut self, purpose: &Purpose) -> Result<()> {
        let mut replies = Vec::new();
        loop {
            self.receive()?;
            let mut at = 0;
            while let Some((header, length)) = header(&self.buffer[at..self.filled]) {
                if self.buffer.len() < header + length {
                    self.buffer.resize(header + length, 0);
                }
                if self.filled - at < header + length {
                    break;
                }
                let frame = &mut self.buffer[at..at + header + length];
                let first = frame[0];
                let (head, payload) = frame.split_at_mut(header);
                unmask(
                    payload,
                    [head[header - 4], head[header - 3], head[header - 2], head[header - 1]],
                );
                match (first & 0xf, purpose) {
                    (0x8, _) => {
                        push_frame(&mut replies, first, payload);
                        return self.stream.write_all(&replies);
                    }
                    (0x9, _) => push_frame(&mut replies, 0x8a, payload),
                    (_, Purpose::Echo) => push_frame(&mut replies, first, payload),
                    (_, Purpose::Membership) => {}
                    (_, Purpose::Publishing) => {
                        let mut frame = Vec::with_capacity(payload.len() + 10);
                        push_frame(&mut frame, first, payload);
                        for relay in &self.relays {
                            let _ = relay.send(Order::Publish(frame.clone()));
                        }
                    }
                }
                at += header + length;
            }
            self.use_up(at);
            if !replies.is_empty() {
                self.stream.write_all(&replies)?;
                replies.clear();
            }
        }
    }

    fn receive(&mut self) -> Result<()> {
        let count = self.stream.read(&mut self.buffer[self.filled..])?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.filled += count;
        Ok(())
    }

    fn use_up(&mut self, count: usize) {
        self.buffer.copy_within(count..self.filled, 0);
        self.filled -= count;
    }
}

fn websocket_key(head: &str) -> Option<&str> {
    head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    })
}

/// Length of the header and of the payload, once the header is there.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let (header, length) = match usize::from(bytes.get(1)? & 0x7f) {
        126 => (8, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into()),
        127 => (14, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        length => (6, length),
    };
    (bytes.len() >= header).then_some((header, length))
}

fn push_frame(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    out.push(first);
    match payload.len() {
        length @ 0..=125 => out.push(length as u8),
        length @ 126..=65_535 => {
            out.push(126);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let half = u64::from(u32::from_ne_bytes(mask));
    let wide = half | half << 32;
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}
