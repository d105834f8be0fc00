//! Each proxy as the document configures it.

use std::process::Command;

use rustix::process::Signal;

use crate::client::{HOME, Visitor};
use crate::document::{block, replace};
use crate::harness::{Client, eventually};
use crate::program::{Directory, Program, landline, run};
use crate::site::{NAME, Site, certify, free_port};

/// Pings in which a proxy that waits for one second would have cut a connection without them.
const PINGS: usize = 12;

/// A proxy of the document.
#[derive(Clone, Copy, Debug)]
enum Proxy {
    Nginx,
    Ha,
    Caddy,
}

impl Proxy {
    /// Starts it in front of a site; with another time-out than the 75 seconds of the document.
    fn start(self, site: &mut Site, timeout: &str) {
        let port = free_port();
        let (text, program): (_, fn(&str) -> Command) = match self {
            Self::Nginx => (nginx(site, port), |file| command("nginx", &["-c", file])),
            Self::Ha => (haproxy(site, port), |file| command("haproxy", &["-db", "-f", file])),
            Self::Caddy => (caddy(site, port), |file| {
                command("caddy", &["run", "--adapter", "caddyfile", "--config", file])
            }),
        };
        site.start(port, &text.replace("75s", timeout), program);
    }

    fn cuts_silence(self) -> bool {
        !matches!(self, Self::Caddy)
    }
}

fn command(program: &str, args: &[&str]) -> Command {
    // Debian has some of them where only root looks.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("env");
    command.arg(format!("PATH={path}")).arg(program).args(args);
    command
}

fn nginx(site: &Site, port: u16) -> String {
    let text = block("nginx");
    let text = replace(&text, "listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl"));
    let text = replace(&text, "127.0.0.1:8000", &site.behind());
    let text = replace(&text, &format!("/etc/ssl/{NAME}.pem"), &site.file("site.pem"));
    let text = replace(&text, &format!("/etc/ssl/{NAME}.key"), &site.file("site.key"));
    let of = |name: &str| site.file(name);
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {};\n", of(name)))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {};\nerror_log stderr;\n\
         events {{ worker_connections 64; }}\n\
         http {{\naccess_log off;\n{temporary}{text}}}\n",
        of("pid")
    )
}

fn haproxy(site: &Site, port: u16) -> String {
    let text = block("haproxy");
    let text = replace(&text, "bind :443", &format!("bind 127.0.0.1:{port}"));
    let text = replace(&text, "127.0.0.1:8000", &site.behind());
    replace(&text, &format!("/etc/haproxy/{NAME}.pem"), &site.file("both.pem"))
}

fn caddy(site: &Site, port: u16) -> String {
    let text = block("caddy");
    let text = replace(&text, &format!("{NAME} {{"), &format!("https://{NAME}:{port} {{"));
    let text = replace(&text, "127.0.0.1:8000", &site.behind());
    let text = replace(&text, &format!("/etc/ssl/{NAME}.pem"), &site.file("site.pem"));
    let text = replace(&text, &format!("/etc/ssl/{NAME}.key"), &site.file("site.key"));
    let global = "admin off\nauto_https disable_redirects\ndefault_bind 127.0.0.1\n";
    format!("{{\n{global}}}\n{text}")
}

/// Pages, sockets and the visitor's address pass, whatever the visitor says of itself; and answers
/// come as they are written.
fn passes(proxy: Proxy) {
    let mut site = Site::new(&[]);
    proxy.start(&mut site, "75s");
    is_passed_through(&site);
}

fn is_passed_through(site: &Site) {
    let mut visitor = site.visit();
    visitor.ask("/echo?message=hello");
    let answer = visitor.until("hello");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let mut visitor = site.visit();
    visitor.open("/doctor/");
    let greeting = visitor.expect_text();
    assert!(greeting.contains(&format!("\"address\":\"{HOME}\"")), "{greeting}");
    visitor.expect_echo("hello");
    let mut visitor = site.visit();
    visitor.ask("/doctor/");
    let begun = visitor.until("\"address\"");
    assert!(!begun.contains("end\n"), "the answer was kept back: {begun}");
    visitor.until("end\n");
}

/// A silent connection stays as long as the server pings, and a proxy that cuts silence cuts it
/// without: the time-out of the test is one that counts.
fn leaves_silence_alone(proxy: Proxy) {
    for is_pinged in [true, false] {
        let interval = if is_pinged { "0.2" } else { "0" };
        let mut site = Site::new(&["--ws-ping-interval", interval]);
        proxy.start(&mut site, "1s");
        let mut visitor = site.visit();
        visitor.open("/echo");
        if is_pinged {
            for _ in 0..PINGS {
                let (first, payload) = visitor.frame().expect("the line stays");
                assert_eq!(first, 0x89);
                visitor.send(Client::frame(0x8a, payload.as_bytes()));
            }
            visitor.expect_echo("still there");
        } else if proxy.cuts_silence() {
            assert_eq!(visitor.frame(), None, "cut without a word");
        }
    }
}

/// The doctor on the same machine, through the proxy.
#[test]
fn the_doctor_finds_nothing_wrong_with_them() {
    for proxy in [Proxy::Nginx, Proxy::Ha] {
        let mut site = Site::new(&["--ws-ping-interval", "0.2"]);
        proxy.start(&mut site, "75s");
        let (url, authority) = (format!("wss://localhost:{}/", site.port()), site.file("site.pem"));
        let line =
            ["doctor", "--port", "0", "--idle", "0.5", "--url", &url, "--ca-file", &authority];
        let ended = run(&line);
        assert_eq!(ended.code, Some(0), "{proxy:?}: {}", ended.stdout);
        for about in ["upgrade", "forwarded address", "buffering", "silence"] {
            let found = ended.stdout.lines().find(|line| line.contains(&format!(" {about} ")));
            assert!(found.is_some_and(|line| line.starts_with("ok ")), "{about}: {}", ended.stdout);
        }
    }
}

/// What the doctor says of one thing, through an nginx whose configuration has other lines.
fn told(changes: &[(&str, &str)], about: &str) -> String {
    let mut site = Site::new(&[]);
    let port = free_port();
    let text = changes.iter().fold(nginx(&site, port), |text, (is, to)| replace(&text, is, to));
    site.start(port, &text, |file| command("nginx", &["-c", file]));
    let (url, authority) = (format!("wss://localhost:{port}/"), site.file("site.pem"));
    let line = ["doctor", "--port", "0", "--idle", "4", "--url", &url, "--ca-file", &authority];
    let said = run(&line).stdout;
    let mut lines = said.lines().skip_while(|line| !line.contains(&format!(" {about} ")));
    let found = lines.next().unwrap_or_else(|| panic!("nothing of {about}: {said}"));
    let advice = lines.take_while(|line| line.starts_with(' '));
    advice.fold(found.to_owned(), |text, line| text + "\n" + line)
}

/// nginx as people have it who have not read the document.
#[test]
fn the_doctor_says_what_is_wrong_with_an_nginx() {
    let has = |told: &str, grade: &str, words: &[&str]| {
        assert!(told.starts_with(grade), "{told}");
        assert!(words.iter().all(|word| told.contains(word)), "{words:?}: {told}");
    };
    let short = [("proxy_read_timeout 75s", "proxy_read_timeout 2s")];
    let words = ["without a word or ping", "proxy_read_timeout", "ws_ping_interval"];
    has(&told(&short, "silence"), "problem ", &words);
    let buffers = [("proxy_buffering off;", "")];
    has(&told(&buffers, "buffering"), "warning ", &["proxy_buffering off"]);
    let plain = [
        ("proxy_set_header Upgrade $http_upgrade;", ""),
        ("proxy_set_header Connection $connection_upgrade;", ""),
    ];
    let words =
        ["without the headers of an upgrade", "proxy_http_version", "Upgrade and Connection"];
    has(&told(&plain, "upgrade"), "problem ", &words);
    let nobody = [("proxy_set_header X-Forwarded-For $remote_addr;", "")];
    let words = ["believes a client", "overwrite X-Forwarded-For", "forwarded_allow_ips"];
    has(&told(&nobody, "forwarded address"), "problem ", &words);
}

#[test]
fn nginx_passes_everything() {
    passes(Proxy::Nginx);
}

/// The name of a socket is short, so it lies in the usual place.
#[test]
fn nginx_passes_everything_through_a_unix_socket() {
    let place = Directory::below(std::env::temp_dir());
    let socket = place.path.join("landline.sock");
    let socket = socket.to_str().expect("a path in UTF-8");
    let settings = replace(&block("socket"), "/run/landline/landline.sock", socket);
    let mut site = Site::with(&settings, &["--port", "0"]);
    let port = free_port();
    let text = nginx(&site, port);
    let text =
        replace(&text, &format!("server {};", site.behind()), &format!("server unix:{socket};"));
    site.start(port, &text, |file| command("nginx", &["-c", file]));
    is_passed_through(&site);
}

#[test]
fn nginx_leaves_silence_alone() {
    leaves_silence_alone(Proxy::Nginx);
}

#[test]
fn haproxy_passes_everything() {
    passes(Proxy::Ha);
}

#[test]
fn haproxy_leaves_silence_alone() {
    leaves_silence_alone(Proxy::Ha);
}

/// The check of the document, only more often: whoever is there is served on, and nobody new is sent.
#[test]
fn haproxy_takes_a_draining_server_out() {
    let mut site = Site::new(&["--drain-delay", "600"]);
    let (port, file) = (free_port(), |file: &str| command("haproxy", &["-db", "-f", file]));
    let text = replace(&haproxy(&site, port), "inter 2s", "inter 50ms");
    site.start(port, &text, file);
    let status = || {
        let mut visitor = site.visit();
        visitor.ask("/echo?message=hello");
        visitor.until("\r\n\r\n").split(' ').nth(1).map(str::to_owned)
    };
    assert_eq!(status().as_deref(), Some("200"));
    let mut there = site.visit();
    there.open("/echo");
    site.server.signal(Signal::TERM);
    eventually("the proxy has noticed", || status().as_deref() == Some("503"));
    there.expect_echo("still there");
}

/// Without a proxy: the certificate is the server's own.
#[test]
fn straight_it_speaks_tls_by_itself() {
    let directory = Directory::new();
    let certificate = certify(&directory);
    let file = |name: &str| directory.path.join(name).to_str().expect("UTF-8").to_owned();
    let text = replace(&block("straight"), "\"0.0.0.0\"", "\"127.0.0.1\"");
    let text = replace(&text, "port = 443", "port = 0");
    let text = replace(&text, "/etc/landline/fullchain.pem", &file("site.pem"));
    let text = replace(&text, "/etc/landline/privkey.pem", &file("site.key"));
    std::fs::write(file("landline.toml"), text).unwrap();
    let args = ["serve", "--config", &file("landline.toml"), "--allowed-host", NAME];
    let program = Program::listening(landline(&args));
    let said = program.stdout();
    let url = said.split("https://").nth(1).unwrap_or_else(|| panic!("no https in {said}"));
    let address = url.split('/').next().unwrap().parse().unwrap();
    let mut visitor = Visitor::new(address, NAME, &certificate);
    visitor.open("/echo");
    visitor.expect_echo("hello");
    let ended = run(&["doctor", "--port", "0", "--config", &file("landline.toml")]);
    assert!(ended.stdout.contains("is good for another"), "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn caddy_passes_everything() {
    passes(Proxy::Caddy);
}

#[test]
fn caddy_leaves_silence_alone() {
    leaves_silence_alone(Proxy::Caddy);
}
