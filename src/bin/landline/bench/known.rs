//! Compressed messages that were inflated and found right: who gets the same bytes gets the same
//! message, and a server that compresses a broadcast once sends everybody the same.

/// Messages of each publisher that are remembered.
const REMEMBERED: u64 = 256;

/// By publisher and number.
#[derive(Debug)]
pub(crate) struct Known {
    places: Vec<Vec<(u64, Vec<u8>)>>,
}

impl Known {
    pub(crate) fn new(publishers: usize) -> Self {
        let nothing = || (0..REMEMBERED).map(|_| (u64::MAX, Vec::new())).collect();
        Self { places: (0..publishers).map(|_| nothing()).collect() }
    }

    /// True if these are the bytes of that message.
    pub(crate) fn is(&self, publisher: usize, number: u64, bytes: &[u8]) -> bool {
        let (known, right) = &self.places[publisher][(number % REMEMBERED) as usize];
        *known == number && right == bytes
    }

    /// Remembers a message that was found right.
    pub(crate) fn keep(&mut self, publisher: usize, number: u64, bytes: &[u8]) {
        let (known, right) = &mut self.places[publisher][(number % REMEMBERED) as usize];
        *known = number;
        right.clear();
        right.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_bytes_of_the_same_number_are_known() {
        let mut known = Known::new(2);
        known.keep(1, 300, b"x");
        assert!(known.is(1, 300, b"x"));
        assert!(!known.is(1, 300, b"y") && !known.is(1, 44, b"x") && !known.is(0, 300, b"x"));
        known.keep(1, 44, b"z");
        assert!(!known.is(1, 300, b"x") && known.is(1, 44, b"z"));
    }
}
