//! The route of a facility: a socket that listens and publishes to channels, with the words of
//! django-websocket-redis.
//!
//! ```text
//! GET /ws/news/?subscribe-broadcast&publish-user
//!     flags ──► who ──► allowed? ──► channels ──► member of them ──► 101 ──► stored, then live
//!      400               403          400, 403
//! ```
//! Messages go from the hub straight to the client. The thread of the connection waits for what
//! the client sends, and beats the heart if there is one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::conn::WebSocket;
use crate::error::{Error, ErrorKind, Result};
use crate::http::refusal::Refusal;
use crate::http::{Method, Response};
use crate::hub::Publisher;
use crate::hub::channel::{Audience, FacilityName};
use crate::route::auth::Auth;
use crate::route::flags::{Flags, IntoFlags};
use crate::route::handler::Handler;
use crate::route::heart::{Heart, Rhythm};
use crate::route::identity::Identity;
use crate::route::request::Request;
use crate::route::speech::Speech;
use crate::ws::{Message, close_code};

/// The parameter of the route that names the facility.
const PARAMETER: &str = "facility";

/// The parameter of the query with the signed name of a group.
const SIGNED_GROUP: &str = "group";

const NOT_ASKED: &str =
    "publishing needs a flag: publish-broadcast, publish-user, publish-group or publish-session";
const NOT_ALLOWED: &str = "publishing is not allowed here";
const NO_CHANNEL: &str = "there is no channel to publish to: you are not known here";
const FULL: &str = "too much is stored, nothing can be published now";

/// Serves the channels of facilities: a page opens `/ws/news/?subscribe-broadcast` and gets what a
/// [`Publisher`] sends to the facility `news`.
///
/// The pattern of the route has the parameter `facility`: `/ws/<facility>/` for one segment,
/// `/ws/<path:facility>/` for any number. A slash at the end of a facility does not count. The
/// flags of the query:
///
/// | flag | meaning |
/// |---|---|
/// | `subscribe-broadcast` | listens to what is for everybody; also without any flag |
/// | `subscribe-user`, `-group`, `-session` | listens to what is for the client's user, its groups, its session, as far as [`identify`](Facility::identify) knows them |
/// | `publish-broadcast`, `-user`, `-group`, `-session` | what the client sends is published there; refused unless [`allow`](Facility::allow) says otherwise |
/// | `echo` | the client gets what it publishes itself, too |
///
/// Where the server has a key for signed names
/// ([`Builder::group_signer`](crate::Builder::group_signer)), `?group=` with one adds that group to
/// those of the client, again for several.
///
/// By default a client is who [`Request::identity`] says, anonymous otherwise; everybody may listen,
/// and nobody may publish.
///
/// # Example
/// ```
/// use landline::{Identity, Request, Server, facility};
///
/// fn who(request: &Request) -> Identity {
///     // As your application knows its users; not as simple as this.
///     Identity::default().session(request.cookie("sessionid").unwrap_or_default())
/// }
///
/// let server = Server::builder().route("/ws/<path:facility>/", facility().identify(who));
/// # let _ = server;
/// ```
///
/// # Source
/// ws4redis' `/ws/<facility>`, with the differences listed in `docs/COMPATIBILITY.md`.
pub fn facility() -> Facility {
    Facility::default()
}

/// The route of facilities; made by [`facility`].
#[derive(Clone, Default)]
pub struct Facility {
    identify: Option<Identify>,
    allow: Option<Allow>,
    rhythm: Option<Rhythm>,
    keep: Option<usize>,
    expire: Option<Duration>,
    pub(super) speech: Speech,
}

type Identify = Arc<dyn Fn(&Request) -> Identity + Send + Sync>;
type Allow = Arc<dyn Fn(&Request, Flags) -> Result<Flags> + Send + Sync>;

impl Facility {
    /// Finds out who a client is. Default: [`Request::identity`], so who an
    /// [`Auth`] before the route found out; without one everybody is anonymous.
    ///
    /// It is asked once, at the handshake: who logs out or leaves a group later keeps the channels
    /// until the connection ends.
    ///
    /// # Blocking
    /// The callback runs on the connection's thread before the handshake is answered, and may
    /// block: look the session up in your database.
    ///
    /// # Source
    /// ws4redis' setting `WS4REDIS_PROCESS_REQUEST`.
    #[must_use]
    pub fn identify(
        mut self,
        identify: impl Fn(&Request) -> Identity + Send + Sync + 'static,
    ) -> Self {
        self.identify = Some(Arc::new(identify));
        self
    }

    /// Decides what of the flags a client may have: `true` or `false`, or the flags that remain;
    /// with none left, and for an `Err`, the client gets 403. Default: everything but publishing;
    /// a client that asks for that gets 403.
    ///
    /// # Blocking
    /// The callback runs on the connection's thread before the handshake is answered, and may
    /// block.
    ///
    /// # Example
    /// ```
    /// use landline::facility;
    /// let for_staff = facility().allow(|request, flags| match request.cookie("staff") {
    ///     Some(_) => flags,
    ///     None => flags.filter(|flag| flag.starts_with("subscribe-")),
    /// });
    /// # let _ = for_staff;
    /// ```
    ///
    /// # Source
    /// ws4redis' setting `WS4REDIS_ALLOWED_CHANNELS`, without which everybody may publish.
    #[must_use]
    pub fn allow<R: IntoFlags>(
        mut self,
        allow: impl Fn(&Request, Flags) -> R + Send + Sync + 'static,
    ) -> Self {
        self.allow = Some(Arc::new(move |request, asked| allow(request, asked).into_flags(asked)));
        self
    }

    /// Sends this text to clients that got nothing else for the interval, and takes it from them
    /// without publishing it. Default: none, for the server pings by itself; a page that counts
    /// heartbeats needs them.
    ///
    /// # Units
    /// `interval`: at least 100 ms. The text comes when nothing was sent for between one and one
    /// and a half intervals. `ws4redis.js` gives up after 15 s without a message.
    ///
    /// # Source
    /// ws4redis' setting `WS4REDIS_HEARTBEAT`, which was sent after every message too.
    #[must_use]
    pub fn heartbeat(mut self, text: impl Into<String>, interval: Duration) -> Self {
        self.rhythm = Some(Rhythm::new(text.into(), interval));
        self
    }

    /// How many of the messages that clients publish are kept for those who come later. Default:
    /// [`HubBuilder::history`](crate::HubBuilder::history), 1.
    #[must_use]
    pub fn keep(mut self, messages: usize) -> Self {
        self.keep = Some(messages);
        self
    }

    /// For how long the messages that clients publish are stored; zero for not at all. Default:
    /// [`HubBuilder::history`](crate::HubBuilder::history), an hour.
    #[must_use]
    pub fn expire(mut self, time: Duration) -> Self {
        self.expire = Some(time);
        self
    }
}

/// What a client was granted.
struct Grant {
    listens: Option<Publisher>,
    publishes: Option<Publisher>,
    /// What a client is told that sends and has nothing to publish to.
    refusal: &'static str,
}

impl Facility {
    fn grant(&self, request: &Request) -> Result<Grant> {
        let name = request.param(PARAMETER).ok_or_else(|| {
            let text = "the route of a facility has no parameter <facility> or <path:facility>";
            Error::new(ErrorKind::Config, text)
        })?;
        let name = FacilityName::new(name);
        let asked = Flags::parse(request.raw_query())?;
        let dismissal = request.dismissal();
        let identity = match &self.identify {
            Some(identify) => identify(request),
            None => request.identity().cloned().unwrap_or_default(),
        };
        if let Some(name) = identity.name() {
            request.count_user(name)?;
            if let Some(ws) = request.websocket() {
                ws.name_user(name);
            }
        }
        if let (Some(ws), Some(_)) = (request.websocket(), &self.identify) {
            ws.name_login(identity.session_key(), dismissal);
        }
        let identity = with_signed_groups(request, identity)?;
        let flags = self.allowed(request, asked)?;
        let channels = |audiences: Vec<Audience>| {
            let channels = identity.channels(&audiences);
            let publisher = Publisher::to(request.hub(), name.clone(), channels);
            publisher.checked().map_err(|error| {
                let text = format!("This address cannot be used: {error}.");
                Error::from(Refusal::bad_request(text).and_keep())
            })
        };
        let (listens, publishes) = (channels(flags.subscribed())?, channels(flags.published())?);
        if listens.is_none() && publishes.is_none() {
            let flags = flags.filter(|flag| flag != "echo");
            let text = format!("You are not known here, so there is no channel for {flags}.");
            return Err(Refusal::forbidden(text).into());
        }
        let publishes = publishes.map(|publisher| self.adjust(publisher, flags, request.conn_id()));
        let refusal = match (asked.publishing().is_empty(), flags.publishing().is_empty()) {
            (true, _) => NOT_ASKED,
            (false, true) => NOT_ALLOWED,
            (false, false) => NO_CHANNEL,
        };
        Ok(Grant { listens, publishes, refusal })
    }

    /// The flags that remain of those a client asks for.
    ///
    /// # Errors
    /// 403: none remain, or the application refuses.
    fn allowed(&self, request: &Request, asked: Flags) -> Result<Flags> {
        let Some(allow) = &self.allow else {
            let publishing = asked.publishing();
            if publishing.is_empty() {
                return Ok(asked);
            }
            let text = format!("Publishing through the socket is not allowed here: {publishing}.");
            return Err(Refusal::forbidden(text).into());
        };
        let refused = || Refusal::forbidden(format!("You are not allowed here: {asked}."));
        match allow(request, asked) {
            Ok(flags) if flags.and(asked).has_channels() => Ok(flags.and(asked)),
            Ok(_) => Err(refused().into()),
            Err(mut error) => {
                let (id, peer) = (request.conn_id(), request.peer());
                log::info!("conn-{id} {peer}: refused {asked}: {}", error.chain());
                Err(error.take_returned::<Refusal>().unwrap_or_else(refused).into())
            }
        }
    }

    fn adjust(&self, publisher: Publisher, flags: Flags, conn_id: u64) -> Publisher {
        let publisher = if flags.has_echo() { publisher } else { publisher.except(conn_id) };
        match self.keep {
            Some(keep) => publisher.keep(keep),
            None => publisher,
        }
    }

    fn serve(&self, ws: &WebSocket, grant: Grant) -> Result<()> {
        let Grant { listens, publishes, refusal } = grant;
        ws.open_with(|| match listens {
            Some(channels) => channels.admit(ws.conn_id()),
            None => Ok(()),
        })?;
        let mut heart = self.rhythm.as_ref().map(|rhythm| Heart::new(rhythm, ws));
        while let Some(message) = next(ws, heart.as_mut())? {
            if self.rhythm.as_ref().is_some_and(|rhythm| rhythm.is_beat(&message)) {
                continue;
            }
            let Some(publisher) = &publishes else {
                return ws.close(close_code::POLICY, refusal);
            };
            if let Err(error) = self.publish(publisher, message) {
                if error.kind() != ErrorKind::Limit {
                    return Err(error);
                }
                log::warn!("conn-{} {}: {}", ws.conn_id(), ws.peer(), error.chain());
                return ws.close(close_code::TRY_AGAIN, FULL);
            }
        }
        Ok(())
    }

    fn publish(&self, publisher: &Publisher, message: Message) -> Result<()> {
        match self.expire {
            Some(expire) => publisher.publish(message, expire).map(drop),
            None => publisher.send(message).map(drop),
        }
    }
}

/// Adds the groups of which the client brings signed names.
///
/// # Errors
/// 403: one of them is not good.
fn with_signed_groups(request: &Request, mut identity: Identity) -> Result<Identity> {
    let Some(signer) = request.group_signer() else { return Ok(identity) };
    for token in request.query_all(SIGNED_GROUP) {
        let group = signer.verify(token, Some(&identity))?;
        identity = identity.groups([group]);
    }
    Ok(identity)
}

/// The next message; until it comes, the heart beats.
fn next(ws: &WebSocket, heart: Option<&mut Heart<'_>>) -> Result<Option<Message>> {
    match heart {
        Some(heart) => heart.wait(),
        None => ws.wait(),
    }
}

impl Handler for Facility {
    fn call(&self, request: &Request) -> Result<Response> {
        let Some(ws) = request.websocket() else {
            return Ok(Refusal::upgrade_required().into_response());
        };
        let grant = self.grant(request)?;
        self.speech.set_up(ws);
        self.serve(ws, grant)?;
        Ok(Response::closed())
    }

    fn speaks_websocket(&self) -> bool {
        true
    }

    fn auth(&self, _method: &Method) -> Option<&Auth> {
        self.speech.auth()
    }
}

impl fmt::Debug for Facility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facility")
            .field("heartbeat", &self.rhythm)
            .field("keep", &self.keep)
            .field("expire", &self.expire)
            .finish_non_exhaustive()
    }
}
