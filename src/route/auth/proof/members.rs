//! Some members of a JSON object, without memory for the others.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// The members of these names, as far as they are there; of two with one name, the last.
pub(super) struct Members<'n, const N: usize> {
    names: [&'n str; N],
    values: [Option<Value>; N],
}

impl<'n, const N: usize> Members<'n, N> {
    /// Reads a text; `None` if it is not one whole JSON object that could be read into memory.
    pub(super) fn of(text: &str, names: [&'n str; N]) -> Option<Self> {
        let mut members = Self { names, values: [const { None }; N] };
        let mut deserializer = serde_json::Deserializer::from_str(text);
        deserializer.deserialize_map(Object(&mut members)).ok()?;
        deserializer.end().ok()?;
        Some(members)
    }

    /// The value of a member.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.values[place(&self.names, name)?].as_ref()
    }
}

fn place(names: &[&str], name: &str) -> Option<usize> {
    names.iter().position(|known| *known == name)
}

struct Object<'m, 'n, const N: usize>(&'m mut Members<'n, N>);

impl<'de, const N: usize> Visitor<'de> for Object<'_, '_, N> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(place) = map.next_key_seed(Place(&self.0.names))? {
            match place {
                Some(place) => self.0.values[place] = Some(map.next_value()?),
                None => map.next_value_seed(Sound)?,
            }
        }
        Ok(())
    }
}

/// Finds the place of a name.
struct Place<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Place<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(place(self.0, name))
    }
}

/// Any value, checked as if it were read, and forgotten: so the text can be read later on.
/// (`IgnoredAny` leaves out depth, numbers and half of the escapes.)
struct Sound;

impl<'de> DeserializeSeed<'de> for Sound {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Sound {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        if number.is_finite() { Ok(()) } else { Err(E::custom("no number")) }
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while array.next_element_seed(Sound)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry_seed(Sound, Sound)?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn is_sound(text: &str) -> bool {
        Members::of(text, ["wanted"]).is_some()
    }

    #[test]
    fn members_are_found_by_name_and_the_last_counts() {
        let text = r#"{"a": 1, "b": [1, {"a": 2}], "x": {"a": 3}, "\u0061": 4}"#;
        let members = Members::of(text, ["a", "b", "c", "a"]).unwrap();
        assert_eq!(members.get("a"), Some(&json!(4)));
        assert_eq!(members.get("b"), Some(&json!([1, { "a": 2 }])));
        assert_eq!((members.get("c"), members.get("x")), (None, None));
    }

    #[test]
    fn what_could_not_be_read_later_is_refused() {
        let nested = |depth: usize| format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_sound(&nested(100)) && !is_sound(&nested(200)) && !is_sound(&nested(100_000)));
        for wrong in [
            "",
            "[]",
            "1",
            "null",
            "\"x\"",
            "{",
            "{}x",
            "{} {}",
            "{\"x\"}",
            "{\"x\":}",
            "{\"x\":1e999}",
            "{\"x\":\"\\ud800\"}",
            "{\"x\":\"\u{1}\"}",
            "{x:1}",
            "{\"x\":01}",
        ] {
            assert!(!is_sound(wrong), "{wrong}");
        }
        assert!(
            is_sound(" {} ") && is_sound("{\"x\": [1.5e3, -2, true, null, \"\\ud83d\\ude00\"]}")
        );
    }

    proptest! {
        #[test]
        fn it_takes_exactly_what_can_be_read(text in r#"\{"(x|wanted)":[-\[\]{}0-9eE.,:"\\untrlfase ]{0,12}\}"#) {
            let read: Option<Value> = serde_json::from_str(&text).ok();
            let members = Members::of(&text, ["wanted"]);
            prop_assert_eq!(members.is_some(), read.is_some());
            if let (Some(members), Some(read)) = (members, read) {
                prop_assert_eq!(members.get("wanted"), read.get("wanted"));
            }
        }
    }
}
