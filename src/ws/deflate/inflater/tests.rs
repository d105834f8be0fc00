//! The inflater alone: blocks of all kinds, cut anywhere.

use flate2::{Compress, Compression, FlushCompress};

use super::*;

/// What comes out of pieces, ended as a stream.
fn inflate(pieces: &[&[u8]]) -> Result<Vec<u8>, Violation> {
    let (mut inflater, mut out) = (Inflater::new(), Vec::new());
    let outcome = feed(&mut inflater, pieces, &mut out);
    outcome.and_then(|()| {
        inflater.end_stream(|step| {
            out.extend_from_slice(step);
            Ok(())
        })?;
        Ok(out)
    })
}

fn feed(inflater: &mut Inflater, pieces: &[&[u8]], out: &mut Vec<u8>) -> Result<(), Violation> {
    pieces.iter().try_for_each(|piece| {
        inflater.inflate(piece, |step| {
            out.extend_from_slice(step);
            Ok(())
        })
    })
}

/// zlib's own compressor, whole blocks and a flush, without the tail.
fn deflate(data: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 1024);
    Compress::new(Compression::new(6), false).compress_vec(data, &mut out, flush).unwrap();
    out.strip_suffix(&TAIL).map(<[u8]>::to_vec).unwrap_or(out)
}

#[test]
fn the_examples_of_the_rfc_are_read() {
    for example in [
        // One block, two blocks, no compression, the last of all with a block behind it.
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
        &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
    ] {
        for cut in 0..=example.len() {
            let pieces = [&example[..cut], &example[cut..]];
            assert_eq!(inflate(&pieces), Ok(b"Hello".to_vec()), "{example:x?} cut at {cut}");
        }
    }
    assert_eq!(inflate(&[&[0x00]]), Ok(vec![]), "the empty message");
    assert_eq!(inflate(&[]), Ok(vec![]));
}

#[test]
fn the_second_example_refers_to_the_first_if_it_may() {
    let (mut inflater, mut out) = (Inflater::new(), Vec::new());
    for example in
        [&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..], &[0xf2, 0x00, 0x11, 0x00, 0x00]]
    {
        feed(&mut inflater, &[example], &mut out).unwrap();
        inflater
            .end_message(|step| {
                out.extend_from_slice(step);
                Ok(())
            })
            .unwrap();
    }
    assert_eq!(out, b"HelloHello");
    let alone = inflate(&[&[0xf2, 0x00, 0x11, 0x00, 0x00]]);
    assert_eq!(alone, Err(Violation::Deflate), "it refers to what was forgotten");
}

#[test]
fn last_blocks_may_end_a_message_and_stand_inside_it() {
    let one = deflate(b"one, ", FlushCompress::Finish);
    let two = deflate(b"two", FlushCompress::Sync);
    assert_eq!(inflate(&[&one]), Ok(b"one, ".to_vec()));
    let all = [&one[..], &one, &one, &two].concat();
    for cut in 0..=all.len() {
        let pieces = [&all[..cut], &all[cut..]];
        assert_eq!(inflate(&pieces), Ok(b"one, one, one, two".to_vec()), "cut at {cut}");
    }
}

#[test]
fn what_is_no_deflate_or_not_whole_is_broken() {
    let whole = deflate(b"some text that is long enough to be cut, cut, cut", FlushCompress::Sync);
    for cut in 1..whole.len() - 1 {
        assert_eq!(inflate(&[&whole[..cut]]), Err(Violation::Deflate), "cut at {cut}");
    }
    for broken in [&[0xff][..], b"plain text", &[0x06], &[0x00, 0x05, 0x00, 0x00, 0x00, 0x61]] {
        assert_eq!(inflate(&[broken]), Err(Violation::Deflate), "{broken:x?}");
    }
}

#[test]
fn a_broken_message_leaves_nothing_behind_after_the_reset() {
    let (mut inflater, mut out) = (Inflater::new(), Vec::new());
    assert!(feed(&mut inflater, &[b"\xf2\x48\xcd", b"plain text"], &mut out).is_err());
    inflater.reset();
    out.clear();
    feed(&mut inflater, &[&deflate(b"fine", FlushCompress::Sync)], &mut out).unwrap();
    assert_eq!(out, b"fine");
}

#[test]
fn much_comes_out_in_steps_and_stops_when_told() {
    let bomb = deflate(&vec![0; 1 << 20], FlushCompress::Sync);
    assert!(bomb.len() < 2048);
    let (mut inflater, mut total) = (Inflater::new(), 0);
    let outcome = inflater.inflate(&bomb, |step| {
        assert!(step.len() <= STEP_BYTES);
        total += step.len();
        if total > 100_000 { Err(Violation::TooBig(100_000)) } else { Ok(()) }
    });
    assert_eq!(outcome, Err(Violation::TooBig(100_000)));
    assert!(total <= 100_000 + STEP_BYTES);
}
