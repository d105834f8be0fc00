//! A heartbeat in text, for pages that count them: sent when nothing else was.

use std::time::Duration;

use crate::conn::WebSocket;
use crate::deadline::Deadline;
use crate::error::Result;
use crate::ws::{Message, Utf8Bytes};

/// The shortest interval: no shorter ones can be kept under load.
const SHORTEST: Duration = Duration::from_millis(100);

/// What is sent, and how often.
#[derive(Clone, Debug)]
pub(super) struct Rhythm {
    text: Utf8Bytes,
    interval: Duration,
}

impl Rhythm {
    pub(super) fn new(text: String, interval: Duration) -> Self {
        Self { text: text.into(), interval: interval.max(SHORTEST) }
    }

    /// True if a message of a client is its heartbeat.
    pub(super) fn is_beat(&self, message: &Message) -> bool {
        message.as_text() == Some(&self.text)
    }
}

/// The heart of one connection.
///
/// It looks twice in an interval whether anything was sent, because nobody notes when that was:
/// sending reads no clock.
pub(super) struct Heart<'a> {
    rhythm: &'a Rhythm,
    ws: &'a WebSocket,
    next_look: Deadline,
    /// Messages sent at the last look.
    sent: u64,
    /// Nothing was sent between the last look and the one before.
    is_idle: bool,
}

impl<'a> Heart<'a> {
    pub(super) fn new(rhythm: &'a Rhythm, ws: &'a WebSocket) -> Self {
        let next_look = Deadline::after(rhythm.interval / 2);
        Self { rhythm, ws, next_look, sent: ws.messages_sent(), is_idle: false }
    }

    /// Waits for the next message as [`WebSocket::wait`] does, and beats meanwhile.
    pub(super) fn wait(&mut self) -> Result<Option<Message>> {
        loop {
            if self.next_look.is_past() {
                self.look()?;
            }
            let Some(left) = self.next_look.remaining() else { return self.ws.wait() };
            match self.ws.wait_timeout(left) {
                Ok(message) => return Ok(Some(message)),
                Err(error) if error.is_timeout() => {}
                Err(_) if self.ws.closed().is_some_and(|closed| closed.is_clean()) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn look(&mut self) -> Result<()> {
        self.next_look = Deadline::after(self.rhythm.interval / 2);
        // To a client that is behind, something is being sent all the time.
        let was_silent = self.ws.messages_sent() == self.sent && !self.ws.is_behind();
        let is_due = was_silent && self.is_idle;
        if is_due {
            self.ws.send(self.rhythm.text.clone())?;
        }
        self.is_idle = was_silent && !is_due;
        self.sent = self.ws.messages_sent();
        Ok(())
    }
}
