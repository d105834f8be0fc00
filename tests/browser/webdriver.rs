//! A small client for a headless Chromium, over the W3C WebDriver protocol.
//!
//! Only what the pages' tests need. Elements are named by their id; text is read as `textContent`,
//! so that what a page hides can be seen as well.

use crate::process::{Process, Suspended, find_program, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long a condition on a page may take to come true.
const PATIENCE: Duration = Duration::from_secs(20);
/// The key under which the protocol hands out an element (W3C WebDriver, section 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// What a person has to do when there is no browser.
const MISSING: &str = "the browser test needs the Debian packages chromium and chromium-driver: \
    install them, or set LANDLINE_SKIP_BROWSER=1 to leave the browser test out";

/// One browser with an empty profile; dropping it ends it and removes what it wrote.
pub(crate) struct Browser {
    agent: ureq::Agent,
    session: String,
    process_id: Option<i32>,
    // Dropped in this order: the driver ends before its folder goes.
    _driver: Process,
    _folder: Folder,
}

impl Browser {
    /// Starts a driver and, through it, a browser.
    pub(crate) fn start() -> Self {
        let driver = find_program("chromedriver").expect(MISSING);
        let chromium = find_program("chromium").expect(MISSING);
        let folder = Folder::create();
        let mut command = Command::new(driver);
        command.arg("--port=0").env("TMPDIR", &folder.0).env("HOME", &folder.0);
        let (driver, port) = Process::start(command, |line| {
            line.split_once("started successfully on port ")?
                .1
                .trim_end_matches('.')
                .parse::<u16>()
                .ok()
        });
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        let sessions = format!("http://127.0.0.1:{port}/session");
        let opened = send(&agent, &sessions, &capabilities(&chromium, &folder.0))
            .unwrap_or_else(|error| panic!("no browser session: {error}"));
        let id = opened["sessionId"].as_str().expect("a session has an id");
        let process_id = opened["capabilities"]["goog:processID"].as_i64();
        Self {
            session: format!("{sessions}/{id}"),
            process_id: process_id.and_then(|id| i32::try_from(id).ok()),
            agent,
            _driver: driver,
            _folder: folder,
        }
    }

    /// Opens a page and waits until it is loaded.
    #[track_caller]
    pub(crate) fn open(&self, url: &str) {
        self.ask("url", &json!({ "url": url }));
    }

    /// Clicks as a person does: the element has to be visible and not covered.
    #[track_caller]
    pub(crate) fn click(&self, id: &str) {
        let element = self.element(id);
        self.ask(&format!("element/{element}/click"), &json!({}));
    }

    /// Empties a field and types `text` into it, key by key.
    #[track_caller]
    pub(crate) fn fill(&self, id: &str, text: &str) {
        let element = self.element(id);
        self.ask(&format!("element/{element}/clear"), &json!({}));
        self.press(id, text);
    }

    /// Types into an element; `\n` is the Enter key.
    #[track_caller]
    pub(crate) fn press(&self, id: &str, text: &str) {
        let element = self.element(id);
        let text = text.replace('\n', "\u{e007}");
        self.ask(&format!("element/{element}/value"), &json!({ "text": text }));
    }

    /// Runs the body of a JavaScript function and returns what it returns.
    #[track_caller]
    pub(crate) fn run(&self, script: &str) -> Value {
        self.ask("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The text of an element, shown or not; empty when there is no such element.
    #[track_caller]
    pub(crate) fn text(&self, id: &str) -> String {
        let text = self.run(&format!("return document.getElementById('{id}')?.textContent ?? ''"));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until `script` returns true.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, script: &str) {
        until(what, PATIENCE, || self.run(script).as_bool().filter(|&yes| yes));
    }

    /// Waits until the text of an element is `text`.
    #[track_caller]
    pub(crate) fn until_text(&self, id: &str, text: &str) {
        until(&format!("#{id} says {text:?}"), PATIENCE, || (self.text(id) == text).then_some(()));
    }

    /// The errors on the console since the last question.
    #[track_caller]
    pub(crate) fn console_errors(&self) -> Vec<Value> {
        let lines = self.ask("se/log", &json!({ "type": "browser" }));
        let lines = lines.as_array().cloned().unwrap_or_default();
        lines.into_iter().filter(|line| line["level"] == "SEVERE").collect()
    }

    /// Behaves like a phone with a screen of `width` by `height` pixels.
    #[track_caller]
    pub(crate) fn become_phone(&self, width: u32, height: u32) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": true });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": size });
        self.ask("goog/cdp/execute", &command);
    }

    /// Shows pages as to somebody who likes them dark.
    #[track_caller]
    pub(crate) fn become_dark(&self) {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
        let command = json!({ "cmd": "Emulation.setEmulatedMedia", "params": media });
        self.ask("goog/cdp/execute", &command);
    }

    /// What is shown, as a PNG.
    pub(crate) fn picture(&self) -> Vec<u8> {
        let url = format!("{}/screenshot", self.session);
        let mut response = self.agent.get(&url).call().expect("a picture");
        let answer: Value = response.body_mut().read_json().expect("JSON");
        let text = answer["value"].as_str().expect("a picture in base64");
        // Four letters are three bytes (RFC 4648 4).
        let letter = |byte: u8| match byte {
            b'A'..=b'Z' => u32::from(byte - b'A'),
            b'a'..=b'z' => u32::from(byte - b'a') + 26,
            b'0'..=b'9' => u32::from(byte - b'0') + 52,
            b'+' => 62,
            _ => 63,
        };
        let text: Vec<u8> = text.bytes().filter(|byte| *byte != b'=').collect();
        let bytes = text.chunks(4).flat_map(|four| {
            let bits = four.iter().fold(0, |bits, byte| bits << 6 | letter(*byte));
            let bits = bits << (6 * (4 - four.len()));
            bits.to_be_bytes()[1..four.len()].to_vec()
        });
        bytes.collect()
    }

    /// Gives the window another size.
    #[track_caller]
    pub(crate) fn resize(&self, width: u32, height: u32) {
        self.ask("window/rect", &json!({ "width": width, "height": height }));
    }

    /// Puts the window away, as a person does who looks at something else.
    #[track_caller]
    pub(crate) fn put_away(&self) {
        self.ask("window/minimize", &json!({}));
    }

    /// Brings the window back.
    #[track_caller]
    pub(crate) fn bring_back(&self) {
        self.ask("window/rect", &json!({ "width": 1000, "height": 900 }));
    }

    /// Stops every process of the browser until the result is dropped, which has to be before the
    /// browser.
    pub(crate) fn suspend(&self) -> Suspended {
        Suspended::tree(self.process_id.and_then(Pid::from_raw).expect("the driver names it"))
    }

    #[track_caller]
    fn element(&self, id: &str) -> String {
        let query = json!({ "using": "css selector", "value": format!("#{id}") });
        let found = self.ask("element", &query);
        found[ELEMENT].as_str().expect("an element has a reference").to_owned()
    }

    #[track_caller]
    fn ask(&self, command: &str, body: &Value) -> Value {
        send(&self.agent, &format!("{}/{command}", self.session), body)
            .unwrap_or_else(|error| panic!("{command} {body}: {error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser; only if it does not answer, the browser is ended directly.
        if self.agent.delete(&self.session).call().is_err()
            && let Some(id) = self.process_id.and_then(Pid::from_raw)
        {
            let _ = kill_process(id, Signal::KILL);
        }
    }
}

/// Sends one command; an error is the driver's own text.
fn send(agent: &ureq::Agent, url: &str, body: &Value) -> Result<Value, String> {
    let mut response = agent.post(url).send_json(body).map_err(|error| error.to_string())?;
    let answer: Value = response.body_mut().read_json().map_err(|error| error.to_string())?;
    match answer["value"]["error"].as_str() {
        Some(kind) => Err(format!("{kind}: {}", answer["value"]["message"])),
        None => Ok(answer["value"].clone()),
    }
}

fn capabilities(chromium: &Path, folder: &Path) -> Value {
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    // The sandbox does not work for root and in most containers; the pages are our own.
    let flags = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--no-proxy-server",
        // No other host has an address: the pages have to do without a network.
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1000,900",
        &profile,
    ];
    json!({ "capabilities": { "alwaysMatch": {
        "goog:loggingPrefs": { "browser": "ALL" },
        "goog:chromeOptions": { "binary": chromium, "args": flags },
    } } })
}

/// A folder of its own for everything that the browser writes.
struct Folder(PathBuf);

impl Folder {
    fn create() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("landline-browser-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("the temporary folder is writable");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The browser's last helpers may still be writing; a leftover is no reason to fail.
        for _ in 0..50 {
            if std::fs::remove_dir_all(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
