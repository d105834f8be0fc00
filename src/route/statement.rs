//! Everything that credentials say: kept as their text until somebody asks for it.
//!
//! A connection may stay idle for hours, and few handlers ask. Read, the claims of a usual token
//! take several times as much memory as their text.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

/// The claims of a token or the answer of a backend; clones share it.
#[derive(Clone)]
pub(super) struct Statement(Arc<Words>);

struct Words {
    /// JSON that has been checked whole.
    text: Box<str>,
    read: OnceLock<Value>,
}

impl Statement {
    /// Keeps JSON that can be read.
    #[cfg(feature = "auth")]
    pub(super) fn of_text(text: String) -> Self {
        Self(Arc::new(Words { text: text.into(), read: OnceLock::new() }))
    }

    pub(super) fn of_value(value: Value) -> Self {
        Self(Arc::new(Words { text: Box::default(), read: OnceLock::from(value) }))
    }

    /// What it says; read at the first call.
    pub(super) fn value(&self) -> &Value {
        self.0.read.get_or_init(|| serde_json::from_str(&self.0.text).unwrap_or_default())
    }
}

impl PartialEq for Statement {
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

impl Eq for Statement {}

#[cfg(all(test, feature = "auth"))]
mod tests {
    use super::*;

    #[test]
    fn text_and_value_say_the_same() {
        let text = Statement::of_text(r#"{"a": [1, 2.5]}"#.into());
        assert!(text.0.read.get().is_none(), "nobody has asked");
        assert!(text == Statement::of_value(serde_json::json!({ "a": [1, 2.5] })));
        assert!(text.clone().0.read.get().is_some(), "clones share it");
    }
}
