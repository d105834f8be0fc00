//! The least two relay threads can do: take what waits, join it, one `write` for each member.
//! No limits, no checks; a member that does not read loses bytes in the middle of a frame.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::client;

const RELAYS: usize = 2;

enum Order {
    Join(TcpStream),
    Publish(Vec<u8>),
}

/// Serves until the process is killed; the first line of stdout is the address.
pub(crate) fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    println!("{}", listener.local_addr().expect("an address"));
    let relays: Vec<Sender<Order>> = (0..RELAYS)
        .map(|_| {
            let (sender, orders) = channel();
            std::thread::spawn(move || relay(&orders));
            sender
        })
        .collect();
    for (number, stream) in listener.incoming().flatten().enumerate() {
        let relays = relays.clone();
        std::thread::Builder::new()
            .stack_size(256 * 1024)
            .spawn(move || drop(session(stream, number, &relays)))
            .expect("a thread");
    }
}

fn session(mut stream: TcpStream, number: usize, relays: &[Sender<Order>]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let is_publisher = client::admit(&mut stream)? == "/publish";
    if !is_publisher {
        stream.write_all(b"\x81\x05ready")?;
        let _ = relays[number % RELAYS].send(Order::Join(stream.try_clone()?));
    }
    let mut buffer = vec![0; 16 * 1024];
    let mut filled = 0;
    loop {
        let count = stream.read(&mut buffer[filled..])?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        let mut at = 0;
        // The bench's messages are short: two bytes of header and four of mask.
        while filled - at >= 6 && filled - at >= 6 + usize::from(buffer[at + 1] & 0x7f) {
            let length = usize::from(buffer[at + 1] & 0x7f);
            let (mask, payload) = buffer[at + 2..at + 6 + length].split_at(4);
            let mut frame = vec![0x81, length as u8];
            frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
            for relay in relays {
                let _ = relay.send(Order::Publish(frame.clone()));
            }
            at += 6 + length;
        }
        buffer.copy_within(at..filled, 0);
        filled -= at;
    }
}

fn relay(orders: &Receiver<Order>) {
    let mut members: Vec<TcpStream> = Vec::new();
    let mut joined = Vec::new();
    while let Ok(first) = orders.recv() {
        joined.clear();
        for order in std::iter::once(first).chain(orders.try_iter()).take(32) {
            match order {
                Order::Join(stream) => members.push(stream),
                Order::Publish(frame) => joined.extend_from_slice(&frame),
            }
        }
        if !joined.is_empty() {
            for member in &mut members {
                let _ = member.write(&joined);
            }
        }
    }
}
