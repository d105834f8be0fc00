//! Many at once: from one address, too fast, without a word, of one user.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use landline::{
    Config, Identity, Rate, RefusalReason, Request, Result, Server, WebSocket, accept_websocket,
    facility, require_websocket,
};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use crate::harness::{Client, PATIENCE, Running, echo, eventually};
use crate::logbook;

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const THERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A client with another address of this machine.
pub(crate) fn client_from(address: impl Into<IpAddr>, server: SocketAddr) -> Client {
    let address = address.into();
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket(family, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::new(address, 0)).unwrap();
    connect(&socket, &server).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    Client { stream, buffer: Vec::new() }
}

fn serving(config: Config) -> Running {
    let builder = Server::builder().config(config).route("/", |_: &Request| "here");
    Running::start(builder.route("/ws", require_websocket(echo)))
}

#[test]
fn a_thousand_connections_of_one_address_leave_room_for_others() {
    let server = serving(Config::default().with_max_connections_per_address(Some(50)));
    let mut waiting: Vec<Client> = (0..50).map(|_| server.websocket("/ws")).collect();
    let refused = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                for _ in 0..190 {
                    let mut client = server.connect();
                    client.try_send(Client::handshake_head("/ws"));
                    let reply = client.reply();
                    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..20 {
            let mut other = client_from(THERE, server.address);
            assert_eq!(other.get("/").text(), "here", "while the others are refused");
        }
    });
    assert_eq!(refused.into_inner(), 950);
    assert_eq!(server.handle.refused(RefusalReason::AddressFull), 950);
    assert_eq!(server.handle.refused_clients(), 950);
    waiting.iter_mut().for_each(|client| client.expect_echo("still served"));
    drop(waiting);
    server.becomes_empty();
    server.websocket("/ws").expect_echo("room again");
}

/// `::1` is an address of its own here; two of one /64 are not to be had without rights.
#[test]
fn an_address_of_the_other_family_counts_for_itself() {
    let config = Config::default().with_max_connections_per_address(Some(1));
    let builder = Server::builder().config(config).route("/", |_: &Request| "here");
    let Ok(server) = builder.bind("[::]:0") else { return };
    let (port, handle) = (server.local_addrs()[0].port(), server.handle());
    let thread = thread::spawn(move || server.run());
    let at = |address: IpAddr| client_from(address, SocketAddr::new(address, port));
    let mut v4 = at(HERE.into());
    assert_eq!(v4.get("/").text(), "here");
    let mut v6 = at(std::net::Ipv6Addr::LOCALHOST.into());
    assert_eq!(v6.get("/").text(), "here");
    for address in [HERE.into(), std::net::Ipv6Addr::LOCALHOST.into()] {
        assert_eq!(at(address).reply().status, 503);
    }
    handle.stop_now();
    thread.join().unwrap().unwrap();
}

#[test]
fn connections_that_come_too_fast_are_refused() {
    logbook::open();
    // Nothing comes back in the time of a test.
    let rate = Rate::per_second(1).with_burst(5);
    let server = serving(Config::default().with_connection_rate_per_address(Some(rate)));
    let replies: Vec<u16> = (0..40).map(|_| server.connect().get("/").status).collect();
    assert_eq!(replies[..5], [200; 5]);
    let refused = replies.iter().filter(|&&status| status == 503).count();
    assert!(refused > 20, "{replies:?}");
    assert_eq!(server.handle.refused(RefusalReason::AddressTooFast), refused as u64);
    assert_eq!(client_from(THERE, server.address).get("/").status, 200);
    assert!(!logbook::lines_with(&["new connections of 127.0.0.1 come too fast"]).is_empty());
}

#[test]
fn connections_that_come_too_fast_from_everywhere_are_refused() {
    let rate = Rate::per_second(1).with_burst(4);
    let server = serving(Config::default().with_connection_rate(Some(rate)));
    let mut first = server.connect();
    assert_eq!(first.get("/").status, 200);
    for at in 2..5 {
        let mut client = client_from(Ipv4Addr::new(127, 0, 0, at), server.address);
        assert_eq!(client.get("/").status, 200);
    }
    let later = (5..40).map(|at| Ipv4Addr::new(127, 0, 0, at));
    let refused = later.filter(|&at| client_from(at, server.address).get("/").status == 503);
    assert!(refused.count() > 20);
    assert_eq!(first.get("/").status, 200, "who is in is not slowed down");
}

#[test]
fn three_hundred_silent_clients_take_each_others_places() {
    let config = Config::default().with_max_connections(Some(100));
    let server = serving(config.with_max_silent_connections(Some(20)));
    let mut inside = server.websocket("/ws");
    let mut silent = Vec::new();
    for turn in 0..300 {
        let mut client = server.connect();
        if turn % 3 == 0 {
            client.try_send("GET / HT");
        }
        silent.push(client);
        if turn % 10 == 0 {
            assert_eq!(server.connect().get("/").text(), "here", "after {turn} silent ones");
            inside.expect_echo("in peace");
        }
    }
    eventually("all but twenty were sent away", || {
        server.handle.refused(RefusalReason::Silent) >= 280
    });
    eventually("the oldest are gone", || server.handle.connections() <= 21);
    assert_eq!(server.handle.silent_connections(), 20);
    let mut answered = 0;
    for mut client in silent.drain(..200) {
        answered += usize::from(client.receive() && client.buffer.starts_with(b"HTTP/1.1 503 "));
    }
    // Who had sent a part may get a reset for it.
    assert!(answered >= 130, "{answered} of 200 were told why");
    server.websocket("/ws").expect_echo("welcome");
}

fn of_user(request: &Request, ws: &WebSocket) -> Result<()> {
    request.count_user(request.query("user").unwrap_or("nobody"))?;
    echo(request, ws)
}

#[test]
fn a_user_has_so_many_websockets() {
    let config = Config::default().with_max_websockets_per_user(Some(2));
    let channels = facility().identify(|request: &Request| {
        request.query("me").map_or_else(Identity::default, |name| Identity::default().user(name))
    });
    let panicking = |request: &Request, _: &WebSocket| -> Result<()> {
        request.count_user("anna")?;
        panic!("on purpose");
    };
    let plain = |request: &Request| request.count_user("anna").map(|()| "counted for nobody");
    let builder = Server::builder().config(config).route("/ws", require_websocket(of_user));
    let builder = builder.route("/panic", require_websocket(panicking));
    let builder = builder.route("/plain", accept_websocket(plain));
    let server = Running::start(builder.route("/f/<facility>", channels));
    let mut sockets = [server.websocket("/ws?user=anna"), server.websocket("/ws?user=anna")];
    for _ in 0..3 {
        let mut third = server.connect();
        let reply = third.ask(Client::handshake_head("/ws?user=anna"));
        assert_eq!((reply.status, reply.header("retry-after")), (429, Some("10")));
        assert_eq!(reply.text(), "You have 2 connections open, which is the limit.\n");
        let reply = third.ask(Client::handshake_head("/ws?user=bert"));
        assert_eq!(reply.status, 101, "on the same connection");
        assert_eq!(server.connect().get("/plain").text(), "counted for nobody");
    }
    assert_eq!(server.handle.refused(RefusalReason::UserFull), 3);
    sockets.iter_mut().for_each(|socket| socket.expect_echo("both are served"));
    let [first, second] = sockets;
    let mut first = first;
    first.say_goodbye();
    second.reset();
    eventually("the places are free", || {
        let mut panics = server.connect();
        panics.ask(Client::handshake_head("/panic")).status == 500
    });
    for _ in 0..5 {
        let mut panics = server.connect();
        assert_eq!(panics.ask(Client::handshake_head("/panic")).status, 500, "and frees its own");
    }
    let _anna = [server.websocket("/ws?user=anna"), server.websocket("/f/x?me=anna")];
    let third = server.connect().ask(Client::handshake_head("/f/x?me=anna"));
    assert_eq!(third.status, 429, "channels count as well");
}
