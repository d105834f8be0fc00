//! What a token claims, and whether that is enough.
//!
//! A claim of a wrong type is never taken for one that is not there: what cannot be understood is
//! refused.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::members::Members;
use crate::route::identity::Identity;

/// Longest name of a user or group in bytes.
const NAME_BYTES: usize = 256;

/// Most groups of a user.
const MOST_GROUPS: usize = 1000;

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    TooLong,
    /// It is none, or has parts that are not understood.
    Malformed,
    /// No key of ours has signed it, or not with the algorithm it names.
    Signature,
    Expired,
    NotYet,
    NoExpiry,
    Issuer,
    Audience,
    /// It names no user where one is due.
    NoUser,
    /// It could not be checked.
    Unclear,
}

impl Flaw {
    /// A sentence for whoever sent it; it tells nothing of the keys.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::TooLong => "The token is too long.",
            Self::Malformed => "The token is malformed.",
            Self::Signature => "The token is not signed by a key that is known here.",
            Self::Expired => "The token has expired.",
            Self::NotYet => "The token is not valid yet.",
            Self::NoExpiry => "The token does not say when it expires.",
            Self::Issuer => "The token is of another issuer.",
            Self::Audience => "The token is for another audience.",
            Self::NoUser => "The token does not say whose it is.",
            Self::Unclear => "The token cannot be checked now, please try again soon.",
        }
    }
}

/// The claims that are looked at.
type Claims<'n> = Members<'n, 9>;

/// What is asked of the claims, and what they are read for.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) issuer: Option<String>,
    pub(super) audiences: Vec<String>,
    pub(super) leeway: Duration,
    pub(super) user: String,
    pub(super) groups: String,
    pub(super) needs_expiry: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            issuer: None,
            audiences: Vec::new(),
            leeway: Duration::from_secs(10),
            user: "sub".into(),
            groups: "groups".into(),
            needs_expiry: true,
        }
    }
}

impl Rules {
    /// Whose token it is.
    ///
    /// # Source
    /// RFC 7519 4.1
    pub(super) fn identify(&self, claims: String, now: SystemTime) -> Result<Identity, Flaw> {
        let [user, groups] = [&self.user, &self.groups].map(String::as_str);
        let names = ["iss", "aud", "exp", "nbf", "sid", user, first(user), groups, first(groups)];
        let found = Members::of(&claims, names).ok_or(Flaw::Malformed)?;
        self.check_issuer(&found)?;
        self.check_audience(&found)?;
        let expires = self.check_times(&found, now)?;
        let mut identity = Identity::default().user(self.user(&found)?);
        identity = identity.groups(self.groups(&found)?);
        if let Some(session) = found.get("sid").and_then(Value::as_str) {
            identity = identity.session(session);
        }
        if let Some(at) = expires {
            identity = identity.with_expiry(at);
        }
        Ok(identity.with_statement(claims))
    }

    fn check_issuer(&self, claims: &Claims<'_>) -> Result<(), Flaw> {
        let Some(issuer) = &self.issuer else { return Ok(()) };
        let is_it = claims.get("iss").and_then(Value::as_str) == Some(issuer.as_str());
        if is_it { Ok(()) } else { Err(Flaw::Issuer) }
    }

    /// A token that names audiences is for nobody else; one that names none is for everybody,
    /// unless an audience is asked for.
    fn check_audience(&self, claims: &Claims<'_>) -> Result<(), Flaw> {
        let is_ours = |name: &Value| {
            name.as_str().is_some_and(|name| self.audiences.iter().any(|ours| ours == name))
        };
        let is_meant = match claims.get("aud") {
            None => self.audiences.is_empty(),
            Some(Value::Array(names)) => names.iter().any(is_ours),
            Some(name) => is_ours(name),
        };
        if is_meant { Ok(()) } else { Err(Flaw::Audience) }
    }

    /// When it expires, the leeway included.
    fn check_times(
        &self,
        claims: &Claims<'_>,
        now: SystemTime,
    ) -> Result<Option<SystemTime>, Flaw> {
        let expires = time(claims, "exp")?.and_then(|at| at.checked_add(self.leeway));
        let starts = time(claims, "nbf")?;
        if starts.is_some_and(|at| at > now + self.leeway) {
            return Err(Flaw::NotYet);
        }
        match expires {
            Some(at) if at <= now => Err(Flaw::Expired),
            None if self.needs_expiry => Err(Flaw::NoExpiry),
            at => Ok(at),
        }
    }

    fn user(&self, claims: &Claims<'_>) -> Result<String, Flaw> {
        let name = match at(claims, &self.user) {
            Some(Value::String(name)) => name.clone(),
            Some(Value::Number(number)) if number.is_u64() => number.to_string(),
            _ => return Err(Flaw::NoUser),
        };
        if is_name(&name) { Ok(name) } else { Err(Flaw::NoUser) }
    }

    fn groups(&self, claims: &Claims<'_>) -> Result<Vec<String>, Flaw> {
        let names: Vec<&str> = match at(claims, &self.groups) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            // As the scopes of OAuth.
            Some(Value::String(names)) => names.split_ascii_whitespace().collect(),
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(_) => return Err(Flaw::Malformed),
        };
        if names.len() > MOST_GROUPS || !names.iter().all(|name| is_name(name)) {
            return Err(Flaw::Malformed);
        }
        Ok(names.into_iter().map(str::to_owned).collect())
    }
}

/// True for what can be the name of somebody in a log and in a channel.
pub(super) fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// A claim by its name, or by its path: `realm_access.roles`.
fn at<'a>(claims: &'a Claims<'_>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    path.split('.').skip(1).try_fold(claims.get(first(path))?, |value, part| value.get(part))
}

/// Where a path begins.
fn first(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// A claim that is a moment, as seconds since 1970, with or without a fraction.
fn time(claims: &Claims<'_>, name: &str) -> Result<Option<SystemTime>, Flaw> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    moment(value).map(Some).ok_or(Flaw::Malformed)
}

/// A moment of the wall clock; one that is too far away for it is the last it knows of.
pub(super) fn moment(value: &Value) -> Option<SystemTime> {
    let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0)?;
    let far = Duration::from_secs(u64::from(u32::MAX) * 64);
    let since = Duration::try_from_secs_f64(seconds).unwrap_or(far).min(far);
    UNIX_EPOCH.checked_add(since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1000)
    }

    fn rules() -> Rules {
        Rules { leeway: Duration::from_secs(5), ..Rules::default() }
    }

    fn flaw(rules: &Rules, claims: Value) -> Option<Flaw> {
        rules.identify(claims.to_string(), now()).err()
    }

    #[test]
    fn times_count_with_their_leeway() {
        let with = |name: &str, value: Value| {
            let mut claims = json!({ "sub": "a", "exp": 2000 });
            claims[name] = value;
            flaw(&rules(), claims)
        };
        for (seconds, found) in [
            (json!(1001), None),
            (json!(995.5), None),
            (json!(996), None),
            (json!(995), Some(Flaw::Expired)),
            (json!(0), Some(Flaw::Expired)),
            (json!(1e300), None),
            (json!(u64::MAX), None),
            (json!(-1), Some(Flaw::Malformed)),
            (json!("2000"), Some(Flaw::Malformed)),
            (json!(null), Some(Flaw::Malformed)),
        ] {
            assert_eq!(with("exp", seconds.clone()), found, "exp {seconds}");
        }
        for (seconds, found) in [
            (json!(1000), None),
            (json!(1005), None),
            (json!(1006), Some(Flaw::NotYet)),
            (json!(1e300), Some(Flaw::NotYet)),
            (json!("0"), Some(Flaw::Malformed)),
        ] {
            assert_eq!(with("nbf", seconds.clone()), found, "nbf {seconds}");
        }
        assert_eq!(flaw(&rules(), json!({ "sub": "a" })), Some(Flaw::NoExpiry));
        let for_ever = Rules { needs_expiry: false, ..rules() };
        assert_eq!(flaw(&for_ever, json!({ "sub": "a" })), None);
        let identity =
            rules().identify(json!({ "sub": "a", "exp": 1500 }).to_string(), now()).unwrap();
        assert_eq!(identity.expires(), Some(UNIX_EPOCH + Duration::from_secs(1505)));
    }

    #[test]
    fn issuer_and_audience_have_to_be_ours() {
        let claims =
            |iss: Value, aud: Value| json!({ "sub": "a", "exp": 2000, "iss": iss, "aud": aud });
        let ours = Rules {
            issuer: Some("login".into()),
            audiences: vec!["chat".into(), "news".into()],
            ..rules()
        };
        for aud in [json!("chat"), json!(["x", "news"])] {
            assert_eq!(flaw(&ours, claims(json!("login"), aud)), None);
        }
        for aud in
            [json!("x"), json!([]), json!(["x"]), json!(1), json!({ "chat": 1 }), json!(null)]
        {
            assert_eq!(flaw(&ours, claims(json!("login"), aud)), Some(Flaw::Audience));
        }
        for iss in [json!("Login"), json!(["login"]), json!(null)] {
            assert_eq!(flaw(&ours, claims(iss, json!("chat"))), Some(Flaw::Issuer));
        }
        let for_nobody = json!({ "sub": "a", "exp": 2000, "iss": "login" });
        assert_eq!(flaw(&ours, for_nobody), Some(Flaw::Audience));
        let bare = json!({ "sub": "a", "exp": 2000 });
        assert_eq!(flaw(&ours, bare.clone()), Some(Flaw::Issuer));
        assert_eq!(flaw(&rules(), bare), None);
        let of_others = claims(json!("whoever"), json!("somebody else"));
        assert_eq!(flaw(&rules(), of_others), Some(Flaw::Audience));
    }

    #[test]
    fn user_and_groups_are_found_where_they_are_said_to_be() {
        let rules = Rules { user: "user_id".into(), groups: "realm.roles".into(), ..rules() };
        let claims = json!({ "exp": 2000, "user_id": 7, "realm": { "roles": ["a", "b", 3] } });
        let identity = rules.identify(claims.to_string(), now()).unwrap();
        assert_eq!(
            (identity.name(), identity.group_names()),
            (Some("7"), &["a".into(), "b".into()][..])
        );
        let claims = json!({ "exp": 2000, "user_id": "x", "realm.roles": "read write" });
        assert_eq!(
            rules.identify(claims.to_string(), now()).unwrap().group_names(),
            ["read", "write"]
        );
        for user in [json!(""), json!(null), json!(-1), json!(1.5), json!(["a"]), json!("a\u{1}")] {
            let claims = json!({ "exp": 2000, "user_id": user });
            assert_eq!(flaw(&rules, claims), Some(Flaw::NoUser), "{user}");
        }
        let claims = json!({ "exp": 2000, "user_id": 7, "realm": { "roles": { "a": 1 } } });
        assert_eq!(flaw(&rules, claims), Some(Flaw::Malformed));
        assert_eq!(flaw(&rules, json!([])), Some(Flaw::Malformed));
    }
}
