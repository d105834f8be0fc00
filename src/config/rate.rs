//! `Rate`, how much of something may come in a second.

/// How much may come in a second, and how much at once: of connections, messages or bytes,
/// wherever a setting asks for one.
///
/// # Example
/// ```
/// use landline::{Config, Rate};
/// // Fifty messages a second from each client, two hundred in a burst.
/// let rate = Rate::per_second(50).with_burst(200);
/// let config = Config::default().with_message_rate(Some(rate));
/// assert_eq!(config.message_rate(), Some(rate));
/// ```
///
/// # Source
/// The token bucket: `burst` tokens fit into it, `per_second` come back in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    per_second: u64,
    burst: u64,
}

impl Rate {
    /// So much in a second, and what comes in a second at once. Zero counts as one: who is to be
    /// allowed nothing is to be refused.
    pub const fn per_second(amount: u64) -> Self {
        let amount = if amount == 0 { 1 } else { amount };
        Self { per_second: amount, burst: amount }
    }

    /// How much may come at once after a pause. Default: what comes in a second. Zero counts as
    /// one.
    #[must_use]
    pub const fn with_burst(mut self, amount: u64) -> Self {
        self.burst = if amount == 0 { 1 } else { amount };
        self
    }

    /// How much may come in a second in the long run.
    pub const fn amount(&self) -> u64 {
        self.per_second
    }

    /// How much may come at once.
    pub const fn burst(&self) -> u64 {
        self.burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_counts_as_one() {
        let rate = Rate::per_second(0);
        assert_eq!((rate.amount(), rate.burst()), (1, 1));
        assert_eq!(Rate::per_second(7).burst(), 7);
        assert_eq!(Rate::per_second(7).with_burst(0).burst(), 1);
    }
}
