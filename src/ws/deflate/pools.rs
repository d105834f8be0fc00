//! Compressors and inflaters that belong to nobody between two messages.

use crate::sync::Mutex;
use crate::ws::deflate::compressor::{Compressor, Dialect};
use crate::ws::deflate::inflater::Inflater;

/// The spare compressors and inflaters of a server, so many of each at most: what is in use beyond
/// that is dropped after its use.
#[derive(Debug)]
pub(crate) struct Pools {
    compressors: Mutex<Spare<Compressor>>,
    inflaters: Mutex<Spare<Inflater>>,
    most: usize,
}

/// What lies ready, the one used last on top.
#[derive(Debug)]
struct Spare<T> {
    ready: Vec<Box<T>>,
    /// So many have not been touched since the last look.
    untouched: usize,
}

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Self { ready: Vec::new(), untouched: 0 }
    }
}

impl<T> Spare<T> {
    fn take(&mut self, is_right: impl Fn(&T) -> bool) -> Option<Box<T>> {
        let at = self.ready.iter().rposition(|one| is_right(one))?;
        self.untouched = self.untouched.min(at);
        Some(self.ready.remove(at))
    }

    /// Takes one back; returns the one that is too much, which has not been used for longest.
    fn give(&mut self, one: Box<T>, most: usize) -> Option<Box<T>> {
        self.ready.push(one);
        if self.ready.len() <= most {
            return None;
        }
        self.untouched = self.untouched.saturating_sub(1);
        Some(self.ready.remove(0))
    }

    /// Those that were not touched since the last call, without the last `kept` of all.
    fn take_idle(&mut self, kept: usize) -> Vec<Box<T>> {
        let idle = self.untouched.min(self.ready.len().saturating_sub(kept));
        let idle = self.ready.drain(..idle).collect();
        self.untouched = self.ready.len();
        idle
    }
}

impl Pools {
    pub(crate) fn new(most: usize) -> Self {
        Self { compressors: Mutex::default(), inflaters: Mutex::default(), most }
    }

    /// Compresses a payload by itself; `build` gets what came of it. `None` if that would not be
    /// smaller.
    ///
    /// # Blocking
    /// Never; no lock is held meanwhile.
    pub(crate) fn deflate<R>(
        &self,
        dialect: &Dialect,
        payload: &[u8],
        build: impl FnOnce(&[u8]) -> R,
    ) -> Option<R> {
        let ready = self.compressors.lock().take(|one| one.speaks(dialect));
        let mut compressor = ready.unwrap_or_else(|| Compressor::boxed(dialect));
        let built = compressor.deflate(payload).map(build);
        compressor.reset();
        compressor.shrink();
        let surplus = self.compressors.lock().give(compressor, self.most);
        drop(surplus);
        built
    }

    /// An inflater that remembers nothing.
    pub(crate) fn take_inflater(&self) -> Box<Inflater> {
        let ready = self.inflaters.lock().take(|_| true);
        ready.unwrap_or_else(Inflater::boxed)
    }

    /// Takes an inflater back after use, whatever it has seen.
    pub(crate) fn give_inflater(&self, mut inflater: Box<Inflater>) {
        inflater.reset();
        let surplus = self.inflaters.lock().give(inflater, self.most);
        drop(surplus);
    }

    /// Frees what was not used since the last call, but one inflater, if there was one: to make
    /// one takes more of a thread's stack than to use it, and the stack would stay resident with
    /// each connection that has something to say once in a while.
    pub(crate) fn shrink(&self) {
        let idle = (self.compressors.lock().take_idle(0), self.inflaters.lock().take_idle(1));
        drop(idle);
    }
}

#[cfg(test)]
impl Pools {
    /// How many compressors and inflaters lie ready.
    pub(crate) fn ready(&self) -> (usize, usize) {
        (self.compressors.lock().ready.len(), self.inflaters.lock().ready.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIALECT: Dialect = Dialect { window_bits: 15, level: 2, threshold_bytes: 0 };

    #[test]
    fn a_message_is_compressed_as_if_by_a_new_compressor() {
        let (pools, text) = (Pools::new(2), b"one two one two one two one two".as_slice());
        let deflate = || pools.deflate(&DIALECT, text, <[u8]>::to_vec).unwrap();
        let first = deflate();
        assert_eq!(pools.deflate(&DIALECT, b"x", <[u8]>::to_vec), None);
        assert_eq!(deflate(), first);
        assert_eq!(pools.ready(), (1, 0));
    }

    #[test]
    fn only_so_many_are_kept_and_those_that_suit() {
        let (pools, text) = (Pools::new(2), b"one two one two one two one two".as_slice());
        for level in 1..=4 {
            pools.deflate(&Dialect { level, ..DIALECT }, text, |_| ());
        }
        assert_eq!(pools.ready(), (2, 0));
        let levels: Vec<bool> = {
            let spare = pools.compressors.lock();
            let speaks = |level| {
                let dialect = Dialect { level, ..DIALECT };
                spare.ready.iter().any(|one| one.speaks(&dialect))
            };
            (1..=4).map(speaks).collect()
        };
        assert_eq!(levels, [false, false, true, true]);
    }

    #[test]
    fn what_is_not_used_is_freed_but_for_one_inflater() {
        let pools = Pools::new(4);
        let taken: Vec<_> = (0..3).map(|_| pools.take_inflater()).collect();
        taken.into_iter().for_each(|one| pools.give_inflater(one));
        pools.shrink();
        assert_eq!(pools.ready(), (0, 3), "they were used before the first look");
        let one = pools.take_inflater();
        pools.give_inflater(one);
        pools.shrink();
        assert_eq!(pools.ready(), (0, 1));
        pools.deflate(&DIALECT, b"one two one two one two", |_| ());
        for ready in [(1, 1), (0, 1), (0, 1)] {
            pools.shrink();
            assert_eq!(pools.ready(), ready, "the last inflater stays");
        }
    }
}
