//! `Reply`, an HTTP answer as a test sees it.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};
use crate::http::Headers;
use crate::http::client::Answer;

/// An HTTP answer: what a plain request got, or why a handshake was refused.
#[derive(Debug)]
pub struct Reply {
    status: u16,
    headers: Headers,
    body: Vec<u8>,
}

impl Reply {
    pub(super) fn new(answer: Answer) -> Self {
        Self { status: answer.status, headers: answer.headers, body: answer.body }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Every header field.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The first value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as text; bytes that are not UTF-8 are replaced by `U+FFFD`.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// `Json`: it is not JSON or not a `T`; the source names line and column.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let text =
                format!("the answer {} is not the expected JSON: {}", self.status, self.text());
            Error::new(ErrorKind::Json, text).with_source(error)
        })
    }
}

impl Error {
    /// Takes the HTTP answer that refused the handshake of a
    /// [`Communicator`](crate::testing::Communicator), if that is what the error is about.
    ///
    /// # Example
    /// ```
    /// use landline::testing::{Communicator, LiveServer};
    ///
    /// # fn main() -> landline::Result<()> {
    /// let server = LiveServer::start(landline::Server::builder())?;
    /// let error = Communicator::connect(&server, "/ws/nowhere/").unwrap_err();
    /// assert_eq!(error.into_reply().map(|reply| reply.status()), Some(404));
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_reply(mut self) -> Option<Reply> {
        self.take_returned::<Reply>()
    }
}
