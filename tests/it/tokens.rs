//! Tokens as an identity provider makes them, right ones and wrong ones.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};

/// Keys that are of no use but for these tests.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const OTHER_SECRET: &str = "another secret of thirty-two bytes";
const RSA: &str = include_str!("keys/rsa.pem");
const OTHER_RSA: &str = include_str!("keys/other-rsa.pem");
const P256: &str = include_str!("keys/p256.pem");
const ED25519: &str = include_str!("keys/ed25519.pem");

/// The public halves.
pub(crate) const RSA_PUBLIC: &str = include_str!("keys/rsa.pub.pem");
pub(crate) const P256_PUBLIC: &str = include_str!("keys/p256.pub.pem");
pub(crate) const ED25519_PUBLIC: &str = include_str!("keys/ed25519.pub.pem");

/// Who signs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signer {
    Nobody,
    Secret(&'static str),
    Rsa,
    OtherRsa,
    P256,
    Ed25519,
}

impl Signer {
    /// The algorithm that fits.
    pub(crate) fn algorithm(self) -> &'static str {
        match self {
            Self::Nobody => "none",
            Self::Secret(_) => "HS256",
            Self::Rsa | Self::OtherRsa => "RS256",
            Self::P256 => "ES256",
            Self::Ed25519 => "EdDSA",
        }
    }

    fn sign(self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Nobody => Vec::new(),
            Self::Secret(secret) => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
                ring::hmac::sign(&key, message).as_ref().to_vec()
            }
            Self::Rsa | Self::OtherRsa => {
                let pem = if matches!(self, Self::Rsa) { RSA } else { OTHER_RSA };
                let key = RsaKeyPair::from_pkcs8(&der(pem)).unwrap();
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            Self::P256 => {
                let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let key = EcdsaKeyPair::from_pkcs8(kind, &der(P256), &random).unwrap();
                key.sign(&random, message).unwrap().as_ref().to_vec()
            }
            Self::Ed25519 => {
                let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der(ED25519)).unwrap();
                key.sign(message).as_ref().to_vec()
            }
        }
    }

    /// A token with any head and claims.
    pub(crate) fn token(self, head: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", encoded(head.to_string()), encoded(claims.to_string()));
        format!("{text}.{}", encoded(self.sign(text.as_bytes())))
    }

    /// A token of somebody that is good for an hour.
    pub(crate) fn token_of(self, user: &str) -> String {
        self.token(&self.head(), &json!({ "sub": user, "exp": in_seconds(3600) }))
    }

    pub(crate) fn head(self) -> Value {
        json!({ "alg": self.algorithm(), "typ": "JWT" })
    }
}

pub(crate) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What a PEM file holds.
pub(crate) fn der(pem: &str) -> Vec<u8> {
    let digits: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(digits).unwrap()
}

/// So many seconds from now, since 1970.
pub(crate) fn in_seconds(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(now.as_secs()).unwrap() + seconds
}
