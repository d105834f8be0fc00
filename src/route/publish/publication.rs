//! One message and where it goes.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use serde_json::Value;

use super::answer::Fault;
use super::fields::Fields;
use crate::ws::Message;

/// Most groups, users or sessions of one publication.
const MAX_NAMES: usize = 1000;

/// All fields, for whoever misspelt one.
const FIELDS: [&str; 11] = [
    "group",
    "facility",
    "users",
    "groups",
    "sessions",
    "expire",
    "conn",
    "everybody",
    "message",
    "except",
    "idempotency_key",
];

/// A message that somebody asks to publish by HTTP, for [`PublishApi::allow`] to judge.
///
/// # Example
/// ```
/// use landline::{PublishApi, Target};
///
/// let news_only = PublishApi::open().allow(|_, publication| match publication.target() {
///     Target::Groups(names) => names.iter().all(|name| name.starts_with("news/")),
///     _ => false,
/// });
/// # let _ = news_only;
/// ```
///
/// [`PublishApi::allow`]: crate::PublishApi::allow
#[derive(Clone, Debug)]
pub struct Publication {
    target: Target,
    message: Message,
    except: Option<u64>,
}

/// Where a publication goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// The members of these groups, one or more, each named once. Who is a member of two gets the
    /// message twice.
    Groups(Vec<String>),
    /// Channels of a facility: those of the users, groups and sessions that are named, or the
    /// broadcast channel if none is.
    #[non_exhaustive]
    Facility {
        /// The facility's name.
        name: String,
        /// Names of users.
        users: Vec<String>,
        /// Names of groups of users; not the groups of a [`Hub`](crate::Hub).
        groups: Vec<String>,
        /// Keys of sessions.
        sessions: Vec<String>,
        /// How long the message is kept for those who come later; `None` is the facility's
        /// default, zero does not keep it.
        expire: Option<Duration>,
    },
    /// One connection, by its number.
    Connection(u64),
    /// Every open WebSocket.
    Everybody,
}

/// Where a publication goes that names no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// Nowhere, it is a mistake.
    Refuse,
    /// To everybody.
    Everybody,
}

impl Publication {
    /// Where it goes.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The connection that is left out.
    pub fn except(&self) -> Option<u64> {
        self.except
    }

    /// Reads a publication whose message is one of its fields.
    ///
    /// # Errors
    /// 400: a field is missing, wrong, unknown, or does not go with another one. 413: too many
    /// names.
    pub(crate) fn with_message(mut fields: Fields, otherwise: Otherwise) -> Result<Self, Fault> {
        fields.only(&FIELDS)?;
        let (target, except) = place(&mut fields, otherwise)?;
        let message = match fields.take_any("message") {
            Some(Value::String(text)) => text.into(),
            Some(other) => return Err(not_text(&fields, &other)),
            None => {
                let error = "`message` is missing; give the text to publish.";
                return Err(Fault::bad(error).at("message"));
            }
        };
        Ok(Self { target, message, except })
    }

    /// Reads a publication whose message is the body.
    ///
    /// # Errors
    /// As [`with_message`](Self::with_message); 400 for a second message among the fields.
    pub(crate) fn with_body(mut fields: Fields, message: Message) -> Result<Self, Fault> {
        fields.only(&FIELDS)?;
        if fields.take_any("message").is_some() {
            let error = "The body is the message; leave `message` out of the query.";
            return Err(Fault::bad(error).at("message"));
        }
        let (target, except) = place(&mut fields, Otherwise::Refuse)?;
        Ok(Self { target, message, except })
    }
}

/// For the question whether two publications under one idempotency key are the same.
impl Hash for Publication {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.target.hash(state);
        self.message.is_text().hash(state);
        self.message.as_bytes().hash(state);
        self.except.hash(state);
    }
}

fn not_text(fields: &Fields, value: &Value) -> Fault {
    let advice = match value {
        _ if fields.is_text() => "",
        Value::Object(_) | Value::Array(_) => {
            "; to send JSON, write it into a string: \"{\\\"a\\\":1}\""
        }
        Value::Number(_) | Value::Bool(_) => "; put it in quotes",
        Value::Null | Value::String(_) => "",
    };
    fields.wrong_kind("message", "a string", value, advice)
}

/// Reads all but the message.
fn place(fields: &mut Fields, otherwise: Otherwise) -> Result<(Target, Option<u64>), Fault> {
    let target = target(fields, otherwise)?;
    let except = fields.number("except")?;
    if except.is_some() && matches!(target, Target::Connection(_)) {
        let error = "`except` does not go with `conn`, which is one connection alone.";
        return Err(Fault::bad(error).at("except"));
    }
    Ok((target, except))
}

/// Reads the one target.
fn target(fields: &mut Fields, otherwise: Otherwise) -> Result<Target, Fault> {
    let everybody = fields.truth("everybody")?;
    let named = ["group", "facility", "conn"].into_iter().filter(|name| fields.has(name));
    let named: Vec<&str> = named.chain(everybody.then_some("everybody")).collect();
    if let [first, second, ..] = named[..] {
        let error = format!("Give one target only; here are `{first}` and `{second}`.");
        return Err(Fault::bad(error).at(second));
    }
    let name = named.first().copied();
    if name != Some("facility") {
        refuse_parts_of_a_facility(fields)?;
    }
    match (name, otherwise) {
        (Some("group"), _) => Ok(Target::Groups(names(fields, "group")?)),
        (Some("facility"), _) => facility(fields),
        (Some("conn"), _) => Ok(Target::Connection(fields.number("conn")?.unwrap_or_default())),
        (Some(_), _) | (None, Otherwise::Everybody) => Ok(Target::Everybody),
        (None, Otherwise::Refuse) => Err(Fault::bad(
            "Say where to publish: give `group`, `facility`, `conn` or `everybody`.",
        )),
    }
}

fn facility(fields: &mut Fields) -> Result<Target, Fault> {
    Ok(Target::Facility {
        name: fields.text("facility")?.unwrap_or_default(),
        users: names(fields, "users")?,
        groups: names(fields, "groups")?,
        sessions: names(fields, "sessions")?,
        expire: fields.number("expire")?.map(Duration::from_secs),
    })
}

fn refuse_parts_of_a_facility(fields: &Fields) -> Result<(), Fault> {
    let parts = ["users", "groups", "sessions", "expire"];
    let Some(part) = parts.into_iter().find(|part| fields.has(part)) else { return Ok(()) };
    let advice = if part == "groups" { "; to publish to a group, use `group`" } else { "" };
    Err(Fault::bad(format!("`{part}` goes with `facility` only{advice}.")).at(part))
}

fn names(fields: &mut Fields, field: &str) -> Result<Vec<String>, Fault> {
    let names = fields.texts(field)?;
    if names.len() > MAX_NAMES {
        let error = format!(
            "`{field}` has {} names; at most {MAX_NAMES} go into one message.",
            names.len()
        );
        return Err(Fault::new(413, error).at(field));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::query::Pairs;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(value: Value) -> Result<Publication, Fault> {
        let Value::Object(values) = value else { panic!("an object") };
        Publication::with_message(Fields::of_json(values), Otherwise::Refuse)
    }

    fn target(value: Value) -> Target {
        read(value).unwrap().target
    }

    /// The field that is blamed, and the sentence.
    fn blamed(value: Value) -> (Option<String>, String) {
        let fault = read(value.clone()).expect_err(&value.to_string());
        (fault.field().map(str::to_owned), fault.error().to_owned())
    }

    #[test]
    fn each_target_is_read() {
        let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        assert_eq!(
            target(json!({ "group": "房间", "message": "" })),
            Target::Groups(names(&["房间"]))
        );
        assert_eq!(
            target(json!({ "group": ["a", "b", "a"], "message": "" })),
            Target::Groups(names(&["a", "b"]))
        );
        assert_eq!(target(json!({ "conn": 7, "message": "" })), Target::Connection(7));
        assert_eq!(target(json!({ "everybody": true, "message": "" })), Target::Everybody);
        let facility = json!({
            "facility": "f", "users": ["u"], "groups": ["g"], "sessions": "s", "expire": 5,
            "message": "",
        });
        let expected = Target::Facility {
            name: "f".into(),
            users: names(&["u"]),
            groups: names(&["g"]),
            sessions: names(&["s"]),
            expire: Some(Duration::from_secs(5)),
        };
        assert_eq!(target(facility), expected);
        let publication = read(json!({ "group": "a", "except": 9, "message": "x" })).unwrap();
        assert_eq!(publication.except(), Some(9));
        assert_eq!(publication.message(), &Message::from("x"));
    }

    #[test]
    fn what_is_wrong_is_blamed() {
        for (value, field, words) in [
            (json!({}), None, "Say where to publish"),
            (json!({ "message": "x" }), None, "Say where to publish"),
            (json!({ "message": "x", "everybody": false }), None, "Say where to publish"),
            (json!({ "message": "x", "group": null }), None, "Say where to publish"),
            (json!({ "message": "x", "group": "a", "conn": 1 }), Some("conn"), "one target"),
            (
                json!({ "message": "x", "group": "a", "everybody": true }),
                Some("everybody"),
                "one target",
            ),
            (json!({ "message": "x", "grup": "a" }), Some("grup"), "no field \"grup\""),
            (json!({ "mesage": "x", "group": "a" }), Some("mesage"), "no field \"mesage\""),
            (json!({ "group": "a" }), Some("message"), "is missing"),
            (json!({ "group": "a", "message": null }), Some("message"), "not null"),
            (json!({ "group": "a", "message": 1 }), Some("message"), "not a number; put it"),
            (json!({ "group": "a", "message": {} }), Some("message"), "write it into a string"),
            (json!({ "group": 1, "message": "x" }), Some("group"), "not a number"),
            (json!({ "group": [], "message": "x" }), Some("group"), "name at least one"),
            (json!({ "group": ["a", 1], "message": "x" }), Some("group"), "strings only"),
            (json!({ "conn": "7", "message": "x" }), Some("conn"), "not a string"),
            (json!({ "conn": -1, "message": "x" }), Some("conn"), "from 0 up"),
            (json!({ "everybody": 1, "message": "x" }), Some("everybody"), "true or false"),
            (json!({ "conn": 1, "except": 1, "message": "x" }), Some("except"), "one connection"),
            (json!({ "group": "a", "except": "1", "message": "x" }), Some("except"), "a string"),
            (json!({ "group": "a", "users": ["u"], "message": "x" }), Some("users"), "`facility`"),
            (json!({ "groups": ["g"], "message": "x" }), Some("groups"), "use `group`"),
            (json!({ "everybody": true, "expire": 1, "message": "x" }), Some("expire"), "goes"),
            (json!({ "facility": "f", "expire": -1, "message": "x" }), Some("expire"), "whole"),
        ] {
            let (blamed_field, error) = blamed(value.clone());
            assert_eq!(blamed_field.as_deref(), field, "{value}: {error}");
            assert!(error.contains(words), "{value}: {error}");
            assert!(error.ends_with('.'), "{value}: {error}");
        }
    }

    #[test]
    fn too_many_names_are_too_much() {
        let names = |number: usize| (0..number).map(|n| n.to_string()).collect::<Vec<_>>();
        assert!(read(json!({ "group": names(MAX_NAMES), "message": "x" })).is_ok());
        let fault = read(json!({ "group": names(MAX_NAMES + 1), "message": "x" })).unwrap_err();
        assert_eq!((fault.status(), fault.field()), (413, Some("group")));
    }

    #[test]
    fn a_body_is_a_message_of_its_kind() {
        let query = |text: &str| Fields::of_text(&Pairs::parse(text.as_bytes()).unwrap());
        let message = Message::from(vec![0xff, 0]);
        let publication = Publication::with_body(query("group=a&except=4"), message.clone());
        let publication = publication.unwrap();
        assert_eq!((publication.message(), publication.except()), (&message, Some(4)));
        for wrong in ["", "message=x&group=a", "group=a&key=secret", "group=a&conn=1"] {
            assert!(Publication::with_body(query(wrong), message.clone()).is_err(), "{wrong}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            let name = prop_oneof![
                proptest::sample::select(&FIELDS[..]).prop_map(str::to_owned),
                ".{0,6}",
            ];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(name, inner, 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_object_is_read_or_blamed(value in any_json()) {
            if let Value::Object(values) = value {
                for otherwise in [Otherwise::Refuse, Otherwise::Everybody] {
                    let fields = Fields::of_json(values.clone());
                    match Publication::with_message(fields, otherwise) {
                        Ok(publication) => prop_assert!(publication.message().is_text()),
                        Err(fault) => prop_assert!(matches!(fault.status(), 400 | 413)),
                    }
                }
            }
        }
    }
}
