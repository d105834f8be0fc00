//! The channels of a facility, with the names they have as keys of ws4redis in Redis.
//!
//! ```text
//! broadcast:<facility>
//! user:<name>:<facility>     group:<name>:<facility>     session:<key>:<facility>
//! ```
//! A facility is the last part and may hold anything. In the names before it `:` and `%` are
//! percent-escaped, so that the user `a:b` of facility `c` is not the user `a` of facility `b:c`.

use std::collections::HashSet;
use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::hub::name::{GroupName, MAX_NAME_BYTES, Space};

/// Whom a channel is for. The order is the one in which stored messages are fetched.
///
/// # Source
/// ws4redis `fetch_message`: session, user, group, broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Audience {
    Session,
    User,
    Group,
    Broadcast,
}

impl Audience {
    /// Its word in flags and in names of channels.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::User => "user",
            Self::Group => "group",
            Self::Broadcast => "broadcast",
        }
    }
}

/// The name of a facility, without slashes at its end: `/ws/news/` is the facility `news`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FacilityName {
    text: Box<str>,
}

impl FacilityName {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.trim_end_matches('/').into() }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The channel of everybody.
    ///
    /// # Errors
    /// `Limit`: the channel's name is too long. `Protocol`: the facility is empty or has control
    /// characters.
    fn broadcast(&self) -> Result<GroupName> {
        self.channel(format!("broadcast:{}", self.text))
    }

    /// The channel of one user, group or session.
    ///
    /// # Errors
    /// As [`broadcast`](Self::broadcast); `Protocol` also for a name that is empty.
    fn of(&self, audience: Audience, name: &str) -> Result<GroupName> {
        let word = audience.word();
        if name.is_empty() {
            return Err(Error::new(ErrorKind::Protocol, format!("the {word} has no name")));
        }
        self.channel(format!("{word}:{}:{}", Escaped(name), self.text))
    }

    /// The channels for some audiences, each once, in the order of [`Audience`]; the name is empty
    /// for everybody.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub(crate) fn channels(&self, chosen: &[(Audience, String)]) -> Result<Vec<GroupName>> {
        let mut chosen: Vec<_> = chosen.iter().collect();
        chosen.sort_by_key(|(audience, _)| *audience);
        let mut seen = HashSet::with_capacity(chosen.len());
        let mut names = Vec::with_capacity(chosen.len());
        for (audience, name) in chosen {
            let name = match audience {
                Audience::Broadcast => self.broadcast()?,
                _ => self.of(*audience, name)?,
            };
            if seen.insert(name.clone()) {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn channel(&self, text: String) -> Result<GroupName> {
        if self.text.is_empty() {
            return Err(Error::new(ErrorKind::Protocol, "the facility has no name"));
        }
        GroupName::within(Space::Channel, &text).map_err(|error| {
            let why = if error.kind() == ErrorKind::Limit {
                format!("has {} bytes, over the limit of {MAX_NAME_BYTES}", text.len())
            } else {
                "has control characters".to_owned()
            };
            let start: String = text.chars().take(40).collect();
            Error::new(error.kind(), format!("the channel {start:?}... {why}"))
        })
    }
}

/// A name in which nothing looks like the separator.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive([':', '%']) {
            match part.as_bytes().last() {
                Some(b':') => write!(f, "{}%3A", &part[..part.len() - 1])?,
                Some(b'%') => write!(f, "{}%25", &part[..part.len() - 1])?,
                _ => f.write_str(part)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(name: Result<GroupName>) -> String {
        name.unwrap().to_string()
    }

    #[test]
    fn names_are_those_of_the_keys_in_redis() {
        let news = FacilityName::new("news/");
        assert_eq!(text(news.broadcast()), "broadcast:news");
        assert_eq!(text(news.of(Audience::User, "anna")), "user:anna:news");
        assert_eq!(text(news.of(Audience::Group, "编辑 1")), "group:编辑 1:news");
        assert_eq!(text(news.of(Audience::Session, "k")), "session:k:news");
        assert_eq!(text(FacilityName::new("a:b/c//").broadcast()), "broadcast:a:b/c");
    }

    #[test]
    fn separators_in_names_are_escaped() {
        let here = FacilityName::new("c").of(Audience::User, "a:b");
        assert_eq!(text(here), "user:a%3Ab:c");
        let there = FacilityName::new("b:c").of(Audience::User, "a");
        assert_eq!(text(there), "user:a:b:c");
        assert_eq!(text(FacilityName::new("c").of(Audience::User, "a%3Ab")), "user:a%253Ab:c");
    }

    #[test]
    fn bad_names_are_refused_with_what_is_wrong() {
        let error = |name: Result<GroupName>| {
            let error = name.unwrap_err();
            (error.kind(), error.to_string())
        };
        let news = FacilityName::new("news");
        let (kind, words) = error(FacilityName::new("//").broadcast());
        assert_eq!((kind, words.as_str()), (ErrorKind::Protocol, "the facility has no name"));
        let (kind, words) = error(news.of(Audience::Group, ""));
        assert_eq!((kind, words.as_str()), (ErrorKind::Protocol, "the group has no name"));
        let (kind, words) = error(news.of(Audience::User, "a\nb"));
        assert_eq!(kind, ErrorKind::Protocol);
        assert!(words.contains("\"user:a\\nb:news\"... has control characters"), "{words}");
        let long = ":".repeat(82);
        let (kind, words) = error(news.of(Audience::User, &long));
        assert_eq!(kind, ErrorKind::Limit);
        assert!(words.ends_with("has 256 bytes, over the limit of 255"), "{words}");
        assert!(news.of(Audience::User, &long[1..]).is_ok());
    }

    proptest! {
        #[test]
        fn two_names_never_meet(
            names in prop::array::uniform2("[a:%3A5/]{1,4}"),
            facilities in prop::array::uniform2("[a:%3A5/]{0,3}a"),
        ) {
            let channel = |index: usize| {
                text(FacilityName::new(&facilities[index]).of(Audience::User, &names[index]))
            };
            let is_same = names[0] == names[1] && facilities[0] == facilities[1];
            prop_assert_eq!(channel(0) == channel(1), is_same);
        }
    }
}
