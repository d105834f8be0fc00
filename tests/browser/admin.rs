//! The operator's page in a real browser, beside clients of the same server.

use crate::process::Process;
use crate::webdriver::Browser;
use crate::{CHINESE, HOSTILE, Server, Stage, port_in};
use std::io::{Read, Write};
use std::net::TcpStream;

const KEY: &str = "correct-horse-battery-staple";

/// A browser, and a server with the page on a listener of its own.
struct Post {
    stage: Stage,
    admin: u16,
}

impl Post {
    fn set(test: &str) -> Option<Self> {
        let mut stage = Stage::set(test)?;
        // The clients of these tests answer no pings.
        let args = ["--admin-port", "0", "--ws-ping-interval", "0", "--drain-delay", "3600"];
        let mut command = Server::command(0, &args);
        command.env("LANDLINE_ADMIN_KEY", KEY);
        let mut port = None;
        let (process, admin) = Process::start(command, |line| {
            // Its own address is said before that of the page.
            match (port, port_in(line)) {
                (None, Some(found)) => {
                    port = Some(found);
                    None
                }
                (_, found) => found.filter(|_| line.contains("/admin/")),
            }
        });
        stage.server = Server { port: port.expect("it listens"), process };
        Some(Self { stage, admin })
    }

    fn browser(&self) -> &Browser {
        &self.stage.browser
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/admin/", self.admin)
    }

    /// Opens the page and brings the key.
    fn enter(&self) {
        self.browser().open(&self.url());
        self.browser()
            .until("the page asks for the key", "return !document.getElementById('door').hidden");
        self.browser().fill("key", &format!("{KEY}\n"));
        self.until_inside();
    }

    fn until_inside(&self) {
        self.browser()
            .until("the page is inside", "return !document.getElementById('inside').hidden");
    }

    fn client(&self, path: &str) -> Client {
        Client::open(self.stage.server.port, path)
    }

    fn rows(&self, table: &str) -> u64 {
        let rows = format!("return document.querySelectorAll('#{table} tbody tr[data-id]').length");
        self.browser().run(&rows).as_u64().expect("a number")
    }

    fn until_rows(&self, table: &str, rows: u64) {
        let script = format!(
            "return document.querySelectorAll('#{table} tbody tr[data-id]').length === {rows}"
        );
        self.browser().until(&format!("{rows} rows in {table}"), &script);
    }
}

/// A WebSocket client of raw bytes, whose frames are masked with zeros.
struct Client(TcpStream);

impl Client {
    fn open(port: u16, path: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("an answer");
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
        Self(stream)
    }

    fn send(&mut self, first: u8, payload: &[u8]) {
        assert!(payload.len() < 126, "a short frame");
        let head = [first, 0x80 | payload.len() as u8, 0, 0, 0, 0];
        self.0.write_all(&[&head[..], payload].concat()).unwrap();
    }

    /// The payload of the next frame, of which the first byte has to be this one.
    fn expect(&mut self, first: u8) -> Vec<u8> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).expect("a frame");
        assert_eq!(head[0], first);
        let length = match head[1] {
            126 => {
                let mut bytes = [0; 2];
                self.0.read_exact(&mut bytes).unwrap();
                usize::from(u16::from_be_bytes(bytes))
            }
            length => usize::from(length),
        };
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).expect("a payload");
        payload
    }

    fn goodbye(mut self, code: u16, reason: &str) {
        self.send(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat());
        self.expect(0x88);
    }
}

#[test]
fn admin_page_asks_for_the_key_and_lets_nobody_else_in() {
    let Some(post) = Post::set("admin_page_asks_for_the_key_and_lets_nobody_else_in") else {
        return;
    };
    let browser = post.browser();
    browser.open(&post.url());
    browser.until("the page asks for the key", "return !document.getElementById('door').hidden");
    browser.fill("key", "wrong\n");
    browser.until_text("door-hint", "The key is not right.");
    assert_eq!(browser.run("return document.getElementById('inside').hidden"), true);
    browser.fill("key", &format!("{KEY}\n"));
    post.until_inside();
    browser.until_text("state", "Ready");
    assert!(
        browser.run("return document.cookie === ''").as_bool().unwrap(),
        "no script sees the session"
    );
    browser.open(&post.url());
    post.until_inside();
    browser.click("leave");
    browser.until("the page asks again", "return !document.getElementById('door').hidden");
    browser.open(&post.url());
    browser.until("and again", "return !document.getElementById('door').hidden");
}

#[test]
fn admin_page_shows_who_is_connected_and_closes_one() {
    let Some(post) = Post::set("admin_page_shows_who_is_connected_and_closes_one") else { return };
    let mut clients = [(); 3].map(|()| post.client("/echo"));
    clients[0].send(0x81, b"hello");
    assert_eq!(clients[0].expect(0x81), b"hello");
    post.enter();
    let browser = post.browser();
    post.until_rows("connections", 3);
    browser.until_text("received", "1");
    let peer = clients[1].0.local_addr().unwrap().to_string();
    browser.fill("filter-connections", &peer);
    post.until_rows("connections", 1);
    assert!(browser.text("connections").contains(&peer));
    browser.run("document.querySelector('#connections .end').click()");
    browser.until("it is asked why", "return document.getElementById('end').open");
    browser.fill("end-code", "4100");
    browser.fill("end-reason", "out you go");
    browser.click("end-do");
    let close = clients[1].expect(0x88);
    assert_eq!((&close[..2], &close[2..]), (&4100u16.to_be_bytes()[..], &b"out you go"[..]));
    clients[1].send(0x88, &4100u16.to_be_bytes());
    post.until_rows("connections", 0);
    browser.fill("filter-connections", "/echo");
    post.until_rows("connections", 2);
    browser.click("tab-closed");
    post.until_rows("closed", 1);
    assert!(
        browser.text("closed").contains("operator")
            && browser.text("closed").contains("4100 out you go")
    );
    browser.run("document.querySelector('#closed tbody .link').click()");
    browser.until("its story is told", "return document.getElementById('story').open");
    let events = browser.text("story-events");
    for part in
        ["opened", "close asked for by the operator", "close 4100 sent", "close 4100 received"]
    {
        assert!(events.contains(part), "{part}: {events}");
    }
    post.stage.assert_console_is_clean();
}

#[test]
fn admin_page_needs_nothing_from_elsewhere() {
    let Some(post) = Post::set("admin_page_needs_nothing_from_elsewhere") else { return };
    post.enter();
    let names = "performance.getEntriesByType('resource').map(entry => entry.name)";
    post.browser().until(
        "it has asked for the figures",
        &format!("return {names}.some(name => name.includes('/admin/data'))"),
    );
    let loaded = post.browser().run(&format!("return {names}.join(' ')"));
    let loaded: Vec<&str> = loaded.as_str().expect("names").split(' ').collect();
    let own = format!("http://127.0.0.1:{}/", post.admin);
    for file in ["/static/admin.js", "/static/admin.css"] {
        assert!(loaded.iter().any(|name| name.ends_with(file)), "{file}: {loaded:?}");
    }
    assert!(loaded.iter().all(|name| name.starts_with(&own)), "{loaded:?}");
}

#[test]
fn admin_page_says_something_to_a_group() {
    let Some(post) = Post::set("admin_page_says_something_to_a_group") else { return };
    let mut member = post.client("/ws/chat/lobby/");
    post.enter();
    let browser = post.browser();
    browser.click("tab-groups");
    browser.until(
        "the group is listed",
        "return document.querySelector('#groups .link')?.textContent === 'chat:lobby'",
    );
    browser.run("document.querySelector('#groups .link').click()");
    browser.fill("say-text", &format!("{CHINESE}\n"));
    browser.until(
        "it was said",
        "return document.getElementById('said').textContent.startsWith('Said to 1: 1 have it')",
    );
    assert_eq!(member.expect(0x81), CHINESE.as_bytes());
    browser.fill("say-group", "nowhere");
    browser.fill("say-text", "?\n");
    browser.until_text("said", "Nobody is in this group.");
    post.stage.assert_console_is_clean();
}

#[test]
fn admin_page_takes_what_clients_write_for_text() {
    let Some(post) = Post::set("admin_page_takes_what_clients_write_for_text") else { return };
    // The room's name is the group's, the name of the person is the user's.
    let hostile: String = HOSTILE.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let room = HOSTILE.replace('/', "");
    let room: String = room.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let mut member = post.client(&format!("/ws/chat/{room}/?name={}", &hostile[..40 * 3]));
    member.expect(0x81);
    let leaver = post.client("/echo");
    leaver.goodbye(4000, &HOSTILE[..100.min(HOSTILE.len())]);
    post.enter();
    let browser = post.browser();
    post.until_rows("connections", 1);
    assert!(browser.text("connections").contains("<b>x</b>"), "{}", browser.text("connections"));
    for (tab, part) in [("groups", "<script>"), ("closed", "<img src=x")] {
        browser.click(&format!("tab-{tab}"));
        let there =
            format!("return document.getElementById('{tab}').textContent.includes({part:?})");
        browser.until(&format!("{part} stands in {tab}"), &there);
    }
    browser.run("document.querySelector('#closed tbody .link').click()");
    browser.until("its story is told", "return document.getElementById('story').open");
    assert!(browser.text("story-facts").contains("<img src=x"));
    let grown = "return document.querySelectorAll('main b b, td b, td img, dd b, dd img, main script').length";
    assert_eq!(browser.run(grown), 0, "something grew");
    assert!(browser.run("return window.broken ?? null").is_null(), "a script ran");
    assert_eq!(post.rows("closed"), 1);
    post.stage.assert_console_is_clean();
}

#[test]
fn admin_page_spells_out_what_hides_in_text() {
    let Some(post) = Post::set("admin_page_spells_out_what_hides_in_text") else { return };
    // It would turn around what stands behind it.
    post.client("/echo").goodbye(4000, "\u{202e}drow\u{200b}\u{7}");
    post.enter();
    let browser = post.browser();
    browser.click("tab-closed");
    post.until_rows("closed", 1);
    let shown = r"4000 \u{202e}drow\u{200b}\u{7}";
    assert!(browser.text("closed").contains(shown), "{}", browser.text("closed"));
    browser.until_text("causes", "1 client");
    browser.run("document.querySelector('#closed tbody .link').click()");
    browser.until("its story is told", "return document.getElementById('story').open");
    assert!(browser.text("story-facts").contains(shown));
    post.stage.assert_console_is_clean();
}

#[test]
fn admin_page_sorts_its_tables_and_leaves_rows_in_their_place() {
    let Some(post) = Post::set("admin_page_sorts_its_tables_and_leaves_rows_in_their_place") else {
        return;
    };
    let mut clients: Vec<Client> = (0..4).map(|_| post.client("/echo")).collect();
    for (client, messages) in clients.iter_mut().zip([1, 5, 3, 0]) {
        for _ in 0..messages {
            client.send(0x81, b"x");
            client.expect(0x81);
        }
    }
    post.enter();
    let browser = post.browser();
    post.until_rows("connections", 4);
    browser.until_text("routes", "4 on /echo");
    let received = "return [...document.querySelectorAll('#connections td[data-label=in]')]
        .map(cell => cell.textContent).join(' ')";
    browser.until("the newest is the first", &format!("{received} === '0 3 5 1'"));
    browser.run("window.first = document.querySelector('#connections tbody tr')");
    browser.run("window.first.querySelector('button').focus()");
    browser.run("document.querySelector('#connections [data-sort=received] button').click()");
    browser.until("the busiest is the first", &format!("{received} === '5 3 1 0'"));
    let sorted =
        "return document.querySelector('#connections th[aria-sort=descending]').textContent";
    assert_eq!(browser.run(sorted), "In");
    clients[3].send(0x81, b"x");
    clients[3].expect(0x81);
    browser.until("what has changed is shown", &format!("{received} === '5 3 1 1'"));
    // It is the same row, so that who is about to click on it does not miss.
    assert_eq!(browser.run("return window.first.isConnected"), true);
    assert_eq!(browser.run("return window.first.contains(document.activeElement)"), true);
    post.stage.assert_console_is_clean();
}

#[test]
fn admin_page_says_when_there_is_no_answer_and_goes_on_when_there_is() {
    let Some(mut post) =
        Post::set("admin_page_says_when_there_is_no_answer_and_goes_on_when_there_is")
    else {
        return;
    };
    post.enter();
    post.browser().until_text("state", "Ready");
    let silent =
        "return document.getElementById('state').textContent.startsWith('No answer since ')
        && 'stale' in document.body.dataset && document.title.startsWith('No answer')";
    // It takes connections and does not answer.
    let paused = post.stage.server.process.pause();
    post.browser().until("a server that hangs is no answer", silent);
    drop(paused);
    post.browser().until_text("state", "Ready");
    assert_eq!(post.browser().run("return 'stale' in document.body.dataset"), false);
    post.stage.server.process.ask_to_end();
    post.browser().until_text("state", "Draining");
    post.stage.server.process.kill();
    post.browser().until("a server that is gone is none", silent);
}

#[test]
fn admin_page_asks_for_the_key_again_when_the_session_is_over() {
    let Some(post) = Post::set("admin_page_asks_for_the_key_again_when_the_session_is_over") else {
        return;
    };
    post.enter();
    let browser = post.browser();
    browser
        .run("return fetch('/admin/session', { method: 'DELETE' }).then(answer => answer.status)");
    browser.until_text("door-hint", "The session is over.");
    assert_eq!(browser.run("return document.getElementById('inside').hidden"), true);
    browser.fill("key", &format!("{KEY}\n"));
    post.until_inside();
}

#[test]
fn admin_page_is_whole_on_a_phone_and_draws_what_goes_on() {
    let Some(post) = Post::set("admin_page_is_whole_on_a_phone_and_draws_what_goes_on") else {
        return;
    };
    let mut clients: Vec<Client> = (0..12).map(|_| post.client("/echo")).collect();
    let members: Vec<Client> = ["lobby", "kitchen", "lobby", "garden", "lobby"]
        .iter()
        .zip(["Anna", "Bao", "Chidi", "Dana", "Emil"])
        .map(|(room, name)| post.client(&format!("/ws/chat/{room}/?name={name}")))
        .collect();
    for (client, code) in (0..4).map(|_| post.client("/echo")).zip([1000, 1001, 4001, 1000]) {
        client.goodbye(code, if code == 4001 { "signed out elsewhere" } else { "" });
    }
    post.enter();
    let browser = post.browser();
    // For the documents, a minute of it.
    let points = if std::env::var_os("LANDLINE_SCREENSHOT").is_some() { 29 } else { 2 };
    let drawn = format!(
        "return [...document.querySelectorAll('.plot .line-one')]
             .every(line => line.getAttribute('d').split('L').length >= {points})"
    );
    browser.resize(1280, 1080);
    // Messages go by until every plot has its line.
    for round in 0.. {
        for client in &mut clients {
            client.send(0x81, b"what goes on");
            client.expect(0x81);
        }
        browser.run(
            "return fetch('/admin/groups/say', { method: 'POST', headers: { 'Content-Type': 'application/json' },
             body: JSON.stringify({ group: 'chat:lobby', text: 'tick' }) }).then(answer => answer.status)",
        );
        if browser.run(&drawn) == true {
            break;
        }
        assert!(round < 20_000, "the plots stay empty");
    }
    post.until_rows("connections", 17);
    take_picture(browser, "LANDLINE_SCREENSHOT");
    browser.become_dark();
    take_picture(browser, "LANDLINE_SCREENSHOT_DARK");
    browser.become_phone(360, 740);
    for tab in ["connections", "groups", "closed"] {
        browser.click(&format!("tab-{tab}"));
        let shown = format!("return document.querySelectorAll('#{tab} tbody tr').length > 0");
        browser.until(&format!("{tab} has rows"), &shown);
        let widths = "return [innerWidth, document.documentElement.scrollWidth]";
        assert_eq!(browser.run(widths), serde_json::json!([360, 360]), "{tab} is too wide");
    }
    take_picture(browser, "LANDLINE_SCREENSHOT_PHONE");
    post.stage.assert_console_is_clean();
    drop(members);
}

/// Keeps what is shown as a file, if its variable names one: for the documents.
fn take_picture(browser: &Browser, variable: &str) {
    if let Some(path) = std::env::var_os(variable) {
        std::fs::write(path, browser.picture()).expect("the picture can be written");
    }
}
