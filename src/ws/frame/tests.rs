//! The decoder alone, and against tungstenite as an oracle: same bytes in, same messages out.

use proptest::prelude::*;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use super::*;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A client's frame with the given first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | length as u8),
        length @ 126..=65_535 => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    let start = bytes.len();
    bytes.extend(payload);
    unmask(&mut bytes[start..], MASK, 0);
    bytes
}

/// What came of some input: the events with control payloads, and the violation that ended them.
#[derive(Debug, PartialEq)]
struct Outcome {
    events: Vec<(Event, Vec<u8>)>,
    violation: Option<Violation>,
}

fn decode_pieces<'a>(max: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = Decoder::new(max);
    let mut events = Vec::new();
    for piece in pieces {
        let mut bytes = piece.to_vec();
        let mut input = &mut bytes[..];
        loop {
            match decoder.decode(&mut input) {
                Ok(None) => break,
                Ok(Some(event)) => {
                    let control = match event {
                        Event::Ping | Event::Pong => decoder.control_payload().to_vec(),
                        _ => Vec::new(),
                    };
                    events.push((event, control));
                }
                Err(violation) => return Outcome { events, violation: Some(violation) },
            }
        }
        assert!(input.is_empty(), "a decoder that wants more has taken everything");
    }
    Outcome { events, violation: None }
}

fn decode(bytes: &[u8]) -> Outcome {
    decode_pieces(1 << 20, [bytes])
}

fn violation(bytes: &[u8]) -> Option<Violation> {
    decode(bytes).violation
}

fn messages(outcome: &Outcome) -> Vec<Message> {
    let messages = outcome.events.iter().filter_map(|(event, _)| match event {
        Event::Message(message) => Some(message.clone()),
        _ => None,
    });
    messages.collect()
}

#[test]
fn the_rfc_example_is_read() {
    let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(messages(&decode(&hello)), [Message::from("Hello")]);
}

#[test]
fn an_empty_message_is_a_message() {
    assert_eq!(messages(&decode(&frame(0x81, b""))), [Message::from("")]);
    let fragments = [frame(0x02, b""), frame(0x00, b""), frame(0x80, b"")].concat();
    assert_eq!(messages(&decode(&fragments)), [Message::from(b"")]);
}

/// True if the front of these bytes is a message that is taken in one step.
fn is_small(bytes: &[u8], max: usize) -> bool {
    SmallFrame::of(bytes, max).is_some()
}

#[test]
fn whole_messages_with_the_shortest_header_are_small_and_nothing_else_is() {
    for first in [0x81, 0x82] {
        for length in [0, 1, 124, 125] {
            let bytes = frame(first, &vec![b'x'; length]);
            assert!(is_small(&bytes, length));
            assert!(is_small(&[&bytes[..], b"and more"].concat(), 1 << 20));
            assert!((0..bytes.len()).all(|cut| !is_small(&bytes[..cut], 1 << 20)), "{length}");
            assert!(length == 0 || !is_small(&bytes, length - 1), "over the limit");
        }
        assert!(!is_small(&frame(first, &[b'x'; 126]), 1 << 20));
        assert!(!is_small(&[first, 5, b'H', b'e', b'l', b'l', b'o', 0, 0], 1 << 20), "unmasked");
    }
    for first in (0..=0xff).filter(|first| !matches!(first, 0x81 | 0x82)) {
        assert!(!is_small(&frame(first, b"Hello"), 1 << 20), "{first:x}");
    }
}

#[test]
fn a_small_message_counts_for_nothing_inside_another_one() {
    for first in [0x81, 0x82] {
        let pieces = [frame(first & 0x0f, b"a"), frame(first, b"b")];
        let outcome = decode_pieces(100, pieces.iter().map(|piece| &piece[..]));
        let expected = Violation::Protocol("new message inside a fragmented one");
        assert_eq!(outcome.violation, Some(expected));
    }
    // What is on the wire behind the cut looks like one.
    let alike = [0x81, 0x80, 0, 0, 0, 0];
    for first in [0x82, 0x89] {
        let bytes = [&[first, 0x86, 0, 0, 0, 0][..], &alike].concat();
        let outcome = decode_pieces(100, [&bytes[..6], &bytes[6..]]);
        assert_eq!((outcome.events.len(), &outcome.violation), (1, &None));
        assert!(!messages(&outcome).contains(&Message::from("")));
    }
    let cut_header = [0x81, 0x81, 0x80, 0, 0, 0, b'x' ^ 0x80];
    assert!(is_small(&cut_header[1..], 100));
    let outcome = decode_pieces(100, [&cut_header[..1], &cut_header[1..]]);
    assert_eq!(messages(&outcome), [Message::from("x")]);
}

#[test]
fn small_messages_have_the_limits_of_all() {
    for (first, payload, expected) in [
        (0x81, &b"12345"[..], Violation::TooBig(4)),
        (0x82, b"12345", Violation::TooBig(4)),
        (0x81, b"\xff", Violation::Utf8),
        (0x81, "\u{e9}".as_bytes().split_last().unwrap().1, Violation::Utf8),
    ] {
        let bytes = [frame(0x81, b"ok"), frame(first, payload), frame(0x81, b"no")].concat();
        let outcome = decode_pieces(4, [&bytes[..]]);
        assert_eq!(outcome.violation, Some(expected));
        assert_eq!(messages(&outcome), [Message::from("ok")]);
    }
}

#[test]
fn control_frames_may_stand_between_fragments() {
    let bytes = [frame(0x01, b"a"), frame(0x89, b"hi"), frame(0x80, b"b")].concat();
    let outcome = decode(&bytes);
    assert_eq!(outcome.events[0], (Event::Ping, b"hi".to_vec()));
    assert_eq!(messages(&outcome), [Message::from("ab")]);
}

#[test]
fn nothing_is_read_behind_a_close() {
    let close = frame(0x88, &[&1000u16.to_be_bytes()[..], b"bye"].concat());
    for first in [0x83, 0x81] {
        let outcome = decode(&[&close[..], &frame(first, b"junk")].concat());
        let expected = Event::Close(CloseFrame::new(1000, "bye").unwrap());
        assert_eq!(outcome, Outcome { events: vec![(expected, vec![])], violation: None });
    }
}

#[test]
fn broken_frames_are_refused_by_their_first_two_bytes() {
    for (bytes, what) in [
        ([0xc1, 0x80], "reserved bit set"),
        ([0xa1, 0x80], "reserved bit set"),
        ([0x91, 0x80], "reserved bit set"),
        ([0x83, 0x80], "unknown opcode"),
        ([0x8b, 0x80], "unknown opcode"),
        ([0x81, 0x05], "frame is not masked"),
        ([0x09, 0x80], "fragmented control frame"),
        ([0x89, 0xfe], "control frame over 125 bytes"),
    ] {
        assert_eq!(violation(&bytes), Some(Violation::Protocol(what)), "{bytes:x?}");
    }
}

#[test]
fn fragments_must_belong_together() {
    let lonely = frame(0x80, b"x");
    assert_eq!(violation(&lonely), Some(Violation::Protocol("continuation without a message")));
    let nested = [frame(0x01, b"a"), frame(0x81, b"b")].concat();
    let expected = Violation::Protocol("new message inside a fragmented one");
    assert_eq!(violation(&nested), Some(expected));
}

#[test]
fn lengths_are_judged_at_the_header() {
    let huge = [&[0x82, 0xff][..], &(1u64 << 63).to_be_bytes(), &MASK].concat();
    assert_eq!(violation(&huge), Some(Violation::Protocol("frame length over 2^63")));
    let large = [&[0x82, 0xff][..], &(1u64 << 62).to_be_bytes(), &MASK].concat();
    assert_eq!(violation(&large), Some(Violation::TooBig(1 << 20)));
}

#[test]
fn the_limit_counts_all_fragments() {
    let fits = [frame(0x02, &[0; 60]), frame(0x80, &[0; 40])].concat();
    assert_eq!(decode_pieces(100, [&fits[..]]).violation, None);
    let over = [frame(0x02, &[0; 60]), frame(0x80, &[0; 41])].concat();
    assert_eq!(decode_pieces(100, [&over[..]]).violation, Some(Violation::TooBig(100)));
}

#[test]
fn bad_text_is_noticed_before_its_frame_is_whole() {
    let bytes = frame(0x81, b"ok \xff and more");
    assert_eq!(violation(&bytes[..6 + 3]), None);
    assert_eq!(violation(&bytes[..6 + 4]), Some(Violation::Utf8));
}

#[test]
fn ten_thousand_fragments_make_one_message() {
    let mut bytes = frame(0x01, b"a");
    for _ in 0..10_000 {
        bytes.extend(frame(0x00, b"b"));
    }
    bytes.extend(frame(0x80, b"c"));
    assert_eq!(messages(&decode(&bytes))[0].len(), 10_002);
}

#[test]
fn a_large_binary_message_is_received_in_place() {
    let payload: Vec<u8> = (0..100_000u32).map(|i| i as u8).collect();
    let bytes = [frame(0x82, &payload), frame(0x81, b"next")].concat();
    let mut decoder = Decoder::new(1 << 20);
    let (mut head, mut rest) = (bytes[..1000].to_vec(), &bytes[1000..]);
    assert_eq!(decoder.decode(&mut &mut head[..]), Ok(None));
    let (event, beyond) = loop {
        let buffer = decoder.direct().expect("a large frame is arriving");
        let (before, room) = (buffer.len(), buffer.capacity() - buffer.len());
        let (now, later) = rest.split_at(rest.len().min(room.min(30_000) + 20_000));
        buffer.extend_from_slice(now);
        rest = later;
        let (event, beyond) = decoder.direct_filled(before).unwrap();
        if event.is_some() || decoder.due() < DIRECT_BYTES {
            break (event, [beyond, rest.to_vec()].concat());
        }
        assert!(beyond.is_empty());
    };
    let mut found: Vec<Event> = event.into_iter().collect();
    let mut beyond = beyond;
    let mut input = &mut beyond[..];
    while let Some(event) = decoder.decode(&mut input).unwrap() {
        found.push(event);
    }
    let expected = [Event::Message(Message::from(payload)), Event::Message(Message::from("next"))];
    assert_eq!(found, expected);
}

/// What tungstenite makes of the same bytes: its messages, and whether it ended with an error.
fn oracle(bytes: &[u8], max: usize) -> (Vec<Message>, bool) {
    struct Wire<'a>(&'a [u8]);
    impl std::io::Read for Wire<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            match std::io::Read::read(&mut self.0, buffer)? {
                0 => Err(std::io::ErrorKind::WouldBlock.into()),
                count => Ok(count),
            }
        }
    }
    impl std::io::Write for Wire<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    // Its limit of frames would count control frames too.
    let config = WebSocketConfig::default().max_message_size(Some(max)).max_frame_size(None);
    let mut context = WebSocketContext::new(Role::Server, Some(config));
    let (mut wire, mut messages) = (Wire(bytes), Vec::new());
    loop {
        match context.read(&mut wire) {
            Ok(tungstenite::Message::Text(text)) => messages.push(Message::Text(text)),
            Ok(tungstenite::Message::Binary(bytes)) => messages.push(Message::Binary(bytes)),
            Ok(_) => {}
            Err(tungstenite::Error::Io(error))
                if error.kind() == std::io::ErrorKind::WouldBlock =>
            {
                return (messages, false);
            }
            Err(tungstenite::Error::ConnectionClosed) => return (messages, false),
            Err(_) => return (messages, true),
        }
    }
}

/// One frame of a stream that is mostly right and sometimes wrong in every way.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        4 => "\\PC{0,20}".prop_map(String::into_bytes),
        2 => proptest::collection::vec(any::<u8>(), 0..200),
        1 => proptest::collection::vec(any::<u8>(), 65_500..65_600),
    ];
    let first = prop_oneof![
        8 => Just(0x81u8), 4 => Just(0x82), 3 => Just(0x01), 2 => Just(0x02), 4 => Just(0x00),
        6 => Just(0x80), 2 => Just(0x89), 1 => Just(0x8a), 1 => any::<u8>(),
    ];
    (first, payload).prop_map(|(first, payload)| frame(first, &payload))
}

/// One frame of a stream of short ones, around the lengths where the header changes, with control
/// frames anywhere; the mask is any.
fn short_frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        4 => "\\PC{0,6}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
        1 => (120usize..130).prop_map(|length| vec![b'x'; length]),
    ];
    let first = prop_oneof![
        8 => Just(0x81u8), 6 => Just(0x82), 3 => Just(0x01), 2 => Just(0x02), 4 => Just(0x00),
        6 => Just(0x80), 3 => Just(0x89), 3 => Just(0x8a),
    ];
    (first, payload, any::<[u8; 4]>()).prop_map(|(first, payload, mask)| {
        let mut bytes = frame(first, &payload);
        let start = bytes.len() - payload.len();
        bytes[start - 4..start].copy_from_slice(&mask);
        bytes[start..].copy_from_slice(&payload);
        unmask(&mut bytes[start..], mask, 0);
        bytes
    })
}

/// Short frames in an order that is mostly right: fragments continue what has begun.
fn short_frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let frames = proptest::collection::vec((short_frame(), 0..10), 1..30);
    frames.prop_map(|mut frames| {
        let mut is_inside = false;
        for (frame, chance) in &mut frames {
            let is_data = frame[0] & 0x08 == 0;
            if is_data && *chance > 0 {
                let opcode = if is_inside { 0 } else { 1 + frame[0] % 2 };
                frame[0] = frame[0] & 0x80 | opcode;
            }
            is_inside = if is_data { frame[0] & 0x80 == 0 } else { is_inside };
        }
        frames.into_iter().map(|(frame, _)| frame).collect()
    })
}

proptest! {
    #[test]
    fn short_messages_are_those_of_tungstenite_in_one_step_and_byte_by_byte(
        frames in short_frames(), max in 0usize..140
    ) {
        let bytes = frames.concat();
        let at_once = decode_pieces(max, [&bytes[..]]);
        // A piece of one byte never holds a whole frame, so this is the long way.
        prop_assert_eq!(&decode_pieces(max, bytes.chunks(1)), &at_once);
        let (theirs, failed) = oracle(&bytes, max);
        prop_assert_eq!(messages(&at_once), theirs);
        prop_assert!(at_once.violation.is_some() || !failed, "tungstenite refused, we did not");
    }

    #[test]
    fn the_same_messages_as_tungstenite(frames in proptest::collection::vec(any_frame(), 1..12)) {
        let bytes = frames.concat();
        let ours = decode_pieces(1 << 17, [&bytes[..]]);
        let (theirs, failed) = oracle(&bytes, 1 << 17);
        prop_assert_eq!(messages(&ours), theirs);
        // Strictness differs one way only: text that breaks inside an unfinished message or
        // frame is refused here when it arrives, there when the frame is whole.
        if failed {
            prop_assert!(ours.violation.is_some(), "tungstenite refused, we did not");
        }
    }

    #[test]
    fn any_cut_gives_the_same_outcome(
        frames in proptest::collection::vec(any_frame(), 1..6), seed in any::<u64>()
    ) {
        let bytes = frames.concat();
        let (mut pieces, mut rest, mut state) = (Vec::new(), &bytes[..], seed | 1);
        while !rest.is_empty() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let (now, later) = rest.split_at(rest.len().min(1 + state as usize % 37));
            pieces.push(now);
            rest = later;
        }
        prop_assert_eq!(decode_pieces(1 << 17, pieces), decode_pieces(1 << 17, [&bytes[..]]));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
    }
}
