//! Compressed messages through the decoder: in any fragments, cut anywhere, with zlib as oracle.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use proptest::prelude::*;

use super::*;
use crate::ws::Message;
use crate::ws::deflate::compressor::{Compressor, Dialect, TAIL};
use crate::ws::deflate::inflater::STEP_BYTES;
use crate::ws::frame::{Decoder, Event};

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

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
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

struct Setup {
    pools: Arc<Pools>,
    decoder: Decoder,
}

fn setup(max: usize, has_context_takeover: bool) -> Setup {
    let pools = Arc::new(Pools::new(2));
    let mut decoder = Decoder::new(max);
    decoder.inflate_with(Inflation::new(Arc::clone(&pools), has_context_takeover));
    Setup { pools, decoder }
}

impl Setup {
    fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, Violation> {
        let (mut bytes, mut events) = (bytes.to_vec(), Vec::new());
        let mut input = &mut bytes[..];
        while let Some(event) = self.decoder.decode(&mut input)? {
            events.push(event);
        }
        Ok(events)
    }

    fn messages(&mut self, bytes: &[u8]) -> Result<Vec<Message>, Violation> {
        let only_messages = |event| match event {
            Event::Message(message) => Some(message),
            _ => None,
        };
        Ok(self.feed(bytes)?.into_iter().filter_map(only_messages).collect())
    }
}

/// One message by itself, as another implementation would compress it.
fn packed(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + data.len() / 8 + 64);
    let mut compress = Compress::new(Compression::new(6), false);
    compress.compress_vec(data, &mut out, FlushCompress::Sync).unwrap();
    out.strip_suffix(&TAIL).unwrap().to_vec()
}

const TEXT: &str = "one 两个 three 两个 one three 🎈";

#[test]
fn compressed_plain_and_control_frames_may_be_mixed() {
    let mut setup = setup(1 << 20, false);
    let data = packed(TEXT.as_bytes());
    let bytes = [
        frame(0xc1, &data),
        frame(0x82, TEXT.as_bytes()),
        frame(0x41, &data[..3]),
        frame(0x89, b"hi"),
        frame(0x00, b""),
        frame(0x80, &data[3..]),
        frame(0xc2, &data),
        frame(0x81, b"end"),
    ];
    let text = || Message::from(TEXT);
    let binary = || Message::from(TEXT.as_bytes());
    let expected = [text(), binary(), text(), binary(), Message::from("end")];
    assert_eq!(setup.messages(&bytes.concat()).unwrap(), expected);
    assert_eq!(setup.pools.ready(), (0, 1), "one inflater served them all");
}

#[test]
fn a_message_may_be_empty() {
    let mut setup = setup(1 << 20, false);
    let bytes = [
        frame(0xc1, &[0]),
        frame(0xc1, b""),
        frame(0x42, b""),
        frame(0x80, &[0]),
        frame(0xc1, &packed(b"after")),
    ];
    let found = setup.messages(&bytes.concat()).unwrap();
    let expected = ["".into(), "".into(), Message::from(b""), "after".into()];
    assert_eq!(found, expected);
}

#[test]
fn reserved_bits_stand_where_the_rfc_has_them() {
    for bytes in [
        frame(0xa1, b"x"),
        frame(0x91, b"x"),
        frame(0xe1, b"x"),
        frame(0xc9, b"x"),
        frame(0xc8, b""),
        [frame(0x01, b"x"), frame(0xc0, b"x")].concat(),
        [frame(0x41, &packed(b"x")), frame(0xc0, b"")].concat(),
    ] {
        let outcome = setup(1 << 20, false).feed(&bytes);
        assert_eq!(outcome, Err(Violation::Protocol("reserved bit set")), "{bytes:x?}");
    }
}

#[test]
fn an_inflater_is_held_only_while_a_message_arrives() {
    let mut setup = setup(1 << 20, false);
    let data = packed(TEXT.as_bytes());
    assert_eq!(setup.pools.ready(), (0, 0));
    setup.feed(&frame(0x41, &data[..5])).unwrap();
    assert_eq!(setup.pools.ready(), (0, 0), "in use");
    setup.feed(&frame(0x80, &data[5..])).unwrap();
    assert_eq!(setup.pools.ready(), (0, 1));
    setup.feed(&frame(0x41, &data[..5])).unwrap();
    drop(setup.decoder);
    assert_eq!(setup.pools.ready(), (0, 1), "given back though the message never ended");
}

#[test]
fn a_broken_message_spoils_no_other_connection() {
    let mut first = setup(1 << 20, false);
    let outcome = first.feed(&frame(0xc1, b"this was never compressed"));
    assert_eq!(outcome, Err(Violation::Deflate));
    drop(first.decoder);
    assert_eq!(first.pools.ready(), (0, 1));
    first.decoder = Decoder::new(1 << 20);
    first.decoder.inflate_with(Inflation::new(Arc::clone(&first.pools), false));
    let found = first.messages(&frame(0xc1, &packed(b"fine"))).unwrap();
    assert_eq!(found, [Message::from("fine")]);
}

#[test]
fn text_is_checked_as_it_is_inflated() {
    let data = packed(b"good \xff and so on, which never arrives");
    let mut setup = setup(1 << 20, false);
    let whole = frame(0xc1, &data);
    // zlib's fixed codes: what has arrived of them comes out at once.
    let outcome = setup.feed(&whole[..whole.len() - 8]);
    assert_eq!(outcome, Err(Violation::Utf8));
}

#[test]
fn a_bomb_is_noticed_at_the_limit() {
    let bomb = packed(&vec![b'0'; 64 << 20]);
    assert!(bomb.len() < 70_000);
    for first in [0xc1, 0xc2] {
        let mut setup = setup(1 << 20, false);
        let whole = frame(first, &bomb);
        let (mut fed, mut outcome) = (0, Ok(Vec::new()));
        for piece in whole.chunks(64) {
            fed += piece.len();
            outcome = setup.feed(piece);
            if outcome.is_err() {
                break;
            }
        }
        assert_eq!(outcome, Err(Violation::TooBig(1 << 20)));
        let most = (1 << 20) + STEP_BYTES;
        assert!(fed * 64 < most * 5 / 4 && fed < whole.len(), "noticed after {fed} bytes");
    }
}

#[test]
fn the_limit_is_exact() {
    for (len, fits) in [(100, true), (101, false)] {
        for first in [0xc1, 0xc2] {
            let outcome = setup(100, false).feed(&frame(first, &packed(&vec![b'x'; len])));
            assert_eq!(outcome.is_ok(), fits, "{len} bytes");
        }
    }
}

#[test]
fn blocks_that_hold_nothing_do_not_go_on_for_ever() {
    let nothing = [0x00, 0x00, 0x00, 0xff, 0xff].repeat(20);
    let mut setup = setup(1 << 10, false);
    setup.feed(&frame(0x42, &nothing)).unwrap();
    let mut frames = 1;
    let violation = loop {
        match setup.feed(&frame(0x00, &nothing)) {
            Ok(_) => frames += 1,
            Err(violation) => break violation,
        }
    };
    assert_eq!(violation, Violation::TooBig(1 << 10));
    assert_eq!(frames, (1024 + 128 + 1024) / 100);
    let mut setup = self::setup(1 << 10, false);
    let announced = [&[0xc2, 0xff][..], &(1u64 << 40).to_be_bytes(), &MASK].concat();
    assert_eq!(setup.feed(&announced), Err(Violation::TooBig(1 << 10)));
}

#[test]
fn with_takeover_messages_refer_to_those_before() {
    let dialect = Dialect { window_bits: 15, level: 6, threshold_bytes: 0 };
    let mut compressor = Compressor::new(&dialect);
    let mut client = |text: &str| compressor.deflate(text.as_bytes()).unwrap().to_vec();
    let text = "{\"old\":{\"price\":17.25,\"open\":true},\"new\":{\"price\":17.5,\"open\":true}}";
    let (first, second) = (client(text), client(text));
    assert!(second.len() < first.len() / 4);
    let bytes =
        [frame(0xc1, &first), frame(0x81, b"plain"), frame(0xc1, b""), frame(0xc1, &second)]
            .concat();
    let mut keeps = setup(1 << 20, true);
    let expected: Vec<Message> = [text, "plain", "", text].map(Message::from).to_vec();
    assert_eq!(keeps.messages(&bytes), Ok(expected));
    assert_eq!(keeps.pools.ready(), (0, 0), "the client has one of its own");
    assert_eq!(setup(1 << 20, false).messages(&bytes), Err(Violation::Deflate));
}

/// Text that repeats itself now and then, and any bytes.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let words = proptest::collection::vec("[a-e]{1,3}|\\PC|null|\\{\"id\":", 0..300);
    prop_oneof![
        2 => words.prop_map(|words| words.concat().into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..2000),
        1 => (any::<u8>(), 0usize..100_000).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

/// Cuts bytes at random places.
fn cut(bytes: &[u8], most: usize, state: &mut u64) -> Vec<Vec<u8>> {
    let (mut pieces, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        let (now, later) = rest.split_at(rest.len().min(1 + *state as usize % most));
        pieces.push(now.to_vec());
        rest = later;
    }
    pieces
}

proptest! {
    #[test]
    fn what_is_deflated_comes_back_however_it_is_cut(
        payloads in proptest::collection::vec(payload(), 1..4),
        (level, window_bits, keeps) in (1u8..=9, 9u8..=15, any::<bool>()),
        seed in any::<u64>(),
    ) {
        let dialect = Dialect { window_bits, level, threshold_bytes: 0 };
        let (mut compressor, mut state) = (Compressor::new(&dialect), seed | 1);
        let mut setup = setup(1 << 20, keeps);
        let mut plain = Decompress::new_with_window_bits(false, window_bits);
        for data in payloads {
            let Some(packed) = compressor.deflate(&data) else { continue };
            let mut out = Vec::with_capacity(data.len() + 1);
            let whole = [packed, &TAIL].concat();
            plain.decompress_vec(&whole, &mut out, FlushDecompress::Sync).unwrap();
            prop_assert_eq!(&out, &data, "zlib reads it too");
            let fragments = cut(packed, 1 + packed.len(), &mut state);
            let last = fragments.len() - 1;
            let frames: Vec<u8> = fragments.iter().enumerate().flat_map(|(at, fragment)| {
                let first = if at == 0 { 0x42 } else { 0x00 } | if at == last { 0x80 } else { 0 };
                [frame(first, fragment), frame(0x89, b"ping")].concat()
            }).collect();
            let mut found = Vec::new();
            for piece in cut(&frames, 600, &mut state) {
                found.extend(setup.messages(&piece).unwrap());
            }
            prop_assert_eq!(found, [Message::from(data)]);
            if !keeps {
                compressor.reset();
                plain.reset(false);
            }
        }
    }

    #[test]
    fn any_bytes_do_the_same_however_they_are_cut(
        data in proptest::collection::vec(any::<u8>(), 0..300),
        is_text in any::<bool>(), keeps in any::<bool>(), seed in any::<u64>(),
    ) {
        let bytes = frame(if is_text { 0xc1 } else { 0xc2 }, &data);
        let mut state = seed | 1;
        let mut outcome = Ok(Vec::new());
        let mut setup_of_pieces = setup(1000, keeps);
        for piece in cut(&bytes, 9, &mut state) {
            outcome = setup_of_pieces.feed(&piece);
            if outcome.is_err() {
                break;
            }
        }
        prop_assert_eq!(outcome, setup(1000, keeps).feed(&bytes));
    }
}
