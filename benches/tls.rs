//! What TLS costs: the CPU of an echo of 1 KiB and the memory of an idle WebSocket, each beside the
//! same without TLS. The server is a process of its own, so only its own costs count.
//!
//! ```text
//! cargo bench --bench tls
//! ```

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use landline::{Request, Result, Server, Tls, TlsSettings, WebSocket, require_websocket};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Messages of an echo run.
const MESSAGES: usize = 40_000;

/// Idle connections at a time.
const IDLE: usize = 300;

/// A payload of 1 KiB in a masked frame, the mask being zero.
fn frame() -> Vec<u8> {
    let mut frame = vec![0x82, 0x80 | 126, 4, 0, 0, 0, 0, 0];
    frame.resize(8 + 1024, 7);
    frame
}

fn echo(_: &Request, ws: &WebSocket) -> Result<()> {
    for message in ws {
        ws.send(message?)?;
    }
    Ok(())
}

/// The other process: serves with files of this directory until its input ends.
fn serve(directory: &str) -> Result<()> {
    let settings = TlsSettings::new(format!("{directory}/c.pem"), format!("{directory}/k.pem"));
    let builder = Server::builder().route("/echo", require_websocket(echo));
    let server = builder.bind("127.0.0.1:0")?.bind_tls("127.0.0.1:0", &Tls::load(settings)?)?;
    for address in server.local_addrs() {
        println!("{address}");
    }
    let handle = server.handle();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        handle.stop_now();
    });
    server.run()
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

struct Bench {
    child: Child,
    addresses: Vec<SocketAddr>,
    config: Arc<ClientConfig>,
}

impl Bench {
    fn start() -> Self {
        let directory = std::env::temp_dir().join(format!("landline-bench-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
        std::fs::write(directory.join("c.pem"), made.cert.pem()).expect("a file");
        std::fs::write(directory.join("k.pem"), made.signing_key.serialize_pem()).expect("a file");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg("serve").arg(&directory).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a second process");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let addresses = lines.take(2).map(|line| line.unwrap().parse().unwrap()).collect();
        let _ = std::fs::remove_dir_all(directory);
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(made.cert.der().to_vec())).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        Self { child, addresses, config }
    }

    fn websocket(&self, is_tls: bool) -> Box<dyn Stream> {
        let sock = TcpStream::connect(self.addresses[usize::from(is_tls)]).expect("it listens");
        sock.set_nodelay(true).expect("a socket");
        let mut stream: Box<dyn Stream> = if is_tls {
            let name = ServerName::try_from("localhost").expect("a name");
            let client = ClientConnection::new(Arc::clone(&self.config), name).expect("a client");
            Box::new(StreamOwned::new(client, sock))
        } else {
            Box::new(sock)
        };
        let head = "GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
                    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(head.as_bytes()).expect("taken");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("an answer");
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 101"));
        stream
    }

    /// Clock ticks of the server, of which there are 100 a second.
    fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Resident memory of the server in KiB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Microseconds of the server's CPU for one echo.
    fn echo(&self, is_tls: bool) -> f64 {
        let (mut stream, frame) = (self.websocket(is_tls), frame());
        let mut answer = vec![0; 4 + 1024];
        let before = self.ticks();
        for _ in 0..MESSAGES {
            stream.write_all(&frame).expect("taken");
            stream.read_exact(&mut answer).expect("an echo");
        }
        (self.ticks() - before) as f64 * 10_000.0 / MESSAGES as f64
    }

    /// KiB of the server's memory for one idle WebSocket.
    fn idle(&self, is_tls: bool) -> f64 {
        let before = self.memory();
        let open: Vec<_> = (0..IDLE).map(|_| self.websocket(is_tls)).collect();
        let after = self.memory();
        drop(open);
        (after - before) as f64 / IDLE as f64
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("serve") {
        let directory = arguments.next().expect("a directory");
        return serve(&directory).expect("it serves");
    }
    // Each in a process that has done nothing else.
    for is_tls in [false, true] {
        let memory = Bench::start().idle(is_tls);
        println!("tls {is_tls}: idle WebSocket {memory:.1} KiB");
    }
    let bench = Bench::start();
    for _ in 0..2 {
        let [plain, tls] = [false, true].map(|is_tls| bench.echo(is_tls));
        println!("echo of 1 KiB: plain {plain:.2} us, TLS {tls:.2} us: {:.2}", tls / plain);
    }
}
