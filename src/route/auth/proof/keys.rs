//! The keys that signatures of tokens are checked with.
//!
//! Which algorithm a key is for is part of what it is, and never the token's choice: a token says
//! its algorithm only to find the key (RFC 8725 3.1). There is no key for `none`.

use ring::hmac;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};

use super::der::{Der, pem_blocks};
use super::secret_file::wrong;
use crate::error::{Error, Result};

/// Shortest secret in bytes, as long as the hash (RFC 7518 3.2).
pub(super) const SECRET_BYTES: usize = 32;

/// Most keys that are tried for a token that does not say which one it is.
const MOST_TRIED: usize = 8;

/// What an RSA key has at least (RFC 7518 3.3), in bytes.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const EDWARDS: &[u8] = &[0x2b, 0x65, 0x70];

/// The algorithms of signatures, each with its own kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs256,
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    /// # Source
    /// RFC 7518 3.1, RFC 8037 3.1
    pub(super) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "HS256" => Self::Hs256,
            "RS256" => Self::Rs256,
            "ES256" => Self::Es256,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }
}

/// One key.
pub(super) enum Key {
    Secret(hmac::Key),
    Rsa {
        n: Box<[u8]>,
        e: Box<[u8]>,
    },
    /// A point of P-256, uncompressed.
    P256(Box<[u8]>),
    Ed25519(Box<[u8]>),
}

impl Key {
    /// # Errors
    /// `Config`: it is too short; the text does not show it.
    pub(super) fn secret(bytes: &[u8]) -> Result<Self> {
        if bytes.len() < SECRET_BYTES {
            let text = format!(
                "a secret for HS256 has at least {SECRET_BYTES} bytes, this one has {}",
                bytes.len()
            );
            return Err(wrong(text));
        }
        Ok(Self::Secret(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// # Errors
    /// `Config`: it is too short or too long to be of use.
    pub(super) fn rsa(n: &[u8], e: &[u8]) -> Result<Self> {
        if !RSA_BYTES.contains(&n.len()) || e.is_empty() {
            let text = format!("an RSA key has 2048 to 8192 bits, this one {}", n.len() * 8);
            return Err(wrong(text));
        }
        Ok(Self::Rsa { n: n.into(), e: e.into() })
    }

    /// # Errors
    /// `Config`: it is no such point.
    pub(super) fn p256(point: &[u8]) -> Result<Self> {
        match point {
            [4, rest @ ..] if rest.len() == 64 => Ok(Self::P256(point.into())),
            _ => Err(wrong("this is no uncompressed point of the curve P-256")),
        }
    }

    /// # Errors
    /// `Config`: it has another length.
    pub(super) fn ed25519(bytes: &[u8]) -> Result<Self> {
        if bytes.len() != 32 {
            return Err(wrong(format!("an Ed25519 key has 32 bytes, this one {}", bytes.len())));
        }
        Ok(Self::Ed25519(bytes.into()))
    }

    /// Reads the block of a PEM file.
    fn of_block(label: &str, der: &[u8]) -> Result<Self> {
        match label {
            "PUBLIC KEY" => Self::of_spki(der).unwrap_or_else(|| Err(unknown_key())),
            "RSA PUBLIC KEY" => Self::of_pkcs1(der).unwrap_or_else(|| Err(unknown_key())),
            _ if label.contains("PRIVATE KEY") => Err(wrong(
                "this is a private key, which does not belong here; give the public one, as \
                 `openssl pkey -in private.pem -pubout` prints it",
            )),
            "CERTIFICATE" => Err(wrong(
                "this is a certificate; give its public key, as `openssl x509 -in cert.pem \
                 -pubkey -noout` prints it",
            )),
            other => Err(wrong(format!("{other:?} is no public key in PEM"))),
        }
    }

    /// # Source
    /// RFC 5280 4.1, RFC 8410 4, RFC 5480 2
    fn of_spki(der: &[u8]) -> Option<Result<Self>> {
        let mut info = Der::new(der).sequence()?;
        let mut algorithm = info.sequence()?;
        let kind = algorithm.oid()?;
        let bits = info.bits()?;
        Some(match kind {
            RSA => Self::of_pkcs1(bits)?,
            EC if algorithm.oid()? == P256 => Self::p256(bits),
            EC => Err(wrong("of elliptic curves only P-256 is spoken here (ES256)")),
            EDWARDS => Self::ed25519(bits),
            _ => return None,
        })
    }

    fn of_pkcs1(der: &[u8]) -> Option<Result<Self>> {
        let mut numbers = Der::new(der).sequence()?;
        let (n, e) = (numbers.number()?, numbers.number()?);
        Some(Self::rsa(n, e))
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Secret(_) => Algorithm::Hs256,
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::P256(_) => Algorithm::Es256,
            Self::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// True if the signature is right; how long that takes tells nothing of a secret.
    fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            Self::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(message, signature)
                .is_ok(),
            Self::Ed25519(key) => {
                UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok()
            }
        }
    }
}

fn unknown_key() -> Error {
    wrong("this is no public key of RSA, P-256 or Ed25519")
}

/// A key with the name that tokens know it by, if it has one.
pub(super) struct NamedKey {
    pub(super) id: Option<String>,
    pub(super) key: Key,
}

/// All keys that are good now.
pub(super) struct KeySet {
    keys: Vec<NamedKey>,
}

impl KeySet {
    /// # Errors
    /// `Config`: there is none, or there are too many without a name.
    pub(super) fn new(keys: Vec<NamedKey>) -> Result<Self> {
        if keys.is_empty() {
            return Err(wrong("there is no key that can check a token"));
        }
        if keys.iter().filter(|key| key.id.is_none()).count() > MOST_TRIED {
            let text = format!("of keys without a name (kid) there may be {MOST_TRIED}");
            return Err(wrong(text));
        }
        Ok(Self { keys })
    }

    /// Reads one or several public keys in PEM, or else a secret, without the line end behind it.
    ///
    /// # Errors
    /// `Config`: it is no usable key; the text does not show it.
    pub(super) fn of_text(text: &str) -> Result<Self> {
        let keys = if text.contains("-----BEGIN ") {
            let malformed = || wrong("the PEM is malformed");
            let blocks = pem_blocks(text).ok_or_else(malformed)?;
            let keys = blocks.iter().map(|(label, der)| Key::of_block(label, der));
            keys.collect::<Result<Vec<_>>>()?
        } else {
            vec![Key::secret(text.trim_end_matches(['\r', '\n']).as_bytes())?]
        };
        Self::new(keys.into_iter().map(|key| NamedKey { id: None, key }).collect())
    }

    /// True if one of the keys has signed the message: the one with this name, those without a
    /// name if none has it, all if no name is given.
    pub(super) fn has_signed(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let of_kind = || self.keys.iter().filter(|key| key.key.algorithm() == algorithm);
        let named = |id: &str| of_kind().any(|key| key.id.as_deref() == Some(id));
        let wanted = |key: &NamedKey| match id {
            Some(id) if named(id) => key.id.as_deref() == Some(id),
            Some(_) => key.id.is_none(),
            None => true,
        };
        let mut candidates = of_kind().filter(|key| wanted(key)).take(MOST_TRIED);
        candidates.any(|key| key.key.has_signed(message, signature))
    }
}
