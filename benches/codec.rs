//! What needs no socket alone: frames, text, masks, heads, responses, a relay's batch.
//!
//! `cargo bench --features internals --bench codec`

#![allow(missing_docs, reason = "criterion_group! writes a public function")]

mod client;

use std::hint::black_box;

use client::masked_frame;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use landline::internals::{
    RelayBatch, count_messages, encode_message, encode_response, parse_one_head, take_text, unmask,
};
use landline::{Message, Response};

const LARGE: usize = 64 * 1024;

const CURL: &[u8] = b"GET /echo?message=hello HTTP/1.1\r\nHost: localhost:8000\r\n\
    User-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n";

const BROWSER: &[u8] = b"GET /echo?message=hello HTTP/1.1\r\nHost: localhost:8000\r\n\
    Connection: keep-alive\r\nCache-Control: max-age=0\r\n\
    sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\nsec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/140.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8\r\n\
    Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\n\
    Sec-Fetch-Dest: document\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-US,en;q=0.9\r\n\r\n";

/// Text of 64 KiB in another script, of two bytes for most characters.
fn cyrillic() -> Vec<u8> {
    let sentence = "Съешь же ещё этих мягких французских булок. ";
    let mut bytes = sentence.repeat(LARGE / sentence.len()).into_bytes();
    bytes.resize(LARGE, b'.');
    bytes
}

fn decode(c: &mut Criterion) {
    let cases: [(&str, u8, Vec<u8>, usize); 5] = [
        ("16 texts of 32 B", 0x81, vec![b'x'; 32], 16),
        ("16 texts of 1 KiB", 0x81, vec![b'x'; 1024], 16),
        ("text of 64 KiB", 0x81, vec![b'x'; LARGE], 1),
        ("Cyrillic of 64 KiB", 0x81, cyrillic(), 1),
        ("binary of 64 KiB", 0x82, vec![0xff; LARGE], 1),
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

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    for (name, bytes) in [("text of 32 B", 32), ("text of 64 KiB", LARGE)] {
        let message = Message::from("x".repeat(bytes));
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(name, |b| b.iter(|| encode_message(black_box(message.clone()))));
    }
    group.finish();
}

fn utf8(c: &mut Criterion) {
    let mut group = c.benchmark_group("UTF-8");
    for (name, text) in [
        ("ASCII of 32 B", vec![b'x'; 32]),
        ("ASCII of 64 KiB", vec![b'x'; LARGE]),
        ("Cyrillic of 64 KiB", cyrillic()),
    ] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| take_text(black_box(&text))));
    }
    group.finish();
}

fn mask(c: &mut Criterion) {
    let mut group = c.benchmark_group("unmask");
    for (name, bytes) in [("32 B", 32), ("1 KiB", 1024), ("64 KiB", LARGE)] {
        let mut data = vec![b'x'; bytes];
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(name, |b| {
            b.iter(|| unmask(black_box(&mut data), black_box([0x12, 0x34, 0x56, 0x78])));
        });
    }
    group.finish();
}

fn head(c: &mut Criterion) {
    let mut group = c.benchmark_group("head");
    for (name, head) in [("of curl", CURL), ("of a browser", BROWSER)] {
        group.throughput(Throughput::Bytes(head.len() as u64));
        group.bench_function(name, |b| b.iter(|| parse_one_head(black_box(head))));
    }
    group.finish();
}

fn response(c: &mut Criterion) {
    let mut group = c.benchmark_group("response");
    let mut out = Vec::new();
    group.throughput(Throughput::Elements(1));
    group.bench_function("text of 5 B", |b| {
        b.iter(|| {
            out.clear();
            encode_response(Response::text(black_box("hello")), &mut out);
        });
    });
    group.finish();
}

fn batch(c: &mut Criterion) {
    let mut group = c.benchmark_group("relay");
    let text = "x".repeat(32);
    group.throughput(Throughput::Elements(32));
    group.bench_function("32 texts of 32 B, sorted and joined", |b| {
        let waiting = || RelayBatch::new(32, black_box(&text));
        b.iter_batched(waiting, RelayBatch::carry, BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, decode, encode, utf8, mask, head, response, batch);
criterion_main!(benches);
