//! Who a client is.

use std::fmt;
use std::time::SystemTime;

use serde_json::Value;

use crate::hub::channel::Audience;
use crate::route::statement::Statement;

/// Who a client is: its user, the user's groups, the session, and what else its credentials say.
///
/// An [`Authenticator`](crate::Authenticator) finds it out before the handler runs, and
/// [`Request::identity`](crate::Request::identity) shows it. For a facility it decides which
/// channels of users, groups and sessions a client has.
///
/// Empty names count as none. A client without a name has no channel of a user: nobody shares one
/// with other strangers.
///
/// # Example
/// ```
/// use landline::Identity;
/// let anna = Identity::default().user("anna").groups(["editors", "staff"]).session("8f2a");
/// assert_eq!(anna.name(), Some("anna"));
/// assert!(anna.is_in("staff"));
/// ```
///
/// # Source
/// Django's `request.user` and `request.session`, from which ws4redis took them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Identity {
    user: Option<String>,
    groups: Vec<String>,
    session: Option<String>,
    claims: Option<Statement>,
    expires: Option<SystemTime>,
}

impl Identity {
    /// The name of the user; anonymous without.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>) -> Self {
        self.user = Some(name.into()).filter(|name| !name.is_empty());
        self
    }

    /// The groups the user belongs to, besides those said before.
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

    /// Everything that the credentials say: the claims of a token, the answer of a backend.
    #[must_use]
    pub fn with_claims(mut self, claims: Value) -> Self {
        self.claims = Some(Statement::of_value(claims));
        self
    }

    /// The same, as text that has been checked.
    #[cfg(feature = "auth")]
    pub(super) fn with_statement(mut self, text: String) -> Self {
        self.claims = Some(Statement::of_text(text));
        self
    }

    /// Until when it is good. A WebSocket that is open then is closed, see
    /// [`Auth::close_on_expiry`](crate::Auth::close_on_expiry).
    #[must_use]
    pub fn with_expiry(mut self, at: SystemTime) -> Self {
        self.expires = Some(at);
        self
    }

    /// The name of the user; `None` for somebody anonymous.
    pub fn name(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The names of the groups the user belongs to.
    pub fn group_names(&self) -> &[String] {
        &self.groups
    }

    /// True if the user belongs to this group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|name| name == group)
    }

    /// The key of the session, a secret: whoever has it may be able to act as the user.
    pub fn session_key(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// Everything that the credentials say, for an application that needs more than the names. It
    /// is read at the first call.
    pub fn claims(&self) -> Option<&Value> {
        self.claims.as_ref().map(Statement::value)
    }

    /// One of the claims, `email` for instance.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.claims()?.get(name)
    }

    /// Until when it is good; `None` for as long as the connection lasts.
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
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

/// Shows neither session nor claims: the one is a secret, the others are private.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("user", &self.user)
            .field("groups", &self.groups)
            .field("has_session", &self.session.is_some())
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_and_claims_are_not_shown() {
        let anna = Identity::default().user("anna").session("8f2a");
        let anna = anna.with_claims(serde_json::json!({ "email": "anna@example.com" }));
        let shown = format!("{anna:?}");
        assert!(shown.contains("anna") && !shown.contains("8f2a") && !shown.contains("example"));
        assert_eq!(anna.claim("email").and_then(Value::as_str), Some("anna@example.com"));
    }

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
