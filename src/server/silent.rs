//! Connections that have not sent a whole request yet.
//!
//! There are only so many: when one more comes, the oldest that has nothing to be read is sent
//! away. Whoever sends a request at once is hardly ever among the oldest, so clients that connect
//! and say nothing, or little at a time, take each other's places and nobody else's.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::net::stream::Stream;
use crate::sync::Mutex;

/// Most that are looked at for one that may be sent away.
const LOOKS: usize = 8;

/// Who had to make room, if anybody had to.
pub(crate) type SentAway = Option<Arc<Stream>>;

/// Who has not sent a request, the oldest first: numbers of connections only grow.
#[derive(Debug, Default)]
pub(crate) struct Silent {
    waiting: Mutex<BTreeMap<u64, Arc<Stream>>>,
}

impl Silent {
    /// Adds a connection, and says which one was sent away for it; `None` if there are `limit` and
    /// none of the oldest can be.
    ///
    /// Who is sent away sees the end of what it receives, finds itself no longer
    /// [here](Self::leave), and answers by itself.
    pub(crate) fn enter(&self, id: u64, stream: &Arc<Stream>, limit: usize) -> Option<SentAway> {
        let mut waiting = self.waiting.lock();
        let mut sent_away = None;
        if waiting.len() >= limit {
            // Whose bytes wait has sent what its thread has not had the time to take.
            let mut oldest = waiting.iter().take(LOOKS);
            let (&id, _) = oldest.find(|(_, stream)| stream.waiting_bytes() == 0)?;
            sent_away = waiting.remove(&id);
        }
        waiting.insert(id, Arc::clone(stream));
        drop(waiting);
        if let Some(stream) = &sent_away {
            stream.shutdown_read();
        }
        Some(sent_away)
    }

    /// Takes a connection out; false if it was sent away.
    pub(crate) fn leave(&self, id: u64) -> bool {
        self.waiting.lock().remove(&id).is_some()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.waiting.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::net::stream::{Blocking, Received};

    fn pair() -> (UnixStream, Arc<Stream>) {
        let (client, server) = UnixStream::pair().unwrap();
        (client, Arc::new(Stream::new(OwnedFd::from(server), ([127, 0, 0, 1], 1).into())))
    }

    fn has_ended(stream: &Stream) -> bool {
        stream.recv_into(&mut Vec::with_capacity(8), Blocking::Never).unwrap() == Received::End
    }

    #[test]
    fn the_oldest_without_a_word_goes_when_one_more_comes() {
        let (silent, pairs) = (Silent::default(), [(); 5].map(|()| pair()));
        for (id, (_, stream)) in (1..).zip(&pairs[..3]) {
            assert!(silent.enter(id, stream, 3).unwrap().is_none());
        }
        assert!(silent.leave(2));
        assert!(silent.enter(4, &pairs[3].1, 3).unwrap().is_none());
        assert!(!has_ended(&pairs[0].1));
        (&pairs[0].0).write_all(b"GET").unwrap();
        let gone = silent.enter(5, &pairs[4].1, 3).unwrap().unwrap();
        assert!(Arc::ptr_eq(&gone, &pairs[2].1));
        assert_eq!(silent.len(), 3);
        assert!(has_ended(&pairs[2].1), "the first has sent something");
        assert!(!silent.leave(3));
        for id in [1, 4, 5] {
            assert!(silent.leave(id));
        }
    }

    #[test]
    fn if_all_have_sent_something_nobody_goes() {
        let (silent, pairs) = (Silent::default(), [(); 2].map(|()| pair()));
        assert!(silent.enter(1, &pairs[0].1, 1).is_some());
        (&pairs[0].0).write_all(b"GET").unwrap();
        assert!(silent.enter(2, &pairs[1].1, 1).is_none());
        assert!(silent.leave(1) && !silent.leave(2));
    }
}
