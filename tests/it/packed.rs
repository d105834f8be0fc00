//! A client that speaks permessage-deflate, with zlib's plain API.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::harness::{Client, Running};

/// The end of a flush, which is not sent.
pub(crate) const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// A client with compression as the server answered.
pub(crate) struct Packed {
    pub(crate) client: Client,
    compress: Compress,
    decompress: Decompress,
    forgets_sent: bool,
    forgets_received: bool,
}

/// A message from the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) is_text: bool,
    pub(crate) is_compressed: bool,
    /// Length of the payload on the wire.
    pub(crate) wire_bytes: usize,
    pub(crate) data: Vec<u8>,
}

impl Got {
    pub(crate) fn text(&self) -> &str {
        assert!(self.is_text);
        std::str::from_utf8(&self.data).expect("text in UTF-8")
    }
}

/// A handshake with an offer.
pub(crate) fn head(path: &str, offers: &[&str]) -> String {
    let lines = offers.iter().map(|offer| format!("Sec-WebSocket-Extensions: {offer}\r\n"));
    let head = Client::handshake_head(path);
    format!("{}\r\n{}\r\n", head.trim_end(), lines.collect::<String>())
}

/// The extensions the server answers these offers with.
pub(crate) fn answer(server: &Running, path: &str, offers: &[&str]) -> Option<String> {
    let reply = server.connect().ask(head(path, offers));
    assert_eq!(reply.status, 101, "{offers:?}: {}{}", reply.head, reply.text());
    reply.header("sec-websocket-extensions").map(str::to_owned)
}

/// A message as another implementation would compress it by itself.
pub(crate) fn pack(data: &[u8]) -> Vec<u8> {
    deflate(&mut Compress::new(Compression::new(6), false), data)
}

fn deflate(compress: &mut Compress, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + data.len() / 8 + 64);
    compress.compress_vec(data, &mut out, FlushCompress::Sync).unwrap();
    out.strip_suffix(&TAIL).expect("a flush").to_vec()
}

impl Packed {
    /// A connection on which compression was agreed.
    pub(crate) fn open(server: &Running, path: &str, offer: &str) -> Self {
        Self::on(server.connect(), path, offer)
    }

    pub(crate) fn on(mut client: Client, path: &str, offer: &str) -> Self {
        let reply = client.ask(head(path, &[offer]));
        assert_eq!(reply.status, 101, "{}{}", reply.head, reply.text());
        let answer = reply.header("sec-websocket-extensions").expect("compression").to_owned();
        let bits = |name: &str| {
            let found = answer.split("; ").find_map(|part| part.strip_prefix(name));
            found.map_or(15, |bits| bits.parse().unwrap())
        };
        let level = Compression::new(6);
        let own = bits("client_max_window_bits=");
        Self {
            client,
            compress: Compress::new_with_window_bits(level, false, own),
            decompress: Decompress::new_with_window_bits(false, bits("server_max_window_bits=")),
            forgets_sent: answer.contains("client_no_context_takeover"),
            forgets_received: answer.contains("server_no_context_takeover"),
        }
    }

    /// Compresses a message as agreed.
    pub(crate) fn pack(&mut self, data: &[u8]) -> Vec<u8> {
        if self.forgets_sent {
            self.compress.reset();
        }
        deflate(&mut self.compress, data)
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        let packed = self.pack(text.as_bytes());
        self.client.send_frame(0xc1, packed);
    }

    pub(crate) fn send_binary(&mut self, data: &[u8]) {
        let packed = self.pack(data);
        self.client.send_frame(0xc2, packed);
    }

    /// Receives a message in one frame.
    pub(crate) fn next(&mut self) -> Got {
        let frame = self.client.next_frame();
        let (is_compressed, opcode) = (frame.first & 0x40 != 0, frame.first & 0xbf);
        assert!(matches!(opcode, 0x81 | 0x82), "a message was due, not {frame:?}");
        let wire_bytes = frame.payload.len();
        let data = if is_compressed { self.unpack(&frame.payload) } else { frame.payload };
        Got { is_text: opcode == 0x81, is_compressed, wire_bytes, data }
    }

    fn unpack(&mut self, payload: &[u8]) -> Vec<u8> {
        if self.forgets_received {
            self.decompress.reset(false);
        }
        let (input, mut out) = ([payload, &TAIL].concat(), Vec::new());
        let start = self.decompress.total_in();
        loop {
            out.reserve(64 * 1024);
            let read = (self.decompress.total_in() - start) as usize;
            let room = out.capacity() - out.len();
            let before = out.len();
            let flush = FlushDecompress::Sync;
            self.decompress.decompress_vec(&input[read..], &mut out, flush).expect("deflate");
            let is_done = (self.decompress.total_in() - start) as usize == input.len();
            if is_done && out.len() - before < room {
                return out;
            }
        }
    }

    /// Sends a text compressed and gets it back.
    pub(crate) fn expect_echo(&mut self, text: &str) -> Got {
        self.send_text(text);
        let got = self.next();
        assert_eq!(got.text(), text);
        got
    }
}
