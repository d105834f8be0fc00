//! What a request asks to publish: one message or a batch, in one of four content types.

use serde_json::{Map, Value};

use super::answer::{Fault, shown};
use super::fields::Fields;
use super::json::{self, kind};
use super::publication::{Otherwise, Publication};
use crate::http::Headers;
use crate::http::query::Pairs;
use crate::ws::Message;

/// Most messages of a batch.
pub(crate) const MAX_BATCH: usize = 1000;

/// Longest idempotency key in bytes.
const MAX_KEY_BYTES: usize = 255;

/// The field, and the header beside it.
const KEY_FIELD: &str = "idempotency_key";
const KEY_HEADER: &str = "Idempotency-Key";

/// How a body is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Json,
    Form,
    /// The message itself, in UTF-8; where it goes is in the query.
    Text,
    /// The message itself; where it goes is in the query.
    Binary,
}

/// The parts of a request that say what to publish.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) headers: &'a Headers,
    pub(crate) query: &'a Pairs,
    pub(crate) body: &'a [u8],
    /// Longest message in bytes.
    pub(crate) max_message_bytes: usize,
}

/// All that a request asks to publish.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) publications: Vec<Publication>,
    /// True if it was sent as a batch, be it of one.
    pub(crate) is_batch: bool,
    pub(crate) idempotency_key: Option<String>,
}

impl Kind {
    /// Reads the content type.
    ///
    /// # Errors
    /// 415: it is missing, unknown, or names another encoding than UTF-8.
    pub(crate) fn of(headers: &Headers) -> Result<Self, Fault> {
        if headers.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case("content-encoding") && !value.eq_ignore_ascii_case("identity")
        }) {
            let error = "The body is compressed, which is not understood here; send it as it is.";
            return Err(Fault::new(415, error));
        }
        let mut lines = headers.raw("content-type").map(String::from_utf8_lossy);
        let (line, more) = (lines.next(), lines.next());
        let unknown = || {
            let found = match (&line, more.is_some()) {
                (None, _) => "There is no Content-Type".to_owned(),
                (Some(_), true) => "There is more than one Content-Type".to_owned(),
                (Some(line), false) => {
                    format!("The Content-Type {:?} is not understood", shown(line))
                }
            };
            let error = format!(
                "{found}; send the body as application/json, application/x-www-form-urlencoded, \
                 text/plain or application/octet-stream."
            );
            Fault::new(415, error)
        };
        if more.is_some() {
            return Err(unknown());
        }
        let mut parts = line.as_deref().unwrap_or_default().split(';').map(str::trim);
        let kind = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "application/json" => Self::Json,
            "application/x-www-form-urlencoded" => Self::Form,
            "text/plain" => Self::Text,
            "application/octet-stream" => Self::Binary,
            _ => return Err(unknown()),
        };
        let charset = parts.filter_map(|part| part.split_once('=')).find_map(|(name, value)| {
            name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
        });
        let is_utf8 = charset.is_none_or(|name| {
            ["utf-8", "utf8"].iter().any(|utf8| name.eq_ignore_ascii_case(utf8))
        });
        if is_utf8 || kind == Self::Binary {
            return Ok(kind);
        }
        Err(Fault::new(415, "The body must be in UTF-8; send it with charset=utf-8 or without."))
    }
}

impl Asked {
    /// Reads a request with a body.
    ///
    /// # Errors
    /// 400 and 413: nothing of it is to be published; of a batch, the first that is wrong is named.
    pub(crate) fn of_body(kind: Kind, parts: Parts<'_>) -> Result<Self, Fault> {
        let asked = match kind {
            Kind::Json => Self::of_json(parts)?,
            Kind::Form => {
                no_query(parts.query)?;
                let fields = Fields::of_text(&Pairs::parse(parts.body)?);
                Self::one(fields, parts, |fields| {
                    Publication::with_message(fields, Otherwise::Refuse)
                })?
            }
            Kind::Text | Kind::Binary => {
                let message = raw(kind, parts.body)?;
                let fields = Fields::of_text(parts.query);
                Self::one(fields, parts, |fields| Publication::with_body(fields, message))?
            }
        };
        asked.within(parts.max_message_bytes)
    }

    /// Reads a request that says everything in its query; without a target it is for everybody.
    ///
    /// # Errors
    /// As [`of_body`](Self::of_body).
    pub(crate) fn of_query(parts: Parts<'_>) -> Result<Self, Fault> {
        let fields = Fields::of_text(parts.query);
        let asked = Self::one(fields, parts, |fields| {
            Publication::with_message(fields, Otherwise::Everybody)
        })?;
        asked.within(parts.max_message_bytes)
    }

    fn of_json(parts: Parts<'_>) -> Result<Self, Fault> {
        no_query(parts.query)?;
        match json::parse(parts.body)? {
            Value::Array(list) => {
                let idempotency_key = key_of_header(parts.headers)?;
                Self::batch(list, idempotency_key)
            }
            Value::Object(mut fields) => match fields.remove("messages") {
                Some(messages) => Self::batch_of_object(messages, fields, parts),
                None => Self::one(Fields::of_json(fields), parts, |fields| {
                    Publication::with_message(fields, Otherwise::Refuse)
                }),
            },
            other => {
                let error =
                    format!("The body must be a JSON object or array, not {}.", kind(&other));
                Err(Fault::bad(error))
            }
        }
    }

    fn one(
        mut fields: Fields,
        parts: Parts<'_>,
        read: impl FnOnce(Fields) -> Result<Publication, Fault>,
    ) -> Result<Self, Fault> {
        let idempotency_key = key(&mut fields, parts.headers)?;
        Ok(Self { publications: vec![read(fields)?], is_batch: false, idempotency_key })
    }

    /// `{"messages": [...]}`, with nothing beside it but the key.
    fn batch_of_object(
        messages: Value,
        rest: Map<String, Value>,
        parts: Parts<'_>,
    ) -> Result<Self, Fault> {
        let mut rest = Fields::of_json(rest);
        rest.only(&["messages", KEY_FIELD])?;
        let idempotency_key = key(&mut rest, parts.headers)?;
        match messages {
            Value::Array(list) => Self::batch(list, idempotency_key),
            other => {
                let error = format!("`messages` must be an array, not {}.", kind(&other));
                Err(Fault::bad(error).at("messages"))
            }
        }
    }

    fn batch(list: Vec<Value>, idempotency_key: Option<String>) -> Result<Self, Fault> {
        if list.is_empty() {
            return Err(Fault::bad("The batch is empty; send at least one message."));
        }
        if list.len() > MAX_BATCH {
            let error = format!("The batch has {} messages; send at most {MAX_BATCH}.", list.len());
            return Err(Fault::new(413, error));
        }
        let read = list
            .into_iter()
            .enumerate()
            .map(|(index, value)| Self::of_batch(value).map_err(|fault| fault.in_message(index)));
        let publications = read.collect::<Result<_, Fault>>()?;
        Ok(Self { publications, is_batch: true, idempotency_key })
    }

    fn of_batch(value: Value) -> Result<Publication, Fault> {
        let Value::Object(fields) = value else {
            let error = format!("Each message of a batch must be an object, not {}.", kind(&value));
            return Err(Fault::bad(error));
        };
        let fields = Fields::of_json(fields);
        if fields.has(KEY_FIELD) {
            let error = format!(
                "A batch has one idempotency key as a whole: put `{KEY_FIELD}` beside `messages` \
                 or send the header {KEY_HEADER}."
            );
            return Err(Fault::bad(error).at(KEY_FIELD));
        }
        Publication::with_message(fields, Otherwise::Refuse)
    }

    /// Refuses messages that are too long.
    fn within(self, max_message_bytes: usize) -> Result<Self, Fault> {
        let mut lengths = self.publications.iter().map(|publication| publication.message().len());
        let Some(index) = lengths.position(|length| length > max_message_bytes) else {
            return Ok(self);
        };
        let error = format!("The message is over the limit of {max_message_bytes} bytes; cut it.");
        let fault = Fault::new(413, error).at("message");
        Err(if self.is_batch { fault.in_message(index) } else { fault })
    }
}

/// The body as a message of its kind.
fn raw(kind: Kind, body: &[u8]) -> Result<Message, Fault> {
    if kind == Kind::Binary {
        return Ok(Message::from(body.to_vec()));
    }
    let text = str::from_utf8(body).map_err(|_| {
        Fault::bad("The body is not UTF-8; send bytes as application/octet-stream.")
    })?;
    Ok(Message::from(text))
}

/// Refuses a query where the body says it all: two places for one thing, one of them unread.
fn no_query(query: &Pairs) -> Result<(), Fault> {
    let Some((name, _)) = query.iter().next() else { return Ok(()) };
    let error = "Put all fields into the body; the query is for raw bodies.";
    Err(Fault::bad(error).at(name))
}

/// The idempotency key of field or header, which must not differ.
fn key(fields: &mut Fields, headers: &Headers) -> Result<Option<String>, Fault> {
    let field = fields.text(KEY_FIELD)?;
    if let Some(key) = &field {
        check_key(key)?;
    }
    match (field, key_of_header(headers)?) {
        (Some(field), Some(header)) if field != header => {
            let error = format!("`{KEY_FIELD}` and the header {KEY_HEADER} differ; send one.");
            Err(Fault::bad(error).at(KEY_FIELD))
        }
        (field, header) => Ok(field.or(header)),
    }
}

/// The key in the header, with or without the quotes of a structured field.
fn key_of_header(headers: &Headers) -> Result<Option<String>, Fault> {
    let value = match headers.count(KEY_HEADER) {
        0 => return Ok(None),
        1 => headers.get(KEY_HEADER),
        _ => None,
    };
    let wrong = || Fault::bad(format!("Send one header {KEY_HEADER}, in UTF-8.")).at(KEY_HEADER);
    let value = value.ok_or_else(wrong)?.trim();
    let bare = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    check_key(bare)?;
    Ok(Some(bare.to_owned()))
}

fn check_key(key: &str) -> Result<(), Fault> {
    if (1..=MAX_KEY_BYTES).contains(&key.len()) && !key.chars().any(char::is_control) {
        return Ok(());
    }
    let error = format!(
        "An idempotency key is 1 to {MAX_KEY_BYTES} bytes without control characters; \
         a UUID will do."
    );
    Err(Fault::bad(error).at(KEY_FIELD))
}

#[cfg(test)]
mod tests;
