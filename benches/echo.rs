//! One message to the server and back over loopback: the round trip as a client sees it.
//!
//! `cargo bench --bench echo`. Latency is mostly the kernel and the scheduler; what the server
//! costs is measured by `benches/peers/run`.

#![allow(missing_docs, reason = "criterion_group! writes a public function")]

mod client;

use std::io::{Read, Write};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use landline::{Request, Result, Server, WebSocket, require_websocket};

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

    let mut stream = client::open(address);
    let mut group = c.benchmark_group("echo");
    group.throughput(Throughput::Elements(1));
    let request = client::masked_frame(0x81, &[b'x'; 32]);
    let expected = [&[0x81, 32][..], &[b'x'; 32]].concat();
    let mut reply = [0; 34];
    group.bench_function("32 B, one in flight", |b| {
        b.iter(|| {
            stream.write_all(&request).expect("sent");
            stream.read_exact(&mut reply).expect("answered");
            assert_eq!(reply, *expected);
        });
    });
    group.finish();
    handle.stop_now();
    thread.join().expect("no panic").expect("a clean stop");
}

criterion_group!(benches, round_trip);
criterion_main!(benches);
