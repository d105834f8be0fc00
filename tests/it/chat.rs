//! The chat: what one says everybody in the room hears, those with a name see each other, and
//! what is wrong is told to whoever did it.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::Client;
use crate::program::Program;

/// Text that would do harm, were it taken as HTML.
const HOSTILE: &str = "\"><script>alert(1)</script>";

/// A client in a room.
struct Chatter {
    client: Client,
}

impl Chatter {
    /// Opens a socket; the path and query are written as they are. It is about to be in the room.
    fn opening(program: &Program, target: &str) -> Self {
        Self { client: program.websocket(&format!("/ws/chat/{target}")) }
    }

    /// Enters a room without a name.
    fn guest(program: &Program, room: &str) -> Self {
        let mut chatter = Self::opening(program, room);
        // Whoever is answered is in the room, and nobody else hears of this.
        chatter.send("");
        assert!(chatter.next()["error"].is_string());
        chatter
    }

    /// Enters the lobby with a name that is not there yet: returns once that is announced, and
    /// beside the client its welcome and the announcement.
    fn new(program: &Program, name: &str) -> (Self, Value, Value) {
        let mut chatter = Self::opening(program, &format!("lobby/?name={name}"));
        let (mut welcome, mut joined) = (Value::Null, Value::Null);
        // Either can overtake the other.
        while welcome.is_null() || joined.is_null() {
            let frame = chatter.next();
            if frame["type"] == "welcome" {
                welcome = frame;
            } else if frame["type"] == "join" {
                joined = frame;
            }
        }
        (chatter, welcome, joined)
    }

    /// Enters the lobby with a name that is there already, and returns the welcome too.
    fn again(program: &Program, name: &str) -> (Self, Value) {
        let mut chatter = Self::opening(program, &format!("lobby/?name={name}"));
        let welcome = chatter.until(|frame| frame["type"] == "welcome");
        (chatter, welcome)
    }

    fn send(&mut self, text: &str) {
        self.client.send_text(text);
    }

    fn say(&mut self, message: &str) {
        self.send(&json!({ "message": message }).to_string());
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.client.expect_text()).expect("a frame is JSON")
    }

    /// Skips frames up to one that fits.
    fn until(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.next();
            if fits(&frame) {
                return frame;
            }
        }
    }

    /// The next frame, which must be a message.
    #[track_caller]
    fn hears(&mut self, message: &str) -> Value {
        let frame = self.next();
        assert_eq!(frame["message"], message, "{frame}");
        assert_eq!(frame.get("type"), None, "{frame}");
        frame
    }

    /// The next frame about who is here.
    #[track_caller]
    fn sees(&mut self, kind: &str, name: &str) -> Value {
        let frame = self.next();
        assert_eq!((&frame["type"], &frame["name"]), (&json!(kind), &json!(name)), "{frame}");
        frame
    }

    #[track_caller]
    fn sees_connections(&mut self, name: &str, connections: u64) {
        let frame = self.sees("connections", name);
        assert_eq!(frame["connections"], connections, "{frame}");
    }
}

/// The status and text for a handshake.
fn refusal(program: &Program, target: &str) -> (u16, String) {
    let reply = program.connect().ask(Client::handshake_head(target));
    (reply.status, reply.text().to_owned())
}

fn sequence(frame: &Value) -> u64 {
    frame["sequence"].as_u64().expect("a sequence")
}

#[test]
fn everybody_hears_everything_in_one_order() {
    let program = Program::serve(&[]);
    let mut first = Chatter::guest(&program, "lobby/");
    let mut second = Chatter::guest(&program, "lobby");
    first.say("hello");
    let frame = first.hears("hello");
    assert_eq!(second.hears("hello"), frame);
    assert_eq!(frame["name"], format!("guest-{}", frame["id"]));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let time = Duration::from_millis(frame["time"].as_u64().unwrap());
    assert!(now.abs_diff(time) < Duration::from_secs(60), "{frame}");

    for number in 0..50 {
        first.say(&format!("first {number}"));
        second.say(&format!("second {number}"));
    }
    let heard: Vec<Value> = (0..100).map(|_| first.next()).collect();
    let also: Vec<Value> = (0..100).map(|_| second.next()).collect();
    assert_eq!(heard, also);
    let of_first = heard.iter().filter(|heard| heard["id"] == frame["id"]);
    let texts = of_first.map(|heard| heard["message"].as_str().unwrap().to_owned());
    assert!(texts.eq((0..50).map(|number| format!("first {number}"))));
}

#[test]
fn text_goes_through_unharmed() {
    let program = Program::serve(&[]);
    let mut guest = Chatter::guest(&program, "lobby/");
    let name = "%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    let (mut hostile, welcome, _) = Chatter::new(&program, name);
    assert_eq!(welcome["name"], HOSTILE);
    let longest = "房".repeat(4000);
    for text in [HOSTILE, " 你好\n👩‍🚀 ", "{\"message\": 1}", "\u{0}\u{202e}", &longest] {
        hostile.say(text);
        assert_eq!(guest.hears(text)["name"], HOSTILE);
    }
}

#[test]
fn rooms_do_not_hear_each_other() {
    let program = Program::serve(&[]);
    let mut one = Chatter::guest(&program, "one/");
    let mut other = Chatter::guest(&program, "One/");
    let mut chinese = Chatter::guest(&program, "%E6%88%BF%E9%97%B4/");
    let mut chinese_too = Chatter::guest(&program, "%e6%88%bf%e9%97%b4");
    for (chatter, text) in [(&mut one, "1"), (&mut other, "2"), (&mut chinese, "3")] {
        chatter.say(text);
        chatter.hears(text);
    }
    chinese_too.hears("3");
}

#[test]
fn a_client_of_the_tutorial_hears_messages_only() {
    let program = Program::serve(&[]);
    let mut guest = Chatter::guest(&program, "lobby/");
    let (mut anna, welcome, _) = Chatter::new(&program, "Anna");
    assert_eq!(welcome["here"], json!([{ "name": "Anna", "connections": 1 }]));
    let bob = Chatter::new(&program, "Bob");
    anna.sees("join", "Bob");
    drop(bob);
    anna.sees("leave", "Bob");
    anna.say("alone again");
    let frame = guest.hears("alone again");
    assert_eq!((&frame["name"], &frame["id"]), (&json!("Anna"), &welcome["id"]));
}

#[test]
fn what_is_wrong_is_told_to_its_sender_only() {
    let program = Program::serve(&[]);
    let mut guest = Chatter::guest(&program, "lobby/");
    let (mut named, _, _) = Chatter::new(&program, "Anna");
    let mut witness = Chatter::guest(&program, "lobby/");
    let long = json!({ "message": "x".repeat(4001) }).to_string();
    let wrongs = [
        ("", "this is not JSON"),
        ("hello", "this is not JSON"),
        ("[\"message\"]", "this is no JSON object"),
        ("{}", "the object has no \"message\""),
        ("{\"message\": 1}", "the value of \"message\" is no text"),
        ("{\"message\": \" \\n\"}", "the message is empty"),
        (&long, "a message has 4000 characters at most"),
    ];
    for (wrong, why) in wrongs {
        named.send(wrong);
        let frame = named.next();
        assert_eq!(frame["type"], "error");
        assert!(frame["error"].as_str().unwrap().starts_with(why), "{wrong:.40}: {frame}");
        guest.send(wrong);
        let frame = guest.next();
        assert!(frame["error"].as_str().unwrap().starts_with(why), "{wrong:.40}: {frame}");
        let shown = format!("Not sent: {}.", frame["error"].as_str().unwrap());
        assert_eq!(frame["message"], shown.as_str());
    }
    named.client.send_binary(b"{\"message\": \"x\"}");
    assert_eq!(named.next()["error"], "binary data is no message");
    named.say("still here");
    for chatter in [&mut named, &mut guest, &mut witness] {
        chatter.hears("still here");
    }
}

#[test]
fn a_wrong_name_is_refused_before_the_handshake() {
    let program = Program::serve(&[]);
    for (name, why) in [
        ("", "it is empty"),
        ("%20%E3%80%80", "it is empty"),
        ("a%0Ab", "it has control characters"),
        ("%C2%85x%C2%85y", "it has control characters"),
        (&"x".repeat(41), "it has more than 40 characters"),
        ("%E2%80%8B", "it has invisible characters"),
        ("Anna%E2%80%8B", "it has invisible characters"),
        ("%E2%80%AEannA", "it has invisible characters"),
        ("%E2%80%8D", "nothing of it can be seen"),
        ("guest-17", "it is what others are called who gave no name"),
        ("Server", "it is what others are called who gave no name"),
    ] {
        let text = format!("This cannot be a name: {why}.\n");
        assert_eq!(refusal(&program, &format!("/ws/chat/lobby/?name={name}")), (400, text));
    }
    let longest = "%E5%90%8D".repeat(40);
    let (_, welcome, _) = Chatter::new(&program, &format!("+{longest}%20"));
    assert_eq!(welcome["name"], "名".repeat(40), "spaces around it do not count");
}

#[test]
fn a_wrong_room_is_refused_on_the_page_and_the_socket() {
    let program = Program::serve(&[]);
    let too_long = ("x".repeat(101), "it has more than 100 characters");
    let too_many_bytes = ("%F0%9F%9A%80".repeat(63), "it has more than 250 bytes in UTF-8");
    for (room, why) in [
        ("%20", "it is empty"),
        (&too_long.0, too_long.1),
        (&too_many_bytes.0, too_many_bytes.1),
        ("%E2%80%AEybbol", "it has invisible characters"),
        ("%EF%BB%BF", "it has invisible characters"),
    ] {
        let text = format!("This cannot be a room: {why}.\n");
        assert_eq!(refusal(&program, &format!("/ws/chat/{room}/")), (400, text.clone()));
        let reply = program.connect().get(&format!("/chat/{room}/"));
        assert_eq!((reply.status, reply.text()), (400, text.as_str()));
    }
    for room in ["..", "%2e%2e", ".", "..%2f..%2fetc", "a%5Cb", "a%0Ab", "a%7Fb", "%FF"] {
        assert_eq!(refusal(&program, &format!("/ws/chat/{room}/")).0, 400, "{room}");
        assert_eq!(program.connect().get(&format!("/chat/{room}/")).status, 400, "{room}");
    }
    // A slash makes it another path.
    for room in ["a%2Fb", "a/b"] {
        assert_eq!(program.connect().get(&format!("/chat/{room}/")).status, 404, "{room}");
    }
    let mut longest = Chatter::guest(&program, &"x".repeat(100));
    longest.say("x");
    longest.hears("x");
}

#[test]
fn a_room_is_text_on_its_page() {
    let program = Program::serve(&[]);
    let page = program.connect().get("/chat/%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E/");
    assert_eq!(page.status, 404, "a slash makes it another path");
    let page = program.connect().get("/chat/%22%3E%3Cscript%3Ealert(1)/");
    assert_eq!(page.status, 200);
    assert!(!page.text().contains("<script>alert"), "{}", page.text());
    assert!(page.text().contains("data-room=\"&quot;&gt;&lt;script&gt;alert(1)\""));
}

#[test]
fn the_form_leads_to_the_room_or_says_why_not() {
    let program = Program::serve(&[]);
    for (room, path) in [
        ("lobby", "/chat/lobby/"),
        ("+a+b%3F%23%25+", "/chat/a%20b%3F%23%25/"),
        ("%E6%88%BF%E9%97%B4", "/chat/%E6%88%BF%E9%97%B4/"),
        ("%0D%0AX:y", "/chat/X%3Ay/"),
    ] {
        let reply = program.connect().get(&format!("/chat/?room={room}"));
        assert_eq!((reply.status, reply.header("location")), (302, Some(path)), "{room}");
        assert_eq!(program.connect().get(path).status, 200, "{path}");
    }
    for (room, why) in [
        ("", "it is empty"),
        ("..", "it is only dots"),
        ("//evil.example", "it has a slash"),
        ("a%5Cb", "it has a slash"),
        ("a%0Db", "it has control characters"),
        ("%22%3E%3Cscript%3Ealert(1)%3C/script%3E", "it has a slash"),
    ] {
        let reply = program.connect().get(&format!("/chat/?room={room}"));
        assert_eq!(reply.status, 400, "{room}");
        assert!(reply.text().contains(&format!("This cannot be a room: {why}.")), "{room}");
        assert!(!reply.text().contains("<script>alert"), "{room}");
    }
}

#[test]
fn those_with_a_name_see_each_other_come_and_go() {
    let program = Program::serve(&[]);
    let (mut anna, welcome, _) = Chatter::new(&program, "Anna");
    assert_eq!(welcome["room"], "lobby");
    let (bob, welcome, joined) = Chatter::new(&program, "B%C3%B6b");
    let names = welcome["here"].as_array().unwrap().iter().map(|user| user["name"].as_str());
    assert!(names.eq([Some("Anna"), Some("Böb")]), "{welcome}");
    assert_eq!(anna.sees("join", "Böb"), joined);
    // A cut cable is a way to go too.
    bob.client.reset();
    let left = anna.sees("leave", "Böb");
    assert_eq!(sequence(&left), sequence(&joined) + 1);
}

#[test]
fn several_connections_of_one_name_are_one_person() {
    let program = Program::serve(&[]);
    let (mut anna, _, _) = Chatter::new(&program, "Anna");
    let (mut desk, _, joined) = Chatter::new(&program, "Bob");
    anna.sees("join", "Bob");
    let (phone, welcome) = Chatter::again(&program, "Bob");
    let bob = json!({ "name": "Bob", "connections": 2 });
    assert!(welcome["here"].as_array().unwrap().contains(&bob), "{welcome}");
    anna.sees_connections("Bob", 2);
    drop(phone);
    anna.sees_connections("Bob", 1);
    desk.say("still here");
    anna.hears("still here");
    drop(desk);
    assert_eq!(sequence(&anna.sees("leave", "Bob")), sequence(&joined) + 1);
}

#[test]
fn who_is_back_within_the_grace_never_left() {
    let program = Program::serve(&[]);
    let (mut anna, _, _) = Chatter::new(&program, "Anna");
    let (bob, _, joined) = Chatter::new(&program, "Bob");
    anna.sees("join", "Bob");
    drop(bob);
    let (mut bob, welcome) = Chatter::again(&program, "Bob");
    assert_eq!(sequence(&welcome), sequence(&joined), "nothing has changed");
    bob.say("back");
    anna.until(|frame| frame["message"] == "back");
    drop(bob);
    // The next change is that Bob is gone now: no other came before it.
    let left = anna.until(|frame| frame["type"] != "connections");
    assert_eq!((&left["type"], sequence(&left)), (&json!("leave"), sequence(&joined) + 1));
}

#[test]
fn a_snapshot_and_what_follows_have_no_hole() {
    const PEOPLE: usize = 24;
    let program = Program::serve(&[]);
    let everybody: BTreeSet<String> = (0..PEOPLE).map(|number| format!("p{number}")).collect();
    thread::scope(|scope| {
        let (program, all) = (&program, &everybody);
        let entered = all.iter().map(|name| scope.spawn(move || sees_all(program, name, all)));
        let entered: Vec<_> = entered.collect();
        // Everybody stays until all have seen all.
        let chatters = entered.into_iter().map(|thread| thread.join().expect("it sees all"));
        assert_eq!(chatters.collect::<Vec<_>>().len(), PEOPLE);
    });
}

/// Enters the lobby and keeps a list as a page does, until everybody is in it.
fn sees_all(program: &Program, name: &str, everybody: &BTreeSet<String>) -> Chatter {
    let mut chatter = Chatter::opening(program, &format!("lobby/?name={name}"));
    let (mut early, mut here, mut last) = (Vec::new(), BTreeSet::new(), None);
    while here != *everybody {
        let frame = chatter.next();
        let mut changes = Vec::new();
        if frame["type"] == "welcome" {
            let users = frame["here"].as_array().unwrap().iter();
            here = users.map(|user| user["name"].as_str().unwrap().to_owned()).collect();
            last = Some(sequence(&frame));
            changes.append(&mut early);
        } else if last.is_none() {
            early.push(frame);
        } else {
            changes.push(frame);
        }
        for change in changes.iter().filter(|change| change["type"] == "join") {
            let seen = last.expect("the welcome came first");
            if sequence(change) > seen {
                assert_eq!(sequence(change), seen + 1, "{name}: {change}");
                last = Some(seen + 1);
                here.insert(change["name"].as_str().unwrap().to_owned());
            }
        }
    }
    chatter
}

#[test]
fn the_socket_is_no_page() {
    let program = Program::serve(&[]);
    let reply = program.connect().get("/ws/chat/lobby/");
    assert_eq!((reply.status, reply.header("upgrade")), (426, Some("websocket")));
    assert_eq!(reply.header("sec-websocket-version"), Some("13"));
    let (status, text) = refusal(&program, "/chat/lobby/");
    assert!(status == 400 && text.ends_with(".\n"), "{text}");
}

#[test]
fn a_stopping_server_says_goodbye_to_a_room() {
    let program = Program::serve(&[]);
    let mut guest = Chatter::guest(&program, "lobby/");
    let (mut anna, _, _) = Chatter::new(&program, "Anna");
    program.signal(rustix::process::Signal::TERM);
    assert_eq!(guest.client.answer_close().0, 1001);
    assert_eq!(anna.client.answer_close().0, 1001);
    assert_eq!(program.end().code, Some(0));
}
