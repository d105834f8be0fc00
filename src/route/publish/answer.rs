//! What a publish is answered with: counts, or what is wrong and what to do about it.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;

use crate::http::Response;
use crate::http::refusal::Refusal;

/// Longest part of a client's own text that is repeated to it, in characters.
const MAX_SHOWN: usize = 60;

/// Why nothing is published, in words for the one who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    status: u16,
    error: Cow<'static, str>,
    field: Option<String>,
    index: Option<usize>,
    headers: Vec<(&'static str, Cow<'static, str>)>,
}

/// The body of a fault.
#[derive(Serialize)]
struct Said<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
}

impl Fault {
    /// A fault with its status and sentence.
    pub(crate) fn new(status: u16, error: impl Into<Cow<'static, str>>) -> Self {
        Self { status, error: error.into(), field: None, index: None, headers: Vec::new() }
    }

    /// 400.
    pub(crate) fn bad(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, error)
    }

    /// 403.
    pub(crate) fn forbidden(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(403, error)
    }

    /// 405 with `Allow`.
    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        let error =
            format!("This method is not allowed here; use {}.", allow.replace(", ", " or "));
        Self::new(405, error).with_header("Allow", allow)
    }

    /// The same, blaming a field of the request.
    pub(crate) fn at(mut self, field: &str) -> Self {
        self.field = Some(shown(field));
        self
    }

    /// The same, blaming a message of a batch.
    pub(crate) fn in_message(mut self, index: usize) -> Self {
        self.index = Some(index);
        self
    }

    pub(crate) fn with_header(
        mut self,
        name: &'static str,
        value: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    #[cfg(test)]
    pub(crate) fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    #[cfg(test)]
    pub(crate) fn index(&self) -> Option<usize> {
        self.index
    }

    #[cfg(test)]
    pub(crate) fn error(&self) -> &str {
        &self.error
    }

    pub(crate) fn into_response(self) -> Response {
        let said = Said { error: &self.error, field: self.field.as_deref(), index: self.index };
        let mut response = json(self.status, &said);
        for (name, value) in &self.headers {
            response = response.with_header(name, value);
        }
        response
    }
}

/// A form or query that cannot be decoded; the request was read whole, so it stays a mere 400.
impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.status(), refusal.text().to_owned())
    }
}

/// What was answered, kept to be answered again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    status: u16,
    body: Arc<[u8]>,
}

impl Answer {
    pub(crate) fn new(status: u16, body: &impl Serialize) -> Self {
        Self { status, body: bytes(body).into() }
    }

    /// Length of the body in bytes.
    pub(crate) fn len(&self) -> usize {
        self.body.len()
    }

    pub(crate) fn to_response(&self) -> Response {
        dressed(self.status, self.body.to_vec())
    }
}

/// A client's own text as it is repeated to it.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn json(status: u16, body: &impl Serialize) -> Response {
    dressed(status, bytes(body))
}

fn bytes(body: &impl Serialize) -> Vec<u8> {
    // Structures of text and numbers: there is no way for them to fail.
    let mut bytes = serde_json::to_vec(body).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn dressed(status: u16, body: Vec<u8>) -> Response {
    Response::bytes("application/json; charset=utf-8", body)
        .with_status(status)
        .with_header("Cache-Control", "no-store")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(response: &Response) -> &str {
        str::from_utf8(response.body().unwrap()).unwrap()
    }

    #[test]
    fn a_fault_says_what_where_and_which() {
        let fault = Fault::bad("No.").at("group").in_message(3).with_header("Retry-After", "1");
        let response = fault.into_response();
        assert_eq!(text(&response), "{\"error\":\"No.\",\"field\":\"group\",\"index\":3}\n");
        assert_eq!((response.status_code(), response.header("retry-after")), (400, Some("1")));
        assert_eq!(text(&Fault::forbidden("No.").into_response()), "{\"error\":\"No.\"}\n");
    }

    #[test]
    fn a_clients_text_is_not_repeated_at_length() {
        let fault = Fault::bad("No.").at(&"房".repeat(1000));
        assert_eq!(fault.field().map(|field| field.chars().count()), Some(MAX_SHOWN + 1));
        assert_eq!(shown("short"), "short");
    }

    #[test]
    fn an_answer_can_be_given_twice() {
        let answer = Answer::new(200, &["x"]);
        assert_eq!(text(&answer.to_response()), text(&answer.to_response()));
        assert_eq!(answer.to_response().header("cache-control"), Some("no-store"));
    }
}
