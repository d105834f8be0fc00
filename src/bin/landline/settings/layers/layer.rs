//! What one layer says: texts by key, and where they stand.

use std::collections::BTreeMap;
use std::fmt;

use crate::settings::said::find;
use crate::settings::setting::Setting;

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Flag,
    Variable,
    /// On this line of the settings file.
    File(usize),
}

/// The texts of a setting, more than one only for a list.
#[derive(Clone)]
struct Found {
    texts: Vec<String>,
    source: Source,
}

/// What was said in one place, or in several of them, one over the other.
#[derive(Clone, Default)]
pub(crate) struct Layer {
    found: BTreeMap<&'static str, Found>,
}

impl Layer {
    /// Takes note of a value.
    pub(crate) fn say(&mut self, key: &'static str, texts: Vec<String>, source: Source) {
        self.found.insert(key, Found { texts, source });
    }

    /// Gives what is not said here from a layer below.
    pub(crate) fn over(mut self, below: Self) -> Self {
        for (key, found) in below.found {
            self.found.entry(key).or_insert(found);
        }
        self
    }

    /// What is said of these settings.
    pub(crate) fn only(&self, is_meant: impl Fn(&Setting) -> bool) -> Self {
        let found = self.found.iter().filter(|(key, _)| find(key).is_some_and(&is_meant));
        Self { found: found.map(|(key, found)| (*key, found.clone())).collect() }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.found.contains_key(key)
    }

    /// The texts of a setting; `None` if it was not said.
    pub(crate) fn texts(&self, key: &str) -> Option<&[String]> {
        self.found.get(key).map(|found| &*found.texts)
    }

    /// Where a setting was said.
    pub(crate) fn source(&self, key: &str) -> Option<Source> {
        self.found.get(key).map(|found| found.source)
    }
}

/// Shows where things stand and no secret.
impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.found.iter().map(|(key, found)| {
            let is_secret = find(key).is_none_or(|setting| setting.is_secret);
            let texts = if is_secret { "(set)".to_owned() } else { format!("{:?}", found.texts) };
            (key, (texts, found.source))
        });
        f.debug_map().entries(shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(said: &[(&'static str, &str)], source: Source) -> Layer {
        let mut layer = Layer::default();
        for (key, text) in said {
            layer.say(key, vec![(*text).to_owned()], source);
        }
        layer
    }

    #[test]
    fn the_layer_above_counts_and_keeps_its_source() {
        let above = layer(&[("port", "1")], Source::Flag);
        let below = layer(&[("port", "2"), ("held_bytes", "3")], Source::File(7));
        let both = above.over(below);
        assert_eq!(both.texts("port").unwrap(), ["1"]);
        assert_eq!(both.source("port"), Some(Source::Flag));
        assert_eq!(both.source("held_bytes"), Some(Source::File(7)));
        assert!(!both.has("host"));
    }

    #[test]
    fn secrets_are_not_shown() {
        let layer = layer(&[("publish_key", "hush"), ("port", "99")], Source::Variable);
        let shown = format!("{layer:?}");
        assert!(!shown.contains("hush") && shown.contains("99"), "{shown}");
    }
}
