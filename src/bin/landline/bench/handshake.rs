//! The opening handshake (RFC 6455 4.1): the request, and whether the answer is right.

use tungstenite::handshake::derive_accept_key;

use crate::bench::url::Url;

/// Longest head of an answer.
const HEAD_BYTES: usize = 16 * 1024;

/// Most header lines of an answer.
const HEADERS: usize = 64;

/// The key of every connection, that of the RFC's example (1.3): servers made for measuring often
/// know no other answer than the one to it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

const EXTENSION: &str = "permessage-deflate";

/// What is asked, and what has to be answered.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    url: String,
    pub(crate) request: Vec<u8>,
    accept: String,
    offers_deflate: bool,
}

impl Handshake {
    pub(crate) fn new(url: &Url, offers_deflate: bool) -> Self {
        let extensions = match offers_deflate {
            true => format!(
                "Sec-WebSocket-Extensions: {EXTENSION}; server_no_context_takeover; \
                 client_no_context_takeover\r\n"
            ),
            false => String::new(),
        };
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{extensions}\r\n",
            url.path, url.authority
        );
        Self {
            url: url.text.clone(),
            request: request.into_bytes(),
            accept: derive_accept_key(KEY.as_bytes()),
            offers_deflate,
        }
    }

    /// Judges what has arrived: the length of the answer's head, or `None` while it is not whole.
    ///
    /// # Errors
    /// A sentence: the server refuses, or its answer is wrong.
    pub(crate) fn judge(&self, bytes: &[u8]) -> Result<Option<usize>, String> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut answer = httparse::Response::new(&mut headers);
        let length = match answer.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES => return Ok(None),
            Ok(httparse::Status::Partial) => return Err(self.wrong("its head has no end")),
            Err(error) => return Err(self.wrong(&format!("it is no HTTP ({error})"))),
        };
        let status = answer.code.unwrap_or_default();
        if status != 101 {
            let reason = answer.reason.unwrap_or_default();
            return Err(self.refusal(status, reason, answer.headers));
        }
        self.check(answer.headers).map_err(|text| self.wrong(&text))?;
        self.check_extensions(answer.headers)?;
        Ok(Some(length))
    }

    fn check(&self, headers: &[httparse::Header<'_>]) -> Result<(), String> {
        let accept = value(headers, "sec-websocket-accept").unwrap_or_default();
        if accept != self.accept {
            let accept = accept.escape_debug();
            return Err(format!(
                "Sec-WebSocket-Accept is \"{accept}\" instead of \"{}\"",
                self.accept
            ));
        }
        let upgrade = value(headers, "upgrade").unwrap_or_default();
        if !upgrade.eq_ignore_ascii_case("websocket") {
            return Err("it upgrades to something else than websocket".into());
        }
        let connection = value(headers, "connection").unwrap_or_default();
        let mut tokens = connection.split(',').map(str::trim);
        if !tokens.any(|token| token.eq_ignore_ascii_case("upgrade")) {
            return Err("it has no \"Connection: Upgrade\"".into());
        }
        Ok(())
    }

    fn check_extensions(&self, headers: &[httparse::Header<'_>]) -> Result<(), String> {
        let Some(accepted) = value(headers, "sec-websocket-extensions") else {
            return match self.offers_deflate {
                true => Err(format!(
                    "{} refuses {EXTENSION}; turn it on there, or leave --deflate out",
                    self.url
                )),
                false => Ok(()),
            };
        };
        let mut parameters = accepted.split(';').map(str::trim);
        let is_offered = self.offers_deflate && parameters.next() == Some(EXTENSION);
        if !is_offered || accepted.contains(',') {
            let accepted = accepted.escape_debug();
            return Err(self.wrong(&format!("it has the extension \"{accepted}\", not offered")));
        }
        // RFC 7692 7.1.1.1: who accepts this offer says so.
        if !parameters.any(|parameter| parameter == "server_no_context_takeover") {
            return Err(self.wrong("it leaves out server_no_context_takeover, which was offered"));
        }
        Ok(())
    }

    fn wrong(&self, what: &str) -> String {
        format!("the handshake with {} was answered wrongly: {what}", self.url)
    }

    fn refusal(&self, status: u16, reason: &str, headers: &[httparse::Header<'_>]) -> String {
        let advice = match status {
            200..=299 => "that is plain HTTP; is there a WebSocket at this path?".into(),
            300..=399 => match value(headers, "location") {
                Some(place) => format!("it points to {}", place.escape_debug()),
                None => "it points elsewhere".into(),
            },
            401 | 403 => "the server does not let just anybody in; does it want a login?".into(),
            404 => "is the path right?".into(),
            421 => "the server does not answer to this host name; try its address".into(),
            429 | 503 => "the server is full; use fewer connections, or raise its limit".into(),
            _ => "is there a WebSocket at this path?".into(),
        };
        format!("{} refused the handshake with \"{status} {reason}\"; {advice}", self.url)
    }
}

/// The value of a header.
pub(crate) fn value<'a>(headers: &'a [httparse::Header<'_>], name: &str) -> Option<&'a str> {
    let header = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(header.value).ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::url::ws_url;

    fn judge(offers: bool, answer: &str) -> Result<Option<usize>, String> {
        let handshake = Handshake::new(&ws_url("ws://a/x").unwrap(), offers);
        judge_by(&handshake, answer)
    }

    fn judge_by(handshake: &Handshake, answer: &str) -> Result<Option<usize>, String> {
        let answer = answer.replace("KEY", &handshake.accept).replace('\n', "\r\n");
        handshake.judge(answer.as_bytes())
    }

    const RIGHT: &str = "HTTP/1.1 101 Switching Protocols\nUpgrade: WebSocket\n\
        Connection: keep-alive, Upgrade\nSec-WebSocket-Accept: KEY\n";

    #[test]
    fn the_right_answer_is_taken_once_it_is_whole() {
        let whole = format!("{RIGHT}\n\u{1}");
        let length = judge(false, &whole).unwrap().unwrap();
        assert_eq!(length, whole.replace("KEY", &"x".repeat(28)).replace('\n', "\r\n").len() - 1);
        assert_eq!(judge(false, RIGHT), Ok(None));
    }

    #[test]
    fn a_wrong_answer_is_named() {
        let error = |offers, answer: &str| judge(offers, answer).unwrap_err();
        assert!(
            error(false, &format!("{}\n", RIGHT.replace("KEY", "x"))).contains("Accept is \"x\"")
        );
        assert!(
            error(false, "HTTP/1.1 404 Not Found\n\n").contains("\"404 Not Found\"; is the path")
        );
        assert!(error(false, "hello\n\n").contains("no HTTP"));
        let deflate = format!("{RIGHT}Sec-WebSocket-Extensions: permessage-deflate\n\n");
        assert!(error(false, &deflate).contains("not offered"));
        assert!(error(true, &deflate).contains("leaves out server_no_context_takeover"));
        assert!(error(true, &format!("{RIGHT}\n")).contains("refuses permessage-deflate"));
        let right = deflate.replace("deflate\n", "deflate; server_no_context_takeover\n");
        assert!(judge(true, &right).unwrap().is_some());
    }
}
