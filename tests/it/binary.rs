//! The binary as people meet it: flags, variables, mistakes, log, exit codes.

use std::fs;
use std::net::{SocketAddr, TcpListener};

use rustix::process::Signal;

use crate::harness::{Client, eventually};
use crate::program::{Directory, Program, binary, landline, run};

const FLAGS: [&str; 32] = [
    "--config",
    "--host",
    "--port",
    "--ws-max-size",
    "--held-bytes",
    "--ws-ping-interval",
    "--ws-ping-timeout",
    "--ws-per-message-deflate",
    "--ws-deflate-level",
    "--ws-deflate-threshold",
    "--origin",
    "--allowed-host",
    "--publish-key",
    "--limit-concurrency",
    "--drain-delay",
    "--drain-time",
    "--limit-per-address",
    "--max-body-size",
    "--timeout-keep-alive",
    "--timeout-send",
    "--timeout-graceful-shutdown",
    "--templates",
    "--admin-port",
    "--admin-host",
    "--admin-key",
    "--log-level",
    "--log-format",
    "--no-access-log",
    "--insecure-any-origin",
    "--insecure-publish-without-key",
    "--insecure-admin-without-key",
    "--version",
];

#[test]
fn the_version_is_printed() {
    let ended = run(&["--version"]);
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stdout, concat!("landline ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn help_names_flags_variables_and_exit_codes() {
    let ended = run(&["--help"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    for flag in FLAGS {
        assert!(ended.stdout.contains(flag), "{flag}");
    }
    for part in ["LANDLINE_WS_MAX_SIZE", "[default: 8000]", "  5  ended by a second signal"] {
        assert!(ended.stdout.contains(part), "{part}");
    }
    let serve = run(&["serve", "--help"]);
    assert!(FLAGS[..31].iter().all(|flag| serve.stdout.contains(flag)), "{}", serve.stdout);
}

#[test]
fn wrong_usage_is_code_2_with_a_hint() {
    for (args, hint) in [
        (&["--prot", "1"][..], "a similar argument exists: '--port'"),
        (&["--port", "x"], "give a number from 0 to 65535"),
        (&["--port", "65536"], "give a number from 0 to 65535"),
        (&["--host", "127.0.0.1:9000"], "give the port by itself: --port 9000"),
        (&["--host", "999.1.1.1"], "not an IP address and not a host name"),
        (&["--host", ""], "not an IP address and not a host name"),
        (&["serve", "--ws-ping-interval", "-1"], "give seconds as a number from 0 up"),
        (&["--timeout-keep-alive", "soon"], "give seconds as a number from 0 up"),
        (&["--ws-max-size", "0"], "give a whole number from 1 up"),
        (&["--held-bytes", "-1"], "give a whole number from 0 up"),
        (&["--limit-concurrency", "many"], "give a whole number from 1 up"),
        (&["--log-level", "loud"], "possible values: off, critical, error, warning"),
        (&["--allowed-host", "http://a.example"], "give the name alone"),
        (&["serf"], "--help"),
    ] {
        let ended = run(args);
        assert_eq!(ended.code, Some(2), "{args:?}");
        assert!(ended.stderr.contains(hint), "{args:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{args:?}");
    }
}

#[test]
fn a_taken_port_is_code_3_and_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let ended = run(&["serve", "--port", &port.to_string()]);
    assert_eq!(ended.code, Some(3));
    let sentence = format!(
        "landline: cannot listen on 127.0.0.1:{port}: Address already in use; \
         is another server running there? choose another port with --port\n"
    );
    assert_eq!((ended.stderr, ended.stdout), (sentence, String::new()));
}

#[test]
fn a_foreign_address_is_code_3() {
    // An address of the range for documentation, which no machine has.
    let ended = run(&["--host", "192.0.2.1", "--port", "0"]);
    assert_eq!(ended.code, Some(3));
    assert!(ended.stderr.starts_with("landline: cannot listen on 192.0.2.1:0: "));
    assert!(ended.stderr.contains("choose an address of this machine with --host"));
}

#[test]
fn a_wrong_origin_is_code_1() {
    let ended = run(&["--origin", "ftp://a.example"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.starts_with("landline: \"ftp://a.example\" is not an origin"));
}

#[test]
fn a_template_directory_that_cannot_be_read_is_code_1() {
    let directory = Directory::with("file", "");
    for (path, why) in [("missing", "No such file or directory"), ("file", "Not a directory")] {
        let path = directory.path.join(path);
        let ended = run(&["--templates", path.to_str().unwrap()]);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let sentence = format!(
            "landline: cannot read template directory {}: {why}; set by --templates\n",
            path.display()
        );
        assert_eq!(ended.stderr, sentence);
    }
}

#[test]
fn a_static_file_that_cannot_be_read_is_code_1() {
    let directory = Directory::new();
    let path = directory.path.join("landline.css");
    fs::create_dir(&path).unwrap();
    let ended = run(&["--templates", directory.text()]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        ended.stderr,
        format!("landline: cannot read {}: Is a directory; set by --templates\n", path.display())
    );
}

#[test]
fn a_template_with_a_syntax_error_is_code_1_with_file_and_line() {
    let directory = Directory::with("echo.html", "<p>fine</p>\n{% if %}\n");
    let ended = run(&["--templates", directory.text()]);
    assert_eq!(ended.code, Some(1));
    let place = format!("template {}/echo.html line 2: ", directory.text());
    assert!(ended.stderr.contains(&place), "{}", ended.stderr);
}

#[test]
fn a_template_that_fails_is_500_and_the_server_goes_on() {
    let directory = Directory::with("index.html", "<p>fine</p>\n{{ nobody.knows }}\n");
    let program = Program::serve(&["--templates", directory.text()]);
    let mut client = program.connect();
    let reply = client.get("/");
    assert_eq!(reply.status, 500);
    assert!(!reply.text().contains("nobody"), "{}", reply.text());
    let line = program.logged("template index.html line 2");
    assert!(line.contains(" ERROR conn-1 127.0.0.1:"), "{line}");
    assert_eq!(program.connect().get("/index2/").status, 200);
}

#[test]
fn files_of_the_directory_replace_those_that_are_built_in() {
    let directory = Directory::with("index.html", "{{ version }} mine <b>{{ '<' }}</b>");
    fs::write(directory.path.join("landline.css"), "p { color: red }").unwrap();
    let program = Program::serve(&["--templates", directory.text()]);
    let mut client = program.connect();
    let page = client.get("/");
    assert_eq!(page.text(), concat!(env!("CARGO_PKG_VERSION"), " mine <b>&lt;</b>"));
    assert_eq!(client.get("/static/landline.css").text(), "p { color: red }");
    assert!(client.get("/static/landline.js").text().contains("WebSocket"));
    assert!(client.get("/index/").text().contains("Echo once"));
}

#[test]
fn a_variable_counts_and_a_flag_goes_before_it() {
    let mut command = landline(&["--port", "0"]);
    command.env("LANDLINE_PORT", "x").env("LANDLINE_WS_MAX_SIZE", "3");
    let ended = Program::listening(command);
    let mut client = ended.websocket("/echo");
    client.send_text("abc");
    assert_eq!(client.expect_text(), "abc");
    client.send_text("abcd");
    assert_eq!(client.expect_close().0, 1009);

    let mut command = landline(&["serve", "--port", "0", "--ws-max-size", "4"]);
    command.env("LANDLINE_WS_MAX_SIZE", "3");
    let program = Program::listening(command);
    let mut client = program.websocket("/echo");
    client.send_text("abcd");
    assert_eq!(client.expect_text(), "abcd");
}

#[test]
fn a_wrong_variable_is_named_and_an_empty_one_is_not_set() {
    let mut command = landline(&["serve"]);
    command.env("LANDLINE_PORT", "tcp://10.0.0.1:80");
    let ended = Program::spawn(command).end();
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("from the environment variable LANDLINE_PORT"));

    let mut command = landline(&["--port", "0"]);
    for name in ["HOST", "WS_MAX_SIZE", "ORIGIN", "TEMPLATES", "LOG_LEVEL", "NO_ACCESS_LOG"] {
        command.env(format!("LANDLINE_{name}"), "");
    }
    let program = Program::listening(command);
    assert_eq!(program.connect().get("/").status, 200);
    program.logged("\"GET /\" 200");
}

#[test]
fn a_server_that_nobody_hears_serves_all_the_same() {
    let script = "exec \"$0\" \"$@\" > /dev/full 2> /dev/full";
    let mut command = binary("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_landline"), "--port", "0"]);
    let program = Program::spawn(command);
    let mut port = None;
    eventually("it listens", || {
        port = program.listening_port();
        port.is_some()
    });
    let address = SocketAddr::from(([127, 0, 0, 1], port.expect("just found")));
    assert_eq!(Client::new(address).get("/").status, 200);
    program.signal(Signal::TERM);
    assert_eq!(program.end().code, Some(0));
}

#[test]
fn the_first_words_say_where_and_how() {
    let program = Program::serve(&["--limit-concurrency", "7"]);
    let address = program.addresses[0];
    assert!(address.ip().is_loopback() && address.port() != 0);
    let said = program.stdout();
    for part in [
        &format!("http://{address}/\n") as &str,
        concat!("Landline ", env!("CARGO_PKG_VERSION")),
        "/  /index/  /index2/  /chat/  /echo?message=hello",
        "up to 7",
        "Ctrl+C",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn several_hosts_are_served_at_once() {
    let several = Program::serve(&["--host", "127.0.0.1", "--host", "127.0.0.2,localhost"]);
    assert!(several.addresses.len() >= 3, "{:?}", several.addresses);
    for address in &several.addresses {
        assert_eq!(Client::new(*address).get("/").status, 200, "{address}");
    }
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("this machine has no IPv6: [::1] is left out");
        return;
    }
    let both = Program::serve(&["--host", "127.0.0.1", "--host", "::1"]);
    assert!(both.stdout().contains("http://[::1]:"), "{}", both.stdout());
    for address in &both.addresses {
        assert_eq!(Client::new(*address).get("/").status, 200, "{address}");
    }
}

#[test]
fn an_address_for_everybody_is_said_so() {
    let program = Program::serve(&["--host", "0.0.0.0"]);
    program.logged("other machines can reach 0.0.0.0");
    assert!(program.stdout().contains("(all interfaces)"));
}

#[test]
fn requests_and_websockets_are_logged_with_their_connection() {
    let program = Program::serve(&[]);
    let mut first = program.connect();
    assert_eq!(first.get("/echo?message=secret").status, 200);
    let line = program.logged("\"GET /echo?...\" 200");
    let peer = first.stream.local_addr().unwrap();
    assert!(line.contains(&format!(" INFO  conn-1 {peer} ")), "{line}");
    assert!(!line.contains("secret"), "{line}");
    let mut second = program.websocket("/echo_once");
    second.send_text("x");
    assert_eq!(second.expect_text(), "x");
    assert_eq!(second.expect_close().0, 1000);
    second.send_close(1000, "");
    let line = program.logged("\"WebSocket /echo_once\"");
    assert!(line.contains("conn-2 ") && line.contains("1 in, 1 out"), "{line}");
}

#[test]
fn the_access_log_can_be_left_out() {
    for args in [&["--no-access-log"][..], &["--log-level", "warning"], &["--log-level", "OFF"]] {
        let program = Program::serve(args);
        assert_eq!(program.connect().get("/").status, 200);
        program.signal(Signal::TERM);
        let ended = program.end();
        assert_eq!(ended.code, Some(0));
        assert!(!ended.stderr.contains("GET"), "{args:?}: {}", ended.stderr);
        assert_eq!(ended.stderr.contains("SIGTERM"), args == ["--no-access-log"], "{args:?}");
    }
}

#[test]
fn pings_follow_their_flags() {
    let program = Program::serve(&["--ws-ping-interval", "0.1", "--ws-ping-timeout", "0.1"]);
    let mut client = program.websocket("/echo");
    assert_eq!(client.next_frame().first, 0x89, "a ping was due");
    assert_eq!(client.expect_close(), (1011, "keepalive ping timeout".to_owned()));
}

#[test]
fn idle_connections_follow_their_flag() {
    let program = Program::serve(&["--timeout-keep-alive", "0.1"]);
    let mut client = program.connect();
    assert_eq!(client.get("/").status, 200);
    client.expect_end();
}

#[test]
fn long_bodies_follow_their_flag() {
    let program = Program::serve(&["--max-body-size", "10"]);
    let head = "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ";
    assert_eq!(program.connect().ask(format!("{head}10\r\n\r\n0123456789")).status, 200);
    assert_eq!(program.connect().ask(format!("{head}11\r\n\r\n")).status, 413);
}

#[test]
fn foreign_pages_and_names_follow_their_flags() {
    let handshake = |origin: &str, host: &str| {
        let head = Client::handshake_head("/echo");
        let host = format!("Host: {host}\r\nOrigin: {origin}");
        head.replace("Host: localhost", &host)
    };
    let open = |args: &[&str], origin: &str, host: &str| {
        Program::serve(args).connect().ask(handshake(origin, host)).status
    };
    let page = "https://page.example";
    assert_eq!(open(&[], "http://localhost", "localhost"), 101);
    assert_eq!(open(&[], page, "localhost"), 403);
    assert_eq!(open(&["--origin", page], page, "localhost"), 101);
    assert_eq!(open(&["--origin", "b.example,.example"], page, "localhost"), 101);
    assert_eq!(open(&["--origin", "any"], "null", "localhost"), 101);
    assert_eq!(open(&[], "http://page.example", "page.example"), 421);
    assert_eq!(open(&["--allowed-host", "page.example"], page, "page.example"), 101);
}
