//! JSON as a publish needs it: a name that stands twice in an object is an error, not a riddle.
//!
//! serde_json takes the last of two, so that a typo would decide silently who gets a message.
//! Nothing that may be asked is deeper than four levels; what is deeper keeps its kind and loses
//! its content, so that no depth of a body can exhaust the stack of a connection's thread.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::answer::{Fault, shown};

/// Levels of arrays and objects whose content is read: batch, list, message, list of names.
const MAX_DEPTH: u8 = 4;

/// Reads a body.
///
/// # Errors
/// 400, with the place in the body.
pub(crate) fn parse(body: &[u8]) -> Result<Value, Fault> {
    if body.trim_ascii().is_empty() {
        return Err(Fault::bad("The body is empty; send a JSON object or array."));
    }
    let mut source = serde_json::Deserializer::from_slice(body);
    let value = Strict { depth: 0 }.deserialize(&mut source).and_then(|value| {
        source.end()?;
        Ok(value)
    });
    value.map_err(|error| Fault::bad(format!("The body is not the expected JSON: {error}.")))
}

/// The word for a value's kind, with its article.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A value, so many levels down.
#[derive(Clone, Copy)]
struct Strict {
    depth: u8,
}

impl Strict {
    /// What a value one level further down is read with; `None` below the last level.
    fn below(self) -> Option<Self> {
        (self.depth < MAX_DEPTH).then_some(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        let Some(below) = self.below() else {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(values.into());
        };
        while let Some(value) = list.next_element_seed(below)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        let Some(below) = self.below() else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(fields.into());
        };
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(below)?;
            if fields.contains_key(&name) {
                let text = format!("the field {:?} is there twice", shown(&name));
                return Err(A::Error::custom(text));
            }
            fields.insert(name, value);
        }
        Ok(fields.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn error(body: &str) -> String {
        parse(body.as_bytes()).unwrap_err().error().to_owned()
    }

    #[test]
    fn values_are_read_as_they_are() {
        let body = br#"[{"a": "\u4f60", "b": [null, true, 1, -2, 0.5]}, 18446744073709551615]"#;
        let expected = json!([{"a": "你", "b": [null, true, 1, -2, 0.5]}, u64::MAX]);
        assert_eq!(parse(body), Ok(expected));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        assert!(error("{\"a\": }").contains("at line 1 column"), "{}", error("{\"a\": }"));
        assert!(error("{\"a\": 1, \"a\": 2}").contains("\"a\" is there twice"));
        assert!(error("{} {}").contains("trailing characters"));
        assert!(error(" \n").contains("is empty"));
        assert!(error("\u{feff}{}").contains("line 1"));
        assert!(parse(b"{\"a\": \"\xff\"}").is_err());
        assert!(parse(b"\"\\ud800\"").is_err());
    }

    #[test]
    fn depth_costs_no_stack_and_the_kind_stays() {
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(parse(deep.as_bytes()), Ok(json!([[[[[]]]]])));
        let objects = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
        assert_eq!(parse(objects.as_bytes()), Ok(json!({ "a": { "a": { "a": { "a": {} } } } })));
        let endless = "[".repeat(1_000_000);
        assert!(parse(endless.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn nearly_json_is_read_or_refused(text in r#"[\[\]{}":,0-9a-e\\un .-]{0,60}"#) {
            let strict = parse(text.as_bytes());
            let usual = serde_json::from_str::<Value>(&text);
            prop_assert!(strict.is_err() || usual.is_ok(), "{text}");
        }
    }
}
