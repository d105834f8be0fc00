//! The route of facilities, from outside: flags, permissions, echo, heartbeat, bad input.

use std::time::{Duration, Instant};

use landline::{Error, Facility, Flags, Hub, Identity, Request, Server, facility};

use crate::harness::{Client, PATIENCE, Reply, Running, patient};
use crate::publisher::{facilities, who};

/// A server with one route of facilities at `/ws/<facility>/`.
fn serve(hub: &Hub, route: Facility) -> Running {
    let builder = Server::builder().hub(hub.clone()).config(patient());
    Running::start(builder.route("/ws/<path:facility>/", route))
}

/// What a handshake is refused with.
fn refused(server: &Running, path: &str) -> Reply {
    let reply = server.connect().ask(Client::handshake_head(path));
    assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"), "{path}");
    assert!(reply.text().ends_with(".\n"), "{path}: {:?} is no sentence", reply.text());
    reply
}

fn forbidden(server: &Running, path: &str, text: &str) {
    let reply = refused(server, path);
    assert_eq!((reply.status, reply.text()), (403, format!("{text}\n").as_str()), "{path}");
}

#[test]
fn without_a_flag_everybody_s_channel_is_meant() {
    let hub = Hub::new();
    let server = serve(&hub, facility());
    let paths = ["", "?", "/", "/?token=abc&x=", "?echo", "/?subscribe-broadcast", "?ECHO="];
    let mut clients: Vec<Client> =
        paths.iter().map(|rest| server.websocket(&format!("/ws/chatroom{rest}"))).collect();
    let delivery = hub.publisher("chatroom").broadcast().send("hello").unwrap();
    assert_eq!(delivery.members(), paths.len());
    for client in &mut clients {
        assert_eq!(client.expect_text(), "hello");
    }
}

#[test]
fn a_facility_may_have_slashes_and_any_utf8() {
    let hub = Hub::new();
    let server = serve(&hub, facility());
    let mut client = server.websocket("/ws/%E6%88%BF%E9%97%B4/a:b/%F0%9F%A6%80/");
    hub.publisher("房间/a:b/🦀").broadcast().send("你好").unwrap();
    assert_eq!(client.expect_text(), "你好");
}

#[test]
fn what_looks_like_a_flag_and_is_none_is_refused_with_the_known_ones() {
    let hub = Hub::new();
    let server = serve(&hub, facility().allow(|_, _| true));
    for query in ["subscribe-all", "publish-broadcasts=1", "subscribe_user", "%3Cscript%3E"] {
        let reply = refused(&server, &format!("/ws/x/?subscribe-broadcast&{query}"));
        assert_eq!(reply.status, 400, "{query}");
        let known = "the flags are subscribe-broadcast, subscribe-user, subscribe-group, \
                     subscribe-session, publish-broadcast, publish-user, publish-group, \
                     publish-session, echo.";
        assert!(reply.text().contains(known), "{query}: {}", reply.text());
    }
    assert_eq!(hub.len(), 0);
}

#[test]
fn names_that_are_too_long_or_empty_are_refused() {
    let hub = Hub::new();
    let server = serve(&hub, facility().identify(who));
    let fits = "x".repeat(245);
    drop(server.websocket(&format!("/ws/{fits}/")));
    for path in [
        format!("/ws/{fits}x/"),
        format!("/ws/x/?subscribe-user&user={}", ":".repeat(83)),
        format!("/ws/x/?subscribe-broadcast&subscribe-group&groups=a,{fits}xxx"),
        "/ws/x/?subscribe-session&session=a%0Ab".to_owned(),
        "/ws///".to_owned(),
    ] {
        let reply = refused(&server, &path);
        assert_eq!(reply.status, 400, "{path}");
        assert!(reply.text().starts_with("This address cannot be used: the "), "{}", reply.text());
    }
    // Only what is asked for has to have a name that fits.
    drop(server.websocket(&format!("/ws/x/?subscribe-broadcast&user={}", ":".repeat(83))));
    // A control character ends already at the door.
    let head = Client::handshake_head("/ws/a%01b/");
    assert_eq!(server.connect().ask(head).status, 400);
}

#[test]
fn plain_http_is_told_to_upgrade() {
    let hub = Hub::new();
    let server = serve(&hub, facility());
    let reply = server.connect().get("/ws/news/?nonsense");
    assert_eq!((reply.status, reply.header("upgrade")), (426, Some("websocket")));
    assert_eq!(reply.header("sec-websocket-version"), Some("13"));
    let old = Client::handshake_head("/ws/news/").replace("Version: 13", "Version: 8");
    assert_eq!(server.connect().ask(old).status, 426);
}

#[test]
fn offered_subprotocols_are_not_echoed() {
    let server = serve(&Hub::new(), facility());
    let head = Client::handshake_head("/ws/news/");
    let head = head.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: a, b\r\n\r\n");
    let reply = server.connect().ask(head);
    assert_eq!((reply.status, reply.header("sec-websocket-protocol")), (101, None));
}

#[test]
fn strangers_have_no_channel_of_a_user() {
    let hub = Hub::new();
    let server = facilities(&hub);
    let mut stranger = server.websocket("/news?subscribe-user&subscribe-broadcast");
    let mut other = server.websocket("/news?subscribe-user&subscribe-broadcast&user=");
    let mut anna = server.websocket("/news?subscribe-user&user=anna");
    hub.publisher("news").users(["anna"]).send("for anna").unwrap();
    hub.publisher("news").broadcast().send("for all").unwrap();
    assert_eq!(anna.expect_text(), "for anna");
    assert_eq!((stranger.expect_text(), other.expect_text()), ("for all".into(), "for all".into()));
    let text = "You are not known here, so there is no channel for";
    forbidden(&server, "/news?subscribe-user&echo", &format!("{text} subscribe-user."));
    let path = "/news?publish-group&subscribe-session";
    forbidden(&server, path, &format!("{text} subscribe-session, publish-group."));
    assert_eq!(hub.len(), 3);
}

#[test]
fn publishing_is_denied_unless_allowed() {
    let hub = Hub::new();
    let server = serve(&hub, facility().identify(who));
    let text = "Publishing through the socket is not allowed here: publish-broadcast, \
                publish-user.";
    forbidden(&server, "/ws/x/?subscribe-user&publish-broadcast&publish-user&user=a", text);
    assert_eq!(hub.len(), 0);
}

#[test]
fn the_application_decides_what_is_allowed() {
    fn allow(request: &Request, flags: Flags) -> landline::Result<Flags> {
        match request.query("as") {
            Some("boss") => Ok(flags),
            Some("nobody") => Ok(flags.filter(|_| false)),
            Some("broken") => Err(Error::other("secret")),
            _ => Ok(flags.filter(|flag| !flag.starts_with("publish-"))),
        }
    }
    let hub = Hub::new();
    let server = serve(&hub, facility().allow(allow));
    let query = "?subscribe-broadcast&publish-broadcast";
    let mut boss = server.websocket(&format!("/ws/x/{query}&as=boss"));
    let mut guest = server.websocket(&format!("/ws/x/{query}"));
    boss.send_text("work");
    assert_eq!(guest.expect_text(), "work");
    guest.send_text("no");
    let (code, reason) = guest.answer_close();
    assert_eq!((code, reason.as_str()), (1008, "publishing is not allowed here"));
    let text = "You are not allowed here: subscribe-broadcast, publish-broadcast.";
    forbidden(&server, &format!("/ws/x/{query}&as=nobody"), text);
    forbidden(&server, &format!("/ws/x/{query}&as=broken"), text);
    forbidden(&server, "/ws/x/?publish-broadcast", "You are not allowed here: publish-broadcast.");
    let none = serve(&hub, facility().allow(|_, _| false));
    forbidden(&none, "/ws/x/?echo", "You are not allowed here: subscribe-broadcast, echo.");
}

#[test]
fn what_a_client_sends_goes_to_the_channels_it_asked_for() {
    let hub = Hub::new();
    let server = facilities(&hub);
    let mut everybody = server.websocket("/news");
    let mut anna = server.websocket("/news?subscribe-user&user=anna");
    let mut group = server.websocket("/news?subscribe-group&groups=g2");
    let mut elsewhere =
        server.websocket("/olds?subscribe-user&subscribe-group&user=anna&groups=g2");
    let path = "/news?publish-user&publish-group&user=anna&groups=g1,g2";
    let mut sender = server.websocket(path);
    sender.send_text("你好");
    sender.send_binary(b"\xff\x00");
    sender.send_text("");
    for client in [&mut anna, &mut group] {
        assert_eq!(client.expect_text(), "你好");
        assert_eq!(client.expect_binary(), b"\xff\x00", "binary stays binary");
        assert_eq!(client.expect_text(), "", "an empty message is a message");
    }
    for (facility, client) in [("news", &mut everybody), ("olds", &mut elsewhere)] {
        let all = hub.publisher(facility).broadcast().users(["anna"]);
        all.publish("end", Duration::ZERO).unwrap();
        assert_eq!(client.expect_text(), "end", "{facility}");
    }
    let mut late = server.websocket("/news?subscribe-group&groups=g1");
    assert_eq!(late.expect_text(), "", "the last one is stored");
}

#[test]
fn an_echo_is_left_out_by_connection_and_not_by_content() {
    let hub = Hub::new();
    let server = facilities(&hub);
    let both = "subscribe-broadcast&publish-broadcast";
    let mut one = server.websocket(&format!("/news?{both}"));
    let mut other = server.websocket(&format!("/news?{both}"));
    let mut hears_itself = server.websocket(&format!("/news?{both}&echo"));
    one.send_text("same");
    assert_eq!(other.expect_text(), "same");
    assert_eq!(hears_itself.expect_text(), "same");
    other.send_text("same");
    assert_eq!(one.expect_text(), "same", "the same text of somebody else is no echo");
    assert_eq!(hears_itself.expect_text(), "same");
    hears_itself.send_text("same");
    for client in [&mut one, &mut other, &mut hears_itself] {
        assert_eq!(client.expect_text(), "same");
    }
    hub.publisher("news").broadcast().send("end").unwrap();
    for client in [&mut one, &mut other, &mut hears_itself] {
        assert_eq!(client.expect_text(), "end", "and nothing more");
    }
}

#[test]
fn who_sends_without_a_flag_is_told_which_one_is_missing() {
    let hub = Hub::new();
    let server = facilities(&hub);
    let mut client = server.websocket("/news?subscribe-broadcast");
    client.send_text("hello?");
    let (code, reason) = client.answer_close();
    assert_eq!(code, 1008);
    let expected = "publishing needs a flag: publish-broadcast, publish-user, publish-group or \
                    publish-session";
    assert_eq!(reason, expected);
    let mut stranger = server.websocket("/news?subscribe-broadcast&publish-user");
    stranger.send_binary(b"hello?");
    let (code, reason) = stranger.answer_close();
    assert_eq!(code, 1008);
    assert_eq!(reason, "there is no channel to publish to: you are not known here");
}

#[test]
fn what_clients_publish_is_kept_as_the_route_says() {
    let hub = Hub::new();
    let builder = Server::builder().hub(hub.clone());
    let kept = facility().allow(|_, _| true).keep(2);
    let live = facility().allow(|_, _| true).expire(Duration::ZERO);
    let builder = builder.route("/kept/<facility>", kept).route("/live/<facility>", live);
    let server = Running::start(builder);
    let mut sender = server.websocket("/kept/a?publish-broadcast");
    let mut live_sender = server.websocket("/live/b?publish-broadcast");
    let mut witness = server.websocket("/live/b");
    for text in ["1", "2", "3"] {
        sender.send_text(text);
        live_sender.send_text(text);
        assert_eq!(witness.expect_text(), text);
    }
    sender.say_goodbye();
    let mut late = server.websocket("/kept/a");
    assert_eq!((late.expect_text(), late.expect_text()), ("2".into(), "3".into()));
    assert!(hub.publisher("b").broadcast().fetch().unwrap().is_empty());
}

#[test]
fn a_full_store_turns_away_who_publishes() {
    let hub = Hub::new();
    let server = facilities(&hub);
    let mut sender = server.websocket("/small?publish-broadcast");
    let large = landline::Message::from(vec![0; 1024 * 1024]);
    let is_full = |number| hub.publisher(format!("{number}")).broadcast().send(&large).is_err();
    assert!((0..100).any(is_full));
    let rest = landline::Message::from("x".repeat(100_000));
    let is_full = |number| hub.publisher(format!("r{number}")).broadcast().send(&rest).is_err();
    assert!((0..100).any(is_full));
    sender.send_text(&"x".repeat(200_000));
    let (code, reason) = sender.answer_close();
    assert_eq!((code, reason.as_str()), (1013, "too much is stored, nothing can be published now"));
}

#[test]
fn the_heart_beats_only_when_nothing_else_is_sent() {
    const BEAT: &str = "--";
    let interval = Duration::from_millis(200);
    let hub = Hub::new();
    let server = serve(&hub, facility().heartbeat(BEAT, interval));
    let news = hub.publisher("news").broadcast();
    let mut idle = server.websocket("/ws/idle/");
    let mut busy = server.websocket("/ws/news/");
    let idle = std::thread::spawn(move || [idle.expect_text(), idle.expect_text()]);
    // Until the idle one has heard two beats, the busy one gets one message after the other.
    let (mut beats, mut longest_gap, mut last) = (0, Duration::ZERO, Instant::now());
    while !idle.is_finished() {
        news.publish("news", Duration::ZERO).unwrap();
        while busy.expect_text() == BEAT {
            beats += 1;
        }
        longest_gap = longest_gap.max(last.elapsed());
        last = Instant::now();
    }
    assert_eq!(idle.join().unwrap(), [BEAT, BEAT]);
    // A machine that is held up for so long makes a gap that the heart may fill.
    assert!(beats == 0 || longest_gap >= interval / 2, "{beats} beats in gaps of {longest_gap:?}");
    // Now there is nothing else.
    assert_eq!(busy.expect_text(), BEAT);
}

#[test]
fn a_heartbeat_of_a_client_is_taken_and_not_published() {
    let hub = Hub::new();
    let route = facility().allow(|_, _| true).heartbeat("--", PATIENCE * 10);
    let server = serve(&hub, route);
    let mut publishing = server.websocket("/ws/x/?publish-broadcast");
    let mut listening = server.websocket("/ws/x/");
    for client in [&mut publishing, &mut listening] {
        client.send_text("--");
        client.send_text("--");
    }
    publishing.send_text("---");
    assert_eq!(listening.expect_text(), "---", "the beats before it went nowhere");
    listening.say_goodbye();
    publishing.say_goodbye();
}

#[test]
fn a_clean_goodbye_is_answered_and_ends_the_membership() {
    let hub = Hub::new();
    let server = facilities(&hub);
    let mut client = server.websocket("/news?subscribe-broadcast&subscribe-user&user=a");
    client.say_goodbye();
    server.becomes_empty();
    let all = hub.publisher("news").broadcast().users(["a"]);
    assert_eq!(all.publish("x", Duration::ZERO).unwrap().members(), 0);
    assert_eq!(hub.stats().groups, 0);
}

#[test]
fn a_client_of_too_many_groups_is_told_so() {
    let hub = Hub::new();
    let groups = (0..1001).map(|number| number.to_string()).collect::<Vec<_>>();
    let many = move |_: &Request| Identity::default().groups(groups.clone());
    let server = serve(&hub, facility().identify(many));
    let reply = refused(&server, "/ws/news/?subscribe-group");
    let text = "This address cannot be used: it has 1001 channels, over the limit of 1000.\n";
    assert_eq!((reply.status, reply.text()), (400, text));
    server.becomes_empty();
    assert_eq!(hub.stats().groups, 0);
}

#[test]
fn a_route_without_its_parameter_fails_and_says_nothing() {
    let server = Running::start(Server::builder().route("/<room>", facility()));
    let reply = server.connect().ask(Client::handshake_head("/x"));
    assert_eq!(reply.status, 500);
    assert!(!reply.text().contains("facility"), "{}", reply.text());
}
