//! One message to the server and back over loopback: the round trip as a client sees it.
//!
//! `cargo bench --bench echo`. Latency is mostly the kernel and the scheduler; what the server
//! costs is measured by `cargo bench --bench cost`.

#![allow(missing_docs, reason = "criterion_group! writes a public function")]

use std::io::{Read, Write};
use std::net::TcpStream;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use landline::{Request, Result, Server, WebSocket, require_websocket};

const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn echo(_request: &Request, ws: &WebSocket) -> Result<()> {
    for message in ws {
        ws.send(message?)?;
    }
    Ok(())
}

fn round_trip(c: &mut Criterion) {
    let builder = Server::builder().route("/", require_websocket(echo));
    let server = builder.bind("127.0.0.1:0").expect("a free port");
    let (address, handle) = (server.local_addrs()[0], server.handle());
    let thread = std::thread::spawn(move || server.run());

    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_nodelay(true).expect("a TCP socket");
    stream.write_all(HANDSHAKE.as_bytes()).expect("a handshake");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        answer.push(byte[0]);
    }
    let mut group = c.benchmark_group("echo");
    group.throughput(Throughput::Elements(1));
    let request = [&[0x81, 0x80 | 32, 0, 0, 0, 0][..], &[b'x'; 32]].concat();
    let mut reply = [0; 34];
    group.bench_function("32 B, one in flight", |b| {
        b.iter(|| {
            stream.write_all(&request).expect("sent");
            stream.read_exact(&mut reply).expect("answered");
        });
    });
    group.finish();
    handle.stop_now();
    thread.join().expect("no panic").expect("a clean stop");
}

criterion_group!(benches, round_trip);
criterion_main!(benches);
