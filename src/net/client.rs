//! A connection to a server of this host, as a test client has it: it blocks until a deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::deadline::Deadline;

/// A connected socket of which every call ends at one absolute deadline, with `WouldBlock`, after
/// which it can go on with another one.
#[derive(Debug)]
pub(crate) struct ClientStream {
    stream: TcpStream,
    deadline: Deadline,
}

impl ClientStream {
    /// Connects, at the latest by the deadline.
    pub(crate) fn connect(address: SocketAddr, deadline: Deadline) -> io::Result<Self> {
        let stream = match deadline.remaining() {
            Some(time) if time.is_zero() => return Err(ErrorKind::TimedOut.into()),
            Some(time) => TcpStream::connect_timeout(&address, time)?,
            None => TcpStream::connect(address)?,
        };
        stream.set_nodelay(true)?;
        Ok(Self { stream, deadline })
    }

    /// Sets when the calls that follow end.
    pub(crate) fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }

    /// What is left for the next call to the kernel, which must be more than nothing.
    fn time(&self) -> io::Result<Option<Duration>> {
        match self.deadline.remaining() {
            Some(time) if time.is_zero() => Err(ErrorKind::WouldBlock.into()),
            time => Ok(time),
        }
    }

    /// Calls until it is done or the deadline has passed; the kernel may call time too early, and
    /// a signal ends a call without anything done.
    fn until_deadline(
        &mut self,
        set_time: impl Fn(&TcpStream, Option<Duration>) -> io::Result<()>,
        mut call: impl FnMut(&mut TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            set_time(&self.stream, self.time()?)?;
            match call(&mut self.stream) {
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                done => return done,
            }
        }
    }
}

impl Read for ClientStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.until_deadline(TcpStream::set_read_timeout, |stream| stream.read(buffer))
    }
}

impl Write for ClientStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.until_deadline(TcpStream::set_write_timeout, |stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::time::Instant;

    fn pair(time: Duration) -> (ClientStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = ClientStream::connect(address, Deadline::after(time)).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn trickling_bytes_do_not_move_the_deadline() {
        let time = Duration::from_millis(200);
        let (mut client, mut server) = pair(time);
        let start = Instant::now();
        let thread = std::thread::spawn(move || while server.write_all(b"x").is_ok() {});
        let mut buffer = [0; 1];
        let error = loop {
            if let Err(error) = client.read(&mut buffer) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(start.elapsed() >= time);
        drop(client);
        thread.join().unwrap();
    }

    #[test]
    fn a_peer_that_takes_nothing_does_not_hold_a_write() {
        let (mut client, _server) = pair(Duration::from_millis(50));
        let error = client.write_all(&vec![0; 64 << 20]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        client.set_deadline(Deadline::after(Duration::ZERO));
        assert_eq!(client.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}
