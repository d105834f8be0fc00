//! The flags in the query of a facility's address: what a client listens and publishes to.

use std::fmt;

use crate::error::Result;
use crate::http::query::Pairs;
use crate::http::refusal::Refusal;
use crate::hub::channel::Audience;

/// Every flag with what it means, in the order in which they are shown.
const KNOWN: [(&str, Meaning); 9] = [
    ("subscribe-broadcast", Meaning::Subscribe(Audience::Broadcast)),
    ("subscribe-user", Meaning::Subscribe(Audience::User)),
    ("subscribe-group", Meaning::Subscribe(Audience::Group)),
    ("subscribe-session", Meaning::Subscribe(Audience::Session)),
    ("publish-broadcast", Meaning::Publish(Audience::Broadcast)),
    ("publish-user", Meaning::Publish(Audience::User)),
    ("publish-group", Meaning::Publish(Audience::Group)),
    ("publish-session", Meaning::Publish(Audience::Session)),
    ("echo", Meaning::Echo),
];

/// Most characters of a wrong flag that are shown to who sent it.
const SHOWN: usize = 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Subscribe(Audience),
    Publish(Audience),
    Echo,
}

/// What a client asks of a facility: to listen to channels, to publish to channels, to hear
/// itself.
///
/// # Units
/// The words of the query: `subscribe-broadcast`, `subscribe-user`, `subscribe-group`,
/// `subscribe-session`, the same with `publish-`, and `echo`.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags {
    /// One bit for each of `KNOWN`.
    bits: u16,
}

impl Flags {
    /// Reads the flags of a query. With none that subscribes or publishes, `subscribe-broadcast`
    /// is meant.
    ///
    /// # Errors
    /// 400: something looks like a flag, because it has no value or starts like one, and is none.
    pub(super) fn parse(query: Option<&str>) -> Result<Self, Refusal> {
        let mut flags = Self::default();
        for piece in query.unwrap_or_default().split('&') {
            let pairs = Pairs::parse(piece.as_bytes())?;
            let Some((word, _)) = pairs.iter().next() else { continue };
            let word = word.trim().to_lowercase();
            match KNOWN.iter().position(|(known, _)| *known == word) {
                Some(place) => flags.bits |= 1 << place,
                None if looks_like_a_flag(piece, &word) => return Err(unknown(&word)),
                None => {}
            }
        }
        if !flags.has_channels() {
            flags.bits |= 1;
        }
        Ok(flags)
    }

    /// True if this flag is among them.
    pub fn contains(self, flag: &str) -> bool {
        self.iter().any(|own| own == flag)
    }

    /// The flags.
    pub fn iter(self) -> impl Iterator<Item = &'static str> {
        self.known().map(|(word, _)| *word)
    }

    /// Those of the flags for which `keep` is true.
    #[must_use]
    pub fn filter(self, mut keep: impl FnMut(&str) -> bool) -> Self {
        let kept = |place: &usize| keep(KNOWN[*place].0);
        Self::of_places(self.places().filter(kept))
    }

    /// True if there are none.
    pub fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// Those that publish.
    pub(super) fn publishing(self) -> Self {
        self.filter(|word| word.starts_with("publish-"))
    }

    /// Those that are in both.
    pub(super) fn and(self, other: Self) -> Self {
        Self { bits: self.bits & other.bits }
    }

    /// True if any of them is for a channel.
    pub(super) fn has_channels(self) -> bool {
        self.meanings().any(|meaning| meaning != Meaning::Echo)
    }

    /// Whom it listens to.
    pub(super) fn subscribed(self) -> Vec<Audience> {
        self.audiences(|meaning| match meaning {
            Meaning::Subscribe(audience) => Some(audience),
            Meaning::Publish(_) | Meaning::Echo => None,
        })
    }

    /// Whom it publishes to.
    pub(super) fn published(self) -> Vec<Audience> {
        self.audiences(|meaning| match meaning {
            Meaning::Publish(audience) => Some(audience),
            Meaning::Subscribe(_) | Meaning::Echo => None,
        })
    }

    fn audiences(self, audience: impl Fn(Meaning) -> Option<Audience>) -> Vec<Audience> {
        self.meanings().filter_map(audience).collect()
    }

    pub(super) fn has_echo(self) -> bool {
        self.meanings().any(|meaning| meaning == Meaning::Echo)
    }

    fn of_places(places: impl Iterator<Item = usize>) -> Self {
        Self { bits: places.fold(0, |bits, place| bits | 1 << place) }
    }

    fn places(self) -> impl Iterator<Item = usize> {
        (0..KNOWN.len()).filter(move |place| self.bits & 1 << place != 0)
    }

    fn known(self) -> impl Iterator<Item = &'static (&'static str, Meaning)> {
        self.places().map(|place| &KNOWN[place])
    }

    fn meanings(self) -> impl Iterator<Item = Meaning> {
        self.known().map(|(_, meaning)| *meaning)
    }
}

/// Without a value, or with the beginning of a flag: a typing error, most likely, of which the
/// client would learn from silence only.
fn looks_like_a_flag(piece: &str, word: &str) -> bool {
    !piece.contains('=') || word.starts_with("subscribe-") || word.starts_with("publish-")
}

fn unknown(word: &str) -> Refusal {
    let shown: String = word.chars().take(SHOWN).collect();
    let known: Vec<&str> = KNOWN.iter().map(|(word, _)| *word).collect();
    let text = format!("There is no flag {shown:?}; the flags are {}.", known.join(", "));
    Refusal::bad_request(text).and_keep()
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({self})")
    }
}

/// What the callback of [`Facility::allow`](crate::Facility::allow) may return: yes or no, the
/// flags that are allowed, or a `Result` of one of these.
pub trait IntoFlags {
    /// The flags that are allowed, of those that a client asks for.
    ///
    /// # Errors
    /// Those that the value itself carries.
    fn into_flags(self, asked: Flags) -> Result<Flags>;
}

impl IntoFlags for bool {
    fn into_flags(self, asked: Flags) -> Result<Flags> {
        Ok(if self { asked } else { Flags::default() })
    }
}

impl IntoFlags for Flags {
    fn into_flags(self, _asked: Flags) -> Result<Flags> {
        Ok(self)
    }
}

impl<T: IntoFlags> IntoFlags for Result<T> {
    fn into_flags(self, asked: Flags) -> Result<Flags> {
        self?.into_flags(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(query: &str) -> String {
        Flags::parse(Some(query)).unwrap().to_string()
    }

    #[test]
    fn without_a_flag_for_channels_everybody_s_is_meant() {
        assert_eq!(Flags::parse(None).unwrap().to_string(), "subscribe-broadcast");
        assert_eq!(flags(""), "subscribe-broadcast");
        assert_eq!(flags("token=abc&&"), "subscribe-broadcast");
        assert_eq!(flags("echo"), "subscribe-broadcast, echo");
        assert_eq!(flags("publish-user"), "publish-user");
        assert_eq!(
            flags("subscribe-session&subscribe-group"),
            "subscribe-group, subscribe-session"
        );
    }

    #[test]
    fn flags_are_read_in_any_case_and_coding_with_or_without_a_value() {
        assert_eq!(flags("Subscribe-USER"), "subscribe-user");
        assert_eq!(flags("subscribe%2Duser"), "subscribe-user");
        assert_eq!(flags("+subscribe-user+=&ECHO=1"), "subscribe-user, echo");
        assert_eq!(flags("subscribe-user&subscribe-user"), "subscribe-user");
    }

    #[test]
    fn what_looks_like_a_flag_and_is_none_is_refused() {
        for (query, shown) in [
            ("subscribe-all", "\"subscribe-all\""),
            ("subscribe-user&publish-everybody=1", "\"publish-everybody\""),
            ("subscribe_broadcast", "\"subscribe_broadcast\""),
            ("%3Cscript%3E%0A", "\"<script>\""),
            ("a%0Ab", "\"a\\nb\""),
            (&"x".repeat(3000), "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\";"),
        ] {
            let refusal = Flags::parse(Some(query)).unwrap_err();
            assert_eq!(refusal.status(), 400);
            assert!(refusal.text().contains(shown), "{}", refusal.text());
            assert!(refusal.text().ends_with("publish-group, publish-session, echo."));
        }
        for query in ["token=", "subscribe=1", "v=1&x=subscribe-all"] {
            assert!(Flags::parse(Some(query)).is_ok(), "{query}");
        }
    }

    #[test]
    fn flags_can_be_filtered() {
        let all = Flags::parse(Some("subscribe-user&publish-user&echo")).unwrap();
        assert!(all.contains("publish-user") && !all.contains("publish-group"));
        assert_eq!(all.publishing().to_string(), "publish-user");
        let others = all.filter(|flag| !flag.starts_with("publish-"));
        assert_eq!(others.to_string(), "subscribe-user, echo");
        assert!(others.and(all.publishing()).is_empty());
        let none = false.into_flags(all).unwrap();
        assert_eq!((none, true.into_flags(all).unwrap()), (Flags::default(), all));
        assert_eq!(
            format!("{all:?} {none:?}"),
            "Flags(subscribe-user, publish-user, echo) Flags()"
        );
    }
}
