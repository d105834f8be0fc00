//! HTTP as a client writes and reads it: the request of a test, and what the server answers.
//!
//! Source: RFC 9112 3, 4 and 6.3.

use httparse::Status;
use percent_encoding::{AsciiSet, utf8_percent_encode};

use super::body::BodyDecoder;
use super::framing::Framing;
use super::headers::Headers;
use super::method::Method;
use super::refusal::Refusal;
use super::request::Version;
use super::token::{is_text_byte, is_token};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};

/// What a target may hold as it is, beside everything visible in ASCII.
const TARGET: &AsciiSet = &AsciiSet::EMPTY.add(b' ').add(b'"').add(b'<').add(b'>');

/// Most lines of an answer's head.
const MAX_LINES: usize = 256;

/// A request to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientRequest<'a> {
    pub(crate) method: &'a Method,
    /// Path and query; what an address may not hold is percent-encoded.
    pub(crate) target: &'a str,
    /// The fields beside `Content-Length`, which is written for a body.
    pub(crate) fields: &'a [(String, String)],
    pub(crate) body: &'a [u8],
}

impl ClientRequest<'_> {
    /// The bytes to send.
    ///
    /// # Errors
    /// `Protocol`: a target without a slash or with control characters, a name or a value that
    /// cannot stand in a head.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        if !self.target.starts_with('/') || self.target.contains(char::is_control) {
            return Err(wrong(format!("{:?} is not a path", self.target)));
        }
        let target = utf8_percent_encode(self.target, TARGET);
        let mut head = format!("{} {target} HTTP/1.1\r\n", self.method);
        for (name, value) in self.fields {
            if !is_token(name.as_bytes()) || !value.bytes().all(is_text_byte) {
                return Err(wrong(format!("the header {name:?}: {value:?} cannot be sent")));
            }
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() || *self.method == Method::Post {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        Ok([head.as_bytes(), self.body].concat())
    }
}

/// An answer of the server, as far as it has come.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    /// `None`: the body ends with the connection.
    decoder: Option<BodyDecoder>,
}

impl Answer {
    /// Reads the head at the start of `bytes`: the answer and how many bytes that took, or `None`
    /// if it is not complete.
    ///
    /// # Errors
    /// `Protocol`: it is no head of an answer to this method.
    pub(crate) fn parse(bytes: &[u8], method: &Method) -> Result<Option<(Self, usize)>> {
        let mut lines = [httparse::EMPTY_HEADER; MAX_LINES];
        let mut head = httparse::Response::new(&mut lines);
        let used = match head.parse(bytes) {
            Ok(Status::Complete(used)) => used,
            Ok(Status::Partial) => return Ok(None),
            Err(error) => return Err(wrong("the answer is no HTTP").with_source(error)),
        };
        let status = head.code.unwrap_or_default();
        let headers = Headers::from_fields(head.headers.iter().map(|it| (it.name, it.value)));
        let decoder = decoder(status, &headers, method).map_err(broken)?;
        Ok(Some((Self { status, headers, body: Vec::new(), decoder }, used)))
    }

    /// Takes bytes that came behind the head; returns how many belong to the answer.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<usize> {
        match &mut self.decoder {
            Some(decoder) => Ok(decoder.decode(bytes, &mut self.body).map_err(broken)?.0),
            None => {
                self.body.extend_from_slice(bytes);
                Ok(bytes.len())
            }
        }
    }

    /// True once it is complete; `has_ended` says that nothing more will come.
    pub(crate) fn is_complete(&self, has_ended: bool) -> bool {
        self.decoder.as_ref().map_or(has_ended, BodyDecoder::is_done)
    }
}

/// How the end of the body is found; `None` if it is the end of the connection.
fn decoder(
    status: u16,
    headers: &Headers,
    method: &Method,
) -> Result<Option<BodyDecoder>, Refusal> {
    // A test's server is trusted with the memory of its test.
    let config = Config::default().with_body_bytes(usize::MAX);
    let has_none = *method == Method::Head || matches!(status, 100..=199 | 204 | 304);
    let framing = if has_none { Framing::None } else { Framing::of(Version::Http11, headers)? };
    if !has_none && framing == Framing::None {
        return Ok(None);
    }
    BodyDecoder::new(framing, &config).map(Some)
}

fn wrong(text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Protocol, text)
}

/// An answer that breaks a rule which the server's own reading of requests knows too.
fn broken(refusal: Refusal) -> Error {
    wrong("the answer is malformed").with_source(Error::from(refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(target: &str, fields: &[(&str, &str)], body: &[u8]) -> Result<String> {
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let method = if body.is_empty() { Method::Get } else { Method::Post };
        let request = ClientRequest { method: &method, target, fields: &fields, body };
        request.encode().map(|bytes| String::from_utf8(bytes).unwrap())
    }

    /// Reads an answer that comes byte by byte: status, body, and what is left behind it.
    fn answer(method: Method, bytes: &[u8]) -> Option<(u16, Vec<u8>, usize)> {
        let (mut end, mut read) = (0, None);
        while read.is_none() && end < bytes.len() {
            end += 1;
            read = Answer::parse(&bytes[..end], &method).unwrap();
        }
        let (mut answer, used) = read?;
        assert_eq!(used, end);
        while !answer.is_complete(end == bytes.len()) {
            assert!(end < bytes.len(), "it never completes");
            assert_eq!(answer.take(&bytes[end..end + 1]).unwrap(), 1);
            end += 1;
        }
        Some((answer.status, answer.body, bytes.len() - end))
    }

    #[test]
    fn a_request_is_written_as_it_is_read() {
        let text = encode("/房间/?a=b c", &[("Host", "h")], b"").unwrap();
        assert_eq!(text, "GET /%E6%88%BF%E9%97%B4/?a=b%20c HTTP/1.1\r\nHost: h\r\n\r\n");
        let text = encode("/", &[], b"body").unwrap();
        assert_eq!(text, "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody");
    }

    #[test]
    fn what_would_break_the_head_is_refused() {
        for (target, fields) in [
            ("x", &[][..]),
            ("/a\r\nX: y", &[]),
            ("/", &[("a b", "c")]),
            ("/", &[("a", "b\r\nc: d")]),
        ] {
            let error = encode(target, fields, b"").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{target} {fields:?}");
        }
    }

    #[test]
    fn every_way_to_end_a_body_is_understood() {
        let with = |rest: &str| format!("HTTP/1.1 200 OK\r\n{rest}").into_bytes();
        let body = |it: Option<(u16, Vec<u8>, usize)>| {
            it.map(|(status, body, left)| (status, String::from_utf8(body).unwrap(), left))
        };
        let read = |rest: &str| body(answer(Method::Get, &with(rest)));
        let yes = |left| Some((200, "yes".to_owned(), left));
        assert_eq!(read("Content-Length: 3\r\n\r\nyes!!"), yes(2));
        assert_eq!(
            read("Transfer-Encoding: chunked\r\n\r\n2\r\nye\r\n1\r\ns\r\n0\r\n\r\n"),
            yes(0)
        );
        assert_eq!(read("\r\nyes"), yes(0));
        assert_eq!(read("Content-Length: 3\r\n"), None);
        let none = answer(Method::Head, &with("Content-Length: 3\r\n\r\n"));
        assert_eq!(none, Some((200, Vec::new(), 0)));
        let none = answer(Method::Get, b"HTTP/1.1 101 Switching\r\n\r\n\x81\x00");
        assert_eq!(none, Some((101, Vec::new(), 2)));
    }

    #[test]
    fn an_answer_that_is_none_is_an_error() {
        for bytes in [
            &b"SSH-2.0\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        ] {
            let error = Answer::parse(bytes, &Method::Get).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol);
        }
    }
}
