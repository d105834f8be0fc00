//! `BackendAuth`, a question to the application's own server: who is this?

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use ureq::Agent;
use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::aside::Aside;
use super::cache::{Answers, Found, Hasher};
use super::claims::{is_name, moment};
use super::secret_file::{in_file, read_text, wrong};
use crate::error::{Error, ErrorKind, Result};
use crate::http::token::is_token;
use crate::route::auth::verdict::{Authenticator, Denial, Verdict};
use crate::route::identity::Identity;
use crate::route::request::Request;
use crate::sync::Mutex;

/// Longest answer of the backend.
const ANSWER_BYTES: u64 = 64 * 1024;

/// Longest head of an answer.
const HEAD_BYTES: usize = 32 * 1024;

/// Most answers that are kept of each kind.
const MOST_ANSWERS: usize = 10_000;

/// Most questions at a time.
const MOST_CALLS: usize = 32;

/// What a 401 asks for where the backend does not say it.
const CHALLENGE: &str = "Session realm=\"landline\"";

/// Asks the application's own server who sends a request, with the cookies and headers of that
/// request: the way to let in who is logged in there, in Django for instance.
///
/// It sends `GET` to the address with the headers that are [copied](Self::headers), by default
/// `Cookie` and `Authorization`, and `X-Original-URI` (path and query), `X-Original-Method`,
/// `X-Forwarded-For`. What the answer means:
///
/// | answer | meaning |
/// |---|---|
/// | 200 to 299 with a JSON object | it is `user` (text or number), of `groups` (texts), with `session`, until `expires` (seconds since 1970); the whole object is in [`Identity::claims`] |
/// | 401, 403 | not let in |
/// | anything else, a redirect, no answer in time | 503: what cannot be checked is refused |
///
/// A request without any of the copied headers is not asked about: it brings no credentials. Answers
/// are kept for a moment, and the same question asked by many at once is asked once. An answer is for
/// exactly what was sent: path, query and the client's address included.
///
/// Cheap to clone; clones share what they know.
///
/// # Blocking
/// Until the answer, or the [timeout](Self::timeout), 5 s.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use landline::{Auth, BackendAuth};
///
/// # fn main() -> landline::Result<()> {
/// let django = BackendAuth::new("http://127.0.0.1:8001/landline/auth/")?
///     .timeout(Duration::from_secs(2));
/// let auth = Auth::new(django).optional();
/// # let _ = auth;
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// nginx' `auth_request`; the names of its headers are those of its users.
#[derive(Clone)]
pub struct BackendAuth {
    address: Uri,
    agent: Agent,
    headers: Vec<String>,
    is_post: bool,
    timeout: Duration,
    keep: Duration,
    keep_refused: Duration,
    known: Arc<Known>,
}

/// The fields that are sent.
type Question<'a> = Vec<(&'a str, Cow<'a, [u8]>)>;

struct Known {
    hasher: Hasher,
    answers: Answers<Verdict>,
    aside: Aside,
    /// When the last failure was logged, and how many since.
    complaint: Mutex<Option<Instant>>,
}

impl BackendAuth {
    /// Asks at this address, `http://` or `https://`.
    ///
    /// # Errors
    /// `Config`: it is no such address.
    pub fn new(address: impl AsRef<str>) -> Result<Self> {
        let text = address.as_ref();
        let wrong_address = || {
            let shown = text.split(['?', '@']).next().unwrap_or_default();
            wrong(format!(
                "{shown:?} is no address to ask at; write http://127.0.0.1:8001/auth/, without a \
                 name and password"
            ))
        };
        let address: Uri = text.parse().map_err(|_| wrong_address())?;
        let has_scheme = matches!(address.scheme_str(), Some("http" | "https"));
        let authority = address.authority().map(|authority| authority.as_str());
        if !has_scheme || authority.is_none_or(|text| text.is_empty() || text.contains('@')) {
            return Err(wrong_address());
        }
        let known = Known {
            hasher: Hasher::new()?,
            answers: Answers::new(MOST_ANSWERS),
            aside: Aside::new(MOST_CALLS),
            complaint: Mutex::new(None),
        };
        Ok(Self {
            address,
            agent: agent(TlsConfig::default()),
            headers: vec!["Cookie".into(), "Authorization".into()],
            is_post: false,
            timeout: Duration::from_secs(5),
            keep: Duration::from_secs(5),
            keep_refused: Duration::from_secs(1),
            known: Arc::new(known),
        })
    }

    /// The headers of a request that are its credentials, and are copied. Default: `Cookie` and
    /// `Authorization`.
    ///
    /// # Errors
    /// `Config`: one is no name of a header, belongs to the connection, or is one of those that this
    /// server writes itself: a client's own would be believed as its word.
    pub fn headers<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Result<Self> {
        const OURS: [&str; 9] = [
            "host",
            "connection",
            "content-length",
            "transfer-encoding",
            "upgrade",
            "expect",
            "x-forwarded-for",
            "x-original-uri",
            "x-original-method",
        ];
        self.headers = names.into_iter().map(Into::into).collect();
        let is_wrong = |name: &&String| {
            let is_ours = OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours));
            !is_token(name.as_bytes()) || is_ours
        };
        match self.headers.iter().find(is_wrong) {
            Some(name) => Err(wrong(format!("{name:?} is no header to copy"))),
            None if self.headers.is_empty() => Err(wrong("there is no header to copy")),
            None => Ok(self),
        }
    }

    /// Asks with `POST` and an empty body instead of `GET`.
    #[must_use]
    pub fn by_post(mut self) -> Self {
        self.is_post = true;
        self
    }

    /// How long the answer may take in all. Reached: 503. Default: 5 s.
    #[must_use]
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }

    /// How long an answer is good for the same question: one that lets somebody in, and one that
    /// does not. Whoever logs out can come in for so long, unless the server is told
    /// ([`Handle::close_user`](crate::Handle::close_user), `close_session`). Zero keeps none.
    /// Default: 5 s and 1 s.
    #[must_use]
    pub fn keep(mut self, known: Duration, refused: Duration) -> Self {
        self.keep = known;
        self.keep_refused = refused;
        self
    }

    /// Trusts the servers with a certificate of these authorities, in PEM, instead of those that
    /// are known to all: for an intranet's own.
    ///
    /// # Errors
    /// `Config`: there is no certificate in it.
    pub fn authorities(mut self, pem: impl AsRef<str>) -> Result<Self> {
        let mut certificates: Vec<Certificate<'static>> = Vec::new();
        for item in parse_pem(pem.as_ref().as_bytes()) {
            if let PemItem::Certificate(certificate) = item.map_err(|error| {
                Error::new(ErrorKind::Config, "the PEM is malformed").with_source(error)
            })? {
                certificates.push(certificate);
            }
        }
        if certificates.is_empty() {
            return Err(wrong("there is no certificate in the PEM"));
        }
        let roots = RootCerts::new_with_certs(&certificates);
        self.agent = agent(TlsConfig::builder().root_certs(roots).build());
        Ok(self)
    }

    /// As [`authorities`](Self::authorities), from a file.
    ///
    /// # Blocking
    /// For the disk: the file is read whole, 4 MiB at most.
    ///
    /// # Errors
    /// `Config`: it cannot be read, or there is no certificate in it, with the name of the file.
    pub fn authorities_file(self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let pem = read_text(path)?;
        in_file(path, self.authorities(pem))
    }

    /// What is sent: the copied headers and those that say what it is about. `None` without
    /// credentials.
    #[inline(never)]
    fn question<'a>(&'a self, request: &'a Request) -> Option<Question<'a>> {
        let mut lines: Question<'a> = Vec::new();
        for name in &self.headers {
            let values = request.headers().raw(name);
            lines.extend(values.map(|value| (name.as_str(), Cow::Borrowed(value))));
        }
        if lines.is_empty() {
            return None;
        }
        let (method, client) = (request.method().to_string(), request.client().to_string());
        lines.push(("X-Original-URI", Cow::Borrowed(request.head().target().as_bytes())));
        lines.push(("X-Original-Method", Cow::Owned(method.into_bytes())));
        lines.push(("X-Forwarded-For", Cow::Owned(client.into_bytes())));
        Some(lines)
    }

    /// Asks, and understands the answer.
    // Inlined, its frame would be part of every look at what is known.
    #[inline(never)]
    fn ask(
        &self,
        lines: &[(&str, Cow<'_, [u8]>)],
        client: IpAddr,
        deadline: Instant,
    ) -> Found<Verdict> {
        let lines = lines.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec()));
        let (asker, lines): (_, Vec<_>) = (self.clone(), lines.collect());
        let outcome = self.known.aside.run(client, deadline, move || asker.call(lines, deadline));
        match outcome.flatten() {
            Ok(Verdict::Known(identity)) => {
                let rest = identity.expires().map(|at| at.duration_since(SystemTime::now()));
                let rest = rest.map_or(self.keep, |rest| rest.unwrap_or_default());
                let keep = self.keep.min(rest);
                Found { value: Verdict::Known(identity), keep, is_good: true }
            }
            Ok(refused) => Found { value: refused, keep: self.keep_refused, is_good: false },
            Err(error) => {
                self.complain(&error);
                Found { value: unclear(), keep: Duration::ZERO, is_good: false }
            }
        }
    }

    fn call(&self, lines: Vec<(String, Vec<u8>)>, deadline: Instant) -> Result<Verdict> {
        let left = deadline.saturating_duration_since(Instant::now());
        let failed =
            |error: ureq::Error| Error::new(ErrorKind::Io, "it cannot be asked").with_source(error);
        let response = if self.is_post {
            let post = self.agent.post(self.address.clone()).config().timeout_global(Some(left));
            let post = lines
                .into_iter()
                .fold(post.build(), |post, (name, value)| post.header(name, value));
            post.send_empty()
        } else {
            let get = self.agent.get(self.address.clone()).config().timeout_global(Some(left));
            let get =
                lines.into_iter().fold(get.build(), |get, (name, value)| get.header(name, value));
            get.call()
        };
        understood(response.map_err(failed)?)
    }

    /// Says at most once a second that the backend does not answer.
    fn complain(&self, error: &Error) {
        let now = Instant::now();
        let mut last = self.known.complaint.lock();
        if last.is_some_and(|last| now.duration_since(last) < Duration::from_secs(1)) {
            return;
        }
        *last = Some(now);
        drop(last);
        log::error!("{self:?} does not say who somebody is: {}", error.chain());
    }
}

fn agent(tls: TlsConfig) -> Agent {
    Agent::config_builder()
        .tls_config(tls)
        // What stands in the environment is not for credentials to go by.
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .max_response_header_size(HEAD_BYTES)
        // One that the backend has just closed would be a failure of somebody's handshake.
        .max_idle_connections(0)
        .user_agent(concat!("landline/", env!("CARGO_PKG_VERSION")))
        .accept("application/json")
        .build()
        .into()
}

fn understood(mut response: Response<ureq::Body>) -> Result<Verdict> {
    let failed = |text: String| Error::new(ErrorKind::Protocol, text);
    match response.status().as_u16() {
        200..=299 => {
            let body = response.body_mut().with_config().limit(ANSWER_BYTES).read_to_vec();
            let body = body.map_err(|error| {
                Error::new(ErrorKind::Io, "its answer cannot be read").with_source(error)
            })?;
            let answer: Value = serde_json::from_slice(&body)?;
            let identity = identity(&answer).map_err(|why| failed(format!("its answer {why}")))?;
            let text = String::from_utf8(body);
            let text = text.map_err(|_| failed("its answer is not UTF-8".into()))?;
            Ok(Verdict::Known(identity.with_statement(text)))
        }
        401 => {
            let asked = response.headers().get("www-authenticate");
            let asked = asked.and_then(|value| value.to_str().ok()).unwrap_or(CHALLENGE);
            let denial = Denial::unauthorized("You are not logged in.").with_challenge(asked);
            Ok(Verdict::Refused(denial))
        }
        403 => Ok(Verdict::Refused(Denial::forbidden("You may not come in here."))),
        status => Err(failed(format!("it answers {status}, which says nothing"))),
    }
}

/// Reads who it is.
fn identity(answer: &Value) -> Result<Identity, &'static str> {
    if !answer.is_object() {
        return Err("is no JSON object");
    }
    let mut identity = Identity::default();
    match &answer["user"] {
        Value::String(name) if is_name(name) => identity = identity.user(name),
        Value::Number(number) if number.is_u64() => identity = identity.user(number.to_string()),
        _ => return Err("names no \"user\""),
    }
    match &answer["groups"] {
        Value::Null => {}
        Value::Array(groups) => {
            let names = groups.iter().map(|group| group.as_str().filter(|name| is_name(name)));
            let names: Option<Vec<&str>> = names.collect();
            identity = identity.groups(names.ok_or("has \"groups\" that are no names")?);
        }
        _ => return Err("has \"groups\" that are no array"),
    }
    match &answer["session"] {
        Value::Null => {}
        Value::String(key) => identity = identity.session(key),
        _ => return Err("has a \"session\" that is no text"),
    }
    match &answer["expires"] {
        Value::Null => {}
        at => identity = identity.with_expiry(moment(at).ok_or("\"expires\" at no moment")?),
    }
    Ok(identity)
}

fn unclear() -> Verdict {
    let text = "It cannot be found out now who you are, please try again soon.";
    Verdict::Refused(Denial::unavailable(text))
}

impl Authenticator for BackendAuth {
    fn authenticate(&self, request: &Request) -> Result<Verdict> {
        let Some(lines) = self.question(request) else { return Ok(Verdict::NotMine) };
        let parts = lines.iter().flat_map(|(name, value)| [name.as_bytes(), &**value]);
        // What was found out before somebody was told to go may be no longer so.
        let dismissal = request.dismissal().to_le_bytes();
        let key = self.known.hasher.key(parts.chain([&dismissal[..]]));
        let deadline = Instant::now() + self.timeout;
        let verdict =
            self.known.answers.get(&key, deadline, || self.ask(&lines, request.client(), deadline));
        Ok(verdict.unwrap_or_else(unclear))
    }

    fn challenge(&self) -> Option<String> {
        Some(CHALLENGE.into())
    }
}

impl fmt::Debug for BackendAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.address.authority().map_or("", |authority| authority.as_str());
        write!(f, "BackendAuth({authority}{})", self.address.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_address_is_of_http_and_holds_no_password() {
        for right in ["http://127.0.0.1:8001/auth/", "https://a.example/x?y=1", "http://[::1]/"] {
            assert!(BackendAuth::new(right).is_ok(), "{right}");
        }
        for wrong in ["", "127.0.0.1:8001", "/auth", "ftp://a/", "http://", "http://a:secret@b/"] {
            let error = BackendAuth::new(wrong).unwrap_err();
            assert!(!error.chain().contains("secret@"), "{error}");
        }
        let backend = BackendAuth::new("http://a.example/x?key=secret").unwrap();
        assert_eq!(format!("{backend:?}"), "BackendAuth(a.example/x)");
        assert!(backend.clone().headers(["X-Token"]).is_ok());
        for wrong in [&["Host"][..], &["a b"], &[], &["Cookie", "x-forwarded-FOR"]] {
            assert!(backend.clone().headers(wrong.iter().copied()).is_err(), "{wrong:?}");
        }
        assert!(backend.authorities("no certificate").is_err());
    }

    #[test]
    fn an_answer_names_a_user_and_nothing_is_guessed() {
        let anna = json!({
            "user": "anna", "groups": ["a", "b"], "session": "k", "expires": 2000.5, "mail": "x"
        });
        let anna = identity(&anna).unwrap().with_statement(anna.to_string());
        assert_eq!((anna.name(), anna.group_names().len()), (Some("anna"), 2));
        assert_eq!((anna.session_key(), anna.claim("mail")), (Some("k"), Some(&json!("x"))));
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(2_000_500);
        assert_eq!(anna.expires(), Some(at));
        assert_eq!(identity(&json!({ "user": 7 })).unwrap().name(), Some("7"));
        for wrong in [
            json!([]),
            json!({}),
            json!({ "user": null }),
            json!({ "user": "" }),
            json!({ "user": true }),
            json!({ "user": "a\nb" }),
            json!({ "user": "a", "groups": "b" }),
            json!({ "user": "a", "groups": [1] }),
            json!({ "user": "a", "session": 1 }),
            json!({ "user": "a", "expires": "tomorrow" }),
            json!({ "user": "a", "expires": -1 }),
        ] {
            assert!(identity(&wrong).is_err(), "{wrong}");
        }
    }
}
