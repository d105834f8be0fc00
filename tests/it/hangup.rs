//! SIGHUP: a running binary takes new settings whole, or none of them.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use rustix::process::Signal;

use crate::harness::eventually;
use crate::program::{Directory, Program};

/// A server with a settings file, which stands beside its pages.
struct Served {
    directory: Directory,
    program: Program,
}

impl Served {
    fn new(settings: &str) -> Self {
        Self::in_directory(Directory::with("landline.toml", settings))
    }

    /// Beside a directory with one file.
    fn with_pages(settings: &str) -> Self {
        let directory = Directory::with("landline.toml", settings);
        fs::create_dir(directory.path.join("pages")).unwrap();
        fs::write(directory.path.join("pages/landline.css"), "old").unwrap();
        Self::in_directory(directory)
    }

    fn in_directory(directory: Directory) -> Self {
        let path = format!("{}/landline.toml", directory.text());
        let program = Program::serve(&["--config", &path]);
        Self { directory, program }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.directory.path.join(name), text).unwrap();
    }

    /// Sends SIGHUP and waits until the log says this.
    fn reload(&self, settings: &str, outcome: &str) -> String {
        self.write("landline.toml", settings);
        self.program.signal(Signal::HUP);
        self.program.logged(outcome)
    }

    /// What becomes of a message of so many bytes on a new WebSocket: true if it comes back.
    fn takes(&self, bytes: usize) -> bool {
        let mut client = self.program.websocket("/echo");
        client.send_text(&"x".repeat(bytes));
        let frame = client.next_frame();
        if frame.first == 0x81 { true } else { panic_unless_too_big(&frame.payload) }
    }
}

fn panic_unless_too_big(payload: &[u8]) -> bool {
    assert_eq!(payload[..2], 1009u16.to_be_bytes());
    false
}

#[test]
fn new_settings_count_and_open_websockets_stay() {
    let served = Served::new("ws_max_size = 10\n");
    let mut open = served.program.websocket("/echo");
    let line =
        served.reload("ws_max_size = 20\nport = 1\n", "settings read again: changed ws_max_size");
    // The port was given as a flag, which goes before the file.
    assert!(!line.contains("restart"), "{line}");
    assert!(served.takes(20) && !served.takes(21));
    open.expect_echo("still here");
    let line = served.reload("ws_max_size = 20\nhost = [\"127.0.0.2\"]\n", "a restart is needed");
    assert!(line.contains("no value has changed; a restart is needed for host"), "{line}");
    let line = served.reload("held_bytes = 0\n", "changed ws_max_size, held_bytes");
    assert!(!line.contains("restart"), "the host is as it was: {line}");
    assert!(served.takes(21), "what is left out has its default again");
    open.expect_echo("still here");
}

#[test]
fn settings_that_are_wrong_change_nothing() {
    let served = Served::new("ws_max_size = 10\npublish_key = \"0123456789abcdef\"\n");
    let mut open = served.program.websocket("/echo");
    for (settings, why) in [
        ("ws_max_size = 20\nprot = 1\n", "landline.toml line 2: no setting is called prot"),
        ("ws_max_size = 20\npublish_key = \"short\"\n", "a publish key has 16 to 1024 characters"),
        ("ws_max_size = 20\nport = 99999\n", "wrong value \"99999\" for port"),
        ("ws_max_size = 20\ntemplates = \"none\"\n", "cannot read template directory"),
        // What a restart would refuse is refused now.
        (
            "ws_max_size = 20\nhost = [\"0.0.0.0\"]\norigin = [\"any\"]\n",
            "say --insecure-any-origin",
        ),
    ] {
        let line = served.reload(settings, why);
        assert!(line.contains(" ERROR settings refused: "), "{line}");
        assert!(!line.contains("short") || why.contains("characters"), "{line}");
        assert!(served.takes(10) && !served.takes(11), "{settings}");
    }
    fs::remove_file(served.directory.path.join("landline.toml")).unwrap();
    served.program.signal(Signal::HUP);
    served.program.logged("settings refused: cannot read the settings file");
    assert!(!served.takes(11));
    open.expect_echo("still here");
}

#[test]
fn pages_and_files_are_read_again_or_not_at_all() {
    let served = Served::with_pages("templates = \"pages\"\n");
    let text = |path: &str| served.program.connect().get(path).text().to_owned();
    assert_eq!(text("/static/landline.css"), "old");
    served.write("pages/landline.css", "new");
    served.write("pages/index.html", "{% if %}");
    served.reload("templates = \"pages\"\n", "index.html line 1");
    assert_eq!(text("/static/landline.css"), "old", "one broken template, and nothing is taken");
    served.write("pages/index.html", "fine");
    served.reload("templates = \"pages\"\n", "settings read again: no value has changed");
    assert_eq!((&*text("/static/landline.css"), &*text("/")), ("new", "fine"));
    served.reload("", "settings read again: changed templates");
    assert!(text("/").contains("Landline"), "the built-in pages are back");
}

#[test]
fn the_key_is_changed_in_the_running_server() {
    let (old, new) = ("0123456789abcdef", "fedcba9876543210");
    let served = Served::new(&format!("publish_key = \"{old}\"\n"));
    let status = |key: &str| {
        let head = "GET /send/?message=x HTTP/1.1\r\nHost: localhost\r\n";
        served.program.connect().ask(format!("{head}X-API-Key: {key}\r\n\r\n")).status
    };
    assert_eq!((status(old), status(new)), (200, 401));
    let line = served.reload(&format!("publish_key = \"{new}\"\n"), "changed publish_key");
    assert!(!line.contains(new) && !line.contains(old), "{line}");
    assert_eq!((status(old), status(new)), (401, 200));
}

#[test]
fn an_open_door_is_not_opened_to_others_by_a_reload() {
    let directory = Directory::with("landline.toml", "");
    let path = format!("{}/landline.toml", directory.text());
    let program = Program::serve(&["--config", &path, "--host", "0.0.0.0"]);
    fs::write(&path, "origin = [\"any\"]\n").unwrap();
    program.signal(Signal::HUP);
    program.logged("settings refused: other machines can reach 0.0.0.0");
    fs::write(&path, "origin = [\"any\"]\ninsecure_any_origin = true\n").unwrap();
    program.signal(Signal::HUP);
    program.logged("changed origin, insecure_any_origin");
}

#[test]
fn reloads_good_and_bad_hurt_nobody_under_load() {
    let served = Arc::new(Served::new("ws_max_size = 1000\n"));
    let is_over = Arc::new(AtomicBool::new(false));
    let echoes = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..4)
        .map(|number| {
            let (served, is_over, echoes) = (served.clone(), is_over.clone(), echoes.clone());
            thread::spawn(move || {
                let mut open = served.program.websocket("/echo");
                while !is_over.load(Ordering::Relaxed) {
                    open.expect_echo("hello");
                    if number % 2 == 0 {
                        assert_eq!(served.program.connect().get("/").status, 200);
                    }
                    echoes.fetch_add(1, Ordering::Relaxed);
                }
                open.say_goodbye();
            })
        })
        .collect();
    for round in 0..10 {
        let before = echoes.load(Ordering::Relaxed);
        let size = 1001 + round;
        served.reload(
            &format!("ws_max_size = {size}\nbad{size} = 1\n"),
            &format!("called bad{size}"),
        );
        served.write("landline.toml", &format!("ws_max_size = {size}\n"));
        served.program.signal(Signal::HUP);
        eventually("the new size counts", || served.takes(size));
        eventually("echoes go on", || echoes.load(Ordering::Relaxed) > before);
    }
    is_over.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().expect("no client was hurt"));
}

#[test]
fn the_log_is_written_otherwise() {
    let served = Served::new("");
    let ask = |path: &str| assert_eq!(served.program.connect().get(path).status, 200);
    let line = served.reload("log_format = \"json\"\n", "settings read again: changed log_format");
    assert!(line.contains("\"level\":\"info\""), "{line}");
    served.reload("no_access_log = true\n", "changed log_format, no_access_log");
    ask("/index/");
    served.reload("log_level = \"debug\"\n", "changed log_level, no_access_log");
    ask("/index2/");
    let line = served.program.logged("GET /index2/");
    assert!(line.contains(" INFO "), "as text again: {line}");
    served.program.signal(Signal::TERM);
    let logged = served.program.end().stderr;
    assert!(!logged.contains("GET /index/"), "it was not to be logged: {logged}");
}

/// A page that is not there does not come by a reload, and nobody is told that it does.
#[test]
fn a_page_for_operators_needs_a_restart() {
    let served = Served::new("");
    let settings = "admin_key = \"0123456789abcdef\"\n";
    let line = served.reload(settings, "no value has changed; a restart is needed for admin_key");
    assert!(!line.contains("0123"), "{line}");
    assert_eq!(served.program.connect().get("/admin/").status, 404);
    let line = served.reload("ws_max_size = 9\n", "changed ws_max_size");
    assert!(!line.contains("restart"), "{line}");
}
