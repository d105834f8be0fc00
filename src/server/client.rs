//! Who the client of a connection, and of a request, is where proxies stand between.
//!
//! ```text
//! accepted ──PROXY header──► connection ──head──► X-Forwarded-For, Forwarded ──► request
//!    │ by an untrusted peer, without a header           │ of a trusted peer only
//!    └──► closed                                        └──► counts for the address that it names
//! ```

use crate::conn::RefusalReason;
use crate::conn::connection::Connection;
use crate::deadline::Deadline;
use crate::http::forwarded::Forwarded;
use crate::http::refusal::Refusal;
use crate::net::proxy_protocol::{self, NoHeader, Origin};
use crate::net::stream::Stream;
use crate::route::request::Request;
use crate::server::app::App;
use crate::server::network::NetworkSeat;
use crate::server::stats::Place;
use crate::ws::handshake::Handshake;

/// What keeps a connection from being served.
#[derive(Debug)]
pub(crate) enum Unknown {
    /// The client is known, and there is no place for it: 503.
    Refused,
    /// Nothing can be said to whoever it is.
    Closed,
}

/// Receives the PROXY header of a connection, and counts it for the client that it names.
///
/// # Blocking
/// Until the header has come or the time for a head is over.
// Its frame must not lie below a handler.
#[inline(never)]
pub(crate) fn receive_proxy_header(
    app: &App,
    conn: &Connection,
    stream: &Stream,
    place: &mut Place,
) -> Result<(), Unknown> {
    let deadline = Deadline::after(conn.config.head_timeout());
    let client = match proxy_protocol::receive(stream, deadline) {
        Ok(Origin::Client(client)) => client,
        // A health check of the proxy's own: nobody to count it for.
        Ok(Origin::Proxy) => return Ok(()),
        Err(why) => {
            // A port that is looked at and left is no news, and who was sent away counts as that.
            if place.end_silence() && !matches!(why, NoHeader::Gone) {
                let (id, peer) = (conn.id(), conn.peer());
                app.complaints
                    .say(RefusalReason::ProxyHeader, || format!("conn-{id} {peer}: {why}; closed"));
                app.shared.refusals.count(RefusalReason::ProxyHeader);
            }
            return Err(Unknown::Closed);
        }
    };
    conn.set_peer(client);
    if app.surroundings().proxies.trusts(client.ip()) {
        // Another proxy, whose requests will say for whom they are.
        return Ok(());
    }
    let arrival = app.stats.count_arrival(client.ip(), || app.shared.clock.now());
    arrival.and_then(|()| place.sit(client.ip())).map_err(|reason| {
        app.note_refusal(reason, client.ip());
        Unknown::Refused
    })
}

/// The place of a request among those of its client, if that is another than the connection's.
pub(crate) type Seat = Option<Box<NetworkSeat>>;

/// Reads what a trusted proxy says of the client of a request, and counts it for that client.
///
/// # Errors
/// 400: what it says cannot be read. 429, 503: the client has too many connections, or they come
/// too fast.
#[inline(never)]
pub(crate) fn read_forwarded(app: &App, request: &mut Request) -> Result<Seat, Refusal> {
    let proxies = request.proxies();
    if !proxies.trusts(request.peer().ip()) {
        return Ok(None);
    }
    let head = request.head();
    let forwarded = Forwarded::read(head.headers(), proxies.headers, &proxies.trusted)?;
    let (client, is_handshake) = (forwarded.client, is_handshake(request));
    request.set_forwarded(forwarded);
    let Some(client) = client else { return Ok(None) };
    if is_handshake {
        let arrival = app.stats.count_arrival(client, || app.shared.clock.now());
        arrival.map_err(|reason| {
            app.note_refusal(reason, client);
            Refusal::too_fast()
        })?;
    }
    app.stats.seat(client).map_err(|reason| {
        app.note_refusal(reason, client);
        Refusal::unavailable()
    })
}

fn is_handshake(request: &Request) -> bool {
    !matches!(Handshake::of(request.head()), Handshake::Absent)
}
