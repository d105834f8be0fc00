//! Handlers that wait for their client and their groups at once.

use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender as Channel, channel};
use std::thread;
use std::time::Duration;

use landline::{
    Config, GroupMessage, Hub, HubBuilder, Incoming, Join, Overflow, Request, Result, Server,
    WebSocket, require_websocket,
};

use crate::harness::{Client, PATIENCE, Running, echo, eventually, patient, tell};

/// A server with a handler that has joined `room` through its inbox.
fn member<H>(config: Config, hub: &Hub, handler: H) -> Running
where
    H: Fn(&Request, &WebSocket) -> Result<()> + Send + Sync + 'static,
{
    let join = move |request: &Request, ws: &WebSocket| {
        ws.inbox()?.join("room")?;
        handler(request, ws)
    };
    let builder = Server::builder().config(config).hub(hub.clone());
    let builder = builder.route("/ws", require_websocket(join));
    Running::start(builder.route("/echo", require_websocket(echo)))
}

fn joined(server: &Running, hub: &Hub) -> Client {
    let client = server.websocket("/ws");
    eventually("it is a member", || hub.group("room").len() == 1);
    client
}

/// Tells the client what comes, and from where.
fn narrate(_: &Request, ws: &WebSocket) -> Result<()> {
    while let Some(incoming) = ws.wait_any()? {
        match incoming {
            Incoming::Client(message) => ws.send(format!("you: {}", message.as_text().unwrap()))?,
            Incoming::Group(message) => ws.send(shown(&message))?,
        }
    }
    Ok(())
}

fn shown(message: &GroupMessage) -> String {
    let text = message.message().as_text().unwrap();
    format!("{} {}: {text}", message.group(), message.sequence())
}

fn hub(overflow: Overflow) -> Hub {
    HubBuilder::default().overflow(overflow).build()
}

/// A server whose handler is busy until it is let go, and then reports what it got.
struct Busy {
    server: Running,
    hub: Hub,
    client: Client,
    go: Channel<()>,
}

fn busy<H>(config: Config, overflow: Overflow, then: H) -> Busy
where
    H: Fn(&WebSocket) -> Result<()> + Send + Sync + 'static,
{
    let hub = hub(overflow);
    let (go, may_go) = channel::<()>();
    let may_go: Mutex<Receiver<()>> = Mutex::new(may_go);
    let server = member(config, &hub, move |_, ws| {
        let _ = may_go.lock().unwrap().recv();
        then(ws)
    });
    let client = joined(&server, &hub);
    Busy { server, hub, client, go }
}

#[test]
fn a_handler_gets_what_its_client_and_its_groups_say() {
    let hub = Hub::new();
    let server = member(patient(), &hub, narrate);
    let mut client = joined(&server, &hub);
    for round in 1..=3 {
        let counts = hub.group("room").send("news").unwrap().wait();
        assert_eq!((counts.written, counts.queued, counts.dropped, counts.gone), (0, 1, 0, 0));
        assert_eq!(client.expect_text(), format!("room {round}: news"));
        client.send_text("hello");
        assert_eq!(client.expect_text(), "you: hello");
    }
    client.say_goodbye();
    eventually("the membership has ended", || hub.group("room").is_empty());
    server.becomes_empty();
}

#[test]
fn a_direct_member_and_one_with_an_inbox_see_the_same_order() {
    let hub = Hub::new();
    let builder = Server::builder().hub(hub.clone());
    let builder = builder.route(
        "/direct",
        require_websocket(|request: &Request, ws: &WebSocket| {
            ws.join("room")?;
            echo(request, ws)
        }),
    );
    let builder = builder.route(
        "/inbox",
        require_websocket(|_: &Request, ws: &WebSocket| {
            ws.inbox()?.join("room")?;
            while let Some(incoming) = ws.wait_any()? {
                if let Incoming::Group(message) = incoming {
                    ws.send(message.into_message())?;
                }
            }
            Ok(())
        }),
    );
    let server = Running::start(builder);
    let mut clients = [server.websocket("/direct"), server.websocket("/inbox")];
    eventually("both are members", || hub.group("room").len() == 2);
    thread::scope(|scope| {
        for name in ["a", "b"] {
            let group = hub.group("room");
            scope.spawn(move || {
                for number in 0..100 {
                    group.send(format!("{name}{number}")).unwrap();
                }
            });
        }
    });
    let [direct, inbox] = clients
        .each_mut()
        .map(|client| (0..200).map(|_| client.expect_text()).collect::<Vec<String>>());
    assert_eq!(direct, inbox);
}

#[test]
fn an_inbox_can_be_read_counted_and_left_without_waiting() {
    let (tell, told) = tell::<()>();
    let busy = busy(patient(), Overflow::Disconnect, move |ws| {
        let inbox = ws.inbox()?;
        assert_eq!((inbox.len(), inbox.is_empty(), inbox.lost()), (2, false, 0));
        assert_eq!(shown(&inbox.read()?.unwrap()), "room 1: a");
        assert!(
            matches!(ws.read_any()?, Some(Incoming::Group(message)) if message.sequence() == 2)
        );
        assert!(inbox.read()?.is_none() && ws.read_any()?.is_none());
        assert!(ws.wait_any_timeout(Duration::from_millis(1)).unwrap_err().is_timeout());
        assert!(inbox.leave("room") && !inbox.leave("room"));
        tell.send(()).unwrap();
        assert!(ws.wait_any()?.is_none());
        assert!(inbox.read().unwrap_err().is_closed());
        assert!(ws.read_any().unwrap_err().is_closed());
        assert!(ws.wait_any_timeout(PATIENCE).unwrap_err().is_closed());
        Ok(())
    });
    let Busy { hub, mut client, go, server } = busy;
    assert_eq!(hub.group("room").send("a").unwrap().wait().queued, 1);
    assert_eq!(hub.group("room").send("b").unwrap().wait().queued, 1);
    go.send(()).unwrap();
    told.next();
    assert_eq!(hub.group("room").send("nobody").unwrap().members(), 0);
    client.say_goodbye();
    server.serves_the_next();
}

#[test]
fn a_full_inbox_closes_with_1013_and_is_counted() {
    let config = patient().with_group_inbox_messages(3);
    let (tell, told) = tell();
    let busy = busy(config, Overflow::Disconnect, move |ws| {
        tell.send((
            ws.inbox()?.lost(),
            ws.read_any().map(|_| ()),
            ws.wait_any().unwrap().is_none(),
        ))
        .unwrap();
        Ok(())
    });
    let Busy { hub, mut client, go, server } = busy;
    for _ in 0..3 {
        hub.group("room").send("x").unwrap();
    }
    let counts = hub.group("room").send("too much").unwrap().wait();
    assert_eq!((counts.dropped, counts.gone), (1, 0));
    assert_eq!(client.expect_close(), (1013, "server too busy".into()));
    eventually("it is no member any more", || hub.group("room").is_empty());
    let stats = hub.stats();
    assert_eq!((stats.dropped, stats.disconnected), (4, 1));
    assert_eq!(server.handle.slow_clients(), 0, "it is not the client that is slow");
    client.send_close(1013, "");
    go.send(()).unwrap();
    let (lost, read, is_clean) = told.next();
    assert_eq!((lost, is_clean), (4, true));
    assert!(read.is_ok() || read.is_err_and(|error| error.is_closed()));
    client.expect_fin();
}

#[test]
fn drop_oldest_and_latest_keep_the_newest_for_a_busy_handler() {
    for (overflow, kept) in [(Overflow::DropOldest, 7..=9), (Overflow::Latest, 9..=9)] {
        let config = patient().with_group_inbox_messages(3);
        let (tell, told) = tell();
        let lost = 9 - kept.clone().count() as u64;
        let busy = busy(config, overflow, move |ws| {
            let inbox = ws.inbox()?;
            assert_eq!(inbox.lost(), lost);
            let taken = std::iter::from_fn(|| inbox.read().unwrap());
            tell.send(taken.map(|message| message.sequence()).collect::<Vec<_>>()).unwrap();
            echo_any(ws)
        });
        let Busy { hub, mut client, go, server: _server } = busy;
        for number in 1..=9 {
            hub.group("room").send(number.to_string()).unwrap().wait();
        }
        assert_eq!(hub.group("room").members()[0].lost(), lost);
        assert_eq!(hub.stats().dropped, lost);
        go.send(()).unwrap();
        assert_eq!(told.next(), kept.collect::<Vec<u64>>());
        client.expect_echo("still there");
        client.say_goodbye();
    }
}

fn echo_any(ws: &WebSocket) -> Result<()> {
    while let Some(incoming) = ws.wait_any()? {
        if let Incoming::Client(message) = incoming {
            ws.send(message)?;
        }
    }
    Ok(())
}

#[test]
fn block_slows_the_publisher_and_loses_nothing() {
    const NUMBER: u64 = 2_000;
    let hub = hub(Overflow::Block(PATIENCE));
    let (tell, told) = tell();
    let config = patient().with_group_inbox_messages(4);
    let server = member(config, &hub, move |_, ws| {
        let mut next = 1;
        while next <= NUMBER {
            if let Some(Incoming::Group(message)) = ws.wait_any()? {
                assert_eq!(message.sequence(), next);
                next += 1;
            }
        }
        tell.send(ws.inbox()?.lost()).unwrap();
        Ok(())
    });
    let mut client = joined(&server, &hub);
    for _ in 0..NUMBER {
        hub.group("room").send("x").unwrap();
    }
    assert_eq!(told.next(), 0);
    assert_eq!(hub.stats().dropped, 0);
    client.answer_close();
}

#[test]
fn a_handler_that_makes_no_room_is_closed_when_the_publisher_has_waited() {
    let config = patient().with_group_inbox_messages(2);
    let overflow = Overflow::Block(Duration::from_millis(200));
    let busy = busy(config, overflow, |ws| ws.wait_any().map(drop));
    let Busy { hub, mut client, go, server: _server } = busy;
    for _ in 0..4 {
        hub.group("room").send("x").unwrap().wait();
    }
    assert_eq!(client.expect_close().0, 1013);
    assert_eq!(hub.stats().disconnected, 1);
    drop(go);
    client.send_close(1013, "");
    client.expect_fin();
}

/// A handler's work that takes longer than a flood takes to bring the next message.
fn work() {
    (0..20_000).for_each(|_| std::hint::spin_loop());
}

#[test]
fn a_group_that_floods_hides_neither_the_client_nor_its_goodbye() {
    let hub = hub(Overflow::DropOldest);
    let server = member(patient(), &hub, |_, ws| {
        while let Some(incoming) = ws.wait_any()? {
            match incoming {
                Incoming::Client(message) => ws.send(message)?,
                Incoming::Group(_) => work(),
            }
        }
        Ok(())
    });
    let mut client = joined(&server, &hub);
    thread::scope(|scope| {
        let group = hub.group("room");
        scope.spawn(move || {
            while !group.is_empty() {
                group.send("flood").unwrap();
            }
        });
        eventually("the handler does not keep up", || hub.stats().dropped > 1000);
        for _ in 0..20 {
            client.expect_echo("between them");
        }
        client.send_frame(0x89, b"ping");
        assert_eq!(client.next_frame().payload, b"ping");
        client.say_goodbye();
    });
}

#[test]
fn a_client_that_floods_does_not_hide_its_groups() {
    let hub = Hub::new();
    let server = member(patient(), &hub, |_, ws| {
        while let Some(incoming) = ws.wait_any()? {
            match incoming {
                Incoming::Client(_) => work(),
                Incoming::Group(message) => ws.send(shown(&message))?,
            }
        }
        Ok(())
    });
    let mut client = joined(&server, &hub);
    let mut flooding = client.stream.try_clone().unwrap();
    thread::scope(|scope| {
        // Ends when the connection does.
        let flood = Client::frame(0x81, b"flood").repeat(1000);
        scope.spawn(move || while flooding.write_all(&flood).is_ok() {});
        for round in 1..=20 {
            hub.group("room").send("news").unwrap();
            assert_eq!(client.expect_text(), format!("room {round}: news"));
        }
        client.stream.shutdown(Shutdown::Both).unwrap();
    });
}

#[test]
fn no_wake_up_is_lost_among_many_publishers_and_a_client() {
    const PUBLISHERS: usize = 4;
    const EACH: usize = 1_500;
    let hub = hub(Overflow::Block(PATIENCE));
    let (tell, told) = tell();
    let server = member(Config::default(), &hub, move |_, ws| {
        ws.join_with("other", Join::default().to_inbox())?;
        ws.send("ready")?;
        let (mut from_groups, mut from_client) = (0, 0);
        while from_groups < PUBLISHERS * EACH || from_client < EACH {
            // A wake-up that is lost is a wait that times out.
            match ws.wait_any_timeout(PATIENCE)? {
                Incoming::Client(_) => from_client += 1,
                Incoming::Group(_) => from_groups += 1,
            }
        }
        tell.send((from_groups, from_client)).unwrap();
        Ok(())
    });
    let mut client = joined(&server, &hub);
    assert_eq!(client.expect_text(), "ready");
    let pause = |dice: &mut u64| {
        *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        match *dice >> 60 {
            0 => thread::yield_now(),
            shift => (0..1u32 << shift.min(12)).for_each(|_| std::hint::spin_loop()),
        }
    };
    thread::scope(|scope| {
        for number in 0..PUBLISHERS {
            let group = hub.group(["room", "other"][number % 2]);
            scope.spawn(move || {
                let mut dice = number as u64;
                for _ in 0..EACH {
                    group.send("x").unwrap();
                    pause(&mut dice);
                }
            });
        }
        let mut dice = 99;
        for _ in 0..EACH {
            client.send_text("c");
            pause(&mut dice);
        }
        assert_eq!(told.next(), (PUBLISHERS * EACH, EACH));
    });
    client.answer_close();
}

/// What a thread has cost so far.
#[derive(Clone, Copy, Debug)]
struct Cost {
    switches: u64,
    ticks: u64,
}

impl Cost {
    /// # Source
    /// proc(5), `/proc/pid/task/tid/status` and `stat`
    fn of(thread: &str) -> Self {
        let read = |file| fs::read_to_string(format!("/proc/{thread}/{file}")).unwrap();
        let status = read("status");
        let number = |line: &str| line.split_whitespace().last().unwrap().parse::<u64>().unwrap();
        let switches = status.lines().filter(|line| line.contains("ctxt_switches")).map(number);
        let stat = read("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Self { switches: switches.sum(), ticks }
    }
}

#[test]
fn a_handler_that_waits_for_both_costs_nothing() {
    let interval = Some(Duration::from_millis(100));
    let config = Config::default().with_ping_interval(interval).with_ping_timeout(None);
    let (tell, told) = tell();
    let hub = Hub::new();
    let server = member(config, &hub, move |request, ws| {
        let thread = fs::read_link("/proc/thread-self").unwrap();
        tell.send(thread.to_str().unwrap().to_owned()).unwrap();
        narrate(request, ws)
    });
    let mut client = joined(&server, &hub);
    let thread = told.next();
    hub.group("room").send("first").unwrap();
    assert_eq!(client.expect_text(), "room 1: first");
    let before = Cost::of(&thread);
    // Six pings are 600 ms in which the handler has nothing to do.
    for _ in 0..6 {
        assert_eq!(client.next_frame().first, 0x89);
    }
    hub.group("room").send("second").unwrap();
    while client.next_frame().payload != b"room 2: second" {}
    let after = Cost::of(&thread);
    assert!(after.switches - before.switches <= 12, "{before:?} {after:?}");
    assert!(after.ticks - before.ticks <= 6, "{before:?} {after:?}");
}

#[test]
fn the_servers_stop_and_the_keepalive_end_the_wait_for_both() {
    let (tell, told) = tell();
    let hub = Hub::new();
    let interval = Some(Duration::from_millis(100));
    let config = patient().with_ping_interval(interval).with_ping_timeout(interval);
    let server = member(config, &hub, move |_, ws| {
        tell.send((ws.wait_any().is_ok(), ws.closed().unwrap().code())).unwrap();
        Ok(())
    });
    let _silent = joined(&server, &hub);
    assert_eq!(told.next(), (false, 1011));
    eventually("it is gone", || hub.is_empty());
    let mut client = joined(&server, &hub);
    server.handle.stop();
    while client.next_frame().first != 0x88 {}
    client.send_close(1001, "");
    assert_eq!(told.next(), (true, 1001));
}

#[test]
fn pings_are_answered_while_the_handler_waits_for_both() {
    let hub = Hub::new();
    let server = member(patient(), &hub, narrate);
    let mut client = joined(&server, &hub);
    for round in 0..3u8 {
        client.send_frame(0x89, [round; 125]);
        assert_eq!(client.next_frame().payload, vec![round; 125]);
    }
    // A part of a message wakes the handler, and is no message.
    let frame = Client::frame(0x81, b"in parts");
    client.send(&frame[..3]);
    hub.group("room").send("between").unwrap();
    assert_eq!(client.expect_text(), "room 1: between");
    client.send(&frame[3..]);
    assert_eq!(client.expect_text(), "you: in parts");
    client.say_goodbye();
}

#[test]
fn large_messages_pass_both_ways() {
    let hub = Hub::new();
    let server = member(patient(), &hub, |_, ws| {
        while let Some(incoming) = ws.wait_any()? {
            match incoming {
                Incoming::Client(message) => ws.send(message)?,
                Incoming::Group(message) => ws.send(message.into_message())?,
            }
        }
        Ok(())
    });
    let mut client = joined(&server, &hub);
    let large: Vec<u8> = (0..900_000).map(|at| at as u8).collect();
    hub.group("room").send(large.clone()).unwrap();
    assert_eq!(client.expect_binary(), large);
    client.send_binary(&large);
    assert_eq!(client.expect_binary(), large);
    client.say_goodbye();
}
