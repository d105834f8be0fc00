//! The chat in several real browsers at once.

use crate::webdriver::Browser;
use crate::{CHINESE, HOSTILE, Server, Stage};
use serde_json::{Value, json};

/// As a name or a room: short, and without a slash.
const HOSTILE_NAME: &str = "<img src=x onerror=broken=1>";

/// What the page of a room shows, in words.
const MESSAGES: &str = "Array.from(document.querySelectorAll('#talk .message .text'), \
     text => text.textContent)";
const NOTES: &str =
    "Array.from(document.querySelectorAll('#talk .note'), note => note.textContent)";
const HERE: &str = "Array.from(document.querySelectorAll('#here li'), li => li.textContent)";

impl Stage {
    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.server.port)
    }

    /// A further browser.
    fn another(&self) -> Browser {
        Browser::start()
    }

    /// Enters a room for the first time in a browser, under a name.
    #[track_caller]
    fn enter(&self, browser: &Browser, room: &str, name: &str) {
        browser.open(&self.url(&format!("/chat/{room}/")));
        browser.fill("name", &format!("{name}\n"));
        browser.until_text("state", "Connected");
        until_here(browser, name);
    }
}

/// Waits until the page shows that somebody is here.
#[track_caller]
fn until_here(browser: &Browser, name: &str) {
    let name = Value::from(name);
    browser.until(
        &format!("{name} is here"),
        &format!("return {HERE}.some(text => text.replace(' (you)', '') === {name})"),
    );
}

#[track_caller]
fn until_shown(browser: &Browser, list: &str, expected: &Value) {
    browser.until(
        &format!("the page shows {expected}"),
        &format!("return JSON.stringify({list}) === JSON.stringify({expected})"),
    );
}

#[track_caller]
fn until_noted(browser: &Browser, part: &str) {
    browser.until(
        &format!("the page notes {part:?}"),
        &format!("return {NOTES}.some(note => note.includes({}))", Value::from(part)),
    );
}

/// The title of a page, which a hidden one has as well.
fn until_title(browser: &Browser, title: &str) {
    let title = Value::from(title);
    browser.until(&format!("the title is {title}"), &format!("return document.title === {title}"));
}

/// Sends messages from the page, one after the other, with no key pressed.
fn send_all(browser: &Browser, messages: impl IntoIterator<Item = String>) {
    let messages = json!(messages.into_iter().collect::<Vec<_>>());
    browser.run(&format!(
        "for (const text of {messages}) {{
             document.getElementById('message').value = text;
             document.getElementById('form').requestSubmit();
         }}"
    ));
}

#[test]
fn two_browsers_chat_and_see_each_other_come_and_go() {
    let Some(stage) = Stage::set("two_browsers_chat_and_see_each_other_come_and_go") else {
        return;
    };
    let (anna, bob) = (&stage.browser, stage.another());
    stage.enter(anna, "lobby", "Anna");
    stage.enter(&bob, "lobby", "Bob");
    until_noted(anna, "Bob joined");
    until_here(&bob, "Anna");
    assert_eq!(anna.text("here-count"), "2");

    anna.press("message", &format!("{CHINESE}\n"));
    until_shown(&bob, MESSAGES, &json!([CHINESE]));
    bob.press("message", "line one");
    bob.press("message", "\u{e008}\n\u{e000}line two\n");
    let both = json!([CHINESE, "line one\nline two"]);
    until_shown(anna, MESSAGES, &both);
    until_shown(&bob, MESSAGES, &both);
    assert_eq!(anna.run("return document.getElementById('message').value"), "");

    let own = "return Array.from(document.querySelectorAll('#talk .message'), \
               line => [line.querySelector('.name').textContent, 'own' in line.dataset])";
    assert_eq!(anna.run(own), json!([["Anna", true], ["Bob", false]]));
    assert_eq!(bob.run(own), json!([["Anna", false], ["Bob", true]]));
    let time = "return Date.now() - new Date(document.querySelector('#talk time').dateTime)";
    assert!(anna.run(time).as_f64().is_some_and(|age| (-5e3..60e3).contains(&age)));

    assert!(bob.console_errors().is_empty());
    drop(bob);
    until_noted(anna, "Bob left");
    until_shown(anna, HERE, &json!(["Anna (you)"]));
    stage.assert_console_is_clean();
}

#[test]
fn what_people_write_stays_text() {
    let Some(stage) = Stage::set("what_people_write_stays_text") else { return };
    let (anna, bob) = (&stage.browser, stage.another());
    let room = "%3Cimg%20src=x%20onerror=broken=1%3E";
    stage.enter(&bob, room, "Bob");
    stage.enter(anna, room, HOSTILE_NAME);
    let word = "unbroken".repeat(100);
    let texts = [HOSTILE, "{{ 7 * 7 }}", "&lt;b&gt;", "\u{202e}abc", &word];
    for text in texts {
        // The driver's keyboard has no keys for some of these.
        send_all(anna, [text.to_owned()]);
    }
    for browser in [anna, &bob] {
        until_shown(browser, MESSAGES, &json!(texts));
        let name = "return document.querySelector('#talk .name').textContent";
        assert_eq!(browser.run(name), HOSTILE_NAME);
        assert_eq!(browser.run("return document.querySelector('h1').innerText"), HOSTILE_NAME);
        assert_eq!(browser.run("return document.title"), format!("{HOSTILE_NAME} · Landline"));
        let grown = "return document.querySelectorAll('main img, #talk .text *, bdi *').length";
        assert_eq!(browser.run(grown), 0, "a text grew elements");
        assert!(browser.run("return window.broken ?? null").is_null(), "a script ran");
        let errors = browser.console_errors();
        assert!(errors.is_empty(), "errors on a console: {errors:#?}");
    }
    // The other rooms of the next page are other people's words too.
    anna.open(&stage.url("/chat/lobby/"));
    let rooms = "Array.from(document.querySelectorAll('#rooms a'), a => a.textContent)";
    until_shown(anna, rooms, &json!([HOSTILE_NAME]));
    assert!(anna.run("return window.broken ?? null").is_null(), "a script ran");
}

#[test]
fn page_would_not_run_what_it_should_not_have_shown() {
    let Some(stage) = Stage::set("page_would_not_run_what_it_should_not_have_shown") else {
        return;
    };
    let anna = &stage.browser;
    stage.enter(anna, "lobby", "Anna");
    anna.run(
        "window.stopped = [];
         document.addEventListener('securitypolicyviolation',
             event => window.stopped.push(event.effectiveDirective));
         const talk = document.getElementById('talk');
         talk.innerHTML = '<li><img src=x onerror=\"broken=1\"></li>';
         const inline = document.createElement('script');
         inline.textContent = 'broken=1';
         talk.append(inline);
         fetch('http://localhost:1/').catch(() => {});
         const frame = document.createElement('iframe');
         frame.src = 'http://localhost:1/';
         talk.append(frame);",
    );
    let expected = ["script-src-attr", "script-src-elem", "connect-src", "frame-src"];
    anna.until(
        "the page's policy stops it all",
        &format!("return {}.every(one => window.stopped.includes(one))", json!(expected)),
    );
    assert!(anna.run("return window.broken ?? null").is_null(), "a script ran");
}

#[test]
fn what_is_published_from_outside_is_shown() {
    let Some(stage) = Stage::set("what_is_published_from_outside_is_shown") else { return };
    stage.enter(&stage.browser, "lobby", "Anna");
    let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
    agent.get(stage.url("/send/?message=%3Cb%3Eto+all%3C/b%3E")).call().expect("it is published");
    // A program need not know more of the protocol than the page of the tutorial does.
    for message in [
        r#"{"message": "to the room"}"#,
        r#"{"type": "unknown"}"#,
        r#"{"type": "constructor"}"#,
        r#"{"type": "welcome"}"#,
        r#"{"type": "join", "name": 7, "sequence": 1}"#,
        r#"{"type": "error"}"#,
        r#"{"message": "never", "time": "never", "name": 7, "id": {}}"#,
        r#"{"message": "too late", "time": 1e300}"#,
        "7",
    ] {
        let body = json!({ "group": "chat:lobby", "message": message });
        agent.post(stage.url("/api/publish")).send_json(body).expect("it is published");
    }
    let shown = json!(["<b>to all</b>", "to the room", "never", "too late", "7"]);
    until_shown(&stage.browser, MESSAGES, &shown);
    until_here(&stage.browser, "Anna");
    assert_eq!(
        stage.browser.run("return document.querySelector('#talk .name').textContent"),
        "server"
    );
    stage.assert_console_is_clean();
}

#[test]
fn title_counts_what_came_while_nobody_looked() {
    let Some(stage) = Stage::set("title_counts_what_came_while_nobody_looked") else { return };
    let (anna, bob) = (&stage.browser, stage.another());
    stage.enter(anna, "lobby", "Anna");
    stage.enter(&bob, "lobby", "Bob");
    bob.press("message", "seen\n");
    until_shown(anna, MESSAGES, &json!(["seen"]));
    until_title(anna, "lobby · Landline");
    anna.put_away();
    bob.press("message", "one\ntwo\n");
    until_title(anna, "(2) lobby · Landline");
    bob.press("message", "three\n");
    until_title(anna, "(3) lobby · Landline");
    anna.bring_back();
    until_title(anna, "lobby · Landline");
    until_title(&bob, "lobby · Landline");
}

#[test]
fn page_keeps_the_message_until_the_server_is_back() {
    let Some(mut stage) = Stage::set("page_keeps_the_message_until_the_server_is_back") else {
        return;
    };
    stage.enter(&stage.browser, "lobby", "Anna");
    stage.server.process.terminate();
    stage.browser.until_text("state", "Reconnecting");
    until_noted(&stage.browser, "The connection ended: 1001 the server is going away");
    stage.browser.fill("message", "are you there?\n");
    assert!(stage.browser.text("hint").starts_with("Not connected"));
    let kept = "return document.getElementById('message').value";
    assert_eq!(stage.browser.run(kept), "are you there?");

    stage.server = Server::start(stage.server.port);
    stage.browser.until_text("state", "Connected");
    until_noted(&stage.browser, "Connected again");
    assert_eq!(stage.browser.run(kept), "are you there?");
    stage.browser.press("message", "\n");
    until_shown(&stage.browser, MESSAGES, &json!(["are you there?"]));
    assert_eq!(stage.browser.run(kept), "");
    assert_eq!(stage.browser.text("hint"), "");
    until_shown(&stage.browser, HERE, &json!(["Anna (you)"]));
}

#[test]
fn message_on_its_way_comes_back_when_the_connection_ends() {
    let Some(mut stage) = Stage::set("message_on_its_way_comes_back_when_the_connection_ends")
    else {
        return;
    };
    stage.enter(&stage.browser, "lobby", "Anna");
    stage.server.process.suspend();
    stage.browser.press("message", "first\nsecond\n");
    let kept = "return document.getElementById('message').value";
    assert_eq!(stage.browser.run(kept), "");
    stage.browser.until_text("hint", "On its way …");
    stage.server.process.kill();
    stage.browser.until(
        "the messages are back",
        "return document.getElementById('message').value === 'first\\nsecond'",
    );
    stage.server = Server::start(stage.server.port);
    stage.browser.until_text("state", "Connected");
    stage.browser.press("message", "\n");
    until_shown(&stage.browser, MESSAGES, &json!(["first\nsecond"]));
}

#[test]
fn name_is_checked_kept_and_changed() {
    let Some(stage) = Stage::set("name_is_checked_kept_and_changed") else { return };
    let (anna, bob) = (&stage.browser, stage.another());
    stage.enter(&bob, "lobby", "Bob");
    anna.open(&stage.url("/chat/lobby/"));
    let talk = "return document.querySelector('.talk').hidden";
    for (name, hint) in [
        (" \n", "A name has at least one character."),
        (&("x".repeat(41) + "\n"), "A name has 40 characters at most."),
        ("Bob\u{200b}\n", "A name has no invisible characters."),
        ("\u{202e}boB\n", "A name has no invisible characters."),
        ("\u{200d}\n", "Nothing of this name can be seen."),
        ("Server\n", "Others are called that who gave no name."),
        ("guest-2\n", "Others are called that who gave no name."),
    ] {
        anna.fill("name", name);
        assert_eq!(anna.text("name-hint"), hint);
        assert_eq!(anna.run(talk), true);
    }
    anna.fill("name", " Anna \n");
    until_noted(&bob, "Anna joined");
    anna.open(&stage.url("/chat/lobby/"));
    anna.until_text("state", "Connected");
    until_here(anna, "Anna");

    anna.click("rename");
    anna.click("name-keep");
    anna.click("rename");
    anna.fill("name", "安娜\n");
    until_here(&bob, "安娜");
    until_noted(&bob, "Anna left");
    until_here(anna, "安娜");
    anna.press("message", "it is me\n");
    until_shown(&bob, MESSAGES, &json!(["it is me"]));
    until_noted(&bob, "安娜 joined");
    stage.assert_console_is_clean();
}

#[test]
fn two_windows_of_one_person_are_one_person() {
    let Some(stage) = Stage::set("two_windows_of_one_person_are_one_person") else { return };
    let (anna, second, bob) = (&stage.browser, stage.another(), stage.another());
    stage.enter(&bob, "lobby", "Bob");
    stage.enter(anna, "lobby", "Anna");
    second.open(&stage.url("/chat/lobby/"));
    second.fill("name", "Anna\n");
    until_shown(anna, HERE, &json!(["Anna (you)×2", "Bob"]));
    until_shown(&second, HERE, &json!(["Anna (you)×2", "Bob"]));
    until_shown(&bob, HERE, &json!(["Bob (you)", "Anna×2"]));
    drop(second);
    until_shown(&bob, HERE, &json!(["Bob (you)", "Anna"]));
    assert_eq!(bob.run(&format!("return {NOTES}")), json!(["Anna joined"]));
}

#[test]
fn rooms_are_apart_and_remembered() {
    let Some(stage) = Stage::set("rooms_are_apart_and_remembered") else { return };
    let (anna, bob) = (&stage.browser, stage.another());
    stage.enter(&bob, "lobby", "Bob");
    anna.open(&stage.url("/chat/"));
    anna.fill("room", "..\n");
    anna.until(
        "the form says why not",
        "return document.getElementById('room-hint').textContent \
               === 'This cannot be a room: it is only dots.'",
    );
    anna.fill("room", "房间 1?\n");
    anna.until("the room is open", "return document.getElementById('name') !== null");
    anna.fill("name", "Anna\n");
    anna.until_text("state", "Connected");
    assert_eq!(anna.run("return document.title"), "房间 1? · Landline");
    anna.press("message", "nobody hears me\n");
    until_shown(anna, MESSAGES, &json!(["nobody hears me"]));

    anna.fill("room", "lobby\n");
    anna.until("the lobby is open", "return document.title === 'lobby · Landline'");
    anna.until_text("state", "Connected");
    until_here(anna, "Bob");
    anna.press("message", "hello\n");
    until_shown(&bob, MESSAGES, &json!(["hello"]));
    let rooms = "Array.from(document.querySelectorAll('#rooms a'), a => a.textContent)";
    until_shown(anna, rooms, &json!(["房间 1?"]));
    anna.run("document.querySelector('#rooms a').click()");
    anna.until("the first is open", "return document.title === '房间 1? · Landline'");
    anna.open(&stage.url("/chat/"));
    until_shown(anna, rooms, &json!(["房间 1?", "lobby"]));
}

#[test]
fn chat_fits_a_phone() {
    let Some(stage) = Stage::set("chat_fits_a_phone") else { return };
    let phone = &stage.browser;
    phone.become_phone(360, 740);
    let word = "unbroken".repeat(12);
    phone.open(&stage.url("/chat/"));
    let widths = "return [innerWidth, document.documentElement.scrollWidth]";
    assert_eq!(phone.run(widths), json!([360, 360]), "the page of rooms is too wide");
    stage.enter(phone, &word, "AnnaAnnaAnnaAnnaAnnaAnnaAnnaAnnaAnnaAnna");
    phone.press("message", &format!("{word}{word}{word}\n"));
    until_shown(phone, MESSAGES, &json!([word.repeat(3)]));
    assert_eq!(phone.run(widths), json!([360, 360]), "the page of a room is too wide");
    let reach = "const box = document.getElementById('send').getBoundingClientRect();
                 return box.top >= 0 && box.bottom <= innerHeight && scrollY === 0";
    assert_eq!(phone.run(reach), true, "the field is out of reach");
    let wide = "return Array.from(document.querySelectorAll('.stage *'))
                    .filter(part => part.getBoundingClientRect().right > 360 && !part.closest('h1'))
                    .map(part => part.outerHTML.slice(0, 80))";
    assert_eq!(phone.run(wide), json!([]), "parts reach over the edge");
    stage.assert_console_is_clean();
}

#[test]
fn reader_of_old_lines_is_left_in_peace() {
    let Some(stage) = Stage::set("reader_of_old_lines_is_left_in_peace") else { return };
    let (anna, bob) = (&stage.browser, stage.another());
    stage.enter(anna, "lobby", "Anna");
    stage.enter(&bob, "lobby", "Bob");
    send_all(&bob, (1..=60).map(|number| format!("line {number}")));
    let last = |number: u32| format!("return {MESSAGES}.at(-1) === 'line {number}'");
    anna.until("the lines are there", &last(60));
    let at_end = "const box = document.getElementById('talk-box');
                  return box.scrollHeight - box.scrollTop - box.clientHeight < 2";
    assert_eq!(anna.run(at_end), true, "the newest line is in view");
    anna.run("document.getElementById('talk-box').scrollTop = 0");
    send_all(&bob, ["line 61".to_owned()]);
    anna.until_text("newest", "1 new below");
    assert_eq!(anna.run("return document.getElementById('talk-box').scrollTop"), 0);
    anna.click("newest");
    assert_eq!(anna.run(at_end), true);
    assert_eq!(anna.run("return document.getElementById('newest').hidden"), true);

    // The list has an end, and what is first in it always has its name.
    send_all(&bob, (62..=620).map(|number| format!("line {number}")));
    anna.until("the lines are there", &last(620));
    assert_eq!(anna.run("return document.querySelectorAll('#talk li').length"), 500);
    let first = "return 'goesOn' in document.querySelector('#talk li').dataset";
    assert_eq!(anna.run(first), false);
    stage.assert_console_is_clean();
}

#[test]
fn suspended_browser_does_not_delay_the_others() {
    let Some(mut stage) = Stage::set("suspended_browser_does_not_delay_the_others") else {
        return;
    };
    // However long the others take, the one that is away is not given up.
    stage.server = Server::start_with(0, &["--ws-ping-interval", "0"]);
    let (anna, bob, carol) = (&stage.browser, stage.another(), stage.another());
    stage.enter(&carol, "lobby", "Carol");
    stage.enter(anna, "lobby", "Anna");
    stage.enter(&bob, "lobby", "Bob");
    until_here(&carol, "Bob");
    let suspended = carol.suspend();
    assert!(suspended.count() > 1, "the browser and its pages are stopped");

    // Each message answers the one before it: if one was held up, all would be.
    const TURNS: u32 = 100;
    anna.run(&answering("Bob", "Anna", TURNS));
    bob.run(&answering("Anna", "Bob", TURNS));
    send_all(anna, ["Anna 1".to_owned()]);
    for turn in (10..=TURNS).step_by(10) {
        let reached = format!("return {MESSAGES}.includes('Bob {turn}')");
        anna.until(&format!("turn {turn} is reached"), &reached);
    }
    let all = (1..=TURNS).flat_map(|turn| [format!("Anna {turn}"), format!("Bob {turn}")]);
    let all = json!(all.collect::<Vec<_>>());
    until_shown(anna, MESSAGES, &all);
    until_shown(&bob, MESSAGES, &all);
    assert!(suspended.count() > 1, "the browser was stopped all the time");

    // And the one that was away has lost nothing either.
    drop(suspended);
    until_shown(&carol, MESSAGES, &all);
    assert_eq!(carol.run(&format!("return {NOTES}")), json!(["Anna joined", "Bob joined"]));
    stage.assert_console_is_clean();
}

#[test]
fn browser_that_takes_nothing_for_long_is_let_go_and_comes_back() {
    let test = "browser_that_takes_nothing_for_long_is_let_go_and_comes_back";
    let Some(mut stage) = Stage::set(test) else { return };
    // Compressed, what the browser does not take would be next to nothing.
    stage.server = Server::start_with(0, &["--ws-per-message-deflate", "false"]);
    let (anna, bob, carol) = (&stage.browser, stage.another(), stage.another());
    stage.enter(&carol, "lobby", "Carol");
    stage.enter(anna, "lobby", "Anna");
    stage.enter(&bob, "lobby", "Bob");
    until_here(&carol, "Bob");
    let suspended = carol.suspend();
    // More than the kernel and the server keep for one client. The characters are four bytes each
    // and take no room on the page.
    let filling = "\u{e0041}".repeat(3900);
    for first in (1..=900).step_by(100) {
        send_all(&bob, (first..first + 100).map(|number| format!("{number}{filling}")));
    }
    for browser in [anna, &bob] {
        let count = format!("return {MESSAGES}.at(-1)?.startsWith('900')");
        browser.until("all of it came", &count);
    }
    until_noted(anna, "Carol left");
    drop(suspended);
    // 1013, unless it was cut before it could take even that.
    until_noted(&carol, "The connection ended: 10");
    until_noted(&carol, "Connected again");
    until_here(anna, "Carol");
    anna.press("message", "welcome back\n");
    carol.until("it hears us", &format!("return {MESSAGES}.at(-1) === 'welcome back'"));
    stage.assert_console_is_clean();
}

/// Makes a page answer each message `from` somebody with the next one of its own, which has the
/// same number from Bob and the next from Anna.
fn answering(from: &str, own: &str, turns: u32) -> String {
    let step = if own == "Anna" { 1 } else { 0 };
    format!(
        "const answer = line => {{
             const text = line.querySelector('.text')?.textContent ?? '';
             const turn = Number(text.replace('{from} ', '')) + {step};
             if (!text.startsWith('{from} ') || turn > {turns}) return;
             document.getElementById('message').value = `{own} ${{turn}}`;
             document.getElementById('form').requestSubmit();
         }};
         new MutationObserver(changes => changes.forEach(change => change.addedNodes.forEach(answer)))
             .observe(document.getElementById('talk'), {{ childList: true }});"
    )
}
