//! Why clients are turned away, counted.

use crate::sync::atomic::{AtomicU64, Ordering};

/// Why a client was turned away by a limit of the server, or by what its proxy says.
///
/// What is wrong with a request itself is not here: that has its HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The server has as many connections as it may: 503.
    Full,
    /// The client's address has as many connections as it may: 503.
    AddressFull,
    /// New connections come too fast: 503.
    TooFast,
    /// New connections of the client's address come too fast: 503, for a handshake behind a proxy
    /// 429.
    AddressTooFast,
    /// Too many connections had not sent a request yet, and this was the oldest of them: 503.
    Silent,
    /// The user has as many WebSockets as one may: 429.
    UserFull,
    /// The system gave no thread: 503.
    NoThread,
    /// The system gave no descriptor: 503.
    NoDescriptor,
    /// The server stops: 503.
    Stopping,
    /// A listener that takes connections of proxies alone has got one of somebody else, which is
    /// closed without an answer.
    NoProxy,
    /// The PROXY header was missing, malformed or late: closed without an answer.
    ProxyHeader,
}

impl RefusalReason {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 11] = [
        Self::Full,
        Self::AddressFull,
        Self::TooFast,
        Self::AddressTooFast,
        Self::Silent,
        Self::UserFull,
        Self::NoThread,
        Self::NoDescriptor,
        Self::Stopping,
        Self::NoProxy,
        Self::ProxyHeader,
    ];

    /// Its name for logs and metrics: `address_full`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::AddressFull => "address_full",
            Self::TooFast => "too_fast",
            Self::AddressTooFast => "address_too_fast",
            Self::Silent => "silent",
            Self::UserFull => "user_full",
            Self::NoThread => "no_thread",
            Self::NoDescriptor => "no_descriptor",
            Self::Stopping => "stopping",
            Self::NoProxy => "no_proxy",
            Self::ProxyHeader => "proxy_header",
        }
    }
}

/// How many were turned away for each reason.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    counts: [AtomicU64; RefusalReason::ALL.len()],
}

impl Refusals {
    pub(crate) fn count(&self, reason: RefusalReason) {
        self.counts[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn of(&self, reason: RefusalReason) -> u64 {
        self.counts[reason as usize].load(Ordering::Relaxed)
    }

    /// Each reason by its name, with its count.
    pub(crate) fn by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        RefusalReason::ALL.into_iter().map(|reason| (reason.as_str(), self.of(reason)))
    }

    /// For all reasons together.
    pub(crate) fn sum(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_count_and_a_name_of_its_own() {
        let refusals = Refusals::default();
        for (at, reason) in RefusalReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at);
            for _ in 0..=at {
                refusals.count(reason);
            }
        }
        for (at, reason) in RefusalReason::ALL.into_iter().enumerate() {
            assert_eq!(refusals.of(reason), at as u64 + 1);
            let same = RefusalReason::ALL.iter().filter(|other| other.as_str() == reason.as_str());
            assert_eq!(same.count(), 1);
        }
        assert_eq!(refusals.sum(), (1..=RefusalReason::ALL.len() as u64).sum::<u64>());
    }
}
