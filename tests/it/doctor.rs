//! What the doctor finds: on a host, at a port, and through proxies that are as they should be or not.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use crate::program::{Directory, Ended, Program, run};

fn doctor(args: &[&str]) -> Ended {
    run(&[&["doctor"], args].concat())
}

/// The line about something, with its grade.
fn line<'a>(ended: &'a Ended, about: &str) -> &'a str {
    let is_about = |line: &&str| {
        line.split_once(' ').is_some_and(|(_, rest)| rest.trim_start().starts_with(about))
    };
    ended.stdout.lines().find(is_about).unwrap_or_else(|| panic!("{about}: {}", ended.stdout))
}

#[test]
fn a_host_says_what_it_holds_and_what_limits_it() {
    let ended = doctor(&["--port", "0"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(line(&ended, "memory maps").contains("vm.max_map_count = "));
    assert!(
        line(&ended, "connections").starts_with("ok ") && ended.stdout.contains("-> for more: ")
    );
    assert!(line(&ended, "port 0").ends_with(" is free"));
    let said: serde_json::Value =
        serde_json::from_str(&doctor(&["--port", "0", "--json"]).stdout).unwrap();
    assert!(said["connections"].as_u64().unwrap() > 1);
    assert!(
        said["findings"].as_array().unwrap().iter().any(|found| found["about"] == "memory maps")
    );
}

#[test]
fn a_wish_beyond_the_host_is_a_problem() {
    let ended = doctor(&["--port", "0", "--limit-concurrency", "100000000"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(line(&ended, "connections").starts_with("problem "));
}

#[test]
fn settings_that_are_wrong_are_a_problem_and_the_host_is_judged_all_the_same() {
    let directory = Directory::with("landline.toml", "prot = 1\n");
    let file = directory.path.join("landline.toml");
    let ended = doctor(&["--config", file.to_str().unwrap()]);
    assert_eq!(ended.code, Some(1));
    assert!(line(&ended, "settings").contains("did you mean port?"), "{}", ended.stdout);
    line(&ended, "memory maps");
}

#[test]
fn a_port_is_free_ours_or_taken() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    // It answers whoever asks what it is with nothing.
    let closing = thread::spawn(move || drop(other.accept()));
    let ended = doctor(&["--port", &address.port().to_string()]);
    closing.join().unwrap();
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(line(&ended, "port ").contains("another program listens"));
    let program = Program::serve(&[]);
    let ended = doctor(&["--port", &program.addresses[0].port().to_string()]);
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(line(&ended, "port ").contains("a running Landline listens"));
}

#[test]
fn a_straight_line_is_well() {
    let program = Program::serve(&["--ws-ping-interval", "0.1"]);
    let url = format!("ws://{}/", program.addresses[0]);
    let ended = doctor(&["--port", "0", "--url", &url, "--idle", "0.5"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    for about in ["upgrade", "forwarded address", "buffering", "silence"] {
        assert!(line(&ended, about).starts_with("ok "), "{}", ended.stdout);
    }
}

#[test]
fn a_server_that_is_none_of_ours_is_told() {
    let program = Program::serve(&[]);
    for (path, why) in
        [("echo", "not the one that the doctor knows"), ("nowhere", "\"404 Not Found\"")]
    {
        let url = format!("ws://{}/{path}", program.addresses[0]);
        let ended = doctor(&["--port", "0", "--url", &url, "--idle", "0"]);
        assert_eq!(ended.code, Some(1), "{}", ended.stdout);
        assert!(line(&ended, "upgrade").contains(why), "{}", ended.stdout);
    }
}

#[test]
fn a_server_that_believes_every_client_is_a_problem() {
    let program = Program::serve(&["--proxy-headers", "--forwarded-allow-ips", "127.0.0.1"]);
    let url = format!("ws://{}/", program.addresses[0]);
    let ended = doctor(&["--port", "0", "--url", &url, "--idle", "0"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(line(&ended, "forwarded address").contains("believes a client"), "{}", ended.stdout);
}

/// What is wrong with a proxy.
#[derive(Clone, Copy)]
enum Flaw {
    /// It cuts a WebSocket as soon as it is silent.
    CutsSilence,
    /// It passes an answer on when it is whole.
    Buffers,
    /// It leaves out the headers of an upgrade.
    ForgetsUpgrade,
}

/// A proxy with a flaw in front of a server, for as many connections as a doctor makes.
fn proxy(server: SocketAddr, flaw: Flaw) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().take(2).flatten() {
            relay(client, server, flaw);
        }
    });
    address
}

fn relay(mut client: TcpStream, server: SocketAddr, flaw: Flaw) {
    let mut bytes = [0; 4096];
    let mut server = TcpStream::connect(server).unwrap();
    let count = client.read(&mut bytes).unwrap();
    let mut head = String::from_utf8(bytes[..count].to_vec()).unwrap();
    let is_websocket = head.contains("Upgrade");
    if let Flaw::ForgetsUpgrade = flaw {
        head = head.replace("Upgrade: websocket\r\nConnection: Upgrade\r\n", "");
    }
    server.write_all(head.as_bytes()).unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let forth = thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut kept = Vec::new();
    while let Ok(count @ 1..) = server.read(&mut bytes) {
        kept.extend_from_slice(&bytes[..count]);
        if is_websocket || !matches!(flaw, Flaw::Buffers) {
            let _ = client.write_all(&bytes[..count]);
        }
        let has_echoed = String::from_utf8_lossy(&kept).contains("landline doctor");
        if is_websocket && has_echoed && matches!(flaw, Flaw::CutsSilence | Flaw::Buffers) {
            break;
        }
    }
    if !is_websocket && matches!(flaw, Flaw::Buffers) {
        let _ = client.write_all(&kept);
    }
    if is_websocket && matches!(flaw, Flaw::Buffers) {
        // This line is not what is looked at; it ends with the doctor.
        thread::spawn(move || std::io::copy(&mut server, &mut client));
        return;
    }
    let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
    let _ = forth.join();
}

#[test]
fn the_flaws_of_a_proxy_are_found() {
    let program = Program::serve(&[]);
    for (flaw, about, grade, words) in [
        (Flaw::CutsSilence, "silence", "problem ", "was cut after"),
        (Flaw::Buffers, "buffering", "warning ", "keeps answers back"),
        (Flaw::ForgetsUpgrade, "upgrade", "problem ", "refused the handshake"),
    ] {
        let url = format!("ws://{}/", proxy(program.addresses[0], flaw));
        let ended = doctor(&["--port", "0", "--url", &url, "--idle", "0.3"]);
        let found = line(&ended, about);
        assert!(found.starts_with(grade) && found.contains(words), "{}", ended.stdout);
        assert_eq!(ended.code, Some(i32::from(grade == "problem ")), "{}", ended.stdout);
    }
}
