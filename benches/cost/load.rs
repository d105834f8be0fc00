//! The load: one thread, pre-encoded frames, every reply checked.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Open connections to one server.
pub(crate) struct Load {
    streams: Vec<TcpStream>,
}

impl Load {
    pub(crate) fn open(address: SocketAddr, connections: usize) -> Self {
        Self { streams: (0..connections).map(|_| open(address)).collect() }
    }

    /// Echoes at least so many messages; returns how many.
    ///
    /// Every connection gets its messages before the first reply is read, so that the server
    /// always has `connections * in_flight` of them to do.
    pub(crate) fn echo(&mut self, payload: usize, in_flight: usize, messages: usize) -> usize {
        let request = request(payload).repeat(in_flight);
        let expected = reply(payload).repeat(in_flight);
        let mut received = vec![0; expected.len()];
        let mut done = 0;
        while done < messages {
            for stream in &mut self.streams {
                stream.write_all(&request).expect("the server takes a message");
            }
            for stream in &mut self.streams {
                stream.read_exact(&mut received).expect("the server answers");
                assert!(received == expected, "the echo is not what was sent");
                done += in_flight;
            }
        }
        done
    }
}

fn open(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_nodelay(true).expect("a TCP socket");
    stream.write_all(HANDSHAKE.as_bytes()).expect("a handshake");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        answer.push(byte[0]);
    }
    stream
}

fn request(payload: usize) -> Vec<u8> {
    let mask = [0x12, 0x34, 0x56, 0x78];
    let mut bytes = vec![0x81];
    length(&mut bytes, payload, 0x80);
    bytes.extend(mask);
    bytes.extend((0..payload).map(|index| b'x' ^ mask[index % 4]));
    bytes
}

fn reply(payload: usize) -> Vec<u8> {
    let mut bytes = vec![0x81];
    length(&mut bytes, payload, 0);
    bytes.extend(std::iter::repeat_n(b'x', payload));
    bytes
}

fn length(bytes: &mut Vec<u8>, length: usize, masked: u8) {
    match length {
        0..=125 => bytes.push(masked | length as u8),
        126..=65_535 => {
            bytes.push(masked | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(masked | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
}
