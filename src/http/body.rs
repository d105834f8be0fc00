//! Takes a request body out of its framing, piece by piece.
//!
//! Memory follows the bytes that arrived, never a length that was announced.

use super::chunk::{SizeLine, Trailers};
use super::framing::Framing;
use super::refusal::Refusal;
use crate::config::Config;

/// The state of one body.
#[derive(Debug)]
pub(crate) struct BodyDecoder {
    state: State,
    /// Decoded bytes that are still within the limit.
    room: u64,
    /// Limit of the decoded bytes.
    max_bytes: u64,
    max_trailer_bytes: usize,
}

/// What the next byte belongs to.
///
/// ```text
/// Counted ────────────────────────────────────────────► Done
/// Size ─► Data ─► DataEnd ─► Size … ─► (0) Trailers ──► Done
/// ```
#[derive(Debug)]
enum State {
    /// A body of known length: bytes that are missing.
    Counted(u64),
    Size(SizeLine),
    /// Data of a chunk: bytes that are missing.
    Data(u64),
    /// The CR LF after the data of a chunk: what is missing of it.
    DataEnd(&'static [u8]),
    Trailers(Trailers),
    Done,
    /// Refused: where the next request begins can never be known.
    Broken,
}

impl BodyDecoder {
    /// Starts a body; at most `body_bytes` decoded bytes, and `head_bytes` of trailers.
    ///
    /// # Errors
    /// 413: the announced length is over the limit.
    pub(crate) fn new(framing: Framing, config: &Config) -> Result<Self, Refusal> {
        let max_bytes = config.body_bytes() as u64;
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) if length > max_bytes => {
                return Err(Refusal::body_too_long(max_bytes));
            }
            Framing::Length(length) => State::Counted(length),
            Framing::Chunked => State::Size(SizeLine::default()),
        };
        Ok(Self { state, room: max_bytes, max_bytes, max_trailer_bytes: config.head_bytes() })
    }

    /// True once the last byte of the body was taken.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Appends the decoded bytes of `input` to `out`: how many bytes of `input` were used, and
    /// whether the body is complete. What is not used belongs to the next request.
    ///
    /// # Errors
    /// 413: over the limit, noticed at the size of the chunk that passes it. 400: malformed
    /// chunks or trailers. 431: trailers too long. After an error every further call fails, so
    /// that bytes are never read a second time from a state that was left behind.
    pub(crate) fn decode(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(usize, bool), Refusal> {
        let mut used = 0;
        while !self.is_done() && used < input.len() {
            used += self.step(&input[used..], out).inspect_err(|_| self.state = State::Broken)?;
        }
        Ok((used, self.is_done()))
    }

    /// Takes one byte of a line or all the data that is there.
    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Refusal> {
        let byte = input[0];
        let (taken, next) = match &mut self.state {
            State::Counted(left) => {
                let taken = copy(left, input, out);
                (taken, (*left == 0).then_some(State::Done))
            }
            State::Data(left) => {
                let taken = copy(left, input, out);
                (taken, (*left == 0).then_some(State::DataEnd(b"\r\n")))
            }
            State::Size(line) => match line.take(byte)? {
                Some(size) => (1, Some(self.chunk(size)?)),
                None => (1, None),
            },
            State::DataEnd(expected) => (1, Some(data_end(expected, byte)?)),
            State::Trailers(trailers) => (1, trailers.take(byte)?.then_some(State::Done)),
            State::Done => (0, None),
            State::Broken => return Err(Refusal::bad_request("The request body is malformed.")),
        };
        if let Some(next) = next {
            self.state = next;
        }
        Ok(taken)
    }

    /// What follows a size line.
    fn chunk(&mut self, size: u64) -> Result<State, Refusal> {
        if size == 0 {
            return Ok(State::Trailers(Trailers::new(self.max_trailer_bytes)));
        }
        let room = self.room.checked_sub(size);
        self.room = room.ok_or_else(|| Refusal::body_too_long(self.max_bytes))?;
        Ok(State::Data(size))
    }
}

/// Copies what is there of the bytes that are missing.
fn copy(left: &mut u64, input: &[u8], out: &mut Vec<u8>) -> usize {
    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    out.extend_from_slice(&input[..taken]);
    *left -= taken as u64;
    taken
}

/// What follows a byte of the line end after the data of a chunk.
fn data_end(expected: &'static [u8], byte: u8) -> Result<State, Refusal> {
    match expected.split_first() {
        Some((first, [])) if *first == byte => Ok(State::Size(SizeLine::default())),
        Some((first, rest)) if *first == byte => Ok(State::DataEnd(rest)),
        _ => Err(Refusal::bad_request("A chunk of the request body is malformed.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The body, how many bytes were used and whether it is complete, or the status.
    type Outcome = Result<(Vec<u8>, usize, bool), u16>;

    fn limits(body_bytes: usize) -> Config {
        Config::default().with_body_bytes(body_bytes).with_head_bytes(64)
    }

    fn decode(framing: Framing, input: &[u8], sizes: &[usize], config: &Config) -> Outcome {
        let mut decoder = BodyDecoder::new(framing, config).map_err(|refusal| refusal.status())?;
        let (mut out, mut used, mut next) = (Vec::new(), 0, 0);
        while used < input.len() && !decoder.is_done() {
            let piece = sizes[next % sizes.len()].clamp(1, input.len() - used);
            next += 1;
            let result = decoder.decode(&input[used..used + piece], &mut out);
            let (taken, done) = result.map_err(|refusal| refusal.status())?;
            assert!(done || taken == piece, "only a complete body leaves bytes");
            used += taken;
        }
        Ok((out, used, decoder.is_done()))
    }

    fn chunked(input: &str) -> Outcome {
        decode(Framing::Chunked, input.as_bytes(), &[usize::MAX], &limits(100))
    }

    #[test]
    fn no_body_is_complete_at_once() {
        for framing in [Framing::None, Framing::Length(0)] {
            let mut decoder = BodyDecoder::new(framing, &limits(0)).unwrap();
            assert!(decoder.is_done());
            assert_eq!(decoder.decode(b"GET /", &mut Vec::new()).unwrap(), (0, true));
        }
    }

    #[test]
    fn a_counted_body_leaves_what_follows() {
        let outcome = decode(Framing::Length(5), b"helloGET /", &[3], &limits(5));
        assert_eq!(outcome, Ok((b"hello".to_vec(), 5, true)));
        let outcome = decode(Framing::Length(6), b"hello", &[9], &limits(6));
        assert_eq!(outcome, Ok((b"hello".to_vec(), 5, false)));
    }

    #[test]
    fn an_announced_length_over_the_limit_is_refused_at_once() {
        assert_eq!(decode(Framing::Length(6), b"", &[1], &limits(5)), Err(413));
        assert_eq!(decode(Framing::Length(u64::MAX), b"", &[1], &limits(5)), Err(413));
    }

    #[test]
    fn an_announced_length_allocates_nothing() {
        let config = limits(usize::MAX);
        let mut out = Vec::new();
        let mut decoder =
            BodyDecoder::new(Framing::Length(1_000_000_000_000_000), &config).unwrap();
        assert_eq!(decoder.decode(b"abc", &mut out).unwrap(), (3, false));
        let mut decoder = BodyDecoder::new(Framing::Chunked, &config).unwrap();
        assert_eq!(decoder.decode(b"ffffffffffffff\r\nabc", &mut out).unwrap(), (19, false));
        assert!(out.capacity() < 100);
    }

    #[test]
    fn chunks_are_joined() {
        let text = "3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n0\r\nT: v\r\n\r\n";
        let whole = format!("{text}GET /");
        assert_eq!(chunked(&whole), Ok((b"abc0123456789".to_vec(), text.len(), true)));
        assert_eq!(chunked("0\r\n\r\n"), Ok((Vec::new(), 5, true)));
        assert_eq!(chunked("000\r\n\r"), Ok((Vec::new(), 6, false)));
    }

    #[test]
    fn malformed_chunks_are_refused() {
        for bad in
            ["3\r\nabcd\r\n", "3\r\nabc\n", "3\r\nabc\r\r", "3\nabc\r\n", "x\r\n", "3\r\nabc0\r\n"]
        {
            assert_eq!(chunked(bad), Err(400), "{bad:?}");
        }
        assert_eq!(chunked("0\r\nbad trailer\r\n\r\n"), Err(400));
    }

    #[test]
    fn after_an_error_nothing_is_taken_any_more() {
        // Taken a second time, `1` would join the size that was begun and the rest would be data.
        let bytes = b"1\r\na\r\n1G............\r\n0\r\n\r\n";
        let mut decoder = BodyDecoder::new(Framing::Chunked, &limits(100)).unwrap();
        for _ in 0..2 {
            assert_eq!(decoder.decode(bytes, &mut Vec::new()).unwrap_err().status(), 400);
        }
    }

    #[test]
    fn the_limit_counts_decoded_bytes() {
        let decode = |input: &str| decode(Framing::Chunked, input.as_bytes(), &[9], &limits(4));
        assert_eq!(decode("2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"), Ok((b"abcd".to_vec(), 19, true)));
        assert_eq!(decode("2\r\nab\r\n3\r\n"), Err(413));
        assert_eq!(decode("2\r\nab\r\nffffffffffffffff\r\n"), Err(413));
    }

    #[test]
    fn trailers_are_bounded() {
        let long = format!("0\r\nT: {}", "a".repeat(64));
        assert_eq!(chunked(&long), Err(431));
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_split_does_not_matter(
            bytes in "(3\r\nabc\r\n|0\r\n\r\n|[0-9a-f]{1,2}(;[a\"= ]{0,4})?\r\n|a: b\r\n|[\r\nabc;\"]){0,12}",
            sizes in proptest::collection::vec(1_usize..9, 1..6),
        ) {
            let config = limits(64);
            let whole = decode(Framing::Chunked, bytes.as_bytes(), &[usize::MAX], &config);
            let pieces = decode(Framing::Chunked, bytes.as_bytes(), &sizes, &config);
            prop_assert_eq!(whole, pieces);
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(Framing::Chunked, &bytes, &[7], &limits(50));
        }

        #[test]
        fn what_was_put_into_chunks_comes_back(
            parts in proptest::collection::vec("[\\PC\r\n]{1,20}", 0..8),
            sizes in proptest::collection::vec(1_usize..30, 1..6),
        ) {
            let chunk = |part: &String| format!("{:x}\r\n{part}\r\n", part.len());
            let framed = parts.iter().map(chunk).collect::<String>() + "0\r\n\r\n";
            let outcome = decode(Framing::Chunked, framed.as_bytes(), &sizes, &limits(1000));
            prop_assert_eq!(outcome, Ok((parts.concat().into_bytes(), framed.len(), true)));
        }
    }
}
