//! What an operator can do from the page.

use std::time::Duration;

use landline::{Request, Response, close_code};
use serde::Deserialize;
use serde_json::json;

use super::Admin;
use super::access::{Refused, answer};
use super::views::id_of;

/// How long is waited for what became of a message.
const PATIENCE: Duration = Duration::from_secs(2);

/// The reason of a close frame unless another one is given.
const LOGGED_OUT: &str = "logged out";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Close {
    code: u16,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dismiss {
    user: Option<String>,
    session: Option<String>,
    code: Option<u16>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Say {
    group: String,
    text: String,
}

/// Closes a connection.
pub(super) fn close(admin: &Admin, request: &Request) -> Result<Response, Refused> {
    let handle = admin.server_to_change(request)?;
    let (id, asked): (u64, Close) = (id_of(request)?, request.json()?);
    if !handle.close_connection(id, asked.code, &asked.reason)? {
        return Err(Refused::new(404, "There is no such open connection any more."));
    }
    log::info!("{}: conn-{id} is closed by the operator with {}", request.peer(), asked.code);
    Ok(answer(&json!({ "ok": true })))
}

/// Closes the connections of a user, or of one session: for whatever knows that somebody has logged
/// out.
pub(super) fn dismiss(admin: &Admin, request: &Request) -> Result<Response, Refused> {
    let handle = admin.server_to_change(request)?;
    let asked: Dismiss = request.json()?;
    let code = asked.code.unwrap_or(close_code::TOKEN_EXPIRED);
    let reason = asked.reason.as_deref().unwrap_or(LOGGED_OUT);
    let (who, closed) = match (&asked.user, &asked.session) {
        (Some(name), None) => (format!("{name:?}"), handle.close_user(name, code, reason)?),
        (None, Some(key)) => ("a session".to_owned(), handle.close_session(key, code, reason)?),
        _ => return Err(Refused::new(400, "Name a \"user\" or a \"session\", and not both.")),
    };
    log::info!("{}: {closed} connections of {who} are closed with {code}", request.peer());
    Ok(answer(&json!({ "closed": closed })))
}

/// Says something to a group.
pub(super) fn say(admin: &Admin, request: &Request) -> Result<Response, Refused> {
    let handle = admin.server_to_change(request)?;
    let asked: Say = request.json()?;
    let delivery = handle.hub().group(&asked.group).send(asked.text)?;
    log::info!(
        "{}: the operator says something to the {} members of {:?}",
        request.peer(),
        delivery.members(),
        asked.group
    );
    let counts = delivery.wait_timeout(PATIENCE);
    Ok(answer(&json!({
        "members": delivery.members(),
        "written": counts.map(|counts| counts.written),
        "queued": counts.map(|counts| counts.queued),
        "dropped": counts.map(|counts| counts.dropped),
    })))
}
