//! The numbers of messages: in order, skipped, late, or never sent.

/// Most numbers remembered of those that were skipped.
const MOST_GAPS: usize = 10_000;

/// What a number means where another may have been due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    InOrder,
    /// So many before it are missing.
    Early(u64),
    /// One that was missing.
    Late,
    /// One that has come before.
    Again,
    /// One that was not sent.
    Unknown,
}

/// Which numbers have come, of those from 0 up.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    /// The number that is due.
    pub(crate) next: u64,
    gaps: Vec<u64>,
}

impl Sequence {
    /// Takes a number of which only the lowest `bits` are known; those below `sent` were sent.
    pub(crate) fn take(&mut self, low: u32, bits: u32, sent: u64) -> Taken {
        let unused = 32 - bits;
        // The distance from the one that is due, as the shorter way round.
        let ahead = i64::from((low.wrapping_sub(self.next as u32) << unused) as i32 >> unused);
        let Some(number) = self.next.checked_add_signed(ahead) else { return Taken::Unknown };
        if number >= sent {
            return Taken::Unknown;
        }
        if number >= self.next {
            let missing = number - self.next;
            let room = MOST_GAPS.saturating_sub(self.gaps.len());
            self.gaps.extend((self.next..number).take(room));
            self.next = number + 1;
            return if missing == 0 { Taken::InOrder } else { Taken::Early(missing) };
        }
        match self.gaps.iter().position(|gap| *gap == number) {
            Some(at) => {
                self.gaps.swap_remove(at);
                Taken::Late
            }
            None => Taken::Again,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_judged_by_what_is_due() {
        let mut sequence = Sequence::default();
        let mut take = |low, sent| sequence.take(low, 32, sent);
        assert_eq!(take(0, 1), Taken::InOrder);
        assert_eq!(take(1, 1), Taken::Unknown);
        assert_eq!(take(3, 4), Taken::Early(2));
        assert_eq!(take(2, 4), Taken::Late);
        assert_eq!(take(2, 4), Taken::Again);
        assert_eq!(take(4, 9), Taken::InOrder);
        assert_eq!(take(u32::MAX, 9), Taken::Unknown);
        assert_eq!(sequence.next, 5);
    }

    #[test]
    fn few_bits_are_enough_for_those_in_flight() {
        let mut sequence = Sequence::default();
        for number in 0..1000u64 {
            assert_eq!(sequence.take((number % 16) as u32, 4, number + 3), Taken::InOrder);
        }
        assert_eq!(sequence.take((1001 % 16) as u32, 4, 1003), Taken::Early(1));
    }

    #[test]
    fn numbers_go_on_beyond_32_bits() {
        let mut sequence = Sequence { next: u64::from(u32::MAX), gaps: Vec::new() };
        assert_eq!(sequence.take(u32::MAX, 32, 1 << 33), Taken::InOrder);
        assert_eq!(sequence.take(0, 32, 1 << 33), Taken::InOrder);
        assert_eq!(sequence.next, (1 << 32) + 1);
    }
}
