//! A process that has no descriptor left answers 503 and lives on.

use std::fs::File;
use std::os::fd::AsRawFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::counts::{alone, routes};
use crate::harness::{Client, Running, eventually};

/// Every descriptor is taken; gives the limit back when dropped.
pub(crate) struct Exhausted {
    limit: Rlimit,
    fillers: Vec<File>,
}

impl Exhausted {
    pub(crate) fn new() -> Self {
        let limit = getrlimit(Resource::Nofile);
        let mut fillers: Vec<File> = (0..50).map(|_| open().expect("a free descriptor")).collect();
        let next = fillers[49].as_raw_fd() as u64 + 1;
        setrlimit(Resource::Nofile, Rlimit { current: Some(next), ..limit }).unwrap();
        while let Some(file) = open() {
            fillers.push(file);
        }
        Self { limit, fillers }
    }

    /// A client gets the one descriptor that is there for it.
    fn connect(&mut self, server: &Running) -> Client {
        self.fillers.pop();
        server.connect()
    }
}

impl Drop for Exhausted {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.limit).unwrap();
    }
}

fn open() -> Option<File> {
    File::open("/dev/null").ok()
}

#[test]
fn without_descriptors_clients_are_answered_503() {
    let _alone = alone();
    let server = Running::start(routes());
    let mut early = server.connect();
    assert_eq!(early.get("/").text(), "here");
    let mut exhausted = Exhausted::new();
    // The accept that was waiting already has its descriptor, so this one may still be served.
    let mut first = exhausted.connect(&server);
    let status = first.get("/").status;
    assert!(matches!(status, 200 | 503), "{status}");
    for turn in 0..5 {
        let mut client = exhausted.connect(&server);
        if turn % 2 == 0 {
            client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        }
        let reply = client.reply();
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
        client.expect_fin();
        assert_eq!(early.get("/").text(), "here", "those who are inside are served");
        drop(client);
        exhausted.fillers.extend(open());
    }
    drop((exhausted, first));
    for _ in 0..5 {
        assert_eq!(server.connect().get("/").text(), "here");
    }
    eventually("one is left", || server.handle.connections() == 1);
}
