//! Where a token may stand in a request.

use crate::conn::BEARER;
use crate::http::token::is_token;
use crate::route::auth::verdict::Denial;
use crate::route::request::Request;

/// A place where clients may put a token.
///
/// A request may name the same token in several places; two that differ are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenSource {
    /// `Authorization: Bearer <token>`: for programs.
    Header,
    /// `Sec-WebSocket-Protocol: bearer, <token>`: for pages, `new WebSocket(url, ["bearer", token])`.
    /// The answer names `bearer`, unless the route speaks another subprotocol that is offered too;
    /// the token is never sent back.
    Subprotocol,
    /// A cookie of this name: for pages of the same site.
    Cookie(String),
    /// A parameter of this name in the query. It is not in this server's log, but it may be in that
    /// of a proxy and in the browser's history: prefer tokens that expire soon.
    Query(String),
}

/// The token of a request, or `None` if there is none.
///
/// # Errors
/// The tokens of two places differ, or a place for one is empty.
#[inline(never)]
pub(super) fn find<'a>(
    request: &'a Request,
    sources: &[TokenSource],
) -> Result<Option<&'a str>, Denial> {
    let mut found: Option<&str> = None;
    for source in sources {
        for token in source.tokens(request) {
            if token.is_empty() {
                let text = "There is a place for a token, but no token in it.";
                return Err(Denial::unauthorized(text));
            }
            if found.is_some_and(|other| other != token) {
                let text = "There are several tokens, and they are not the same.";
                return Err(Denial::unauthorized(text));
            }
            found = Some(token);
        }
    }
    Ok(found)
}

impl TokenSource {
    /// True for a name that can be looked for.
    pub(super) fn is_valid(&self) -> bool {
        match self {
            Self::Header | Self::Subprotocol => true,
            Self::Cookie(name) => is_token(name.as_bytes()),
            Self::Query(name) => !name.is_empty(),
        }
    }

    fn tokens<'a>(&self, request: &'a Request) -> Vec<&'a str> {
        match self {
            Self::Header => of_header(request),
            Self::Subprotocol => {
                let offered = request.websocket().map_or(&[][..], |ws| ws.subprotocols());
                let word = offered.iter().position(|name| name == BEARER);
                word.and_then(|at| offered.get(at + 1)).map(String::as_str).into_iter().collect()
            }
            Self::Cookie(name) => of_cookie(request, name),
            Self::Query(name) => of_query(request, name),
        }
    }
}

// Apart, so that the frames of their iterators do not lie in one: a connection keeps its stack.
#[inline(never)]
fn of_header(request: &Request) -> Vec<&str> {
    request.headers().get_all("authorization").filter_map(bearer).collect()
}

#[inline(never)]
fn of_cookie<'a>(request: &'a Request, name: &str) -> Vec<&'a str> {
    request.head().cookies(name).collect()
}

#[inline(never)]
fn of_query<'a>(request: &'a Request, name: &str) -> Vec<&'a str> {
    request.query_all(name).collect()
}

/// What follows the word `Bearer` (RFC 6750 2.1); the word alone is followed by nothing.
fn bearer(value: &str) -> Option<&str> {
    let value = value.trim();
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_word_bearer_is_the_token() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer(" bearer  a b "), Some("a b"));
        assert_eq!(bearer("Bearer"), Some(""));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("Bearerabc"), None);
        assert_eq!(bearer(""), None);
    }
}
