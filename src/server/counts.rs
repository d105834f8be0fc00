//! Counts of requests and of handshakes that came to nothing.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::histogram::{Histogram, Timings};

/// Parts of the counts, so that threads rarely meet in one.
const SHARDS: usize = 8;

/// Why a handshake was refused, in the words of its metric: by the status of the answer, but for
/// those that have a word of their own.
const REASONS: [&str; 12] = [
    "bad-request",
    "unauthorized",
    "forbidden",
    "origin",
    "not-found",
    "method",
    "misdirected",
    "version",
    "too-many",
    "failed",
    "unavailable",
    "other",
];

/// Why a handshake was refused.
fn place(status: u16, is_foreign: bool) -> usize {
    let word = match status {
        _ if is_foreign => "origin",
        400 => "bad-request",
        401 | 407 => "unauthorized",
        403 => "forbidden",
        404 | 410 => "not-found",
        405 => "method",
        421 => "misdirected",
        426 => "version",
        429 => "too-many",
        503 => "unavailable",
        500..=599 => "failed",
        _ => "other",
    };
    REASONS.iter().position(|reason| *reason == word).unwrap_or(REASONS.len() - 1)
}

/// Counts of what is answered by HTTP.
// No lock, so no model checker needs to see its atomics.
#[derive(Debug, Default)]
pub(crate) struct HttpCounts {
    /// Answers by the first digit of their status.
    answers: [Answers; SHARDS],
    refused: [AtomicU64; REASONS.len()],
    times: Histogram,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Answers([AtomicU64; 5]);

impl HttpCounts {
    /// Counts an answer of a connection; `time` is how long the request took until its handler
    /// returned.
    pub(crate) fn answered(&self, conn_id: u64, status: u16, time: Option<Duration>) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.answers[(conn_id % SHARDS as u64) as usize].0[class].fetch_add(1, Relaxed);
        if let Some(time) = time {
            self.times.observe(conn_id, time);
        }
    }

    /// Counts a handshake that was answered with another status than 101.
    pub(crate) fn refused(&self, status: u16, is_foreign: bool) {
        self.refused[place(status, is_foreign)].fetch_add(1, Relaxed);
    }

    /// Answers by the first digit of their status, from 1 on.
    pub(crate) fn answers(&self) -> [u64; 5] {
        let mut sums = [0; 5];
        for Answers(counts) in &self.answers {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count.load(Relaxed);
            }
        }
        sums
    }

    /// Handshakes refused, by reason.
    pub(crate) fn refusals(&self) -> Vec<(&'static str, u64)> {
        let counts = self.refused.iter().map(|count| count.load(Relaxed));
        REASONS.into_iter().zip(counts).collect()
    }

    /// How long requests took until their handlers returned.
    pub(crate) fn times(&self) -> Timings {
        self.times.read()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_counted_once() {
        let counts = HttpCounts::default();
        for (conn_id, status) in [100, 204, 301, 404, 404, 500, 599, 999].into_iter().enumerate() {
            counts.answered(conn_id as u64, status, None);
        }
        assert_eq!(counts.answers(), [1, 1, 1, 2, 3]);
    }

    #[test]
    fn a_foreign_origin_is_no_other_403() {
        let counts = HttpCounts::default();
        for (status, is_foreign) in [(403, true), (403, false), (403, false), (418, false)] {
            counts.refused(status, is_foreign);
        }
        let refusals = counts.refusals();
        let of =
            |word| refusals.iter().find(|(reason, _)| *reason == word).map(|(_, count)| *count);
        assert_eq!((of("origin"), of("forbidden"), of("other")), (Some(1), Some(2), Some(1)));
    }
}
