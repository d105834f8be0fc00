//! Messages as JSON values.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::conn::sender::Sender;
use crate::conn::socket::WebSocket;
use crate::error::{Error, ErrorKind, Result};
use crate::ws::Message;

/// Reads a message as JSON; binary messages are read as well, if they are UTF-8.
fn parse<T: DeserializeOwned>(message: &Message) -> Result<T> {
    serde_json::from_slice(message.as_bytes()).map_err(|error| {
        let text = format!("message of {} bytes is not the expected JSON", message.len());
        Error::new(ErrorKind::Json, text).with_source(error).with_returned(message.clone())
    })
}

/// Writes a value as a text message.
fn write(value: &(impl Serialize + ?Sized)) -> Result<Message> {
    let text = serde_json::to_string(value)
        .map_err(|error| Error::new(ErrorKind::Json, "cannot be JSON").with_source(error))?;
    Ok(Message::from(text))
}

impl WebSocket {
    /// Waits for the next message and reads it as JSON.
    ///
    /// # Blocking
    /// As [`wait`](Self::wait).
    ///
    /// # Errors
    /// - `Json`: the message is not JSON or not a `T`; the source names line and column,
    ///   [`Error::into_message`] gives the message back, and the connection goes on.
    /// - As [`wait`](Self::wait).
    ///
    /// # Example
    /// ```
    /// # use landline::{Request, Result, WebSocket};
    /// #[derive(serde::Deserialize, serde::Serialize)]
    /// struct Said { message: String }
    ///
    /// fn chat(_: &Request, ws: &WebSocket) -> Result<()> {
    ///     while let Some(said) = ws.wait_json::<Said>()? {
    ///         ws.send_json(&said)?;
    ///     }
    ///     Ok(())
    /// }
    /// # let _ = landline::require_websocket(chat);
    /// ```
    ///
    /// # Source
    /// Channels `JsonWebsocketConsumer`, which died of bad JSON.
    pub fn wait_json<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        self.wait()?.map(|message| parse(&message)).transpose()
    }

    /// Sends a value as JSON text.
    ///
    /// # Blocking
    /// As [`send`](Self::send).
    ///
    /// # Errors
    /// - `Json`: the value cannot be written as JSON; nothing was sent.
    /// - As [`send`](Self::send).
    pub fn send_json(&self, value: &(impl Serialize + ?Sized)) -> Result<()> {
        self.send(write(value)?)
    }
}

impl Sender {
    /// Sends a value as JSON text.
    ///
    /// # Blocking
    /// As [`send`](Self::send).
    ///
    /// # Errors
    /// - `Json`: the value cannot be written as JSON; nothing was sent.
    /// - As [`send`](Self::send).
    pub fn send_json(&self, value: &(impl Serialize + ?Sized)) -> Result<()> {
        self.send(write(value)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_json_names_the_place_and_gives_the_message_back() {
        let error = parse::<Vec<u8>>(&Message::from("[1,\n x]")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Json);
        assert!(error.chain().contains("line 2 column 2"), "{}", error.chain());
        assert_eq!(error.into_message(), Some(Message::from("[1,\n x]")));
    }

    #[test]
    fn a_value_is_written_as_text() {
        assert_eq!(write(&[1, 2]).unwrap(), Message::from("[1,2]"));
    }
}
