//! Who a client is, as far as its channels go.

use crate::hub::channel::Audience;

/// Who a client of a facility is: decides which channels of users, groups and sessions it has.
///
/// Empty names count as none. A client without a name has no channel of a user: nobody shares one
/// with other strangers.
///
/// # Example
/// ```
/// use landline::Identity;
/// let anna = Identity::default().user("anna").groups(["editors", "staff"]).session("8f2a");
/// assert_eq!(anna.name(), Some("anna"));
/// ```
///
/// # Source
/// ws4redis took them from Django's `request.user` and `request.session`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    user: Option<String>,
    groups: Vec<String>,
    session: Option<String>,
}

impl Identity {
    /// The name of the user; anonymous without.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>) -> Self {
        self.user = Some(name.into()).filter(|name| !name.is_empty());
        self
    }

    /// The groups the user belongs to.
    #[must_use]
    pub fn groups<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        let names = names.into_iter().map(Into::into);
        self.groups.extend(names.filter(|name: &String| !name.is_empty()));
        self
    }

    /// The key of the session.
    #[must_use]
    pub fn session(mut self, key: impl Into<String>) -> Self {
        self.session = Some(key.into()).filter(|key| !key.is_empty());
        self
    }

    /// The name of the user; `None` for somebody anonymous.
    pub fn name(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The channels it has for some audiences.
    pub(super) fn channels(&self, audiences: &[Audience]) -> Vec<(Audience, String)> {
        let names = |audience| match audience {
            Audience::Broadcast => vec![String::new()],
            Audience::User => self.user.iter().cloned().collect(),
            Audience::Group => self.groups.clone(),
            Audience::Session => self.session.iter().cloned().collect(),
        };
        let channels = |audience: &Audience| {
            let audience = *audience;
            names(audience).into_iter().map(move |name| (audience, name))
        };
        audiences.iter().flat_map(channels).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_has_a_channel() {
        let all = [Audience::Broadcast, Audience::User, Audience::Group, Audience::Session];
        let nobody = Identity::default().user("").groups([""]).session("");
        assert_eq!(nobody, Identity::default());
        assert_eq!(nobody.channels(&all), [(Audience::Broadcast, String::new())]);
        let anna = Identity::default().user("anna").groups(["a", "b"]).session("k");
        let names: Vec<String> = anna.channels(&all).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["", "anna", "a", "b", "k"]);
    }
}
