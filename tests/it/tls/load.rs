//! `landline bench` against a server with TLS.

use serde_json::Value;

use super::certificates::{Authority, Directory};
use crate::program::{Ended, Program, run};

const SHORT: [&str; 5] = ["--json", "--duration", "0.2", "--warm-up", "0.1"];

/// A server with TLS, and without on another port.
struct Loaded {
    directory: Directory,
    program: Program,
}

impl Loaded {
    fn start() -> Self {
        let (directory, authority) = (Directory::new(), Authority::new("tests"));
        directory.write("ca.pem", &authority.pem);
        let (chain, key) = authority.vouch(&["localhost"]).write(&directory, "server");
        let [chain, key] = [&chain, &key].map(|path| path.to_str().unwrap());
        let tls = ["--ssl-port", "0", "--ssl-certfile", chain, "--ssl-keyfile", key];
        let program = Program::serve(&[&["--no-access-log"], &tls[..]].concat());
        Self { directory, program }
    }

    /// The port with TLS.
    fn port(&self) -> String {
        let stdout = self.program.stdout();
        let url = stdout.split("https://").nth(1).expect("an address with TLS");
        url.split('/').next().unwrap().rsplit(':').next().unwrap().to_owned()
    }

    fn bench(&self, args: &[&str]) -> Ended {
        run(&[&["bench"], args, &SHORT].concat())
    }

    /// A load that believes the server's authority, and finds nothing wrong.
    fn good(&self, args: &[&str]) -> Value {
        let authority = self.directory.file("ca.pem");
        let believed = ["--ca-file", authority.to_str().unwrap()];
        let ended = self.bench(&[args, &believed].concat());
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{args:?}");
        serde_json::from_str(&ended.stdout).expect("one JSON object")
    }
}

fn messages(report: &Value) -> u64 {
    report["messages"].as_u64().expect("a count")
}

#[test]
fn every_kind_of_load_goes_through_tls() {
    let server = Loaded::start();
    let ws = format!("wss://localhost:{}/echo", server.port());
    for args in [
        &[][..],
        &["--connections", "10", "--in-flight", "16", "--bytes", "1024"],
        &["--connections", "3", "--in-flight", "3", "--bytes", "300000", "--binary"],
        &["--connections", "4", "--threads", "2", "--bytes", "2000", "--deflate"],
    ] {
        let report = server.good(&[&["echo", &ws], args].concat());
        assert!(messages(&report) > 0, "{args:?}: {report}");
        assert_eq!(report["url"], ws);
    }
    assert!(messages(&server.good(&["connect", &ws, "--connections", "4"])) > 0);
    let pid = server.program.id().to_string();
    let report = server.good(&["hold", &ws, "--connections", "50", "--pid", &pid]);
    assert!(report["server"]["rss_kib_per_connection"].as_f64().unwrap() > 0.0, "{report}");
    let http = format!("https://localhost:{}/echo?message=x", server.port());
    let report = server.good(&["http", &http, "--connections", "4", "--expect", "x"]);
    assert!(messages(&report) > 0, "{report}");
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_told_unless_any_will_do() {
    let server = Loaded::start();
    let ws = format!("wss://localhost:{}/echo", server.port());
    let ended = server.bench(&["echo", &ws]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    for words in ["TLS fails", "--ca-file", "--accept-any-certificate"] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    // By another name than its own.
    let ws = format!("wss://127.0.0.1:{}/echo", server.port());
    let authority = server.directory.file("ca.pem");
    let ended = server.bench(&["echo", &ws, "--ca-file", authority.to_str().unwrap()]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("use a name that it is for"), "{}", ended.stderr);
    let ended = server.bench(&["echo", &ws, "--accept-any-certificate"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_server_that_speaks_something_else_is_told() {
    let server = Loaded::start();
    let plain = server.program.addresses[0].port();
    let any = "--accept-any-certificate";
    let ended = server.bench(&["echo", &format!("wss://localhost:{plain}/echo"), any]);
    assert_eq!(ended.code, Some(1));
    assert!(!ended.stderr.is_empty(), "a sentence");
    let ended = server.bench(&["echo", &format!("ws://localhost:{}/echo", server.port())]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("400 Bad Request"), "{}", ended.stderr);
    let missing = ["--ca-file", "/no/such/file"];
    let url = format!("wss://localhost:{}/echo", server.port());
    let ended = server.bench(&[&["echo", &url], &missing[..]].concat());
    assert!(ended.stderr.contains("/no/such/file"), "{}", ended.stderr);
}
