//! `Jwt`, signed tokens that say whose they are and for how long.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::aside::Aside;
use super::claims::{Flaw, Rules};
use super::keys::{Algorithm, KeySet};
use super::realm::{REALM, checked_realm};
use super::secret_file::{in_file, read_text, wrong};
use super::token::{TokenSource, find};
use crate::error::{Error, ErrorKind, Result};
use crate::route::auth::verdict::{Authenticator, Denial, Verdict};
use crate::route::identity::Identity;
use crate::route::request::Request;
use crate::sync::Mutex;

/// Longest token in bytes unless it is said otherwise.
const TOKEN_BYTES: usize = 8 * 1024;

/// For whom a token is examined that the application brings.
const NOBODY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// How long a token waits while all processors are busy with others.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lets in who brings a JSON Web Token that one of the known keys has signed.
///
/// | algorithm | key |
/// |---|---|
/// | HS256 | a secret of 32 bytes and more |
/// | RS256 | an RSA public key of 2048 bits and more |
/// | ES256 | a public key of P-256 |
/// | EdDSA | a public key of Ed25519 |
///
/// Which algorithm a key is for is not for the token to choose: a token that names another one, or
/// `none`, is refused. `exp` is required, `nbf` kept, `iss` and `aud` as they are set; a token that
/// names an audience is refused until [`audience`](Self::audience) says that it is this server's.
///
/// The user is `sub` and its groups `groups`, unless other claims are named; the session is `sid`.
/// All claims are in [`Identity::claims`]. A WebSocket is closed when its token expires.
///
/// A token is looked for in `Authorization: Bearer`, the subprotocols and `?token=`, see
/// [`sources`](Self::sources).
///
/// Cheap to clone; clones share their keys.
///
/// # Example
/// ```
/// use landline::{Jwt, Request, Result, Server, WebSocket, require_websocket};
///
/// fn chat(request: &Request, ws: &WebSocket) -> Result<()> {
///     let user = request.identity().and_then(|identity| identity.name()).unwrap_or_default();
///     ws.send(format!("Hello, {user}!"))
/// }
/// # fn main() -> Result<()> {
/// # let secret = "x".repeat(32);
/// let jwt = Jwt::with_key(&secret)?.issuer("https://login.example.com").audience("chat");
/// let builder = Server::builder().route("/chat", require_websocket(chat).authenticate(jwt));
/// # let _ = builder;
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// RFC 7519, RFC 7515, RFC 8725
#[derive(Clone)]
pub struct Jwt {
    examiner: Examiner,
    sources: Vec<TokenSource>,
    token_bytes: usize,
    realm: String,
}

/// What a token is examined with.
#[derive(Clone)]
struct Examiner {
    keys: Arc<Keys>,
    rules: Arc<Rules>,
}

/// The keys that are good now, and where they come from.
struct Keys {
    origin: Origin,
    current: Mutex<Arc<KeySet>>,
    /// Where tokens are examined.
    aside: Aside,
}

enum Origin {
    /// Given as they are.
    Fixed,
    Key(PathBuf),
    Jwks(PathBuf),
}

impl Origin {
    fn read(&self) -> Result<Option<KeySet>> {
        Ok(Some(match self {
            Self::Fixed => return Ok(None),
            Self::Key(path) => in_file(path, KeySet::of_text(&read_text(path)?))?,
            Self::Jwks(path) => in_file(path, KeySet::of_jwks(&read_text(path)?))?,
        }))
    }
}

/// The part of a token's head that is looked at.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    alg: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    kid: Option<std::borrow::Cow<'a, str>>,
    crit: Option<IgnoredAny>,
}

impl Jwt {
    /// Takes tokens that this key has signed: one or several public keys in PEM
    /// (`-----BEGIN PUBLIC KEY-----`), else a secret for HS256.
    ///
    /// # Errors
    /// `Config`: it is no usable key, with the reason. The text does not show it.
    pub fn with_key(key: impl AsRef<str>) -> Result<Self> {
        Ok(Self::new(Origin::Fixed, KeySet::of_text(key.as_ref())?))
    }

    /// Takes tokens that one of these keys has signed: a JSON Web Key Set.
    ///
    /// # Errors
    /// `Config`: it is none, or has no key that is of use.
    pub fn with_jwks(json: impl AsRef<str>) -> Result<Self> {
        Ok(Self::new(Origin::Fixed, KeySet::of_jwks(json.as_ref())?))
    }

    /// As [`with_key`](Self::with_key), from a file; of a secret the line end behind it does not
    /// count.
    ///
    /// # Blocking
    /// For the disk: the file is read whole, 4 MiB at most.
    ///
    /// # Errors
    /// As [`with_key`](Self::with_key), with the file's name; also if it cannot be read.
    pub fn key_file(path: impl Into<PathBuf>) -> Result<Self> {
        Self::of_file(Origin::Key(path.into()))
    }

    /// As [`with_jwks`](Self::with_jwks), from a file.
    ///
    /// # Blocking
    /// For the disk: the file is read whole, 4 MiB at most.
    ///
    /// # Errors
    /// As [`with_jwks`](Self::with_jwks), with the file's name; also if it cannot be read.
    pub fn jwks_file(path: impl Into<PathBuf>) -> Result<Self> {
        Self::of_file(Origin::Jwks(path.into()))
    }

    fn of_file(origin: Origin) -> Result<Self> {
        match origin.read()? {
            Some(keys) => Ok(Self::new(origin, keys)),
            None => Err(wrong("there is no file to read")),
        }
    }

    fn new(origin: Origin, keys: KeySet) -> Self {
        let query = TokenSource::Query("token".into());
        let current = Mutex::new(Arc::new(keys));
        let keys = Keys { origin, current, aside: Aside::of_processors() };
        Self {
            examiner: Examiner { keys: Arc::new(keys), rules: Arc::default() },
            sources: vec![TokenSource::Header, TokenSource::Subprotocol, query],
            token_bytes: TOKEN_BYTES,
            realm: REALM.into(),
        }
    }

    /// Reads the file with the keys again, for this one and its clones. If that fails, the old keys
    /// stay. Without a file it does nothing.
    ///
    /// # Blocking
    /// For the disk: the file is read whole, 4 MiB at most.
    ///
    /// # Errors
    /// As [`key_file`](Self::key_file).
    pub fn reload(&self) -> Result<()> {
        if let Some(keys) = self.examiner.keys.origin.read()? {
            *self.examiner.keys.current.lock() = Arc::new(keys);
        }
        Ok(())
    }

    fn rules(&mut self) -> &mut Rules {
        Arc::make_mut(&mut self.examiner.rules)
    }

    /// Who has to have issued the token (`iss`). Default: anybody who has the key.
    #[must_use]
    pub fn issuer(mut self, name: impl Into<String>) -> Self {
        self.rules().issuer = Some(name.into());
        self
    }

    /// For whom the token has to be (`aud`); called again, for one of several. Default: for nobody
    /// in particular.
    #[must_use]
    pub fn audience(mut self, name: impl Into<String>) -> Self {
        self.rules().audiences.push(name.into());
        self
    }

    /// How far the clocks of issuer and server may differ; a token is good so much longer and
    /// earlier. Default: 10 s.
    #[must_use]
    pub fn leeway(mut self, time: Duration) -> Self {
        self.rules().leeway = time;
        self
    }

    /// The claim with the user's name, or a path to it: `preferred_username`, `user_id`. A token
    /// without it is refused. Default: `sub`.
    #[must_use]
    pub fn user_claim(mut self, name: impl Into<String>) -> Self {
        self.rules().user = name.into();
        self
    }

    /// The claim with the user's groups, an array or a text with blanks between them, or a path to
    /// it: `realm_access.roles`. Default: `groups`.
    #[must_use]
    pub fn groups_claim(mut self, name: impl Into<String>) -> Self {
        self.rules().groups = name.into();
        self
    }

    /// Takes tokens without `exp`, which are good until their key is replaced.
    #[must_use]
    pub fn allow_without_expiry(mut self) -> Self {
        self.rules().needs_expiry = false;
        self
    }

    /// Where tokens are looked for. Default: [`TokenSource::Header`], [`TokenSource::Subprotocol`]
    /// and `TokenSource::Query("token")`.
    ///
    /// # Errors
    /// `Config`: a name that no cookie or parameter can have.
    pub fn sources(mut self, sources: impl IntoIterator<Item = TokenSource>) -> Result<Self> {
        self.sources = sources.into_iter().collect();
        if let Some(source) = self.sources.iter().find(|source| !source.is_valid()) {
            return Err(wrong(format!("no token can stand in {source:?}")));
        }
        Ok(self)
    }

    /// Longest token. Default: 8 KiB.
    #[must_use]
    pub fn token_bytes(mut self, bytes: usize) -> Self {
        self.token_bytes = bytes;
        self
    }

    /// The realm that a 401 names. Default: `landline`.
    ///
    /// # Errors
    /// `Config`: a name that cannot stand in a header.
    pub fn realm(mut self, name: impl Into<String>) -> Result<Self> {
        self.realm = checked_realm(name.into())?;
        Ok(self)
    }

    /// Checks a token that came another way, in a message for instance, and says whose it is.
    ///
    /// With [`WebSocket::set_expiry`](crate::WebSocket::set_expiry) a client renews its stay.
    ///
    /// # Blocking
    /// For the time of its signature, and while all processors are busy with those of others, 10 s
    /// at most.
    ///
    /// # Errors
    /// `Protocol`: the token is not good, with the reason. The text does not show it. `Timeout`: it
    /// cannot be checked now.
    pub fn verify(&self, token: &str) -> Result<Identity> {
        self.examine(token, NOBODY, SystemTime::now()).map_err(|flaw| {
            let is_unclear = flaw == Flaw::Unclear;
            let kind = if is_unclear { ErrorKind::Timeout } else { ErrorKind::Protocol };
            Error::new(kind, flaw.text())
        })
    }

    /// Examines a token on another thread: that takes room on the stack and memory for a moment,
    /// which the thread of a connection would keep.
    #[inline(never)]
    fn examine(&self, token: &str, client: IpAddr, now: SystemTime) -> Result<Identity, Flaw> {
        if token.len() > self.token_bytes {
            return Err(Flaw::TooLong);
        }
        let (examiner, token) = (self.examiner.clone(), token.to_owned());
        let aside = &self.examiner.keys.aside;
        let examined =
            aside.run(client, Instant::now() + PATIENCE, move || examiner.examine(&token, now));
        examined.unwrap_or_else(|error| {
            log::error!("a token cannot be checked: {}", error.chain());
            Err(Flaw::Unclear)
        })
    }
}

impl Examiner {
    /// # Source
    /// RFC 7515 5.2, RFC 7519 7.2
    fn examine(&self, token: &str, now: SystemTime) -> Result<Identity, Flaw> {
        let (message, signature) = token.rsplit_once('.').ok_or(Flaw::Malformed)?;
        let (head, claims) = message.split_once('.').ok_or(Flaw::Malformed)?;
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Flaw::Malformed);
        let (head, claims, signature) = (decoded(head)?, decoded(claims)?, decoded(signature)?);
        self.check_signature(&head, message.as_bytes(), &signature)?;
        // Only what is signed is looked at: nobody else may have this server read their JSON.
        self.rules.identify(String::from_utf8(claims).map_err(|_| Flaw::Malformed)?, now)
    }

    fn check_signature(&self, head: &[u8], message: &[u8], signature: &[u8]) -> Result<(), Flaw> {
        let head: Head<'_> = serde_json::from_slice(head).map_err(|_| Flaw::Malformed)?;
        if head.crit.is_some() {
            // Something that has to be understood, and is not (RFC 7515 4.1.11).
            return Err(Flaw::Malformed);
        }
        let algorithm = Algorithm::of_name(&head.alg).ok_or(Flaw::Signature)?;
        let keys = Arc::clone(&self.keys.current.lock());
        match keys.has_signed(algorithm, head.kid.as_deref(), message, signature) {
            true => Ok(()),
            false => Err(Flaw::Signature),
        }
    }
}

impl Authenticator for Jwt {
    fn authenticate(&self, request: &Request) -> Result<Verdict> {
        let token = match find(request, &self.sources) {
            Ok(Some(token)) => token,
            Ok(None) => return Ok(Verdict::NotMine),
            Err(denial) => return Ok(Verdict::Refused(denial)),
        };
        Ok(match self.examine(token, request.client(), SystemTime::now()) {
            Ok(identity) => Verdict::Known(identity),
            Err(flaw) => Verdict::Refused(self.denial(flaw)),
        })
    }

    fn challenge(&self) -> Option<String> {
        Some(format!("Bearer realm=\"{}\"", self.realm))
    }
}

impl Jwt {
    /// # Source
    /// RFC 6750 3.1
    #[inline(never)]
    fn denial(&self, flaw: Flaw) -> Denial {
        let text = flaw.text();
        if flaw == Flaw::Unclear {
            return Denial::unavailable(text);
        }
        let words = text.trim_end_matches('.');
        let challenge = format!(
            "Bearer realm=\"{}\", error=\"invalid_token\", error_description=\"{words}\"",
            self.realm
        );
        Denial::unauthorized(text).with_challenge(challenge)
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt")
            .field("rules", &self.examiner.rules)
            .field("sources", &self.sources)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "jwt/tests.rs"]
mod tests;
