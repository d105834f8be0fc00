//! The pure layers alone: frames and heads per second, without a socket.
//!
//! `cargo bench --features internals --bench codec`

#![allow(missing_docs, reason = "criterion_group! writes a public function")]

mod client;

use std::hint::black_box;

use client::masked_frame;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use landline::internals::{count_messages, parse_one_head};

const HEAD: &[u8] = b"GET /echo?message=hello HTTP/1.1\r\nHost: localhost:8000\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\n\
    Connection: keep-alive\r\n\r\n";

fn decode(c: &mut Criterion) {
    let cyrillic = "Съешь же ещё этих мягких французских булок. ".repeat(1500);
    let cases: [(&str, u8, Vec<u8>, usize); 5] = [
        ("text of 32 B", 0x81, vec![b'x'; 32], 64),
        ("text of 1 KiB", 0x81, vec![b'x'; 1024], 16),
        ("text of 64 KiB", 0x81, vec![b'x'; 65_536], 1),
        ("Cyrillic of 64 KiB", 0x81, cyrillic.as_bytes()[..65_536].to_vec(), 1),
        ("binary of 64 KiB", 0x82, vec![0xff; 65_536], 1),
    ];
    let mut group = c.benchmark_group("decode");
    for (name, first, payload, count) in cases {
        let bytes = masked_frame(first, &payload).repeat(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(name, |b| {
            let decode = |mut frames: Vec<u8>| count_messages(black_box(&mut frames));
            b.iter_batched(|| bytes.clone(), decode, BatchSize::SmallInput);
        });
    }
    group.finish();
}

fn head(c: &mut Criterion) {
    let mut group = c.benchmark_group("head");
    group.throughput(Throughput::Bytes(HEAD.len() as u64));
    group.bench_function("of a browser", |b| b.iter(|| parse_one_head(black_box(HEAD))));
    group.finish();
}

criterion_group!(benches, decode, head);
criterion_main!(benches);
