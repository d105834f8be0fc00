//! Which overflow policy a group has, by its name.

use crate::conn::overflow::Overflow;

/// A default and exceptions by name; the first that fits counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policies {
    pub(crate) default: Overflow,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    /// The name, or what it starts with.
    name: String,
    is_prefix: bool,
    overflow: Overflow,
}

impl Policies {
    /// Adds an exception: a whole name, or the beginning of names before a final `*`.
    pub(crate) fn add(&mut self, pattern: &str, overflow: Overflow) {
        let (name, is_prefix) = match pattern.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (pattern, false),
        };
        self.rules.push(Rule { name: name.to_owned(), is_prefix, overflow });
    }

    pub(crate) fn of(&self, name: &str) -> Overflow {
        let fits = |rule: &&Rule| {
            if rule.is_prefix { name.starts_with(&rule.name) } else { name == rule.name }
        };
        self.rules.iter().find(fits).map_or(self.default, |rule| rule.overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_counts() {
        let mut policies = Policies::default();
        policies.add("prices/gold", Overflow::DropOldest);
        policies.add("prices/*", Overflow::Latest);
        assert_eq!(policies.of("prices/gold"), Overflow::DropOldest);
        assert_eq!(policies.of("prices/silver"), Overflow::Latest);
        assert_eq!(policies.of("prices"), Overflow::Disconnect);
        policies.add("*", Overflow::DropOldest);
        assert_eq!(policies.of("anything"), Overflow::DropOldest);
    }
}
