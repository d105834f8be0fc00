//! Proxies in front: PROXY headers and forwarded addresses, believed from those alone who are
//! trusted.

use std::net::SocketAddr;
use std::time::Duration;

use landline::{
    Builder, Config, Handle, Networks, ProxyHeaders, Rate, RefusalReason, Request, Result, Server,
    require_websocket,
};

use crate::harness::{Client, Running, echo, eventually};
use crate::logbook;

/// What the server knows of a client, as text.
fn known(request: &Request) -> String {
    let (peer, client) = (request.peer(), request.client());
    format!("{peer} {client} {} {}", request.scheme(), request.host())
}

fn builder(config: Config, trusted: &str, headers: ProxyHeaders) -> Builder {
    let builder = Server::builder().config(config).route("/", known);
    let builder = builder.route("/ws", require_websocket(echo)).allowed_hosts(["*"]);
    builder.trusted_proxies(trusted.parse().unwrap()).proxy_headers(headers)
}

fn v2(source: [u8; 4], port: u16) -> Vec<u8> {
    let addresses = [&source[..], &[127, 0, 0, 1], &port.to_be_bytes(), &[0, 80]].concat();
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", &addresses[..]].concat()
}

const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// A server of which one listener expects the PROXY protocol and one does not.
struct Doors {
    server: Running,
    plain: SocketAddr,
}

fn doors(config: Config, trusted: &str) -> Doors {
    let server = builder(config, trusted, ProxyHeaders::Off).bind("127.0.0.1:0").unwrap();
    let server = server.bind("127.0.0.1:0").unwrap().expect_proxy_protocol();
    let [plain, proxied] = server.local_addrs()[..] else { panic!("two listeners") };
    Doors { server: Running::of(server, proxied), plain }
}

impl Doors {
    fn handle(&self) -> &Handle {
        &self.server.handle
    }

    fn is_closed_after(&self, bytes: &[u8]) {
        let mut client = self.server.connect();
        client.try_send(bytes);
        client.expect_end();
    }
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";

#[test]
fn the_address_of_a_proxy_header_is_that_of_the_client() {
    logbook::open();
    let doors = doors(Config::default(), "127.0.0.1");
    let mut client = doors.server.connect();
    let reply = client.ask([&v2([192, 0, 2, 7], 4711), GET].concat());
    assert_eq!(reply.text(), "192.0.2.7:4711 192.0.2.7 http a.example");
    assert_eq!(client.ask(GET).text(), "192.0.2.7:4711 192.0.2.7 http a.example", "and stays so");
    let mut bytewise = doors.server.connect();
    for byte in [&v2([192, 0, 2, 8], 1), GET].concat() {
        bytewise.send([byte]);
    }
    assert!(bytewise.reply().text().starts_with("192.0.2.8:1 "));
    let mut v1 = doors.server.connect();
    let reply = v1.ask([b"PROXY TCP6 2001:db8::7 ::1 4711 80\r\n", GET].concat());
    assert!(reply.text().starts_with("[2001:db8::7]:4711 2001:db8::7 "), "{}", reply.text());
    let mut check = doors.server.connect();
    let reply = check.ask([LOCAL, GET].concat());
    assert!(reply.text().starts_with("127.0.0.1:"), "{}", reply.text());
    let mut socket = doors.server.connect();
    socket.send(v2([192, 0, 2, 9], 2));
    socket.handshake("/ws");
    socket.expect_echo("through the proxy");
    socket.say_goodbye();
    eventually("the client stands in the log", || {
        !logbook::lines_with(&["192.0.2.9:2", "WebSocket /ws"]).is_empty()
    });
    let reply = Client::new(doors.plain).ask(GET);
    assert!(reply.text().starts_with("127.0.0.1:"), "the other listener knows nothing of it");
    assert_eq!(Client::new(doors.plain).refused(v2([192, 0, 2, 7], 1)).status, 400);
}

#[test]
fn without_a_valid_header_a_connection_is_closed_with_a_word_to_the_log() {
    logbook::open();
    let config = Config::default().with_head_timeout(Duration::from_millis(300));
    let doors = doors(config, "127.0.0.1");
    doors.is_closed_after(GET);
    assert!(!logbook::lines_with(&["begins without a PROXY header"]).is_empty());
    let mut broken = v2([192, 0, 2, 7], 1);
    broken[13] = 0x12;
    let mut long = LOCAL.to_vec();
    long[14..].copy_from_slice(&5000u16.to_be_bytes());
    long.extend([0; 5000]);
    let mut unsigned = v2([192, 0, 2, 7], 1);
    unsigned[10] = b'N';
    for bytes in [&broken[..], &long, &unsigned, b"PROXY TCP4 x y 1 2\r\n"] {
        doors.is_closed_after(bytes);
    }
    for late in [&b""[..], b"PRO", &LOCAL[..15], b"PROXY TCP4 192.0.2.7"] {
        doors.is_closed_after(late);
    }
    eventually("all are counted", || doors.handle().refused(RefusalReason::ProxyHeader) == 9);
    doors.server.becomes_empty();
}

#[test]
fn who_is_no_proxy_has_no_business_there() {
    logbook::open();
    let doors = doors(Config::default(), "10.0.0.0/8");
    let mut client = doors.server.connect();
    client.try_send([&v2([192, 0, 2, 7], 1), GET].concat());
    client.expect_end();
    assert_eq!(doors.handle().refused(RefusalReason::NoProxy), 1);
    assert!(!logbook::lines_with(&["127.0.0.1 is turned away: no_proxy"]).is_empty());
    assert_eq!(Client::new(doors.plain).ask(GET).status, 200);
    doors.handle().reload_proxies("127.0.0.1".parse().unwrap(), ProxyHeaders::Off);
    assert_eq!(doors.server.connect().ask([&v2([192, 0, 2, 7], 1), GET].concat()).status, 200);
}

#[test]
fn limits_count_whom_the_proxy_header_names() {
    let config = Config::default().with_max_connections_per_address(Some(2));
    let doors = doors(config, "127.0.0.1");
    let open = |source| {
        let mut client = doors.server.connect();
        client.send(v2(source, 1));
        client.send(Client::handshake_head("/ws"));
        let status = client.reply().status;
        (client, status)
    };
    let anna = [open([192, 0, 2, 7]), open([192, 0, 2, 7])];
    assert_eq!(anna.each_ref().map(|(_, status)| *status), [101, 101]);
    assert_eq!(open([192, 0, 2, 7]).1, 503);
    assert_eq!(open([192, 0, 2, 8]).1, 101, "somebody else behind the same proxy");
    assert_eq!(doors.handle().refused(RefusalReason::AddressFull), 1);
    drop(anna);
    doors.server.becomes_empty();
    assert_eq!(open([192, 0, 2, 7]).1, 101);
}

/// A request with header fields of a proxy.
fn get_with(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n")
}

fn forwarding(config: Config, trusted: &str, headers: ProxyHeaders) -> Running {
    Running::start(builder(config, trusted, headers))
}

#[test]
fn forwarded_addresses_of_trusted_proxies_count_and_lies_do_not() {
    let proxies = "127.0.0.1 10.0.0.0/8";
    let server = forwarding(Config::default(), proxies, ProxyHeaders::XForwarded);
    let mut proxy = server.connect();
    for (fields, shown) in [
        ("X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n", "192.0.2.7 https a.example"),
        ("X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.1.1.1\r\n", "192.0.2.7 http a.example"),
        ("X-Forwarded-For: 2001:db8::7\r\n", "2001:db8::7 http a.example"),
        ("X-Forwarded-For: garbage\r\n", "127.0.0.1 http a.example"),
        ("Forwarded: for=192.0.2.7;proto=https\r\n", "127.0.0.1 http a.example"),
        ("X-Forwarded-Host: b.example\r\n", "127.0.0.1 http a.example"),
        ("", "127.0.0.1 http a.example"),
    ] {
        let reply = proxy.ask(get_with("/", fields));
        let (peer, rest) = reply.text().split_once(' ').unwrap();
        assert_eq!(rest, shown, "{fields:?}");
        assert!(peer.starts_with("127.0.0.1:"), "the other end stays who it is: {peer}");
    }
    let server = forwarding(Config::default(), "10.0.0.0/8", ProxyHeaders::XForwarded);
    let fields = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n";
    let reply = server.connect().ask(get_with("/", fields));
    assert!(reply.text().ends_with(" 127.0.0.1 http a.example"), "from anybody else it is no news");
}

#[test]
fn the_field_of_the_standard_is_read_where_it_is_asked_for() {
    let server = forwarding(Config::default(), "127.0.0.1", ProxyHeaders::Forwarded);
    let mut proxy = server.connect();
    let fields = "Forwarded: for=6.6.6.6, for=\"[2001:db8::7]:1\";proto=https;host=b.example\r\n";
    let fields = format!("{fields}X-Forwarded-For: 9.9.9.9\r\n");
    let reply = proxy.ask(get_with("/", &fields));
    assert!(reply.text().ends_with(" 2001:db8::7 https b.example"), "{}", reply.text());
    let reply = proxy.refused(get_with("/", "Forwarded: for=\", for=192.0.2.7\r\n"));
    assert_eq!(reply.status, 400, "an open quote hides nobody");
}

#[test]
fn a_forwarded_host_must_be_one_of_ours_as_well() {
    let headers = ProxyHeaders::XForwardedWithHost;
    let builder = builder(Config::default(), "127.0.0.1", headers);
    let server = Running::start(builder.allowed_hosts(["a.example"]));
    let ask = |fields: &str| server.connect().ask(get_with("/", fields));
    assert!(ask("X-Forwarded-Host: a.example\r\n").text().ends_with(" a.example"));
    assert_eq!(ask("X-Forwarded-Host: b.example\r\n").status, 421);
    assert_eq!(ask("X-Forwarded-Host: a b\r\n").status, 400);
}

#[test]
fn limits_count_whom_a_trusted_proxy_names() {
    let config = Config::default().with_max_connections_per_address(Some(2));
    let rate = Rate::per_second(1).with_burst(6);
    let config = config.with_connection_rate_per_address(Some(rate));
    let server = forwarding(config, "127.0.0.1", ProxyHeaders::XForwarded);
    let head = Client::handshake_head("/ws");
    let open = |client: &str| {
        let mut proxy = server.connect();
        let fields = format!("\r\nX-Forwarded-For: 6.6.6.6, {client}\r\n\r\n");
        let status = proxy.ask(head.replace("\r\n\r\n", &fields)).status;
        (proxy, status)
    };
    let held: Vec<_> = ["192.0.2.7", "192.0.2.7", "192.0.2.8"].map(open).into();
    assert!(held.iter().all(|(_, status)| *status == 101));
    assert_eq!(open("192.0.2.7").1, 503);
    let mut other = server.connect();
    for _ in 0..20 {
        // One connection of the proxy, requests of many clients: each is free again at its end.
        let reply = other.ask(get_with("/", "X-Forwarded-For: 192.0.2.9\r\n"));
        assert_eq!(reply.status, 200);
    }
    let first: Vec<_> = (0..2).map(|_| open("2001:db8:0:1::1")).collect();
    assert_eq!(first.iter().filter(|(_, status)| *status == 101).count(), 2);
    assert_eq!(open("2001:db8:0:1:ffff::1").1, 503, "of the same /64");
    assert_eq!(open("2001:db8:0:2::1").1, 101, "of another");
    drop((held, first));
    eventually("the places are free", || server.handle.connections() <= 1);
    let statuses: Vec<u16> = (0..10).map(|_| open("192.0.2.7").1).collect();
    assert!(statuses.contains(&429), "too many new ones: {statuses:?}");
}

#[test]
fn nobody_is_trusted_by_itself() {
    assert!(Networks::none().is_empty());
    let builder = Server::builder().route("/", known).proxy_headers(ProxyHeaders::XForwarded);
    let server = Running::start(builder);
    let head = "GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n";
    assert!(server.connect().ask(head).text().ends_with(" 127.0.0.1 http localhost"));
}

#[test]
fn a_page_of_the_forwarded_host_may_connect() -> Result<()> {
    let server = forwarding(Config::default(), "127.0.0.1", ProxyHeaders::XForwardedWithHost);
    let head = Client::handshake_head("/ws");
    let ask = |fields: &str| {
        let fields = format!("\r\n{fields}\r\n\r\n");
        server.connect().ask(head.replace("\r\n\r\n", &fields)).status
    };
    let forwarded = "X-Forwarded-Host: www.example.com\r\nX-Forwarded-Proto: https\r\n";
    assert_eq!(ask(&format!("{forwarded}Origin: https://www.example.com")), 101);
    assert_eq!(ask(&format!("{forwarded}Origin: https://evil.example")), 403);
    assert_eq!(ask(&format!("{forwarded}Origin: http://www.example.com")), 403, "not by TLS");
    assert_eq!(ask("Origin: https://www.example.com"), 403);
    Ok(())
}
