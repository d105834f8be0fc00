//! From what was asked to what became of it.

use std::time::Duration;

use serde::Serialize;

use super::answer::{Answer, Fault};
use super::asked::Asked;
use super::publication::{Publication, Target};
use crate::conn::groups::Groups;
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::hub::{Delivery, Hub};

/// How long an answer waits for the counts. The relays wait for no client, so this is for a
/// machine that is very busy.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of a publication, in members.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Tally {
    members: usize,
    written: usize,
    queued: usize,
    dropped: usize,
    gone: usize,
    /// Members whose relay has not said yet what became of them.
    #[serde(skip_serializing_if = "is_zero")]
    pending: usize,
}

/// The answer to a batch.
#[derive(Serialize)]
struct Batch<'a> {
    results: &'a [Tally],
}

/// The answer when the hub gave up in the middle.
#[derive(Serialize)]
struct Broken<'a> {
    error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    results: &'a [Tally],
}

/// One publication on its way.
#[derive(Debug, Default)]
struct Sent {
    deliveries: Vec<Delivery>,
    /// Connections that ended between the check and the publish.
    vanished: usize,
}

/// Publishes all that was asked and waits for the counts.
///
/// # Errors
/// Nothing is published: 400 for a name that is not valid, 404 for a connection that is not
/// there, 503 when the hub takes nothing. When the hub gives up later, the 503 is an answer that
/// says what was published.
pub(crate) fn publish(asked: &Asked, hub: &Hub) -> Result<Answer, Fault> {
    for (index, publication) in asked.publications.iter().enumerate() {
        let check = check(publication, hub);
        check.map_err(|fault| if asked.is_batch { fault.in_message(index) } else { fault })?;
    }
    let mut sent = Vec::with_capacity(asked.publications.len());
    let mut failure = None;
    for publication in &asked.publications {
        let mut one = Sent::default();
        failure = send(publication, hub, &mut one).err();
        sent.push(one);
        if failure.is_some() {
            break;
        }
    }
    match failure {
        None => Ok(whole(&tallies(sent), asked.is_batch)),
        Some(error) if sent.iter().all(Sent::is_nothing) => Err(unavailable(&error)),
        Some(error) => Ok(broken(&error, &tallies(sent), asked.is_batch)),
    }
}

/// Looks for what can be wrong before anything is published.
fn check(publication: &Publication, hub: &Hub) -> Result<(), Fault> {
    match publication.target() {
        Target::Groups(names) => {
            let mut checks = names.iter().map(|name| hub.core.check(name));
            checks.try_for_each(|check| check.map_err(|error| wrong_name(&error).at("group")))
        }
        Target::Facility { .. } => {
            Err(Fault::new(501, "Facilities are not served yet; use `group`.").at("facility"))
        }
        Target::Connection(conn_id) if hub.core.registry.find(*conn_id).is_none() => {
            let error = format!("There is no open WebSocket on connection {conn_id}.");
            Err(Fault::new(404, error).at("conn"))
        }
        Target::Connection(_) | Target::Everybody => Ok(()),
    }
}

/// A name that no group can have, in the hub's own words.
fn wrong_name(error: &Error) -> Fault {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    Fault::bad(format!("{first}{}.", letters.as_str()))
}

fn send(publication: &Publication, hub: &Hub, sent: &mut Sent) -> Result<()> {
    let message = || publication.message().clone();
    match publication.target() {
        Target::Groups(names) => {
            for name in names {
                let group = hub.group(name);
                sent.add(match publication.except() {
                    Some(conn_id) => group.send_except(conn_id, message()),
                    None => group.send(message()),
                })?;
            }
            Ok(())
        }
        Target::Facility { .. } => Ok(()),
        Target::Connection(conn_id) => sent.add(hub.send_to(*conn_id, message())),
        Target::Everybody => sent.add(match publication.except() {
            Some(conn_id) => hub.broadcast_except(conn_id, message()),
            None => hub.broadcast(message()),
        }),
    }
}

impl Sent {
    fn add(&mut self, result: Result<Delivery>) -> Result<()> {
        match result {
            Ok(delivery) => self.deliveries.push(delivery),
            Err(error) if error.kind() == ErrorKind::Closed => self.vanished += 1,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn is_nothing(&self) -> bool {
        self.deliveries.is_empty() && self.vanished == 0
    }

    fn tally(&self, deadline: Deadline) -> Tally {
        let mut tally = Tally { members: self.vanished, gone: self.vanished, ..Tally::default() };
        for delivery in &self.deliveries {
            tally.members += delivery.members();
            match delivery.wait_timeout(deadline.remaining().unwrap_or(PATIENCE)) {
                Some(counts) => {
                    tally.written += counts.written;
                    tally.queued += counts.queued;
                    tally.dropped += counts.dropped;
                    tally.gone += counts.gone;
                }
                None => tally.pending += delivery.members(),
            }
        }
        tally
    }
}

/// Waits for what becomes of them, all together no longer than [`PATIENCE`].
fn tallies(sent: Vec<Sent>) -> Vec<Tally> {
    let deadline = Deadline::after(PATIENCE);
    sent.iter().map(|sent| sent.tally(deadline)).collect()
}

fn whole(tallies: &[Tally], is_batch: bool) -> Answer {
    match tallies {
        [tally] if !is_batch => Answer::new(200, tally),
        results => Answer::new(200, &Batch { results }),
    }
}

/// The hub took nothing at all.
fn unavailable(error: &Error) -> Fault {
    log::error!("cannot publish: {}", error.chain());
    Fault::new(503, format!("Nothing was published: {}. Try again in a moment.", reason(error)))
        .with_header("Retry-After", "1")
}

/// The hub took a part.
fn broken(error: &Error, results: &[Tally], is_batch: bool) -> Answer {
    log::error!("cannot publish the rest: {}", error.chain());
    let index = results.len().saturating_sub(1);
    let error = format!(
        "Published in part only: {}. What `results` has is published; send the rest alone, with \
         another idempotency key.",
        reason(error)
    );
    Answer::new(503, &Broken { error, index: is_batch.then_some(index), results })
}

/// Why the hub takes nothing, as far as it concerns the one who asked.
fn reason(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Limit => "the server keeps as many messages for later as it can",
        _ => "the server is too busy",
    }
}

// serde asks with a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: &Answer) -> String {
        let response = answer.to_response();
        String::from_utf8(response.body().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn counts_are_in_the_order_of_the_documentation() {
        let tally = Tally { members: 1, gone: 1, ..Tally::default() };
        let counts = r#"{"members":1,"written":0,"queued":0,"dropped":0,"gone":1}"#;
        assert_eq!(text(&whole(&[tally], false)), format!("{counts}\n"));
        assert_eq!(text(&whole(&[tally], true)), format!("{{\"results\":[{counts}]}}\n"));
        let late = Tally { members: 1, pending: 1, ..Tally::default() };
        assert!(text(&whole(&[late], false)).contains("\"pending\":1"));
    }

    #[test]
    fn a_connection_that_vanished_is_gone() {
        let mut sent = Sent::default();
        sent.add(Err(Error::new(ErrorKind::Closed, "x"))).unwrap();
        let tally = sent.tally(Deadline::after(Duration::ZERO));
        assert_eq!((tally.members, tally.gone), (1, 1));
        assert!(sent.add(Err(Error::new(ErrorKind::Relay, "x"))).is_err());
    }

    #[test]
    fn what_is_published_in_part_is_said() {
        let error = Error::new(ErrorKind::Relay, "secret");
        let part = broken(&error, &[Tally::default(); 3], true);
        assert_eq!(part.to_response().status_code(), 503);
        assert!(text(&part).contains("\"index\":2") && !text(&part).contains("secret"));
        let fault = unavailable(&error);
        assert_eq!(fault.status(), 503);
        assert!(fault.error().starts_with("Nothing was published: the server is too busy."));
    }

    #[test]
    fn a_wrong_name_is_a_sentence() {
        let hub = Hub::new();
        let fault = wrong_name(&hub.core.check("a\nb").unwrap_err());
        assert_eq!(fault.error(), "The group name \"a\\nb\" has control characters.");
    }
}
