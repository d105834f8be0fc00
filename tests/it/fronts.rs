//! Real proxies in front: nginx, which writes `X-Forwarded-For`, and HAProxy, which writes PROXY
//! headers.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use landline::{
    Config, ProxyHeaders, RefusalReason, Request, Server, WebSocket, require_websocket,
};

use crate::crowd::client_from;
use crate::harness::{Client, PATIENCE, Running, echo, eventually};

/// The clients; the proxies connect from 127.0.0.1.
const ANNA: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const BERT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// A proxy as a process of ours; killed when dropped.
struct Front {
    child: Child,
    address: SocketAddr,
    directory: PathBuf,
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Front {
    /// Starts a proxy that cannot choose a free port by itself: another one is tried until it has
    /// one.
    fn start(name: &str, config: impl Fn(SocketAddr, &str) -> String, args: &[&str]) -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let start = Instant::now();
        loop {
            // Each with an address of its own, so that none finds another's port.
            let address = Ipv4Addr::new(127, 0, 77, NEXT.fetch_add(1, Ordering::Relaxed));
            let free = TcpListener::bind((address, 0)).unwrap().local_addr().unwrap();
            let directory = std::env::temp_dir().join(format!("landline-{name}-{}", free.port()));
            fs::create_dir_all(&directory).unwrap();
            let place = directory.to_str().expect("a path in UTF-8");
            let file = directory.join("conf");
            fs::write(&file, config(free, place)).unwrap();
            let mut command = Command::new(program(name));
            command.args(args).arg(&file).current_dir(&directory);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let child = command.spawn().expect("the proxy starts");
            let mut front = Self { child, address: free, directory };
            if front.listens() {
                return front;
            }
            assert!(start.elapsed() < PATIENCE, "{name} does not start");
        }
    }

    /// Waits until it listens; false if it has ended.
    fn listens(&mut self) -> bool {
        let start = Instant::now();
        while self.child.try_wait().expect("our child").is_none() {
            if TcpStream::connect(self.address).is_ok() {
                return true;
            }
            assert!(start.elapsed() < PATIENCE, "the proxy does not listen");
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    }

    fn client(&self, address: Ipv4Addr) -> Client {
        client_from(address, self.address)
    }
}

/// Where a proxy is installed; `tests/run` sees to it.
fn program(name: &str) -> PathBuf {
    let places = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let found = places.iter().map(|place| PathBuf::from(place).join(name)).find(|at| at.exists());
    found.unwrap_or_else(|| panic!("{name} is not installed: apt-get install {name}"))
}

fn nginx(back: SocketAddr) -> Front {
    let config = |listen: SocketAddr, directory: &str| {
        format!(
            "daemon off;\nmaster_process off;\npid {directory}/pid;\nerror_log {directory}/log;\n\
             events {{}}\nhttp {{\naccess_log off;\n\
             client_body_temp_path {directory}/body;\nproxy_temp_path {directory}/proxy;\n\
             fastcgi_temp_path {directory}/fcgi;\nuwsgi_temp_path {directory}/uwsgi;\n\
             scgi_temp_path {directory}/scgi;\n\
             map $http_upgrade $upgrade {{ default upgrade; '' ''; }}\n\
             upstream back {{ server {back}; keepalive 4; }}\n\
             server {{\nlisten {listen};\nlocation / {{\nproxy_pass http://back;\n\
             proxy_http_version 1.1;\nproxy_set_header Host $http_host;\n\
             proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection $upgrade;\n\
             proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
             proxy_set_header X-Forwarded-Proto $scheme;\n}}\n}}\n}}\n"
        )
    };
    Front::start("nginx", config, &["-e", "/dev/null", "-c"])
}

fn haproxy(back: SocketAddr) -> Front {
    let config = |listen: SocketAddr, _: &str| {
        format!(
            "defaults\nmode tcp\ntimeout connect 5s\ntimeout client 60s\ntimeout server 60s\n\
             frontend f\nbind {listen}\ndefault_backend b\n\
             backend b\nserver s {back} send-proxy-v2 check inter 50ms check-send-proxy\n"
        )
    };
    Front::start("haproxy", config, &["-db", "-f"])
}

fn known(request: &Request) -> String {
    format!("{} {} {}", request.peer().ip(), request.client(), request.scheme())
}

fn whoami(request: &Request, ws: &WebSocket) -> landline::Result<()> {
    ws.send(request.client().to_string())?;
    echo(request, ws)
}

fn back(headers: ProxyHeaders, expects_proxy: bool) -> Running {
    let config = Config::default().with_max_connections_per_address(Some(2));
    let builder = Server::builder().config(config).allowed_hosts(["*"]).proxy_headers(headers);
    let builder = builder.route("/", known).route("/ws", require_websocket(whoami));
    let server = builder.trusted_proxies("127.0.0.1".parse().unwrap()).bind("127.0.0.1:0").unwrap();
    let server = if expects_proxy { server.expect_proxy_protocol() } else { server };
    let address = server.local_addrs()[0];
    Running::of(server, address)
}

/// Each client has two places behind the proxy, and is served with its own address.
fn each_client_has_its_own_places(front: &Front, server: &Running) {
    let open = |client| {
        let mut client = front.client(client);
        client.send(Client::handshake_head("/ws"));
        let status = client.reply().status;
        (client, status)
    };
    let mut anna = [open(ANNA), open(ANNA)];
    for (socket, status) in &mut anna {
        assert_eq!((*status, socket.expect_text()), (101, ANNA.to_string()));
        socket.expect_echo("through the proxy");
    }
    assert_eq!(open(ANNA).1, 503);
    let (mut bert, status) = open(BERT);
    assert_eq!((status, bert.expect_text()), (101, BERT.to_string()));
    let [(mut first, _), _second] = anna;
    first.say_goodbye();
    eventually("a place is free", || open(ANNA).1 == 101);
    assert!(server.handle.refused(RefusalReason::AddressFull) >= 1);
}

#[test]
fn nginx_says_who_its_clients_are() {
    let server = back(ProxyHeaders::XForwarded, false);
    let front = nginx(server.address);
    let lie = "GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 6.6.6.6\r\n\
               Forwarded: for=6.6.6.6\r\n\r\n";
    assert_eq!(front.client(ANNA).ask(lie).text(), "127.0.0.1 127.0.0.2 http");
    each_client_has_its_own_places(&front, &server);
}

#[test]
fn haproxy_says_who_its_clients_are_and_checks_as_itself() {
    let server = back(ProxyHeaders::XForwarded, true);
    let front = haproxy(server.address);
    let lie = "GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";
    assert_eq!(front.client(ANNA).ask(lie).text(), "127.0.0.2 127.0.0.2 http");
    eventually("her place is free again", || server.handle.connections() == 0);
    each_client_has_its_own_places(&front, &server);
    assert_eq!(server.handle.refused(RefusalReason::ProxyHeader), 0, "its checks are welcome");
}

/// HAProxy passes TLS on as it is, with its header before it.
#[cfg(feature = "tls")]
#[test]
fn haproxy_says_who_the_clients_of_tls_are() {
    use crate::tls::certificates::usual;
    use crate::tls::client::{get, over, try_get};

    let (_directory, tls, config) = usual();
    let one = Config::default().with_max_connections_per_address(Some(1));
    let builder = Server::builder().config(one).route("/", known);
    let builder = builder.trusted_proxies("127.0.0.1".parse().unwrap());
    let server = builder.bind_tls("127.0.0.1:0", &tls).unwrap().expect_proxy_protocol();
    let address = server.local_addrs()[0];
    let server = Running::of(server, address);
    let front = haproxy(server.address);
    let connect = |client| over(front.client(client).stream, &config, "localhost");
    assert!(get(&mut connect(ANNA), "/").ends_with("127.0.0.2 127.0.0.2 https"));
    eventually("her place is free again", || server.handle.connections() == 0);
    let mut anna = connect(ANNA);
    assert!(anna.conn.complete_io(&mut anna.sock).is_ok(), "she holds her place");
    assert!(try_get(&mut connect(ANNA), "/").is_err(), "and has no other");
    assert!(get(&mut connect(BERT), "/").ends_with("127.0.0.3 127.0.0.3 https"));
    assert_eq!(server.handle.refused(RefusalReason::ProxyHeader), 0, "its checks are welcome");
}

#[test]
fn nginx_behind_haproxy_is_believed_as_well() {
    let server = back(ProxyHeaders::XForwarded, true);
    let inner = haproxy(server.address);
    let front = nginx(inner.address);
    let get = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    assert_eq!(front.client(BERT).ask(get).text(), "127.0.0.1 127.0.0.3 http");
    each_client_has_its_own_places(&front, &server);
}
