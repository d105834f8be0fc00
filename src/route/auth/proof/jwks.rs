//! Keys as JSON, the way identity providers publish them.
//!
//! # Source
//! RFC 7517, RFC 7518 6, RFC 8037 2

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::der::without_zeros;
use super::keys::{Algorithm, Key, KeySet, NamedKey};
use super::secret_file::wrong;
use crate::error::{Error, ErrorKind, Result};

/// Most keys of a set.
const MOST_KEYS: usize = 64;

impl KeySet {
    /// Reads a set of keys; those for other purposes or algorithms are left out.
    ///
    /// # Errors
    /// `Config`: it is no set of keys, has none that is of use, or one that is broken or private.
    pub(super) fn of_jwks(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text).map_err(|error| {
            Error::new(ErrorKind::Config, "the set of keys is not JSON").with_source(error)
        })?;
        let Some(keys) = value.get("keys").and_then(Value::as_array) else {
            return Err(wrong("a set of keys is an object with \"keys\", an array"));
        };
        if keys.len() > MOST_KEYS {
            return Err(wrong(format!("a set of keys has {MOST_KEYS} of them at most")));
        }
        let mut known = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            let named = named_key(key).map_err(|error| {
                let text = format!("the key number {} of the set is wrong", index + 1);
                Error::new(ErrorKind::Config, text).with_source(error)
            })?;
            known.extend(named);
        }
        Self::new(known)
    }
}

/// Reads one key; `None` if it is for something else.
fn named_key(value: &Value) -> Result<Option<NamedKey>> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    if text("use").is_some_and(|purpose| purpose != "sig") {
        return Ok(None);
    }
    let key = match (text("kty"), text("crv")) {
        (Some("RSA"), _) => {
            refuse_private(value)?;
            let (n, e) = (bytes(value, "n")?, bytes(value, "e")?);
            Key::rsa(without_zeros(&n), without_zeros(&e))?
        }
        (Some("EC"), Some("P-256")) => {
            refuse_private(value)?;
            Key::p256(&[&[4][..], &bytes(value, "x")?, &bytes(value, "y")?].concat())?
        }
        (Some("OKP"), Some("Ed25519")) => {
            refuse_private(value)?;
            Key::ed25519(&bytes(value, "x")?)?
        }
        (Some("oct"), _) => Key::secret(&bytes(value, "k")?)?,
        (Some(_), _) => return Ok(None),
        (None, _) => return Err(wrong("it has no \"kty\"")),
    };
    let is_for_it = |name: &str| Algorithm::of_name(name) == Some(key.algorithm());
    if text("alg").is_some_and(|name| !is_for_it(name)) {
        return Ok(None);
    }
    Ok(Some(NamedKey { id: text("kid").map(str::to_owned), key }))
}

fn refuse_private(value: &Value) -> Result<()> {
    match value.get("d") {
        None => Ok(()),
        Some(_) => Err(wrong("it is private, which does not belong here; leave out \"d\"")),
    }
}

fn bytes(value: &Value, name: &str) -> Result<Vec<u8>> {
    let text = value.get(name).and_then(Value::as_str);
    let bytes = text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    bytes.ok_or_else(|| wrong(format!("its {name:?} is not there or no base64url")))
}
