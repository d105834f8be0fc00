//! Publishers: which channel gets what, what is stored, and what a late listener gets.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use landline::{ErrorKind, Hub, Identity, Message, Publisher, Request, Server, facility};

use crate::harness::{Client, Running, eventually};

const HOUR: Duration = Duration::from_secs(3600);

/// Facilities at `/<facility>`, whose clients say in the query who they are.
pub(crate) fn facilities(hub: &Hub) -> Running {
    let route = facility().identify(who).allow(|_, _| true);
    Running::start(Server::builder().hub(hub.clone()).route("/<path:facility>", route))
}

/// The identity that a client gives itself.
pub(crate) fn who(request: &Request) -> Identity {
    let value = |name| request.query(name).unwrap_or_default();
    let identity = Identity::default().user(value("user")).session(value("session"));
    identity.groups(value("groups").split(','))
}

fn texts(messages: Vec<Message>) -> Vec<String> {
    messages.iter().map(|message| message.as_text().unwrap().to_owned()).collect()
}

/// Receives what is there, up to a text that is published last.
fn up_to(client: &mut Client, last: &str) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        match client.expect_text() {
            text if text == last => return texts,
            text => texts.push(text),
        }
    }
}

#[test]
fn each_audience_gets_what_is_for_it() {
    let hub = Hub::new();
    let server = facilities(&hub);
    let mut everybody = server.websocket("/news");
    let mut anna = server.websocket("/news?subscribe-user&user=anna");
    let mut bert = server.websocket("/news?subscribe-user&user=bert");
    let mut editor = server.websocket("/news?subscribe-group&groups=staff,editors&user=carl");
    let mut session = server.websocket("/news?subscribe-session&session=k1");
    let mut elsewhere = server.websocket("/olds?subscribe-user&subscribe-broadcast&user=anna");
    let news = || Publisher::new(&hub, "news");
    assert_eq!(news().broadcast().send("all").unwrap().wait().written, 1);
    assert_eq!(news().users(["anna", "bert", "nobody"]).send("two").unwrap().members(), 2);
    assert_eq!(news().groups(["editors"]).send("editors").unwrap().members(), 1);
    assert_eq!(news().sessions([String::from("k1")]).send("session").unwrap().members(), 1);
    let all = news().broadcast().users(["anna", "bert"]).groups(["staff"]).sessions(["k1"]);
    let delivery = all.send("end").unwrap();
    assert_eq!((delivery.members(), delivery.wait().written), (5, 5));
    assert_eq!(up_to(&mut everybody, "end"), ["all"]);
    assert_eq!(up_to(&mut anna, "end"), ["two"]);
    assert_eq!(up_to(&mut bert, "end"), ["two"]);
    assert_eq!(up_to(&mut editor, "end"), ["editors"]);
    assert_eq!(up_to(&mut session, "end"), ["session"]);
    hub.publisher("olds").users(["anna"]).send("end").unwrap();
    assert!(up_to(&mut elsewhere, "end").is_empty());
}

#[test]
fn a_listener_to_two_channels_gets_two_copies_and_counts_twice() {
    let hub = Hub::new();
    let server = facilities(&hub);
    let path = "/news?subscribe-broadcast&subscribe-user&subscribe-group&user=a&groups=g,g";
    let mut client = server.websocket(path);
    let both = hub.publisher("news").users(["a", "a"]).groups(["g"]);
    let delivery = both.publish("x", Duration::ZERO).unwrap();
    assert_eq!((delivery.members(), delivery.wait().written), (2, 2));
    assert_eq!(delivery.wait_timeout(HOUR).unwrap().written, 2);
    hub.publisher("news").broadcast().send("end").unwrap();
    assert_eq!(up_to(&mut client, "end"), ["x", "x"]);
}

#[test]
fn who_comes_later_gets_the_last_message() {
    let hub = Hub::new();
    let server = facilities(&hub);
    let news = hub.publisher("news").broadcast();
    for text in ["m1", "m2"] {
        assert_eq!(news.publish(text, HOUR).unwrap().members(), 0);
    }
    let mut client = server.websocket("/news");
    news.publish("end", Duration::ZERO).unwrap();
    assert_eq!(up_to(&mut client, "end"), ["m2"]);
    assert_eq!(texts(news.fetch().unwrap()), ["m2"]);
}

#[test]
fn more_than_one_message_is_kept_if_asked() {
    let hub = Hub::builder().history(2, HOUR).build();
    let server = facilities(&hub);
    let news = hub.publisher("news").users(["a"]).keep(3);
    for number in 1..=5 {
        news.send(number.to_string()).unwrap();
    }
    let mut client = server.websocket("/news?subscribe-user&user=a");
    news.publish("end", Duration::ZERO).unwrap();
    assert_eq!(up_to(&mut client, "end"), ["3", "4", "5"]);
    hub.publisher("news").users(["a"]).send("6").unwrap();
    assert_eq!(texts(news.fetch().unwrap()), ["5", "6"], "what the hub says counts now");
    news.keep(0).send("not kept").unwrap();
    assert_eq!(texts(hub.publisher("news").users(["a"]).fetch().unwrap()), ["5", "6"]);
}

#[test]
fn what_is_not_to_be_stored_leaves_what_is_stored() {
    let hub = Hub::new();
    let server = facilities(&hub);
    let news = hub.publisher("news").broadcast();
    news.send("stored").unwrap();
    news.publish("live only", Duration::ZERO).unwrap();
    let mut client = server.websocket("/news");
    assert_eq!(client.expect_text(), "stored");
    let silent = Hub::builder().history(1, Duration::ZERO).build();
    silent.publisher("news").broadcast().send("x").unwrap();
    assert!(silent.publisher("news").broadcast().fetch().unwrap().is_empty());
    assert_eq!(silent.stats().groups, 0, "nothing is left of it");
}

#[test]
fn stored_messages_expire_each_at_its_time() {
    let hub = Hub::new();
    let server = facilities(&hub);
    let news = hub.publisher("news").broadcast().keep(3);
    news.publish("for ever", Duration::MAX).unwrap();
    news.publish("short", Duration::from_millis(50)).unwrap();
    news.publish("long", HOUR).unwrap();
    eventually("one has expired", || news.fetch().unwrap().len() == 2);
    let mut client = server.websocket("/news");
    news.publish("end", Duration::ZERO).unwrap();
    assert_eq!(up_to(&mut client, "end"), ["for ever", "long"]);
}

#[test]
fn stored_messages_are_fetched_in_ws4redis_order_and_forgotten() {
    let hub = Hub::new();
    let all = || {
        let all = hub.publisher("news").broadcast().groups(["g", "h"]);
        all.users(["u"]).sessions(["s"]).keep(2)
    };
    let one = || hub.publisher("news").keep(2);
    one().broadcast().send("broadcast").unwrap();
    one().groups(["g"]).send("group").unwrap();
    one().users(["u"]).send("user 1").unwrap();
    one().users(["u"]).send("user 2").unwrap();
    one().sessions(["s"]).send("session").unwrap();
    let expected = ["session", "user 1", "user 2", "group", "broadcast"];
    assert_eq!(texts(all().fetch().unwrap()), expected);
    one().users(["u"]).forget().unwrap();
    assert_eq!(texts(all().fetch().unwrap()), ["session", "group", "broadcast"]);
    all().forget().unwrap();
    assert!(all().fetch().unwrap().is_empty());
    assert_eq!(hub.stats().groups, 0, "nothing is left of it");
}

#[test]
fn binary_stays_binary_live_and_stored() {
    let hub = Hub::new();
    let server = facilities(&hub);
    let mut early = server.websocket("/news");
    hub.publisher("news").broadcast().send(b"\xff\x00").unwrap();
    assert_eq!(early.expect_binary(), b"\xff\x00");
    assert_eq!(server.websocket("/news").expect_binary(), b"\xff\x00");
}

#[test]
fn a_stored_message_over_the_queue_s_limit_comes_too() {
    let hub = Hub::new();
    let server = facilities(&hub);
    let large = vec![7; 3 * 1024 * 1024];
    hub.publisher("news").broadcast().send(&large[..]).unwrap();
    for _ in 0..30 {
        assert!(server.websocket("/news").expect_binary() == large);
    }
}

#[test]
fn names_with_separators_never_meet() {
    let hub = Hub::new();
    let server = facilities(&hub);
    let mut here = server.websocket("/c?subscribe-user&user=a:b");
    let mut there = server.websocket("/b:c?subscribe-user&user=a");
    let mut coded = server.websocket("/c?subscribe-user&user=a%253Ab");
    let mut everybody = server.websocket("/a:b:c?subscribe-broadcast");
    assert_eq!(hub.publisher("c").users(["a:b"]).send("here").unwrap().members(), 1);
    assert_eq!(hub.publisher("b:c").users(["a"]).send("there").unwrap().members(), 1);
    assert_eq!(hub.publisher("c").users(["a%3Ab"]).send("coded").unwrap().members(), 1);
    assert_eq!(hub.publisher("a:b:c").broadcast().send("everybody").unwrap().members(), 1);
    assert_eq!(here.expect_text(), "here");
    assert_eq!(there.expect_text(), "there");
    assert_eq!(coded.expect_text(), "coded");
    assert_eq!(everybody.expect_text(), "everybody");
}

#[test]
fn channels_never_meet_the_groups_of_the_application() {
    let hub = Hub::new();
    let server = facilities(&hub);
    let mut client = server.websocket("/news");
    assert_eq!(hub.group("broadcast:news").send("group").unwrap().members(), 0);
    hub.publisher("news").broadcast().send("channel").unwrap();
    assert_eq!(client.expect_text(), "channel");
    assert!(hub.group_names().is_empty());
}

#[test]
fn a_slash_at_the_end_of_a_facility_does_not_count() {
    let hub = Hub::new();
    let server = facilities(&hub);
    let mut client = server.websocket("/chatroom/");
    assert_eq!(hub.publisher("chatroom").broadcast().send("1").unwrap().members(), 1);
    assert_eq!(hub.publisher("chatroom/").broadcast().send("2").unwrap().members(), 1);
    assert_eq!((client.expect_text(), client.expect_text()), ("1".into(), "2".into()));
}

#[test]
fn a_publisher_says_what_is_wrong_with_it() {
    let hub = Hub::new();
    let error = |publisher: Publisher| {
        let error = publisher.send("x").unwrap_err();
        assert_eq!(publisher.fetch().unwrap_err().to_string(), error.to_string());
        assert_eq!(publisher.forget().unwrap_err().kind(), error.kind());
        (error.kind(), error.to_string())
    };
    let (kind, text) = error(hub.publisher("news"));
    assert_eq!(kind, ErrorKind::Protocol);
    let expected = "no channel of the facility \"news\" was named: broadcast, users, groups or \
                    sessions";
    assert_eq!(text, expected);
    assert_eq!(error(hub.publisher("news").users([""; 0])).0, ErrorKind::Protocol);
    assert_eq!(error(hub.publisher("").broadcast()).1, "the facility has no name");
    assert_eq!(error(hub.publisher("news").users([""])).1, "the user has no name");
    assert_eq!(error(hub.publisher("a\nb").broadcast()).0, ErrorKind::Protocol);
    assert_eq!(error(hub.publisher("news").sessions(["a\tb"])).0, ErrorKind::Protocol);
    let long = "x".repeat(246);
    assert_eq!(error(hub.publisher(&long).broadcast()).0, ErrorKind::Limit);
    assert!(hub.publisher(&long[1..]).broadcast().send("x").is_ok());
    let names = ["good".to_owned(), "x".repeat(250)];
    assert_eq!(error(hub.publisher("news").users(names)).0, ErrorKind::Limit);
    assert!(hub.publisher("news").users(["good"]).fetch().unwrap().is_empty(), "all or nothing");
}

#[test]
fn a_full_store_refuses_what_is_new_and_still_renews() {
    let hub = Hub::new();
    let large = Message::from(vec![0; 1024 * 1024]);
    let of = |number: usize| hub.publisher(format!("f{number}")).broadcast();
    let full = (0..100).find(|number| of(*number).send(&large).is_err()).expect("a limit");
    assert_eq!(full, 31, "64 MiB, and a message counts twice");
    let error = of(full).send(&large).unwrap_err();
    assert_eq!((error.kind(), of(full).fetch().unwrap().len()), (ErrorKind::Limit, 0));
    of(0).send(&large).unwrap();
    of(full).publish(&large, Duration::ZERO).unwrap();
    assert_eq!(hub.stats().groups, full, "nothing is left of what was refused");
    of(0).forget().unwrap();
    of(full).send(&large).unwrap();
}

#[test]
fn a_late_listener_has_no_hole_and_nothing_twice() {
    for keep in [1, 3, 20] {
        let hub = Hub::new();
        let server = facilities(&hub);
        let news = hub.publisher("news").broadcast().keep(keep);
        let stored = || news.fetch().unwrap().into_iter();
        let joined = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| publish_numbers(&news, &joined));
            let mut clients = Vec::new();
            for place in 0..LISTENERS {
                let oldest_before = stored().next().map_or(0, number);
                let client = server.websocket("/news");
                let newest_after = stored().next_back().map_or(0, number);
                clients.push((client, oldest_before, newest_after));
                joined.store(place + 1, Relaxed);
            }
            for (mut client, oldest_before, newest_after) in clients {
                let texts = up_to(&mut client, "end");
                let first: usize = texts[0].parse().unwrap();
                assert!(oldest_before <= first, "more than the last {keep}");
                assert!(first == 0 || first + keep <= newest_after + 1, "fewer than {keep}");
                let expected: Vec<_> = (first..).take(texts.len()).map(|n| n.to_string()).collect();
                assert_eq!(texts, expected);
            }
        });
    }
}

const LISTENERS: usize = 40;

/// Publishes numbers as fast as it can, but not so many for each that has joined that one who
/// reads later would be too slow; at the end a word.
fn publish_numbers(news: &Publisher, joined: &AtomicUsize) {
    let mut next = 0;
    while joined.load(Relaxed) < LISTENERS {
        if next < 100 * (joined.load(Relaxed) + 1) {
            news.send(next.to_string()).unwrap();
            next += 1;
        } else {
            std::thread::yield_now();
        }
    }
    news.send("end").unwrap();
}

fn number(message: Message) -> usize {
    message.as_text().unwrap().parse().unwrap()
}
