//! The client's side of RFC 6455, for tests: the handshake's fields, and tungstenite's socket with
//! its many outcomes sorted.

use std::io::{self, ErrorKind as IoErrorKind, Read, Write};

use tungstenite::error::{Error as SocketError, ProtocolError};
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{CloseFrame as SocketCloseFrame, Role, WebSocketConfig};
use tungstenite::{Message as SocketMessage, WebSocket as Socket};

use super::close::{CloseFrame, close_code};
use super::message::Message;
use crate::error::{Error, ErrorKind, Result};
use crate::http::Headers;

/// An opening handshake from the client's side.
#[derive(Debug)]
pub(crate) struct ClientHandshake {
    key: String,
}

impl ClientHandshake {
    pub(crate) fn new() -> Self {
        Self { key: generate_key() }
    }

    /// The fields that ask for WebSocket.
    pub(crate) fn fields(&self) -> [(&'static str, &str); 4] {
        [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", &self.key),
        ]
    }

    /// Checks the fields of an answer with 101; returns the subprotocol.
    ///
    /// # Errors
    /// `Protocol`: it does not answer this handshake, or with a subprotocol that was not offered.
    ///
    /// # Source
    /// RFC 6455 4.1
    pub(crate) fn check(&self, headers: &Headers, offered: &[String]) -> Result<Option<String>> {
        let wrong = |text: String| Err(Error::new(ErrorKind::Protocol, text));
        if !headers.has_token("upgrade", "websocket") || !headers.has_token("connection", "upgrade")
        {
            return wrong("the 101 does not upgrade to websocket".into());
        }
        if headers.get("sec-websocket-accept") != Some(&derive_accept_key(self.key.as_bytes())) {
            return wrong("the 101 has a wrong Sec-WebSocket-Accept".into());
        }
        if let Some(extensions) = headers.get("sec-websocket-extensions") {
            return wrong(format!("the 101 has extensions nobody offered: {extensions}"));
        }
        match headers.get("sec-websocket-protocol") {
            Some(name) if !offered.iter().any(|offered| offered == name) => {
                wrong(format!("the 101 has the subprotocol {name:?}, offered was {offered:?}"))
            }
            name => Ok(name.map(str::to_owned)),
        }
    }
}

/// What came from the server.
#[derive(Debug)]
pub(crate) enum Incoming {
    Message(Message),
    /// Its close frame: code and reason.
    Close(u16, String),
    /// Nothing more will come.
    End,
}

/// Why a call came to nothing.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The stream's deadline passed; the call can be repeated.
    Late,
    /// The connection is over.
    Lost(String),
    /// The server broke the protocol.
    Broken(Error),
}

/// A WebSocket from the client's side.
#[derive(Debug)]
pub(crate) struct ClientSocket<S> {
    socket: Socket<S>,
}

impl<S: Read + Write> ClientSocket<S> {
    /// Takes a stream on which the handshake is done; `early` is what came behind its answer.
    pub(crate) fn new(stream: S, early: Vec<u8>) -> Self {
        // What a server may send is its own affair.
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let socket = Socket::from_partially_read(stream, early, Role::Client, Some(config));
        Self { socket }
    }

    pub(crate) fn stream(&mut self) -> &mut S {
        self.socket.get_mut()
    }

    /// Sends a message whole; what is [`Trouble::Late`] still goes out with the next call.
    pub(crate) fn send(&mut self, message: Message) -> Result<(), Trouble> {
        self.socket
            .send(match message {
                Message::Text(text) => SocketMessage::Text(text),
                Message::Binary(bytes) => SocketMessage::Binary(bytes),
            })
            .map_err(trouble)
    }

    /// Sends a close frame, the last of what is sent.
    pub(crate) fn close(&mut self, frame: &CloseFrame) -> Result<(), Trouble> {
        let code = frame.code();
        let frame = SocketCloseFrame { code: code.into(), reason: frame.reason().into() };
        self.socket.close((code != close_code::NONE).then_some(frame)).map_err(trouble)?;
        self.socket.flush().map_err(trouble)
    }

    /// Receives what comes next, and answers the pings before it.
    pub(crate) fn receive(&mut self) -> Result<Incoming, Trouble> {
        loop {
            return Ok(match self.socket.read() {
                Ok(SocketMessage::Text(text)) => Incoming::Message(Message::Text(text)),
                Ok(SocketMessage::Binary(bytes)) => Incoming::Message(Message::Binary(bytes)),
                // The next round sends the pong.
                Ok(SocketMessage::Ping(_) | SocketMessage::Pong(_) | SocketMessage::Frame(_)) => {
                    continue;
                }
                Ok(SocketMessage::Close(None)) => Incoming::Close(close_code::NONE, String::new()),
                Ok(SocketMessage::Close(Some(frame))) => {
                    Incoming::Close(frame.code.into(), frame.reason.as_str().to_owned())
                }
                Err(SocketError::ConnectionClosed | SocketError::AlreadyClosed) => Incoming::End,
                Err(error) => return Err(trouble(error)),
            });
        }
    }
}

fn trouble(error: SocketError) -> Trouble {
    match error {
        SocketError::Io(error) if error.kind() == IoErrorKind::WouldBlock => Trouble::Late,
        SocketError::Io(error) => Trouble::Lost(lost(&error)),
        SocketError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            Trouble::Lost("ended without a close frame".into())
        }
        SocketError::ConnectionClosed
        | SocketError::AlreadyClosed
        | SocketError::Protocol(ProtocolError::SendAfterClosing) => Trouble::Lost("closed".into()),
        error => {
            let text = "the server broke the protocol";
            Trouble::Broken(Error::new(ErrorKind::Protocol, text).with_source(error))
        }
    }
}

fn lost(error: &io::Error) -> String {
    format!("failed: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// A server of prepared bytes: each piece is one read, `None` a deadline that passes.
    #[derive(Debug, Default)]
    struct Script {
        pieces: VecDeque<Option<Vec<u8>>>,
        sent: Vec<u8>,
    }

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.pieces.pop_front() {
                Some(None) => Err(IoErrorKind::WouldBlock.into()),
                Some(Some(piece)) => (&piece[..]).read(buffer),
                None => Ok(0),
            }
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.sent.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn socket(pieces: &[Option<&[u8]>]) -> ClientSocket<Script> {
        let pieces = pieces.iter().map(|piece| piece.map(<[u8]>::to_vec)).collect();
        ClientSocket::new(Script { pieces, sent: Vec::new() }, Vec::new())
    }

    fn headers(fields: &[(&str, &str)]) -> Headers {
        Headers::from_fields(fields.iter().map(|(name, value)| (*name, value.as_bytes())))
    }

    /// The fields of a right answer to a handshake.
    fn answer(handshake: &ClientHandshake) -> Vec<(&'static str, String)> {
        let accept = derive_accept_key(handshake.key.as_bytes());
        vec![
            ("Upgrade", "websocket".into()),
            ("Connection", "Upgrade".into()),
            ("Sec-WebSocket-Accept", accept),
        ]
    }

    #[test]
    fn a_right_answer_opens_with_its_subprotocol() {
        let handshake = ClientHandshake::new();
        let mut fields = answer(&handshake);
        fields.push(("Sec-WebSocket-Protocol", "b".into()));
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let offered = ["a".to_owned(), "b".to_owned()];
        let checked = handshake.check(&headers(&fields), &offered).unwrap();
        assert_eq!(checked.as_deref(), Some("b"));
        assert_eq!(handshake.check(&headers(&fields[..3]), &offered).unwrap(), None);
        let error = handshake.check(&headers(&fields), &[]).unwrap_err();
        assert!(error.to_string().contains("subprotocol \"b\""), "{error}");
    }

    #[test]
    fn a_wrong_answer_is_refused() {
        let handshake = ClientHandshake::new();
        for (at, value) in [(0, "h2c"), (1, "close"), (2, "c3dhcHBlZA==")] {
            let mut fields = answer(&handshake);
            fields[at].1 = value.into();
            let fields: Vec<_> = fields.iter().map(|(name, it)| (*name, it.as_str())).collect();
            assert!(handshake.check(&headers(&fields), &[]).is_err(), "{value}");
        }
        let mut fields = answer(&handshake);
        fields.push(("Sec-WebSocket-Extensions", "permessage-deflate".into()));
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert!(handshake.check(&headers(&fields), &[]).is_err());
    }

    #[test]
    fn a_deadline_within_a_frame_loses_nothing() {
        let mut socket = socket(&[Some(b"\x81\x05he"), None, Some(b"llo"), None]);
        assert!(matches!(socket.receive(), Err(Trouble::Late)));
        let Ok(Incoming::Message(message)) = socket.receive() else { panic!("no message") };
        assert_eq!(message, Message::from("hello"));
        assert!(matches!(socket.receive(), Err(Trouble::Late)));
    }

    #[test]
    fn a_ping_is_answered_on_the_way_to_a_message() {
        let mut socket = socket(&[Some(b"\x89\x01p\x82\x01b")]);
        let Ok(Incoming::Message(message)) = socket.receive() else { panic!("no message") };
        assert_eq!(message, Message::from(b"b"));
        let sent = &socket.stream().sent;
        assert_eq!((sent[0], sent[1], sent[6] ^ sent[2]), (0x8a, 0x81, b'p'));
    }

    #[test]
    fn each_kind_of_end_is_told() {
        let mut closing = socket(&[Some(b"\x88\x05\x0f\xa1bye")]);
        let Ok(Incoming::Close(code, reason)) = closing.receive() else { panic!("no close") };
        assert_eq!((code, reason.as_str()), (4001, "bye"));
        assert!(matches!(closing.receive(), Ok(Incoming::End)));
        assert_eq!(closing.stream().sent[0], 0x88, "it is answered");
        let mut silent = socket(&[Some(b"\x88\x00")]);
        assert!(matches!(silent.receive(), Ok(Incoming::Close(close_code::NONE, _))));
        assert!(matches!(socket(&[]).receive(), Err(Trouble::Lost(_))));
        for broken in [&b"\x81\x81aaaab"[..], b"\xc1\x00", b"\x81\x01\xff"] {
            assert!(matches!(socket(&[Some(broken)]).receive(), Err(Trouble::Broken(_))));
        }
        let mut late = socket(&[Some(b"\x88\x00\x81\x00")]);
        assert!(late.receive().is_ok());
        assert!(matches!(late.receive(), Err(Trouble::Broken(_))), "a message behind the close");
    }

    #[test]
    fn nothing_is_sent_behind_a_close() {
        let mut socket = socket(&[]);
        let frame = CloseFrame::new(4000, "done").unwrap();
        socket.close(&frame).unwrap();
        assert!(matches!(socket.send(Message::from("x")), Err(Trouble::Lost(_))));
        assert_eq!(socket.stream().sent[..2], [0x88, 0x86]);
    }
}
