//! The demo's pages in a real browser, served by the real binary.
//!
//! Needs Debian's `chromium` and `chromium-driver`; `LANDLINE_SKIP_BROWSER=1` leaves these tests
//! out. `LANDLINE_BIN` names another program to test than the one that was just built.

mod admin;
mod chat;
mod compression;
mod process;
mod webdriver;
mod ws4redis;

use process::Process;
use std::io::Write;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use webdriver::Browser;

/// Text that would do harm, were it taken as HTML.
const HOSTILE: &str = "<b>x</b><script>window.broken = 1</script><img src=x onerror=broken=1>";
const CHINESE: &str = "你好，世界";

/// One test's server and browser. Browsers are heavy: one test runs at a time.
struct Stage {
    browser: Browser,
    server: Server,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    /// `None` when the browser tests are to be left out.
    fn set(test: &str) -> Option<Self> {
        static TURN: Mutex<()> = Mutex::new(());
        if std::env::var_os("LANDLINE_SKIP_BROWSER").is_some_and(|value| value == "1") {
            // Written past the test harness, which shows the words of failed tests only.
            let _ = writeln!(std::io::stderr(), "skipped: browser test {test}");
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Self { browser: Browser::start(), server: Server::start(0), _turn: turn })
    }

    /// Opens a page of the server.
    #[track_caller]
    fn open(&self, path: &str) -> &Browser {
        self.browser.open(&format!("http://127.0.0.1:{}{path}", self.server.port));
        &self.browser
    }

    #[track_caller]
    fn assert_console_is_clean(&self) {
        let errors = self.browser.console_errors();
        assert!(errors.is_empty(), "errors on the browser's console: {errors:#?}");
    }
}

/// The binary, serving its demo.
struct Server {
    port: u16,
    process: Process,
}

impl Server {
    /// Serves on `port`, or on one that the system picks when it is 0.
    fn start(port: u16) -> Self {
        Self::start_with(port, &[])
    }

    /// The same with further arguments.
    fn start_with(port: u16, args: &[&str]) -> Self {
        let (process, port) = Process::start(Self::command(port, args), port_in);
        Self { port, process }
    }

    /// The program with its arguments, and without settings of the person who runs the tests.
    fn command(port: u16, args: &[&str]) -> Command {
        let program = std::env::var_os("LANDLINE_BIN")
            .unwrap_or_else(|| env!("CARGO_BIN_EXE_landline").into());
        let mut command = Command::new(program);
        // Settings of the person who runs the tests must not reach the server.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LANDLINE_") {
                command.env_remove(name);
            }
        }
        command.args(["serve", "--port", &port.to_string()]).args(args);
        command
    }
}

/// The port in the first address of a line.
fn port_in(line: &str) -> Option<u16> {
    let after = line.split_once("http://127.0.0.1:")?.1;
    let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    after[..end].parse().ok()
}

/// Asserts that the element shows `text` as text: no element grew from it and no script ran.
#[track_caller]
fn assert_shown_as_text(browser: &Browser, id: &str, text: &str) {
    assert_eq!(browser.text(id), text);
    let grown = format!("return document.querySelectorAll('#{id} *').length");
    assert_eq!(browser.run(&grown), 0, "#{id} grew elements");
    assert!(browser.run("return window.broken ?? null").is_null(), "a script ran");
}

#[test]
fn overview_leads_to_every_page() {
    let Some(stage) = Stage::set("overview_leads_to_every_page") else { return };
    let browser = stage.open("/");
    for (path, page) in [("/index/", "echo-once"), ("/index2/", "echo"), ("/chat/", "rooms")] {
        stage.open("/");
        browser.run(&format!("document.querySelector('main a[href=\"{path}\"]').click()"));
        browser.until(
            &format!("{path} is open"),
            &format!("return document.getElementById('main')?.dataset.page === '{page}'"),
        );
    }
    stage.assert_console_is_clean();
}

#[test]
fn overview_shows_the_plain_http_answer_as_text() {
    let Some(stage) = Stage::set("overview_shows_the_plain_http_answer_as_text") else { return };
    let browser = stage.open("/");
    for message in [CHINESE, HOSTILE, "a+b & c=d %41"] {
        browser.fill("http-message", message);
        browser.click("http-send");
        browser.until_text("http-answer", message);
        assert!(browser.text("http-status").starts_with("200"));
        assert_shown_as_text(browser, "http-answer", message);
    }
    stage.assert_console_is_clean();
}

#[test]
fn overview_form_works_without_javascript() {
    let Some(stage) = Stage::set("overview_form_works_without_javascript") else { return };
    let browser = stage.open("/");
    browser.fill("http-message", CHINESE);
    // The form's own submit() passes by the page's listener, as a browser without scripts does.
    browser.run("document.getElementById('http-form').submit()");
    browser.until("the answer is open", "return location.pathname === '/echo'");
    browser.until("it is loaded", "return document.readyState === 'complete'");
    assert_eq!(browser.run("return document.body.textContent"), CHINESE);
    assert_eq!(browser.run("return document.contentType"), "text/plain");

    stage.open("/echo?message=%3Cscript%3Ewindow.broken%3D1%3C%2Fscript%3E");
    assert_eq!(browser.run("return document.body.textContent"), "<script>window.broken=1</script>");
    assert!(browser.run("return window.broken ?? null").is_null(), "a script ran");
    stage.assert_console_is_clean();
}

#[test]
fn echo_once_shows_the_answer_and_the_close() {
    let Some(stage) = Stage::set("echo_once_shows_the_answer_and_the_close") else { return };
    let browser = stage.open("/index/");
    assert_eq!(browser.text("state"), "Not connected");
    browser.fill("message", HOSTILE);
    browser.click("send");
    browser.until_text("state", "Closed");
    assert_shown_as_text(browser, "answer", HOSTILE);
    assert_eq!(browser.text("close-code"), "1000");
    assert_eq!(browser.text("close-meaning"), "normal end");
    assert_eq!(browser.text("close-by"), "closed by the server");
    assert_eq!(browser.run("return document.getElementById('retry').hidden"), true);
    let done = "return document.querySelectorAll('#steps [data-done=true]').length";
    assert_eq!(browser.run(done), 4);

    // The Enter key sends as well, over a connection of its own.
    browser.fill("message", &format!("{CHINESE}\n"));
    browser.until_text("answer", CHINESE);
    browser.until_text("state", "Closed");
    assert_eq!(browser.text("close-code"), "1000");
    stage.assert_console_is_clean();
}

#[test]
fn echo_once_keeps_the_message_until_the_server_is_back() {
    let Some(mut stage) = Stage::set("echo_once_keeps_the_message_until_the_server_is_back") else {
        return;
    };
    stage.open("/index/");
    stage.server.process.kill();
    stage.browser.fill("message", &format!("{CHINESE}\n"));
    stage.browser.until_text("state", "Reconnecting");
    assert_eq!(stage.browser.text("close-meaning"), "no connection came about");
    stage.server = Server::start(stage.server.port);
    stage.browser.until_text("answer", CHINESE);
    stage.browser.until_text("state", "Closed");
    assert_eq!(stage.browser.text("close-code"), "1000");
}

#[test]
fn echo_keeps_the_order_of_many() {
    let Some(stage) = Stage::set("echo_keeps_the_order_of_many") else { return };
    let browser = stage.open("/index2/");
    browser.until_text("state", "Open");
    browser.fill("message", &format!("{CHINESE}\n"));
    browser.until_text("received", "1");
    browser.fill("message", HOSTILE);
    for _ in 0..2 {
        browser.click("send-many");
    }
    browser.until_text("received", "201");
    assert_eq!(browser.text("sent"), "201");
    assert_eq!(browser.text("order"), "yes");
    assert!(browser.text("trip-last").ends_with(" ms"));
    browser.until(
        "the last answer stands in the log",
        "const line = document.querySelector('#log li:last-child');
         return line.dataset.kind === 'in' && line.querySelector('.text').textContent.endsWith(' 100')",
    );
    assert_eq!(browser.run("return document.querySelectorAll('#log li').length"), 300);
    assert_eq!(browser.run("return document.querySelectorAll('#log .text *').length"), 0);
    assert!(browser.run("return window.broken ?? null").is_null(), "a script ran");
    stage.assert_console_is_clean();
}

#[test]
fn echo_shows_binary_as_hex() {
    let Some(stage) = Stage::set("echo_shows_binary_as_hex") else { return };
    let browser = stage.open("/index2/");
    browser.until_text("state", "Open");
    browser.press("kind", "hex");
    browser.fill("message", "48 65 zz\n");
    assert!(browser.text("hint").starts_with("Hex bytes are pairs"));
    assert_eq!(browser.text("sent"), "0");
    browser.fill("message", "00 48 ff\n");
    browser.until_text("received", "1");
    assert_eq!(browser.text("hint"), "");
    assert_eq!(browser.text("order"), "yes");
    browser.until(
        "the answer stands in the log as bytes",
        "const line = document.querySelector('#log [data-kind=in]');
         return line?.querySelector('.text').textContent === '3 bytes: 00 48 ff'
             && line.querySelector('.extra').textContent.startsWith('binary')",
    );
    stage.assert_console_is_clean();
}

#[test]
fn echo_is_closed_and_opened_by_hand() {
    let Some(stage) = Stage::set("echo_is_closed_and_opened_by_hand") else { return };
    // The route of the socket itself serves the same page to a plain GET.
    let browser = stage.open("/echo");
    browser.until_text("state", "Open");
    browser.click("close");
    browser.until_text("state", "Closed");
    assert_eq!(browser.text("close-code"), "1000");
    assert_eq!(browser.text("close-by"), "closed by this page");
    assert_eq!(browser.run("return document.getElementById('retry').hidden"), true);
    assert_eq!(browser.run("return document.getElementById('send').disabled"), true);

    assert_eq!(browser.run("return document.activeElement.id"), "connect");
    browser.press("connect", "\n");
    browser.until_text("state", "Open");
    browser.fill("message", "again\n");
    browser.until_text("received", "1");
    stage.assert_console_is_clean();
}

#[test]
fn lost_connection_comes_back_with_growing_delays() {
    let Some(mut stage) = Stage::set("lost_connection_comes_back_with_growing_delays") else {
        return;
    };
    stage.open("/index2/");
    stage.browser.until_text("state", "Open");
    stage.browser.run(NOTE_DELAYS);
    stage.server.process.kill();
    stage.browser.until("the page waits for the third time", "return window.delays.length >= 3");
    assert_eq!(stage.browser.text("close-code"), "1006");
    let delays = stage.browser.run("return window.delays");
    for (number, longest) in [1000, 2000, 4000].into_iter().enumerate() {
        let delay = delays[number].as_u64().expect("a delay is a whole number");
        assert!((longest / 2..=longest).contains(&delay), "delay {number} of {delays}");
    }
    stage.server = Server::start(stage.server.port);
    stage.browser.until_text("state", "Open");
    stage.browser.fill("message", &format!("{CHINESE}\n"));
    stage.browser.until_text("received", "1");
}

/// Makes the page note each delay it shows, so that none is missed between two questions.
const NOTE_DELAYS: &str = "
    window.delays = [];
    const retry = document.getElementById('retry');
    const note = () => window.delays.push(Number(retry.dataset.delayMs));
    new MutationObserver(note).observe(retry, { attributeFilter: ['data-delay-ms'] });";

#[test]
fn waiting_page_tries_now_or_gives_up_on_demand() {
    let Some(mut stage) = Stage::set("waiting_page_tries_now_or_gives_up_on_demand") else {
        return;
    };
    stage.open("/index2/");
    stage.browser.until_text("state", "Open");
    stage.server.process.kill();
    click_while_waiting(&stage.browser, "retry-now", "connecting");
    click_while_waiting(&stage.browser, "close", "closed");
    assert_eq!(stage.browser.run("return document.getElementById('retry').hidden"), true);
    stage.server = Server::start(stage.server.port);
    stage.browser.click("connect");
    stage.browser.until_text("state", "Open");
}

/// Clicks while the page counts down, and sees the state that follows at once.
#[track_caller]
fn click_while_waiting(browser: &Browser, button: &str, then: &str) {
    browser.until(
        &format!("a click on #{button} leads to {then}"),
        &format!(
            "const panel = document.getElementById('connection');
             if (panel.dataset.state !== 'waiting') return false;
             if (document.getElementById('retry-seconds').textContent === '') return false;
             document.getElementById('{button}').click();
             return panel.dataset.state === '{then}'"
        ),
    );
}

#[test]
fn stopped_server_is_awaited() {
    let Some(mut stage) = Stage::set("stopped_server_is_awaited") else { return };
    stage.open("/index2/");
    stage.browser.until_text("state", "Open");
    stage.server.process.terminate();
    stage.browser.until_text("state", "Reconnecting");
    let noted = "return document.querySelector('#log [data-kind=note]:nth-child(2) .text')
        ?.textContent.startsWith('1001 ')";
    stage.browser.until("the log tells of the server's goodbye", noted);
    stage.server = Server::start(stage.server.port);
    stage.browser.until_text("state", "Open");
}

#[test]
fn pages_fit_a_phone() {
    let Some(stage) = Stage::set("pages_fit_a_phone") else { return };
    stage.browser.become_phone(360, 740);
    let word = "unbroken".repeat(40);
    for (path, field, button, answer) in [
        ("/", "http-message", "http-send", "#http-answer"),
        ("/index/", "message", "send", "#answer"),
        ("/index2/", "message", "send", "#log [data-kind=in] .text"),
    ] {
        let browser = stage.open(path);
        let enabled = format!("return !document.getElementById('{button}').disabled");
        browser.until("the button is ready", &enabled);
        browser.fill(field, &word);
        browser.click(button);
        let shown = format!("return document.querySelector('{answer}')?.textContent === '{word}'");
        browser.until("the answer is shown", &shown);
        let widths = "return [innerWidth, document.documentElement.scrollWidth]";
        assert_eq!(browser.run(widths), serde_json::json!([360, 360]), "{path} is too wide");
    }
    stage.assert_console_is_clean();
}
