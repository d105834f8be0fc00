//! Consumers and their groups: what they hear, what they forward, and how it ends.

use std::sync::mpsc::Sender as Channel;

use landline::{
    Admission, Closed, Consumer, Context, Error, GroupMessage, Hub, HubBuilder, Join, Overflow,
    Result, Server, consumer,
};

use crate::harness::{Client, Frame, PATIENCE, Running, Told, eventually, patient, tell};
use crate::logbook;

/// Joins the room of its path as its query says, and marks what comes from there.
struct Guest {
    tell: Channel<(u64, u16)>,
    heard: u64,
}

impl Consumer for Guest {
    fn connect(&mut self, ctx: &Context<'_>) -> Result<Admission> {
        let room = ctx.request().param("room").unwrap_or_default();
        match ctx.request().query("as") {
            None => ctx.join(room)?,
            Some("direct") => ctx.join_direct(room, Join::default())?,
            Some(user) => ctx.join_with(room, Join::default().user(user))?,
        }
        ctx.send(format!("welcome, {}", ctx.conn_id()))?;
        Ok(Admission::accept())
    }

    fn receive_text(&mut self, ctx: &Context<'_>, text: &str) -> Result<()> {
        let room = ctx.request().param("room").unwrap_or_default();
        if text == "leave" {
            assert!(ctx.leave(room) && !ctx.leave(room));
            return ctx.send("left");
        }
        ctx.hub().group(room).send_except(ctx.conn_id(), text)?;
        Ok(())
    }

    fn group_message(&mut self, ctx: &Context<'_>, message: &GroupMessage) -> Result<()> {
        self.heard += 1;
        match message.message().as_text() {
            Some("fail") => Err(Error::other("the kettle is lost 8155")),
            Some("panic") => panic!("the kettle is loud 8156"),
            text => ctx.send(format!("{} {}: {text:?}", message.group(), message.sequence())),
        }
    }

    fn disconnect(&mut self, ctx: &Context<'_>, cause: &Closed) {
        let room = ctx.request().param("room").unwrap_or_default();
        let _ = ctx.hub().group(room).send_except(ctx.conn_id(), "somebody has left");
        self.tell.send((self.heard, cause.code())).unwrap();
    }
}

fn rooms(hub: &Hub) -> (Running, Told<(u64, u16)>) {
    let (tell, told) = tell();
    let route = consumer(move |_| Guest { tell: tell.clone(), heard: 0 });
    let builder = Server::builder().config(patient()).hub(hub.clone());
    (Running::start(builder.route("/<room>", route)), told)
}

fn guest(server: &Running, path: &str) -> Client {
    let mut client = server.websocket(path);
    assert!(client.expect_text().starts_with("welcome, "), "a member by now");
    client
}

#[test]
fn group_messages_reach_consumers_or_go_straight_to_clients() {
    let hub = Hub::new();
    let (server, told) = rooms(&hub);
    let (mut anna, mut bert) = (guest(&server, "/%E8%8C%B6?as=anna"), guest(&server, "/%E8%8C%B6"));
    let mut direct = guest(&server, "/%E8%8C%B6?as=direct");
    eventually("the one with a name is present", || {
        hub.group("茶").presence().users().iter().map(|user| user.name()).eq(["anna"])
    });
    anna.send_text("hello");
    assert_eq!(bert.expect_text(), "茶 1: Some(\"hello\")");
    assert_eq!(direct.expect_text(), "hello");
    bert.send_text("leave");
    assert_eq!(bert.expect_text(), "left");
    direct.send_text("who is there");
    assert_eq!(anna.expect_text(), "茶 2: Some(\"who is there\")");
    anna.say_goodbye();
    assert_eq!(direct.expect_text(), "somebody has left");
    assert_eq!(told.next(), (1, 1000));
    hub.group("茶").send("not for who has left").unwrap().wait();
    assert_eq!(direct.expect_text(), "not for who has left");
    bert.send_frame(0x89, b"?");
    assert_eq!(bert.next_frame(), Frame { first: 0x8a, payload: b"?".to_vec() }, "nothing before");
    bert.say_goodbye();
    assert_eq!(direct.expect_text(), "somebody has left");
    direct.say_goodbye();
    eventually("all memberships have ended", || hub.is_empty() && hub.group_names().is_empty());
}

#[test]
fn an_error_or_panic_over_a_group_message_ends_its_own_connection_only() {
    logbook::open();
    let hub = Hub::new();
    let (server, told) = rooms(&hub);
    for order in ["fail", "panic"] {
        let (mut sender, mut failing) = (guest(&server, "/a"), guest(&server, "/a"));
        sender.send_text(order);
        assert_eq!(failing.answer_close(), (1011, "internal error".into()));
        assert_eq!(told.next(), (1, 1011));
        assert_eq!(sender.expect_text().split_once(": ").unwrap().1, "Some(\"somebody has left\")");
        sender.say_goodbye();
        assert_eq!(told.next(), (1, 1000));
        server.becomes_empty();
    }
    for words in ["kettle is lost 8155", "kettle is loud 8156"] {
        assert_eq!(logbook::lines_with(&["ERROR", words]).len(), 1);
    }
}

#[test]
fn a_wrong_room_is_a_failure_before_the_handshake() {
    let (server, told) = rooms(&Hub::new());
    let long = "x".repeat(256);
    let mut client = server.connect();
    assert_eq!(client.ask(Client::handshake_head(&format!("/{long}"))).status, 500);
    assert_eq!(told.next(), (0, 1006));
}

#[test]
fn a_consumer_that_does_not_keep_up_is_closed_with_1013_and_told() {
    struct Stuck(Channel<u16>, Channel<()>);
    impl Consumer for Stuck {
        fn connect(&mut self, ctx: &Context<'_>) -> Result<Admission> {
            ctx.join("room")?;
            Ok(Admission::accept())
        }
        fn group_message(&mut self, ctx: &Context<'_>, _: &GroupMessage) -> Result<()> {
            // Busy until the connection is closed under it.
            let _ = self.1.send(());
            eventually("it is closed", || ctx.websocket().is_closed());
            Ok(())
        }
        fn disconnect(&mut self, _: &Context<'_>, cause: &Closed) {
            self.0.send(cause.code()).unwrap();
        }
    }
    let hub = HubBuilder::default().overflow(Overflow::Disconnect).build();
    let ((tell, told), (tell_busy, busy)) = (tell(), tell());
    let route = consumer(move |_| Stuck(tell.clone(), tell_busy.clone()));
    let config = patient().with_group_inbox_messages(5);
    let builder = Server::builder().config(config).hub(hub.clone());
    let server = Running::start(builder.route("/ws", route));
    let mut client = server.websocket("/ws");
    eventually("it is a member", || hub.group("room").len() == 1);
    hub.group("room").send("first").unwrap();
    busy.next();
    for _ in 0..6 {
        hub.group("room").send("more").unwrap().wait_timeout(PATIENCE).unwrap();
    }
    assert_eq!(client.answer_close(), (1013, "server too busy".into()));
    assert_eq!((told.next(), busy.is_silent()), (1013, true));
}
