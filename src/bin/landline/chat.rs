//! The chat: rooms to talk in, with the words of the Channels tutorial and a little more.
//!
//! ```text
//! /chat/            the page to choose a room; ?room=lobby leads to it
//! /chat/lobby/      its page
//! /ws/chat/lobby/   its socket
//! ```
//! What a client of the tutorial sends and hears is `{"message": "text"}`; it is called `guest-17`
//! after its connection and hears nothing else. A client that gives its name (`?name=Anna`) is
//! seen by the others and hears who is here, who comes and who goes, as frames with a `type`:
//!
//! ```text
//! welcome      id, name, room, here: [{name, connections}], sequence
//! join, leave  name, sequence; those up to the welcome's are in it already
//! connections  name, connections: another window of the same person opened or closed
//! error        error: what is wrong with the message that was sent; nobody else hears of it
//! ```
//! A frame of the others can overtake the welcome.
//!
//! Who has logged in is called as the login says. A room whose name begins with `private-` is entered
//! with its signed name.
//!
//! Everybody in a room is a member of the group `chat:<room>`, those with a name are members of
//! `here:<room>` as well, whose presence the hub announces to its members.

use std::time::{SystemTime, UNIX_EPOCH};

use landline::{
    Builder, ErrorKind, Group, Hub, Identity, Join, Member, Message, PresenceChange, Request,
    Response, Result, WebSocket, accept_websocket, get,
};
use serde_json::{Value, json};

use crate::demo::page;
use crate::names::{GUEST, NAME_CHARACTERS, Wrong, check_name, check_room};

/// Most characters of a message.
const MESSAGE_CHARACTERS: usize = 4000;

/// What the names of rooms begin with that need a signed name: `private-board` is entered with
/// `?group=`, signed for the group `chat:private-board`. Without a key nobody gets in.
const PRIVATE: &str = "private-";

/// What the names of the groups with those who are seen start with.
const HERE: &str = "here:";

/// Adds the chat to a server whose hub announces by [`announce`].
pub(crate) fn routes(builder: Builder) -> Builder {
    builder
        .route("/chat/", get(rooms))
        .route("/chat/<room>/", get(room))
        .route("/ws/chat/<room>/", get(accept_websocket(socket)))
}

/// Tells those who are seen in a room who comes and who goes.
pub(crate) fn announce(change: &PresenceChange) -> Option<Message> {
    change.group().strip_prefix(HERE)?;
    let kind = if change.has_joined() { "join" } else { "leave" };
    let frame = json!({ "type": kind, "name": change.user(), "sequence": change.sequence() });
    Some(frame.to_string().into())
}

/// The page to choose a room, or the way to the room that was chosen.
fn rooms(request: &Request) -> Result<Response> {
    let Some(room) = request.query("room").map(str::trim) else {
        return page(request, "rooms.html", json!({ "room": "" }));
    };
    match check_room(room) {
        Ok(()) => Ok(Response::redirect(&format!("/chat/{}/", in_path(room)))),
        Err(wrong) => {
            let wrong = format!("This cannot be a room: {wrong}.");
            let page = page(request, "rooms.html", json!({ "room": room, "wrong": wrong }))?;
            Ok(page.with_status(400))
        }
    }
}

/// The page of a room.
fn room(request: &Request) -> Result<Response> {
    let room = request.param("room").unwrap_or_default();
    if let Err(wrong) = check_room(room) {
        return Ok(refused(400, &format!("This cannot be a room: {wrong}.")));
    }
    let values = json!({
        "room": room,
        "name_characters": NAME_CHARACTERS,
        "message_characters": MESSAGE_CHARACTERS,
    });
    page(request, "chat.html", values)
}

/// The socket of a room.
fn socket(request: &Request) -> Result<Response> {
    let Some(ws) = request.websocket() else {
        let text = "This is the chat's WebSocket; its page is below /chat/.";
        let response = refused(426, text).with_header("Upgrade", "websocket");
        return Ok(response.with_header("Sec-WebSocket-Version", "13"));
    };
    let room = request.param("room").unwrap_or_default();
    // Who has logged in is called as the login says.
    let login = request.identity().and_then(Identity::name);
    let name = login.or_else(|| request.query("name").map(str::trim));
    if let Err(wrong) = check_room(room) {
        return Ok(refused(400, &format!("This cannot be a room: {wrong}.")));
    }
    if room.starts_with(PRIVATE) && !may_enter(request, room)? {
        return Ok(refused(403, "This room is private: bring its signed name, ?group=."));
    }
    if let Some(Err(wrong)) = name.map(check_name) {
        return Ok(refused(400, &format!("This cannot be a name: {wrong}.")));
    }
    Seat::take(request.hub(), ws, room, name)?.talk()?;
    Ok(Response::closed())
}

/// True if the client brings the signed name of a room.
fn may_enter(request: &Request, room: &str) -> Result<bool> {
    let Some(token) = request.query("group") else { return Ok(false) };
    match request.signed_group(token) {
        Ok(group) => Ok(group == format!("chat:{room}")),
        // There is no key, which is not for the client to know.
        Err(error) if error.kind() == ErrorKind::Config => Ok(false),
        Err(error) => Err(error),
    }
}

/// One connection's place in a room, until it is dropped.
struct Seat<'a> {
    ws: &'a WebSocket,
    chat: Group,
    /// The group of those who are seen, for a client that gave its name.
    here: Option<Group>,
    /// The name that the others see.
    name: String,
}

impl<'a> Seat<'a> {
    /// Accepts the client and puts it into the room.
    fn take(hub: &Hub, ws: &'a WebSocket, room: &str, name: Option<&str>) -> Result<Self> {
        let seat = Self {
            ws,
            chat: hub.group(format!("chat:{room}")),
            here: name.map(|_| hub.group(format!("{HERE}{room}"))),
            name: name.map_or_else(|| format!("{GUEST}{}", ws.conn_id()), str::to_owned),
        };
        ws.join(seat.chat.name())?;
        if let Some(here) = &seat.here {
            let was_known = here.presence().users().iter().any(|user| user.name() == seat.name);
            ws.join_with(here.name(), Join::default().user(&seat.name))?;
            seat.welcome(here, room)?;
            if was_known || seat.others(here) > 0 {
                seat.tell_connections(here, 1)?;
            }
        }
        Ok(seat)
    }

    /// Tells the client who is here. The snapshot is taken after the join, so that every change
    /// is either in it or on its way.
    fn welcome(&self, here: &Group, room: &str) -> Result<()> {
        let present = here.presence();
        let mut users = present.users().iter();
        let is_announced = users.any(|user| user.name() == self.name);
        let users = present.users().iter().map(|user| (user.name(), user.connections()));
        // Who has just come is announced in a moment, and is here all the same.
        let newcomer = (!is_announced).then(|| (self.name.as_str(), self.others(here) + 1));
        let users = users.chain(newcomer);
        let users = users.map(|(name, count)| json!({ "name": name, "connections": count }));
        self.ws.send_json(&json!({
            "type": "welcome", "id": self.ws.conn_id(), "name": self.name, "room": room,
            "here": users.collect::<Vec<_>>(), "sequence": present.sequence(),
        }))
    }

    /// Tells the room how many connections this name has: those of others and `own`.
    ///
    /// Two that come or go at once may tell it in either order. So everybody looks again after it
    /// told, and what is told last is true.
    fn tell_connections(&self, here: &Group, own: usize) -> Result<()> {
        let mut told = None;
        loop {
            let count = self.others(here) + own;
            if count == 0 || told == Some(count) {
                return Ok(());
            }
            let frame = json!({ "type": "connections", "name": self.name, "connections": count });
            here.send(frame.to_string())?;
            told = Some(count);
        }
    }

    /// How many other connections have this name.
    fn others(&self, here: &Group) -> usize {
        let id = self.ws.conn_id();
        let members = here.members();
        let same =
            |member: &&Member| member.user() == Some(self.name.as_str()) && member.conn_id() != id;
        members.iter().filter(same).count()
    }

    /// Passes on what the client says until it goes.
    fn talk(&self) -> Result<()> {
        while let Some(message) = self.ws.wait()? {
            match said(&message) {
                Ok(text) => self.say(&text)?,
                Err(wrong) => self.complain(&wrong)?,
            }
        }
        Ok(())
    }

    fn say(&self, text: &str) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let frame = json!({
            "message": text, "name": self.name, "id": self.ws.conn_id(),
            "time": now.as_millis() as u64,
        });
        self.chat.send(frame.to_string())?;
        Ok(())
    }

    /// Tells the client, and nobody else, what was wrong with its message.
    fn complain(&self, wrong: &str) -> Result<()> {
        self.ws.send_json(&match self.here {
            Some(_) => json!({ "type": "error", "error": wrong }),
            // The only kind of frame that a client of the tutorial shows.
            None => json!({ "message": format!("Not sent: {wrong}."), "error": wrong }),
        })
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if let Some(here) = &self.here {
            self.ws.leave(here.name());
            if let Err(error) = self.tell_connections(here, 0) {
                log::warn!("{}", error.chain());
            }
        }
    }
}

/// The text of `{"message": "text"}`.
fn said(message: &Message) -> Result<String, Wrong> {
    let text = message.as_text().ok_or("binary data is no message")?;
    let value = serde_json::from_str(text).map_err(|error| format!("this is not JSON: {error}"))?;
    let Value::Object(mut object) = value else {
        return Err("this is no JSON object".into());
    };
    match object.remove("message") {
        Some(Value::String(text)) if text.trim().is_empty() => Err("the message is empty".into()),
        Some(Value::String(text)) if text.chars().count() > MESSAGE_CHARACTERS => {
            Err(format!("a message has {MESSAGE_CHARACTERS} characters at most"))
        }
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err("the value of \"message\" is no text".into()),
        None => Err("the object has no \"message\"".into()),
    }
}

/// A text as one segment of a path.
fn in_path(text: &str) -> String {
    let mut path = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

fn refused(status: u16, text: &str) -> Response {
    Response::text(format!("{text}\n")).with_status(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_an_object_with_text() {
        let text = |json: &str| said(&Message::from(json));
        assert_eq!(text(r#"{"message": " 你好 <b> ", "more": 1}"#), Ok(" 你好 <b> ".into()));
        let longest = "房".repeat(MESSAGE_CHARACTERS);
        assert_eq!(text(&json!({ "message": longest }).to_string()), Ok(longest.clone()));
        for (wrong, why) in [
            ("", "not JSON"),
            ("hello", "not JSON"),
            (r#"{"message": "x"} {}"#, "not JSON"),
            ("[]", "no JSON object"),
            ("\"message\"", "no JSON object"),
            ("{}", "no \"message\""),
            (r#"{"Message": "x"}"#, "no \"message\""),
            (r#"{"message": 1}"#, "no text"),
            (r#"{"message": null}"#, "no text"),
            (r#"{"message": {"a": 1}}"#, "no text"),
            (r#"{"message": ""}"#, "empty"),
            (r#"{"message": " \n\t\u3000"}"#, "empty"),
            (&json!({ "message": longest + "x" }).to_string(), "4000 characters"),
            (&"[".repeat(100_000), "not JSON"),
        ] {
            let said = text(wrong).unwrap_err();
            assert!(said.contains(why), "{wrong:.40}: {said}");
        }
        assert!(said(&Message::from(b"{}".to_vec())).unwrap_err().contains("binary"));
    }

    #[test]
    fn a_room_is_one_segment_of_a_path() {
        assert_eq!(in_path("a-b._~9"), "a-b._~9");
        assert_eq!(in_path("? #%&房"), "%3F%20%23%25%26%E6%88%BF");
    }
}
