//! What every bench needs of a client: frames and an open connection.

#![allow(dead_code, reason = "no bench needs all of it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

const HANDSHAKE: &str = "HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A client's frame: masked.
pub(crate) fn masked_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, payload.len(), 0x80);
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A server's frame: plain.
pub(crate) fn plain_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [header(first, payload.len(), 0), payload.to_vec()].concat()
}

fn header(first: u8, length: usize, masked: u8) -> Vec<u8> {
    match length {
        0..=125 => vec![first, masked | length as u8],
        126..=65_535 => [&[first, masked | 126][..], &(length as u16).to_be_bytes()].concat(),
        _ => [&[first, masked | 127][..], &(length as u64).to_be_bytes()].concat(),
    }
}

/// A WebSocket on `/`.
pub(crate) fn open(address: SocketAddr) -> TcpStream {
    open_at(address, "/")
}

/// A WebSocket on a path.
pub(crate) fn open_at(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_nodelay(true).expect("a TCP socket");
    stream.write_all(format!("GET {path} {HANDSHAKE}").as_bytes()).expect("a handshake");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        answer.push(byte[0]);
    }
    stream
}

/// The number behind a flag of the command line.
pub(crate) fn number(arguments: &[String], name: &str, default: usize) -> usize {
    let at = arguments.iter().position(|argument| argument == name);
    let value = at.and_then(|at| arguments.get(at + 1)).map(|value| value.parse());
    value.map_or(default, |value| value.expect("a number behind the flag"))
}

/// Takes a client of a bench as a hand-made server does: whatever it asks, the answer is the same,
/// because the key never changes. Returns the path it asked for.
pub(crate) fn admit(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    let mut bytes = [0; 1024];
    while !head.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut bytes)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&bytes[..count]);
    }
    stream.write_all(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    )?;
    let head = String::from_utf8_lossy(&head);
    Ok(head.split(' ').nth(1).unwrap_or_default().to_owned())
}
