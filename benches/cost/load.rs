//! The load: one thread, pre-encoded frames, every reply checked.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::client;

/// Open connections to one server.
pub(crate) struct Load {
    streams: Vec<TcpStream>,
}

impl Load {
    pub(crate) fn open(address: SocketAddr, connections: usize) -> Self {
        Self { streams: (0..connections).map(|_| client::open(address)).collect() }
    }

    /// Echoes at least so many messages; returns how many.
    ///
    /// Every connection gets its messages before the first reply is read, so that the server
    /// always has `connections * in_flight` of them to do.
    pub(crate) fn echo(&mut self, payload: usize, in_flight: usize, messages: usize) -> usize {
        let payload = vec![b'x'; payload];
        let request = client::masked_frame(0x81, &payload).repeat(in_flight);
        let expected = client::plain_frame(0x81, &payload).repeat(in_flight);
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
