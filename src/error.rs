//! The one error type of the public API.
//!
//! A normal end of a connection is a value ([`Closed`](crate::Closed)); a failure is an
//! [`Error`]. The type is opaque and one pointer wide: callers act on [`Error::kind`] and the
//! predicates, people read the text. The text never repeats its source; print the whole chain
//! with [`Error::chain`].

use std::any::Any;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a caller would act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A listening address could not be bound: wrong, in use or not permitted.
    Bind,
    /// The connection is over; [`WebSocket::closed`](crate::WebSocket::closed) tells how it ended.
    Closed,
    /// A setting, a route pattern or a template is wrong.
    Config,
    /// The operating system refused an operation.
    Io,
    /// A message or body is not the JSON that was asked for.
    Json,
    /// A size or count is over its configured limit.
    Limit,
    /// The peer broke the protocol, or the caller asked for something the protocol forbids.
    Protocol,
    /// A bounded queue had no room and the call was not allowed to wait; nothing was queued.
    QueueFull,
    /// The hub's relays could not be started, or have not kept up; nothing was published.
    Relay,
    /// The deadline of this call passed; the connection may still be usable.
    Timeout,
    /// Bytes that must be UTF-8 are not.
    Utf8,
    /// The application's own failure, wrapped by [`Error::other`].
    Other,
}

/// An error of this crate: a kind to act on, a text to read, and where known the cause.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    text: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    /// What the caller handed over and gets back (a refused message).
    returned: Option<Box<dyn Any + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<Cow<'static, str>>) -> Self {
        let inner = Inner { kind, text: text.into(), source: None, returned: None };
        Self { inner: Box::new(inner) }
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// Attaches what the caller handed over, so that a refusal does not swallow it.
    pub(crate) fn with_returned(mut self, returned: impl Any + Send + Sync) -> Self {
        self.inner.returned = Some(Box::new(returned));
        self
    }

    /// True if a `T` was attached by `with_returned`.
    pub(crate) fn has_returned<T: Any>(&self) -> bool {
        self.inner.returned.as_ref().is_some_and(|returned| returned.is::<T>())
    }

    /// Takes back what was attached by `with_returned`, if it is a `T`; anything else stays.
    pub(crate) fn take_returned<T: Any>(&mut self) -> Option<T> {
        if !self.has_returned::<T>() {
            return None;
        }
        let returned = self.inner.returned.take()?;
        let returned: Box<dyn Any> = returned;
        returned.downcast::<T>().ok().map(|value| *value)
    }

    /// Wraps an error of the application, so that a handler can end with `?` or `Err`.
    ///
    /// # Example
    /// ```
    /// let error = landline::Error::other("the till is empty");
    /// assert_eq!(error.kind(), landline::ErrorKind::Other);
    /// assert_eq!(error.to_string(), "the till is empty");
    /// ```
    pub fn other(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source = source.into();
        let text = source.to_string();
        let mut error = Self::new(ErrorKind::Other, text);
        error.inner.source = source.source().map(|cause| cause.to_string().into());
        error
    }

    /// The kind to act on.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// True if a deadline passed; the same call may be tried again.
    pub fn is_timeout(&self) -> bool {
        self.kind() == ErrorKind::Timeout
    }

    /// True if the connection is over and no later call on it can succeed.
    pub fn is_closed(&self) -> bool {
        self.kind() == ErrorKind::Closed
    }

    /// The error and its causes in one line, joined by `: `, for a log.
    pub fn chain(&self) -> String {
        let mut line = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            line.push_str(": ");
            line.push_str(&error.to_string());
            cause = error.source();
        }
        line
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.text)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?}: {})", self.kind(), self.chain())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::new(ErrorKind::Io, "input or output failed").with_source(error)
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::new(ErrorKind::Json, "not the expected JSON").with_source(error)
    }
}

impl From<std::str::Utf8Error> for Error {
    fn from(error: std::str::Utf8Error) -> Self {
        Self::new(ErrorKind::Utf8, "not UTF-8").with_source(error)
    }
}

impl From<std::string::FromUtf8Error> for Error {
    fn from(error: std::string::FromUtf8Error) -> Self {
        Self::new(ErrorKind::Utf8, "not UTF-8").with_source(error.utf8_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_names_every_cause_once() {
        let cause = io::Error::other("disk on fire");
        let error = Error::new(ErrorKind::Config, "cannot read /etc/x").with_source(cause);
        assert_eq!(error.chain(), "cannot read /etc/x: disk on fire");
        assert_eq!(error.to_string(), "cannot read /etc/x");
    }

    #[test]
    fn a_returned_value_comes_back_with_its_type() {
        let mut error = Error::new(ErrorKind::QueueFull, "full").with_returned(String::from("m"));
        assert_eq!(error.take_returned::<u32>(), None);
        assert_eq!(error.take_returned::<String>().as_deref(), Some("m"));
        assert_eq!(error.take_returned::<String>(), None);
        assert_eq!(error.kind(), ErrorKind::QueueFull);
    }

    #[test]
    fn predicates_follow_the_kind() {
        assert!(Error::new(ErrorKind::Timeout, "x").is_timeout());
        assert!(Error::new(ErrorKind::Closed, "x").is_closed());
        assert!(!Error::new(ErrorKind::Closed, "x").is_timeout());
    }

    #[test]
    fn an_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
