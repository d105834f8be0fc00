//! `landline bench` as a process: against good servers of every kind, and against bad ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use landline::{Request, Result, Server, WebSocket, require_websocket};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Running, eventually};
use crate::program::{Ended, Program, landline, run};
use crate::stand_in::StandIn;

const SHORT: [&str; 5] = ["--json", "--duration", "0.2", "--warm-up", "0.1"];

/// Runs the load for a short time.
fn bench(args: &[&str]) -> Ended {
    run(&[&["bench"], args, &SHORT].concat())
}

/// Runs the load, which must find nothing wrong; returns what it tells.
fn good(args: &[&str]) -> Value {
    let ended = bench(args);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{args:?}: {}", ended.stdout);
    let report: Value = serde_json::from_str(&ended.stdout).expect("one JSON object");
    let none = json!({"content": 0, "order": 0, "lost": 0, "closed": 0});
    assert_eq!((&report["mode"], &report["faults"]), (&json!(args[0]), &none));
    assert!(report["seconds"].as_f64().unwrap() > 0.0);
    assert!(report["client"]["cpu_seconds"].as_f64().unwrap() > 0.0);
    report
}

/// Checks that something was counted, and how long it took.
fn assert_counted(report: &Value) {
    assert!(report["messages"].as_u64().unwrap() > 0, "{report}");
    assert!(report["per_second"].as_f64().unwrap() > 0.0, "{report}");
    for name in ["p50", "p90", "p99", "p99_9", "max"] {
        assert!(report["latency_us"][name].as_u64().unwrap() > 0, "{name}: {report}");
    }
}

/// Loads a stand-in with echoes, which must find a fault; returns the counts and the sentence.
fn faulty(server: &StandIn, args: &[&str]) -> (Value, String) {
    let url = server.url();
    let ended = bench(&[&["echo", &url, "--connections", "1"], args].concat());
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
    (report["faults"].clone(), ended.stderr)
}

#[test]
fn echoes_are_counted_in_every_shape() {
    let program = Program::serve(&["--no-access-log"]);
    let url = format!("ws://{}/echo", program.addresses[0]);
    let pid = program.id().to_string();
    for args in [
        &[][..],
        &["--connections", "10", "--in-flight", "16", "--binary"],
        &["--connections", "3", "--in-flight", "3", "--bytes", "100000"],
        &["--connections", "5", "--bytes", "1", "--in-flight", "4", "--threads", "2"],
        &["--source", "127.0.0.3", "--source", "127.0.0.4", "--bytes", "126"],
    ] {
        let report = good(&[&["echo", &url, "--pid", &pid], args].concat());
        assert_counted(&report);
        assert_eq!((&report["url"], &report["server"]["pid"]), (&json!(url), &json!(program.id())));
        for name in ["cpu_user_seconds", "cpu_system_seconds", "cpu_seconds_per_million"] {
            assert!(report["server"][name].is_number(), "{name}: {report}");
        }
        assert!(report["server"]["rss_kib"].as_u64().unwrap() > 0);
        assert!(report["server"]["threads"].as_u64().unwrap() > 0);
    }
    let report = good(&["echo", &url, "--connections", "7", "--in-flight", "2", "--bytes", "9"]);
    let settings = [&report["connections"], &report["in_flight"], &report["payload_bytes"]];
    assert_eq!(settings, [&json!(7), &json!(2), &json!(9)]);
    assert_eq!(report["server"], Value::Null);
}

#[test]
fn handshakes_responses_and_held_connections_are_counted() {
    let program = Program::serve(&["--no-access-log"]);
    let (address, pid) = (program.addresses[0], program.id().to_string());
    let ws = format!("ws://{address}/echo");
    let http = format!("http://{address}/echo?message=x");
    assert_counted(&good(&["connect", &ws, "--connections", "4"]));
    assert_counted(&good(&["http", &http, "--connections", "4", "--expect", "x"]));
    let report = good(&["hold", &ws, "--connections", "200", "--pid", &pid]);
    assert_eq!((&report["messages"], &report["latency_us"]), (&json!(0), &Value::Null));
    for name in ["rss_kib_before", "threads_before"] {
        assert!(report["server"][name].as_u64().unwrap() > 0, "{name}: {report}");
    }
    for name in ["rss_kib", "kernel_stack_kib", "page_tables_kib"] {
        assert!(report["server"][format!("{name}_per_connection")].is_number(), "{name}: {report}");
    }
    let ended = bench(&["http", &http, "--expect", "y"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("wrong in content; the first: connection"), "{}", ended.stderr);
    assert!(ended.stderr.contains("the body is \"x\""), "{}", ended.stderr);
}

/// A server with a room: who opens `/room` gets what comes on `/publish`.
fn room() -> Running {
    fn listen(_: &Request, ws: &WebSocket) -> Result<()> {
        ws.join("room")?;
        ws.send("welcome")?;
        while ws.wait()?.is_some() {}
        Ok(())
    }
    fn publish(request: &Request, ws: &WebSocket) -> Result<()> {
        let room = request.hub().group("room");
        for message in ws {
            room.send(message?)?;
        }
        Ok(())
    }
    let builder = Server::builder().route("/room", require_websocket(listen));
    Running::start(builder.route("/publish", require_websocket(publish)))
}

#[test]
fn deliveries_are_counted_with_a_window_and_by_rate() {
    let server = room();
    let url = format!("ws://{}/room", server.address);
    let publish = format!("ws://{}/publish", server.address);
    for args in [
        &["--subscribers", "20", "--in-flight", "16"][..],
        &["--subscribers", "20", "--publishers", "3", "--in-flight", "2", "--binary"],
        &["--subscribers", "20", "--rate", "300", "--publishers", "2"],
        &["--subscribers", "20", "--threads", "2", "--bytes", "100000"],
        &["--subscribers", "1", "--threads", "2", "--bytes", "16"],
    ] {
        let command = ["broadcast", &url, "--publish-url", &publish];
        let report = good(&[&command, args].concat());
        assert_counted(&report);
        assert!(report["published"].as_u64().unwrap() > 0, "{report}");
    }
}

#[test]
fn a_server_that_relays_nothing_is_told() {
    let server = room();
    let url = format!("ws://{}/room", server.address);
    let command = ["broadcast", &url, "--subscribers", "2", "--connect-timeout", "0.2"];
    let ended = bench(&command);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("2 of 2 subscribers have heard nothing"), "{}", ended.stderr);
}

#[test]
fn a_subscriber_does_not_begin_with_what_was_not_published() {
    fn listen(_: &Request, ws: &WebSocket) -> Result<()> {
        ws.join("room")?;
        while ws.wait()?.is_some() {}
        Ok(())
    }
    fn publish(request: &Request, ws: &WebSocket) -> Result<()> {
        let room = request.hub().group("room");
        while let Some(message) = ws.wait()? {
            let text = message.as_text().expect("text");
            room.send(format!("00ffffff{}", &text[8..]))?;
        }
        Ok(())
    }
    let builder = Server::builder().route("/room", require_websocket(listen));
    let server = Running::start(builder.route("/publish", require_websocket(publish)));
    let url = format!("ws://{}/room", server.address);
    let publish = format!("ws://{}/publish", server.address);
    let command = ["broadcast", &url, "--publish-url", &publish, "--subscribers", "2"];
    let ended = bench(&[&command[..], &["--connect-timeout", "0.5"]].concat());
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("2 of 2 subscribers have heard nothing"), "{}", ended.stderr);
}

#[test]
fn fragments_pings_and_short_reads_are_understood() {
    let pongs = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&pongs);
    let server = StandIn::websocket(move |guest| {
        while let Some((first, payload)) = guest.receive() {
            match first {
                0x8a if payload == b"p" => drop(seen.fetch_add(1, Relaxed)),
                0x81 => {
                    guest.frame(0x01, &payload[..3]);
                    guest.frame(0x89, b"p");
                    guest.frame(0x00, b"");
                    guest.frame(0x80, &payload[3..]);
                }
                _ => return,
            }
        }
    });
    assert_counted(&good(&["echo", &server.url(), "--connections", "1", "--in-flight", "2"]));
    assert!(pongs.load(Relaxed) > 0);
}

#[test]
fn wrong_content_is_told() {
    let server = StandIn::websocket(|guest| {
        while let Some(mut message) = guest.message() {
            *message.last_mut().unwrap() ^= 1;
            guest.frame(0x81, &message);
        }
    });
    let (faults, said) = faulty(&server, &[]);
    assert!(faults["content"].as_u64().unwrap() > 0, "{faults}");
    assert!(said.contains("wrong in content; the first: connection 0: the answer to"), "{said}");
    let server = StandIn::websocket(|guest| {
        while let Some(message) = guest.message() {
            guest.frame(0x82, &message);
        }
    });
    assert!(faulty(&server, &[]).1.contains("wrong in content"));
}

#[test]
fn swapped_answers_are_told() {
    let server = StandIn::websocket(|guest| {
        while let (Some(one), Some(other)) = (guest.message(), guest.message()) {
            guest.frame(0x81, &other);
            guest.frame(0x81, &one);
        }
    });
    let (faults, said) = faulty(&server, &["--in-flight", "2"]);
    assert!(faults["order"].as_u64().unwrap() > 0, "{faults}");
    assert_eq!((&faults["content"], &faults["closed"]), (&json!(0), &json!(0)), "{said}");
    assert!(said.contains("out of order"), "{said}");
}

#[test]
fn a_lost_message_is_told() {
    let server = StandIn::websocket(|guest| {
        guest.message();
        while let Some(message) = guest.message() {
            guest.frame(0x81, &message);
        }
    });
    let (faults, said) = faulty(&server, &["--in-flight", "2"]);
    assert_eq!(faults, json!({"content": 0, "order": 0, "lost": 1, "closed": 0}));
    assert!(said.contains("1 lost; the first: connection 0: message 0 was not answered"), "{said}");
}

#[test]
fn a_close_is_told_with_code_and_reason() {
    let server = StandIn::websocket(|guest| {
        guest.message();
        guest.frame(0x88, b"\x03\xf0enough");
    });
    let (faults, said) = faulty(&server, &[]);
    assert_eq!(faults, json!({"content": 0, "order": 0, "lost": 0, "closed": 1}));
    assert!(said.contains("closed by the server with 1008 \"enough\""), "{said}");
    let server = StandIn::start(|guest| {
        guest.accept("");
        guest.message();
    });
    let (faults, said) = faulty(&server, &[]);
    assert_eq!(faults["closed"], json!(1), "{said}");
}

/// It comes with the server's answer, so that the connection is never seen to be open.
#[test]
fn an_end_before_the_load_begins_is_told_and_not_waited_for() {
    let server = StandIn::websocket_with_end();
    let (faults, said) = faulty(&server, &[]);
    assert_eq!(faults, json!({"content": 0, "order": 0, "lost": 0, "closed": 1}));
    assert!(said.contains("closed by the server with 1013"), "{said}");
    // It is the end of the stream however late it comes: whatever was asked meanwhile is read.
    let server = StandIn::start(|guest| guest.end());
    let ended = bench(&["http", &format!("http://{}/", server.address), "--connections", "1"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stderr.contains("ended by the server without"), "{}", ended.stderr);
}

/// What was asked is not read, so the kernel ends the connection with a reset.
#[test]
fn a_reset_is_told_as_the_servers() {
    let server = StandIn::start(|guest| guest.wait());
    let ended = bench(&["http", &format!("http://{}/", server.address), "--connections", "1"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stderr.contains("ended by the server with a reset"), "{}", ended.stderr);
}

#[test]
fn a_report_that_cannot_be_written_is_told() {
    let program = Program::serve(&["--no-access-log"]);
    let url = format!("ws://{}/echo", program.addresses[0]);
    let mut command = crate::program::binary("sh");
    command.args(["-c", "exec \"$0\" \"$@\" > /dev/full", env!("CARGO_BIN_EXE_landline")]);
    command.args(["bench", "echo", &url]).args(SHORT);
    let ended = Program::spawn(command).end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot write the report"), "{}", ended.stderr);
}

#[test]
fn what_is_no_websocket_is_told() {
    let server = StandIn::websocket(|guest| {
        guest.message();
        guest.frame(0xf1, b"x");
    });
    let (faults, said) = faulty(&server, &[]);
    assert_eq!(faults["content"], json!(1), "{said}");
    assert!(said.contains("not allowed: a frame with reserved bits"), "{said}");
}

#[test]
fn a_handshake_that_fails_is_told() {
    for (answer, part) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "\"404 Not Found\"; is the path"),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: AAAA\r\n\r\n",
            "Sec-WebSocket-Accept is \"AAAA\" instead of",
        ),
        ("SSH-2.0-x\r\n\r\n", "it is no HTTP"),
        ("", "ended the connection instead of a handshake"),
    ] {
        let server = StandIn::start(move |guest| {
            guest.head();
            guest.send(answer);
        });
        let (_, said) = faulty(&server, &[]);
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let gone = StandIn::start(|_| ());
    let url = gone.url();
    // Takes its only connection, so that nobody listens there any more.
    drop(std::net::TcpStream::connect(gone.address));
    drop(gone);
    let ended = bench(&["echo", &url]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("connection refused; does the server run"), "{}", ended.stderr);
    let ended = bench(&["hold", "ws://no-such-host.invalid/"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("cannot find the host"), "{}", ended.stderr);
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for() {
    let server = StandIn::start(|guest| {
        guest.head();
        assert_eq!(guest.receive(), None, "the client gives up");
    });
    let (_, said) = faulty(&server, &["--connect-timeout", "0.1"]);
    assert!(said.contains("did not answer the handshake within 0.1 s"), "{said}");
}

#[test]
fn too_many_connections_are_told() {
    let program = Program::serve(&["--no-access-log"]);
    let url = format!("ws://{}/echo", program.addresses[0]);
    let script = "ulimit -n 40 && exec \"$0\" \"$@\"";
    let mut command = crate::program::binary("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_landline"), "bench", "hold", &url]);
    let ended = Program::spawn(command).end();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("too many open files; raise the limit"), "{}", ended.stderr);
}

#[test]
fn wrong_flags_end_with_two_and_help_with_zero() {
    for wrong in [
        &["bench"][..],
        &["bench", "echo"],
        &["bench", "echo", "http://127.0.0.1/"],
        &["bench", "http", "ws://127.0.0.1/"],
        &["bench", "echo", "ws://127.0.0.1/", "--connections", "0"],
        &["bench", "broadcast", "ws://127.0.0.1/", "--bytes", "15"],
        &["bench", "broadcast", "ws://127.0.0.1/", "--rate", "1", "--in-flight", "1"],
        &["bench", "dance"],
    ] {
        assert_eq!(run(wrong).code, Some(2), "{wrong:?}");
    }
    for mode in ["echo", "broadcast", "hold", "connect", "http"] {
        let help = run(&["bench", mode, "--help"]);
        assert_eq!(help.code, Some(0));
        assert!(help.stdout.contains(&format!("landline bench {mode} ")), "{}", help.stdout);
        assert!(help.stdout.contains("Example"), "{mode}");
    }
    let ended = run(&["bench", "echo", "ws://127.0.0.1:1/", "--pin", "100000"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("no such CPU"), "{}", ended.stderr);
}

#[test]
fn a_signal_ends_it_with_the_figures_so_far() {
    let answers = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&answers);
    let server = StandIn::websocket(move |guest| {
        while let Some(message) = guest.message() {
            seen.fetch_add(1, Relaxed);
            guest.frame(0x81, &message);
        }
    });
    let url = server.url();
    let long = ["--warm-up", "0", "--duration", "1000", "--json", "--connections", "1"];
    let program = Program::spawn(landline(&[&["bench", "echo", &url], &long[..]].concat()));
    eventually("it loads", || answers.load(Relaxed) > 100);
    program.signal(Signal::INT);
    let ended = program.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["interrupted"], json!(true));
    assert_counted(&report);
}

#[test]
fn people_get_a_table() {
    let program = Program::serve(&["--no-access-log"]);
    let url = format!("ws://{}/echo", program.addresses[0]);
    let ended = run(&["bench", "echo", &url, "--duration", "0.1", "--warm-up", "0"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    for part in ["64 connections, 1 in flight, 32 payload bytes", "p99.9", "none"] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
}

/// What a flushed stream ends with (RFC 7692 7.2.1).
const TAIL: &[u8] = &[0, 0, 0xff, 0xff];

fn inflated(message: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(1000);
    let message = [message, TAIL].concat();
    Decompress::new(false)
        .decompress_vec(&message, &mut plain, FlushDecompress::Sync)
        .expect("a deflate stream");
    plain
}

fn deflated(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1000);
    Compress::new(Compression::best(), false)
        .compress_vec(message, &mut bytes, FlushCompress::Sync)
        .expect("room enough");
    bytes.strip_suffix(TAIL).expect("a flushed stream").to_vec()
}

#[test]
fn compressed_echoes_are_inflated_and_compared() {
    let accepts = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n";
    for flipped in [0, 1] {
        let server = StandIn::start(move |guest| {
            guest.accept(accepts);
            while let Some(message) = guest.message() {
                let mut plain = inflated(&message);
                assert_eq!(plain.len(), 100);
                plain[50] ^= flipped;
                guest.frame(0xc1, &deflated(&plain));
            }
            guest.frame(0x88, &1000u16.to_be_bytes());
        });
        let command = ["--connections", "1", "--deflate", "--bytes", "100", "--in-flight", "3"];
        if flipped == 0 {
            assert_counted(&good(&[&["echo", &server.url()], &command[..]].concat()));
        } else {
            let (faults, said) = faulty(&server, &command[2..]);
            assert!(faults["content"].as_u64().unwrap() > 0, "{said}");
        }
    }
    let server = StandIn::start(|guest| guest.accept(""));
    let (_, said) = faulty(&server, &["--deflate"]);
    assert!(said.contains("refuses permessage-deflate"), "{said}");
}
