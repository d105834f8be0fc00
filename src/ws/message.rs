//! One whole WebSocket message.

use bytes::Bytes;
use tungstenite::Utf8Bytes;

use crate::error::Error;

/// A whole message, text or binary; fragments have been joined.
///
/// Cloning shares the bytes. The enum is complete: RFC 6455 knows these two kinds of data.
///
/// # Example
/// ```
/// use landline::Message;
/// let message = Message::from("你好");
/// assert_eq!(message.as_text(), Some("你好"));
/// assert_eq!(message.len(), 6);
/// ```
///
/// # Source
/// RFC 6455 5.6. dwebsocket echoed binary as text; here the kind stays with the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// UTF-8 text; possibly empty, which is a message like any other.
    Text(Utf8Bytes),
    /// Arbitrary bytes.
    Binary(Bytes),
}

impl Message {
    /// The text, or `None` if the message is binary.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            Self::Binary(_) => None,
        }
    }

    /// The payload, whatever its kind.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_str().as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The payload as shared bytes, without a copy.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Length of the payload in bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// True if the payload is empty; such a message is still a message.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// True for text.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// True for binary.
    pub fn is_binary(&self) -> bool {
        matches!(self, Self::Binary(_))
    }
}

impl Error {
    /// Takes back the message that a refused send was given, if the error carries one.
    ///
    /// A send that fails because of a full queue, a deadline or a closed connection has sent
    /// nothing of its message.
    pub fn into_message(mut self) -> Option<Message> {
        self.take_returned::<Message>()
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&String> for Message {
    fn from(text: &String) -> Self {
        Self::Text(text.as_str().into())
    }
}

impl From<Utf8Bytes> for Message {
    fn from(text: Utf8Bytes) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(bytes))
    }
}

impl<const N: usize> From<&[u8; N]> for Message {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Binary(Bytes::copy_from_slice(bytes))
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<&Message> for Message {
    fn from(message: &Message) -> Self {
        message.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn the_kind_stays_with_the_bytes() {
        assert!(Message::from("a").is_text());
        assert!(Message::from(b"a").is_binary());
        assert_eq!(Message::from("a").into_bytes(), Message::from(b"a").into_bytes());
    }

    #[test]
    fn a_refused_message_comes_back() {
        let error = Error::new(ErrorKind::QueueFull, "full").with_returned(Message::from("m"));
        assert_eq!(error.into_message(), Some(Message::from("m")));
        assert_eq!(Error::new(ErrorKind::Closed, "x").into_message(), None);
    }
}
