//! The opening handshake: is this request one, is it valid, and what answers it.

use tungstenite::handshake::derive_accept_key;

use crate::error::{Error, ErrorKind, Result};
use crate::http::Method;
use crate::http::framing::Framing;
use crate::http::refusal::Refusal;
use crate::http::request::{RequestHead, Version};
use crate::http::token::is_token;
use crate::ws::deflate::offer::{DeflateOffer, offers};

/// What a request says about WebSocket.
#[derive(Debug)]
pub(crate) enum Handshake {
    /// It is plain HTTP.
    Absent,
    /// It is a handshake that can be answered with 101.
    Valid(Offer),
    /// It asks for WebSocket in a way that has to be refused.
    Refused(Refusal),
}

impl Handshake {
    /// Reads the handshake out of a request head.
    ///
    /// A request without `Connection: Upgrade` is plain HTTP, whatever else it carries: proxies
    /// strip that line, and `Upgrade` alone asks for nothing.
    ///
    /// # Source
    /// RFC 6455 4.2.1; the answers are those of `docs/ARCHITECTURE.md`, wire table.
    pub(crate) fn of(head: &RequestHead) -> Self {
        let headers = head.headers();
        if !headers.has_token("upgrade", "websocket") || !headers.has_token("connection", "upgrade")
        {
            return Self::Absent;
        }
        match examine(head) {
            Ok(offer) => Self::Valid(offer),
            Err(refusal) => Self::Refused(refusal),
        }
    }
}

fn examine(head: &RequestHead) -> Result<Offer, Refusal> {
    if head.version() == Version::Http10 {
        return Err(Refusal::bad_request("WebSocket needs HTTP/1.1."));
    }
    if *head.method() != Method::Get {
        return Err(Refusal::method_not_allowed("GET"));
    }
    if !matches!(head.framing(), Framing::None | Framing::Length(0)) {
        return Err(Refusal::bad_request("A WebSocket handshake has no body."));
    }
    let headers = head.headers();
    if headers.count("sec-websocket-version") > 1 {
        return Err(Refusal::bad_request("Sec-WebSocket-Version is there more than once."));
    }
    if headers.get("sec-websocket-version") != Some("13") {
        return Err(Refusal::upgrade_required());
    }
    let key = match (headers.count("sec-websocket-key"), headers.get("sec-websocket-key")) {
        (0, _) => return Err(Refusal::bad_request("Sec-WebSocket-Key is missing.")),
        (1, Some(key)) if is_key(key) => key,
        (1, _) => return Err(Refusal::bad_request("Sec-WebSocket-Key is not 16 bytes in base64.")),
        _ => return Err(Refusal::bad_request("Sec-WebSocket-Key is there more than once.")),
    };
    let deflate = offers(headers.raw("sec-websocket-extensions"))
        .map_err(|_| Refusal::bad_request("Sec-WebSocket-Extensions is malformed."))?;
    let accept_key = derive_accept_key(key.as_bytes());
    Ok(Offer { accept_key, subprotocols: offered(head)?, deflate })
}

/// True for 16 bytes in base64: 22 characters and two for padding.
fn is_key(key: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    key.strip_suffix("==").is_some_and(|digits| digits.len() == 22 && digits.bytes().all(is_digit))
}

fn offered(head: &RequestHead) -> Result<Vec<String>, Refusal> {
    let mut names: Vec<String> = Vec::new();
    for line in head.headers().get_all("sec-websocket-protocol") {
        for name in line.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if !is_token(name.as_bytes()) {
                return Err(Refusal::bad_request("Sec-WebSocket-Protocol is malformed."));
            }
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    }
    Ok(names)
}

/// The 101 up to its key.
const START: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: ";

/// A valid handshake: what is needed to answer it.
#[derive(Debug)]
pub(crate) struct Offer {
    accept_key: String,
    subprotocols: Vec<String>,
    deflate: Vec<DeflateOffer>,
}

impl Offer {
    /// The subprotocols offered, in the client's order of preference, each once.
    pub(crate) fn subprotocols(&self) -> &[String] {
        &self.subprotocols
    }

    /// Takes an offered subprotocol out: it is a secret and must not be answered.
    pub(crate) fn forget_subprotocol(&mut self, name: &str) {
        self.subprotocols.retain(|known| known != name);
    }

    /// How the client would have messages compressed, in its order of preference.
    pub(crate) fn deflate(&self) -> &[DeflateOffer] {
        &self.deflate
    }

    /// The 101 without further headers; `subprotocol` is one that was offered, `extension` what was
    /// made of an offer.
    pub(crate) fn default_answer(
        &self,
        subprotocol: Option<&str>,
        extension: Option<&str>,
    ) -> Vec<u8> {
        let mut answer = self.start(subprotocol, extension);
        answer.extend_from_slice(b"\r\n");
        answer
    }

    /// The 101 with a subprotocol that was offered, an extension and further headers.
    ///
    /// # Errors
    /// `Protocol`: the subprotocol was not offered (RFC 6455 4.2.2: the client would fail the
    /// connection), or a header is malformed or belongs to the handshake.
    pub(crate) fn answer(
        &self,
        subprotocol: Option<&str>,
        extension: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Result<Vec<u8>> {
        if let Some(name) = subprotocol
            && !self.subprotocols.iter().any(|offered| offered == name)
        {
            let text = format!("the client did not offer the subprotocol {name:?}");
            return Err(Error::new(ErrorKind::Protocol, text));
        }
        let mut answer = self.start(subprotocol, extension);
        for (name, value) in headers {
            check_header(name, value)?;
            answer.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        answer.extend_from_slice(b"\r\n");
        Ok(answer)
    }

    fn start(&self, subprotocol: Option<&str>, extension: Option<&str>) -> Vec<u8> {
        // With room for just the usual: the allocator keeps what was given back for each thread.
        let mut start = String::with_capacity(START.len() + self.accept_key.len() + 4);
        for part in [START, &self.accept_key, "\r\n"] {
            start.push_str(part);
        }
        let lines =
            [("Sec-WebSocket-Protocol", subprotocol), ("Sec-WebSocket-Extensions", extension)];
        for (name, value) in lines {
            if let Some(value) = value {
                start.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        start.into_bytes()
    }
}

/// A further header of the 101 must not break its line nor contradict the handshake.
fn check_header(name: &str, value: &str) -> Result<()> {
    const OURS: [&str; 5] =
        ["upgrade", "connection", "content-length", "transfer-encoding", "trailer"];
    let lower = name.to_ascii_lowercase();
    let refused = if !is_token(name.as_bytes()) {
        format!("{name:?} is not a header name")
    } else if OURS.contains(&lower.as_str()) || lower.starts_with("sec-websocket-") {
        format!("the header {name} is set by the handshake")
    } else if !value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        // The value is not repeated: it may be secret.
        format!("the value of the header {name} is not visible ASCII")
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Protocol, refused))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::http::parse::HeadParser;

    const GOOD: &str = "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
        Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    fn handshake(head: &str) -> Handshake {
        let bytes = format!("{head}\r\n");
        let parsed = HeadParser::default().parse(bytes.as_bytes(), &Config::default());
        Handshake::of(&parsed.expect("a valid head").expect("a whole head").0)
    }

    fn refused(head: &str) -> u16 {
        match handshake(head) {
            Handshake::Refused(refusal) => refusal.status(),
            other => panic!("{head}: {other:?}"),
        }
    }

    fn offer(head: &str) -> Offer {
        match handshake(head) {
            Handshake::Valid(offer) => offer,
            other => panic!("{head}: {other:?}"),
        }
    }

    #[test]
    fn the_rfc_example_is_answered() {
        let answer = String::from_utf8(offer(GOOD).default_answer(None, None)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(answer.ends_with("\r\n\r\n"));
    }

    #[test]
    fn without_connection_upgrade_it_is_plain_http() {
        let plain = GOOD.replace("keep-alive, Upgrade", "keep-alive");
        assert!(matches!(handshake(&plain), Handshake::Absent));
        let other = GOOD.replace("Upgrade: websocket", "Upgrade: h2c");
        assert!(matches!(handshake(&other), Handshake::Absent));
    }

    #[test]
    fn each_fault_has_its_status() {
        assert_eq!(refused(&GOOD.replace("GET", "POST")), 405);
        assert_eq!(refused(&GOOD.replace("HTTP/1.1", "HTTP/1.0")), 400);
        assert_eq!(refused(&GOOD.replace("Version: 13", "Version: 8")), 426);
        assert_eq!(refused(&GOOD.replace("Sec-WebSocket-Version: 13\r\n", "")), 426);
        assert_eq!(refused(&format!("{GOOD}Sec-WebSocket-Version: 13\r\n")), 400);
        assert_eq!(refused(&GOOD.replace("Sec-WebSocket-Key", "X-Key")), 400);
        assert_eq!(refused(&GOOD.replace("dGhlIHNhbXBsZSBub25jZQ==", "zzz")), 400);
        assert_eq!(
            refused(&GOOD.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ")),
            400
        );
        assert_eq!(refused(&format!("{GOOD}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")), 400);
        assert_eq!(refused(&format!("{GOOD}Content-Length: 3\r\n")), 400);
        assert_eq!(refused(&format!("{GOOD}Transfer-Encoding: chunked\r\n")), 400);
        assert!(matches!(handshake(&format!("{GOOD}Content-Length: 0\r\n")), Handshake::Valid(_)));
    }

    #[test]
    fn only_an_offered_subprotocol_can_be_chosen() {
        let head = format!(
            "{GOOD}Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Protocol: chat, v2\r\n"
        );
        let offer = offer(&head);
        assert_eq!(offer.subprotocols(), ["chat", "superchat", "v2"]);
        let answer = offer.answer(Some("v2"), None, &[("Set-Cookie", "a=b")]).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.contains("\r\nSec-WebSocket-Protocol: v2\r\nSet-Cookie: a=b\r\n\r\n"));
        assert!(offer.answer(Some("v3"), None, &[]).is_err());
    }

    #[test]
    fn extensions_are_read_from_all_lines() {
        let head = format!(
            "{GOOD}Sec-WebSocket-Extensions: x-other\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        );
        let offer = offer(&head);
        assert_eq!(offer.deflate().len(), 1);
        let answer = String::from_utf8(offer.default_answer(None, Some("x-y"))).unwrap();
        assert!(answer.ends_with("\r\nSec-WebSocket-Extensions: x-y\r\n\r\n"));
        assert_eq!(refused(&format!("{GOOD}Sec-WebSocket-Extensions: a b\r\n")), 400);
        let empty = format!("{GOOD}Sec-WebSocket-Extensions:\r\n");
        assert!(matches!(handshake(&empty), Handshake::Valid(_)));
    }

    #[test]
    fn a_header_of_the_answer_cannot_be_split_or_contradict_it() {
        let offer = offer(GOOD);
        for (name, value) in [
            ("X", "a\r\nY: b"),
            ("X\r\nY", "a"),
            ("Connection", "close"),
            ("Sec-WebSocket-Accept", "x"),
            ("Content-Length", "5"),
        ] {
            assert!(offer.answer(None, None, &[(name, value)]).is_err(), "{name}: {value}");
        }
    }
}
