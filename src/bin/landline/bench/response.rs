//! HTTP responses as they arrive, one behind the other.

use crate::bench::handshake::value;

/// Longest head of a response.
const HEAD_BYTES: usize = 32 * 1024;

/// Most header lines of a response.
const HEADERS: usize = 64;

/// Longest line of a chunk's size.
const SIZE_LINE: usize = 256;

/// A response that is whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// Its bytes on the wire.
    pub(crate) length: usize,
    /// The server ends the connection behind it.
    pub(crate) closes: bool,
}

/// Reads the response at the front of `bytes`; `None` if more has to arrive.
///
/// # Errors
/// Why it is no response.
pub(crate) fn read(bytes: &[u8], is_at_end: bool) -> Result<Option<Whole>, String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES => return Ok(None),
        Ok(httparse::Status::Partial) => return Err("a head without end".into()),
        Err(error) => return Err(format!("no HTTP ({error})")),
    };
    let status = response.code.unwrap_or_default();
    let (headers, body) = (&*response.headers, &bytes[head..]);
    let connection = value(headers, "connection").unwrap_or_default();
    let mut closes = response.version == Some(0)
        || connection.split(',').any(|token| token.trim().eq_ignore_ascii_case("close"));
    let coding = value(headers, "transfer-encoding");
    let (body, used) = if status == 204 || status == 304 {
        (Vec::new(), 0)
    } else if coding.is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        match chunked(body)? {
            Some(found) => found,
            None => return Ok(None),
        }
    } else if let Some(length) = value(headers, "content-length") {
        let length: usize = length.parse().map_err(|_| "a Content-Length that is no number")?;
        match body.get(..length) {
            Some(body) => (body.to_vec(), length),
            None => return Ok(None),
        }
    } else if is_at_end {
        closes = true;
        (body.to_vec(), body.len())
    } else {
        return Ok(None);
    };
    Ok(Some(Whole { status, body, length: head + used, closes }))
}

/// The body, and how many bytes it takes (RFC 9112 7.1).
fn chunked(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(line) = line(&bytes[at..])? else { return Ok(None) };
        at += line.len() + 2;
        let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
        let size = std::str::from_utf8(size).ok().map(str::trim);
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.ok_or("a chunk without size")?;
        if size == 0 {
            break;
        }
        let Some(end) = at.checked_add(size).and_then(|end| end.checked_add(2)) else {
            return Err("a chunk without end".into());
        };
        let Some(chunk) = bytes.get(at..end) else { return Ok(None) };
        if !chunk.ends_with(b"\r\n") {
            return Err("a chunk that is longer than it says".into());
        }
        body.extend_from_slice(&chunk[..size]);
        at = end;
    }
    // What trails the body, up to the empty line.
    loop {
        let Some(line) = line(&bytes[at..])? else { return Ok(None) };
        at += line.len() + 2;
        if line.is_empty() {
            return Ok(Some((body, at)));
        }
    }
}

fn line(bytes: &[u8]) -> Result<Option<&[u8]>, String> {
    match bytes.windows(2).position(|pair| pair == b"\r\n") {
        Some(end) => Ok(Some(&bytes[..end])),
        None if bytes.len() > SIZE_LINE => Err("a chunk without size".into()),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Whole {
        for cut in 0..text.len() {
            assert_eq!(read(&text.as_bytes()[..cut], false), Ok(None), "{cut}");
        }
        read(format!("{text}HTTP/1.1 200").as_bytes(), false).unwrap().unwrap()
    }

    #[test]
    fn bodies_have_a_length_or_chunks() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        let right = Whole { status: 200, body: b"hi".to_vec(), length: text.len(), closes: false };
        assert_eq!(whole(text), right);
        let text = "HTTP/1.1 500 X\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
            1;x=y\r\nh\r\n2\r\ni!\r\n0\r\nA: b\r\n\r\n";
        let right = Whole { status: 500, body: b"hi!".to_vec(), length: text.len(), closes: true };
        assert_eq!(whole(text), right);
    }

    #[test]
    fn a_body_without_length_ends_with_the_stream() {
        let text = b"HTTP/1.1 200 OK\r\n\r\nhi";
        assert_eq!(read(text, false), Ok(None));
        let found = read(text, true).unwrap().unwrap();
        assert!(found.closes && found.body == b"hi");
    }

    #[test]
    fn what_is_no_response_is_told() {
        for wrong in [
            "hello\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        ] {
            assert!(read(wrong.as_bytes(), false).is_err(), "{wrong}");
        }
    }
}
