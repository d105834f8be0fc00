//! The named values of one publication, whether they came as JSON, as a form or in a query.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::answer::{Fault, shown};
use super::json::kind;
use crate::http::query::Pairs;

/// How the values were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Numbers are numbers.
    AsJson,
    /// A form or query: numbers and truths are text, and a list is a name that stands repeatedly.
    AsText,
}

/// Named values, of which each is taken once.
#[derive(Debug)]
pub(crate) struct Fields {
    values: Map<String, Value>,
    written: Written,
}

impl Fields {
    pub(crate) fn of_json(values: Map<String, Value>) -> Self {
        Self { values, written: Written::AsJson }
    }

    pub(crate) fn of_text(pairs: &Pairs) -> Self {
        let mut values = Map::new();
        for (name, value) in pairs.iter() {
            match values.get_mut(name) {
                None => drop(values.insert(name.to_owned(), value.into())),
                Some(Value::Array(list)) => list.push(value.into()),
                Some(first) => *first = vec![first.take(), value.into()].into(),
            }
        }
        Self { values, written: Written::AsText }
    }

    /// True if the field is there and not null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| !value.is_null())
    }

    /// Takes a field; null is as good as nothing.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.values.remove(name).filter(|value| !value.is_null())
    }

    /// Takes any value that is there, null too.
    pub(crate) fn take_any(&mut self, name: &str) -> Option<Value> {
        self.values.remove(name)
    }

    /// Takes a text.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, Fault> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(name, "a string", &other)),
        }
    }

    /// Takes a list of texts, each once, in their order; a single text is a list of one.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<String>, Fault> {
        let list = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::String(text)) => return Ok(vec![text]),
            Some(Value::Array(list)) => list,
            Some(other) => return Err(self.wrong(name, "a string or an array of strings", &other)),
        };
        let mut texts = Vec::with_capacity(list.len());
        let mut known = std::collections::HashSet::with_capacity(list.len());
        for value in list {
            let Value::String(text) = value else {
                let error = format!("`{name}` must hold strings only, not {}.", kind(&value));
                return Err(Fault::bad(error).at(name));
            };
            if known.insert(text.clone()) {
                texts.push(text);
            }
        }
        if texts.is_empty() {
            return Err(
                Fault::bad(format!("`{name}` is an empty array; name at least one.")).at(name)
            );
        }
        Ok(texts)
    }

    /// Takes a whole number from 0 up.
    pub(crate) fn number(&mut self, name: &str) -> Result<Option<u64>, Fault> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = match (&value, self.written) {
            (Value::Number(number), _) => number.as_u64(),
            (Value::String(text), Written::AsText) => digits(text),
            _ => return Err(self.wrong(name, "a whole number", &value)),
        };
        number.map(Some).ok_or_else(|| Self::wrong_value(name, "a whole number from 0 up", &value))
    }

    /// Takes a truth; what is not there is false.
    pub(crate) fn truth(&mut self, name: &str) -> Result<bool, Fault> {
        let Some(value) = self.take(name) else { return Ok(false) };
        match (&value, self.written) {
            (Value::Bool(truth), _) => Ok(*truth),
            (Value::String(text), Written::AsText) if text == "true" => Ok(true),
            (Value::String(text), Written::AsText) if text == "false" => Ok(false),
            (Value::String(_), Written::AsText) => {
                Err(Self::wrong_value(name, "true or false", &value))
            }
            _ => Err(self.wrong(name, "true or false", &value)),
        }
    }

    /// Refuses names that mean nothing here: a typo must not be ignored.
    ///
    /// # Errors
    /// 400, naming the first of them and what there is.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Fault> {
        let mut names = self.values.keys();
        let Some(name) = names.find(|name| !known.contains(&name.as_str())) else { return Ok(()) };
        let error =
            format!("There is no field {:?} here; there are {}.", shown(name), known.join(", "));
        Err(Fault::bad(error).at(name))
    }

    /// The fault for a value of the right kind that is none of those there are.
    fn wrong_value(name: &str, expected: &str, value: &Value) -> Fault {
        let value = shown(&value.to_string());
        Fault::bad(format!("`{name}` must be {expected}, not {value}.")).at(name)
    }

    /// The fault for a value of the wrong kind.
    fn wrong(&self, name: &str, expected: &str, value: &Value) -> Fault {
        self.wrong_kind(name, expected, value, "")
    }

    /// The same, with what to do about it.
    pub(crate) fn wrong_kind(
        &self,
        name: &str,
        expected: &str,
        value: &Value,
        advice: &str,
    ) -> Fault {
        let found: Cow<'_, str> = match (self.written, value) {
            (Written::AsText, Value::Array(list)) => format!("given {} times", list.len()).into(),
            _ => kind(value).into(),
        };
        Fault::bad(format!("`{name}` must be {expected}, not {found}{advice}.")).at(name)
    }

    /// True for a form or query.
    pub(crate) fn is_text(&self) -> bool {
        self.written == Written::AsText
    }
}

/// A number in plain digits: no sign, no blank.
fn digits(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of_json(value: Value) -> Fields {
        let Value::Object(values) = value else { panic!("an object") };
        Fields::of_json(values)
    }

    fn of_text(text: &str) -> Fields {
        Fields::of_text(&Pairs::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn values_have_the_kind_that_is_asked_for() {
        let mut fields = of_json(json!({
            "text": "x", "one": "a", "many": ["a", "b", "a"], "number": 7, "truth": true,
            "nothing": null,
        }));
        assert_eq!(fields.text("text"), Ok(Some("x".into())));
        assert_eq!(fields.texts("one"), Ok(vec!["a".into()]));
        assert_eq!(fields.texts("many"), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(fields.number("number"), Ok(Some(7)));
        assert_eq!(fields.truth("truth"), Ok(true));
        assert!(!fields.has("nothing"));
        assert_eq!(fields.text("nothing"), Ok(None));
        assert_eq!((fields.number("other"), fields.truth("other")), (Ok(None), Ok(false)));
    }

    #[test]
    fn a_form_says_everything_in_text() {
        let mut fields = of_text("many=a&many=b&many=a&number=7&truth=true&false=false");
        assert_eq!(fields.texts("many"), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(fields.number("number"), Ok(Some(7)));
        assert_eq!((fields.truth("truth"), fields.truth("false")), (Ok(true), Ok(false)));
        let error = of_text("a=abc").number("a").unwrap_err();
        assert_eq!(error.error(), "`a` must be a whole number from 0 up, not \"abc\".");
        let error = of_text("a=yes").truth("a").unwrap_err();
        assert_eq!(error.error(), "`a` must be true or false, not \"yes\".");
        let error = of_text("a=1&a=2&a=3").text("a").unwrap_err();
        assert_eq!(error.error(), "`a` must be a string, not given 3 times.");
        for wrong in ["a=x", "a=", "a=+1", "a=-1", "a=1.5", "a=99999999999999999999"] {
            assert!(of_text(wrong).number("a").is_err(), "{wrong}");
        }
        for wrong in ["a=yes", "a=", "a=1", "a=TRUE"] {
            assert!(of_text(wrong).truth("a").is_err(), "{wrong}");
        }
    }

    #[test]
    fn json_of_the_wrong_kind_is_an_error_with_the_field() {
        for value in [json!(1), json!(true), json!([]), json!({}), json!([1]), json!("1")] {
            let fields = || of_json(json!({ "a": value }));
            let faults = [
                fields().text("a").err(),
                fields().texts("a").err(),
                fields().number("a").err(),
                fields().truth("a").err(),
            ];
            assert!(faults.iter().flatten().count() >= 2, "{value}");
            for fault in faults.iter().flatten() {
                assert_eq!((fault.status(), fault.field()), (400, Some("a")), "{value}");
            }
        }
        for wrong in [json!(-1), json!(1.5), json!("1"), json!(1e30)] {
            assert!(of_json(json!({ "a": wrong })).number("a").is_err(), "{wrong}");
        }
        assert!(of_json(json!({ "a": "true" })).truth("a").is_err());
    }

    #[test]
    fn an_unknown_name_is_named() {
        let fields = of_json(json!({ "grup": "a", "message": 1 }));
        let fault = fields.only(&["group", "message"]).unwrap_err();
        assert_eq!(fault.error(), "There is no field \"grup\" here; there are group, message.");
        assert_eq!(fault.field(), Some("grup"));
    }
}
