//! The server's stop: everybody is told, nobody is waited for too long.

use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::{Sender as Channel, channel};
use std::time::{Duration, Instant};

use landline::{Config, Message, Response, Server, WebSocket, require_websocket};

use crate::harness::{
    Client, PATIENCE, Running, Told, echo, eventually, patient, tell, websocket_server,
};

#[test]
fn a_hundred_clients_are_told_at_the_same_time() {
    let (tell, told) = tell();
    let mut server = websocket_server(patient(), move |_, ws: &WebSocket| {
        let outcome = ws.wait();
        tell.send((outcome.unwrap(), ws.closed().map(|closed| closed.code()))).unwrap();
        Ok(())
    });
    let mut clients: Vec<_> = (0..100).map(|_| server.websocket("/ws")).collect();
    assert_eq!(server.handle.connections(), 100);
    server.handle.stop();
    server.handle.stop();
    // None answers before all have been told: one after the other would not come this far.
    for client in &mut clients {
        assert_eq!(client.expect_close(), (1001, "the server is stopping".to_owned()));
    }
    for client in &mut clients {
        client.send_close(1001, "");
    }
    for client in &mut clients {
        client.expect_fin();
    }
    server.join().unwrap();
    for _ in 0..100 {
        assert_eq!(told.next(), (None, Some(1001)));
    }
    assert_eq!(server.handle.connections(), 0);
    assert!(TcpStream::connect(server.address).is_err(), "nobody listens");
}

#[test]
fn who_does_not_answer_is_cut_when_the_grace_is_over() {
    let grace = Duration::from_millis(500);
    let mut server = websocket_server(Config::default().with_shutdown_grace(grace), echo);
    let mut silent: Vec<_> = (0..5).map(|_| server.websocket("/ws")).collect();
    let start = Instant::now();
    server.handle.stop();
    server.join().unwrap();
    let time = start.elapsed();
    assert!(time >= grace && time < PATIENCE, "{time:?}");
    for client in &mut silent {
        assert_eq!(client.expect_close().0, 1001);
        client.expect_end();
    }
}

#[test]
fn stop_now_waits_for_nobody() {
    let (tell, told) = tell();
    let mut server = websocket_server(patient(), move |_, ws: &WebSocket| {
        ws.send("hello")?;
        tell.send(ws.wait().is_err_and(|error| error.is_closed())).unwrap();
        Ok(())
    });
    let mut client = server.websocket("/ws");
    assert_eq!(client.expect_text(), "hello");
    let mut idle = server.connect();
    assert_eq!(idle.get("/nothing").status, 404);
    server.handle.stop_now();
    server.join().unwrap();
    assert!(told.next(), "the handler has seen an unclean end");
    client.expect_end();
    idle.expect_end();
}

#[test]
fn a_stop_can_be_forced_while_it_is_graceful() {
    let mut server = websocket_server(patient(), echo);
    let mut client = server.websocket("/ws");
    server.handle.stop();
    assert_eq!(client.expect_close().0, 1001);
    server.handle.stop_now();
    server.join().unwrap();
    client.expect_end();
}

/// A server whose handler is busy until the test lets it go on, then tells how things stand.
fn busy_server(config: Config) -> (Running, Told<(bool, bool)>, Channel<()>) {
    let (tell, told) = tell();
    let (go, may_go) = channel::<()>();
    let may_go = Mutex::new(may_go);
    let server = websocket_server(config, move |_, ws: &WebSocket| {
        ws.send("busy")?;
        let _ = may_go.lock().unwrap().recv();
        let refused = ws.send("late").is_err_and(|error| error.is_closed());
        tell.send((ws.is_closed(), refused)).unwrap();
        Ok(())
    });
    (server, told, go)
}

#[test]
fn a_busy_handler_learns_of_the_stop_and_the_stop_waits_for_it() {
    let (mut server, told, go) = busy_server(patient());
    let mut client = server.websocket("/ws");
    assert_eq!(client.expect_text(), "busy");
    server.handle.stop();
    assert_eq!(client.answer_close().0, 1001);
    assert_eq!(server.handle.connections(), 1);
    go.send(()).unwrap();
    assert_eq!(told.next(), (true, true));
    server.join().unwrap();
    assert_eq!(server.handle.connections(), 0);
}

#[test]
fn a_handler_that_never_returns_is_left_behind() {
    let config = Config::default().with_shutdown_grace(Duration::from_millis(500));
    let (mut server, told, go) = busy_server(config);
    let mut client = server.websocket("/ws");
    assert_eq!(client.expect_text(), "busy");
    server.handle.stop();
    assert_eq!(client.expect_close().0, 1001);
    client.expect_end();
    server.join().unwrap();
    go.send(()).unwrap();
    assert_eq!(told.next(), (true, true));
}

#[test]
fn a_handshake_during_the_stop_is_refused() {
    let (tell, told) = tell();
    let (go, may_go) = channel::<()>();
    let may_go = Mutex::new(may_go);
    let builder = Server::builder().config(patient()).route("/ws", require_websocket(echo)).route(
        "/slow",
        move |_: &landline::Request| {
            tell.send(()).unwrap();
            may_go.lock().unwrap().recv().unwrap();
            Response::text("done")
        },
    );
    let mut server = Running::start(builder);
    let mut open = server.websocket("/ws");
    let mut slow = server.connect();
    // The handshake stands behind a request that is in work when the stop begins.
    slow.send("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
    slow.send(Client::handshake_head("/ws"));
    told.next();
    // So does one of which a byte is missing.
    let mut half = server.connect();
    let head = Client::handshake_head("/ws");
    half.send(&head.as_bytes()[..head.len() - 1]);
    half.settle();
    server.handle.stop();
    assert_eq!(open.expect_close().0, 1001);
    go.send(()).unwrap();
    let reply = slow.reply();
    assert_eq!((reply.status, reply.text()), (200, "done"), "what is in work is ended");
    assert!(!slow.receive() || slow.reply().status == 503);
    let told = half.try_send(&head.as_bytes()[head.len() - 1..]) && half.receive();
    assert!(!told || half.reply().status == 503);
    drop((slow, half));
    open.send_close(1001, "");
    open.expect_fin();
    server.join().unwrap();
}

#[test]
fn messages_that_wait_are_still_delivered_when_the_server_stops() {
    let (tell, told) = tell();
    let mut server = websocket_server(patient(), move |_, ws: &WebSocket| {
        eventually("messages", || ws.count_messages() == 3);
        ws.send("counted")?;
        eventually("the stop", || ws.is_closed());
        let mut texts = Vec::new();
        while let Some(message) = ws.wait()? {
            texts.push(message);
        }
        tell.send(texts).unwrap();
        Ok(())
    });
    let mut client = server.websocket("/ws");
    client.send(Client::frame(0x81, b"m").repeat(3));
    assert_eq!(client.expect_text(), "counted");
    server.handle.stop();
    assert_eq!(client.answer_close().0, 1001);
    assert_eq!(told.next(), vec![Message::from("m"); 3]);
    server.join().unwrap();
}

#[test]
fn a_stop_before_the_run_is_a_run_that_ends() {
    for is_graceful in [true, false] {
        let server = Server::builder().bind("127.0.0.1:0").unwrap();
        let handle = server.handle();
        if is_graceful {
            handle.stop()
        } else {
            handle.stop_now()
        }
        server.run().unwrap();
    }
}

#[test]
fn stopped_readers_do_not_hold_up_the_stop() {
    let config = Config::default().with_shutdown_grace(Duration::from_millis(300));
    let (tell, told) = tell();
    let mut server = websocket_server(config, move |_, ws: &WebSocket| {
        let sender = ws.sender()?;
        let mut is_told = false;
        loop {
            // Fills the queue, then waits for room until the end.
            ws.send(vec![0; 300_000])?;
            if !is_told && sender.queued_bytes() > 0 {
                is_told = true;
                tell.send(()).unwrap();
            }
        }
    });
    let clients: Vec<_> = (0..5).map(|_| server.websocket("/ws")).collect();
    (0..5).for_each(|_| told.next());
    let start = Instant::now();
    server.handle.stop();
    server.join().unwrap();
    assert!(start.elapsed() < Config::default().close_timeout(), "{:?}", start.elapsed());
    assert_eq!(server.handle.connections(), 0);
    drop(clients);
}
