//! Twin of `tls` for builds without it: no such session can be made.

use std::convert::Infallible;

/// A client's certificate, of which there is none.
#[derive(Debug)]
pub(crate) struct ClientCertificate(Infallible);

/// Settings of TLS, of which there are none.
#[derive(Clone, Debug)]
pub(crate) struct Tls(Infallible);

pub(crate) mod session {
    use std::convert::Infallible;
    use std::fmt;
    use std::io::{self, IoSlice};
    use std::mem::MaybeUninit;

    use super::{ClientCertificate, Tls};
    use crate::deadline::Deadline;
    use crate::net::socket::{Blocking, Received, Socket};

    /// The TLS of a connection, which has none.
    #[derive(Debug)]
    pub(crate) struct Session(Infallible);

    /// Why there are no keys.
    #[derive(Debug)]
    pub(crate) enum HandshakeFailure {}

    impl HandshakeFailure {
        pub(crate) fn is_plain_http(&self) -> bool {
            match *self {}
        }

        pub(crate) fn is_silent(&self) -> bool {
            match *self {}
        }
    }

    impl fmt::Display for HandshakeFailure {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            match *self {}
        }
    }

    impl Session {
        pub(crate) const TURNED_AWAY: &[u8] = &[];

        pub(crate) fn new(tls: &Tls) -> Self {
            match tls.0 {}
        }

        pub(crate) fn is_bypassed(&self) -> bool {
            match self.0 {}
        }

        pub(crate) fn client_certificate(&self) -> Option<&ClientCertificate> {
            match self.0 {}
        }

        pub(crate) fn shake_hands(&self, _: &Socket, _: Deadline) -> Result<(), HandshakeFailure> {
            match self.0 {}
        }

        pub(crate) fn recv_into(
            &self,
            _: &Socket,
            _: &mut Vec<u8>,
            _: Blocking,
        ) -> io::Result<Received> {
            match self.0 {}
        }

        pub(crate) fn recv_uninit<'a>(
            &self,
            _: &Socket,
            _: &'a mut [MaybeUninit<u8>],
            _: Blocking,
        ) -> io::Result<(Received, &'a mut [u8])> {
            match self.0 {}
        }

        pub(crate) fn send(&self, _: &Socket, _: &[IoSlice<'_>]) -> io::Result<usize> {
            match self.0 {}
        }

        pub(crate) fn has_unsent(&self, _: &Socket) -> bool {
            match self.0 {}
        }

        pub(crate) fn has_part(&self) -> bool {
            match self.0 {}
        }

        pub(crate) fn has_buffered(&self) -> bool {
            match self.0 {}
        }

        pub(crate) fn buffered_bytes(&self) -> u64 {
            match self.0 {}
        }

        pub(crate) fn say_goodbye(&self, _: &Socket) {
            match self.0 {}
        }

        pub(crate) fn end_without_goodbye(&self) {
            match self.0 {}
        }
    }
}
