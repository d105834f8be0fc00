//! A room as a consumer: who comes, what they say, who goes.
//!
//! `cargo run --example consumer`, then connect several clients to
//! ws://127.0.0.1:8000/room/tea?name=anna: everybody sees what the others say, and `/who` tells
//! who is there.

use landline::{
    Admission, Closed, Consumer, Context, GroupMessage, Join, Request, Result, Server, consumer,
};

struct Guest {
    name: String,
    room: String,
}

impl Guest {
    fn new(request: &Request) -> Self {
        let name = request.query("name").unwrap_or_default().trim().to_owned();
        let room = request.param("room").unwrap_or_default().to_owned();
        Self { name, room }
    }
}

impl Consumer for Guest {
    fn connect(&mut self, ctx: &Context<'_>) -> Result<Admission> {
        if self.name.is_empty() {
            // A browser's page sees the code and the words, which it would not of a 403.
            return Ok(Admission::close(4000, "come with ?name="));
        }
        ctx.join_with(&self.room, Join::default().user(&self.name))?;
        ctx.hub().group(&self.room).send(format!("{} has come", self.name))?;
        Ok(Admission::accept())
    }

    fn receive_text(&mut self, ctx: &Context<'_>, text: &str) -> Result<()> {
        let group = ctx.hub().group(&self.room);
        if text == "/who" {
            let presence = group.presence();
            let names: Vec<&str> = presence.users().iter().map(|user| user.name()).collect();
            return ctx.send(names.join(", "));
        }
        group.send(format!("{}: {text}", self.name))?;
        Ok(())
    }

    fn group_message(&mut self, ctx: &Context<'_>, message: &GroupMessage) -> Result<()> {
        let text = message.message().as_text().unwrap_or_default();
        // Each connection may see a message in its own way: here its own lines are marked.
        match text.strip_prefix(&format!("{}: ", self.name)) {
            Some(own) => ctx.send(format!("you: {own}")),
            None => ctx.send(text),
        }
    }

    fn disconnect(&mut self, ctx: &Context<'_>, cause: &Closed) {
        if cause.code() != 4000 {
            // Nobody is left to hear of an error but the log.
            let _ = ctx.hub().group(&self.room).send(format!("{} has left", self.name));
        }
    }
}

fn main() -> Result<()> {
    env_logger::init();
    Server::builder().route("/room/<room>", consumer(Guest::new)).bind("127.0.0.1:8000")?.run()
}
