//! Sessions of browsers that have brought the key.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use landline::{Request, Response};
use serde::Deserialize;
use serde_json::json;
use subtle::{Choice, ConstantTimeEq as _};

use super::Admin;
use super::access::{COOKIE, Refused, answer};
use crate::exit::Failure;
use crate::init::fresh_secret;

/// How long a session is good.
const LIFE: Duration = Duration::from_secs(12 * 3600);

/// Sessions that are known at a time; the oldest goes first.
const MOST: usize = 64;

/// The open sessions.
#[derive(Default)]
pub(super) struct Sessions {
    list: Mutex<VecDeque<Session>>,
}

struct Session {
    token: String,
    until: Instant,
}

impl Sessions {
    /// Opens a session and returns what the browser has to bring.
    fn open(&self) -> Result<String, Failure> {
        let token = fresh_secret()?;
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() >= MOST {
            list.pop_front();
        }
        list.push_back(Session { token: token.clone(), until: Instant::now() + LIFE });
        Ok(token)
    }

    /// True if it is the token of an open session; how long that takes tells nothing of it.
    pub(super) fn knows(&self, token: &str) -> bool {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        list.retain(|session| now < session.until);
        let same = |session: &Session| session.token.as_bytes().ct_eq(token.as_bytes());
        list.iter().map(same).fold(Choice::from(0), |one, other| one | other).into()
    }

    /// Ends every session.
    pub(super) fn end_all(&self) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn close(&self, token: &str) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|session| session.token != token);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    key: String,
}

/// Says whether the page may be seen already.
pub(super) fn show(admin: &Admin, request: &Request) -> Result<Response, Refused> {
    Ok(answer(&json!({ "inside": admin.access.is_inside(request) })))
}

/// Takes the key and gives a session for it.
pub(super) fn open(admin: &Admin, request: &Request) -> Result<Response, Refused> {
    admin.access.must_be_own_page(request)?;
    let asked: Asked = request.json()?;
    admin.access.check_key(&asked.key, request.client())?;
    let token = admin.access.sessions.open().map_err(|failure| {
        log::error!("no session can be opened: {}", failure.texts().join("; "));
        Refused::new(500, "The server has no random numbers for a session.")
    })?;
    log::info!("{}: an admin session is open", request.peer());
    Ok(answer(&json!({ "ok": true })).with_header("Set-Cookie", cookie(request, &token, LIFE)))
}

/// Ends the session.
pub(super) fn close(admin: &Admin, request: &Request) -> Result<Response, Refused> {
    if let Some(token) = request.cookie(COOKIE) {
        admin.access.sessions.close(token);
    }
    Ok(answer(&json!({ "ok": true }))
        .with_header("Set-Cookie", cookie(request, "", Duration::ZERO)))
}

/// A cookie that no script reads and no other site has sent.
fn cookie(request: &Request, token: &str, life: Duration) -> String {
    let is_secure = request.header("origin").is_some_and(|origin| origin.starts_with("https://"));
    let secure = if is_secure { "; Secure" } else { "" };
    let seconds = life.as_secs();
    format!("{COOKIE}={token}; Path=/admin/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_known_until_it_is_closed() {
        let sessions = Sessions::default();
        let (one, other) = (sessions.open().unwrap(), sessions.open().unwrap());
        assert!(one.len() == 64 && one != other);
        assert!(sessions.knows(&one) && sessions.knows(&other));
        assert!(!sessions.knows("") && !sessions.knows(&one[..63]));
        sessions.close(&one);
        assert!(!sessions.knows(&one) && sessions.knows(&other));
    }

    #[test]
    fn of_too_many_the_oldest_goes() {
        let sessions = Sessions::default();
        let first = sessions.open().unwrap();
        (0..MOST).for_each(|_| drop(sessions.open().unwrap()));
        assert!(!sessions.knows(&first));
        assert_eq!(sessions.list.lock().unwrap().len(), MOST);
    }
}
