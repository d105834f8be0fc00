//! A request as its handler sees it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::Config;
use crate::conn::expiry::Expiry;
use crate::conn::{ClientCertificate, RefusalReason, WebSocket};
use crate::error::{Error, ErrorKind, Result};
use crate::http::forwarded::{Forwarded, Scheme};
use crate::http::query::Pairs;
use crate::http::refusal::Refusal;
use crate::http::request::RequestHead;
use crate::http::{Headers, Method, Response, Templates};
use crate::hub::Hub;
use crate::route::auth::{Auth, GroupSigner};
use crate::route::hosts::Hosts;
use crate::route::identity::Identity;
use crate::route::pattern::Params;
use crate::route::probe::Sighted;
use crate::route::proxies::Proxies;
use crate::route::users::{UserSeat, Users};
use crate::sync::Mutex;
use crate::ws::Origins;
use crate::ws::close::CloseFrame;
use crate::ws::origin::Site;

/// The connection of a request: who is at its other end, and where the body comes from when a
/// handler asks for it.
pub(crate) trait Source: Send + Sync {
    fn peer(&self) -> SocketAddr;

    fn conn_id(&self) -> u64;

    /// True if the connection is encrypted up to this server.
    fn is_secure(&self) -> bool;

    /// The certificate of the client, if it was asked for and has shown one.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "there is none without TLS"))]
    fn client_certificate(&self) -> Option<&ClientCertificate>;

    /// The number of the last user or session that was told to go.
    fn dismissal(&self) -> u64;

    /// Takes note that what is called now needs much of the stack.
    fn mark_deep(&self);

    /// Receives the whole body; called once.
    fn read_body(&self) -> Result<Vec<u8>, Refusal>;
}

/// A request: its head, the parameters of its route, its body when asked for, and the WebSocket
/// if it is a valid handshake.
///
/// # Blocking
/// Only what needs the body: [`body`](Self::body), [`form`](Self::form), [`json`](Self::json).
///
/// # Source
/// Django's `HttpRequest` with dwebsocket's `websocket` and `is_websocket`.
pub struct Request {
    head: Box<RequestHead>,
    params: Params,
    source: Arc<dyn Source>,
    // Boxed: a WebSocket keeps its request and has neither.
    body: OnceLock<Box<Result<Vec<u8>, Refusal>>>,
    form: OnceLock<Box<Result<Pairs, Refusal>>>,
    websocket: Option<WebSocket>,
    /// What a trusted proxy says; boxed, since most have none.
    forwarded: Option<Box<Forwarded>>,
    /// The place of its WebSocket among those of its user.
    user_seat: Mutex<Option<Box<UserSeat>>>,
    identity: Option<Box<Identity>>,
    surroundings: Arc<Surroundings>,
}

/// What of its server a request can reach, and the rules that hold for it: a reload makes a new one
/// for the requests to come, see `server::reload`.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) templates: Templates,
    pub(crate) hub: Hub,
    pub(crate) origins: Origins,
    /// Who may come in where a route does not say.
    pub(crate) auth: Option<Auth>,
    pub(crate) group_signer: Option<GroupSigner>,
    pub(crate) hosts: Hosts,
    pub(crate) config: Arc<Config>,
    pub(crate) proxies: Proxies,
    pub(crate) users: Arc<Users>,
    /// The server itself, for those who ask how it is.
    pub(crate) sighted: Sighted,
}

impl Request {
    pub(crate) fn new(
        head: Box<RequestHead>,
        source: Arc<dyn Source>,
        surroundings: Arc<Surroundings>,
    ) -> Self {
        Self {
            head,
            params: Params::default(),
            source,
            body: OnceLock::new(),
            form: OnceLock::new(),
            websocket: None,
            forwarded: None,
            user_seat: Mutex::new(None),
            identity: None,
            surroundings,
        }
    }

    pub(crate) fn head(&self) -> &RequestHead {
        &self.head
    }

    pub(crate) fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// What was found out of somebody before the dismissal of this number may be no longer so.
    pub(crate) fn dismissal(&self) -> u64 {
        self.source.dismissal()
    }

    pub(crate) fn set_params(&mut self, params: Params) {
        self.params = params;
    }

    /// Whose word about clients is taken.
    pub(crate) fn proxies(&self) -> &Proxies {
        &self.surroundings.proxies
    }

    pub(crate) fn set_forwarded(&mut self, forwarded: Forwarded) {
        if forwarded != Forwarded::default() {
            self.forwarded = Some(Box::new(forwarded));
        }
    }

    pub(crate) fn set_websocket(&mut self, websocket: WebSocket) {
        self.websocket = Some(websocket);
    }

    /// Takes note of who sends it, of the words with which a WebSocket of it is closed when that is
    /// good no more, and of the last dismissal before it was found out.
    pub(crate) fn set_identity(
        &mut self,
        identity: Identity,
        farewell: Arc<CloseFrame>,
        dismissal: u64,
    ) {
        if let Some(ws) = &mut self.websocket {
            ws.hide_bearer();
            ws.name_login(identity.session_key(), dismissal);
            if let Some(at) = identity.expires() {
                ws.expire(Expiry { at, farewell });
            }
        }
        self.identity = Some(Box::new(identity));
    }

    /// The method.
    pub fn method(&self) -> &Method {
        self.head.method()
    }

    /// The path, percent-decoded; starts with `/`.
    pub fn path(&self) -> &str {
        self.head.path()
    }

    /// A parameter of the route's pattern, percent-decoded: `room` of `/chat/<room>/`.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name)
    }

    /// The first value of a query parameter, decoded (percent, `+`, UTF-8).
    pub fn query(&self, name: &str) -> Option<&str> {
        self.head.query(name)
    }

    /// The query as it was sent, without the question mark; `None` if there is none.
    pub fn raw_query(&self) -> Option<&str> {
        self.head.raw_query()
    }

    /// All values of a query parameter, decoded, in their order.
    pub fn query_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.head.query_all(name)
    }

    /// The first value of a header field; `None` if it is absent or not UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// All header fields.
    pub fn headers(&self) -> &Headers {
        self.head.headers()
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.head.cookie(name)
    }

    /// Host and port the request is for, as the client sent them, or as a trusted proxy says that
    /// it did ([`ProxyHeaders`](crate::ProxyHeaders)); empty only in HTTP/1.0.
    pub fn host(&self) -> &str {
        self.forwarded_host().unwrap_or_else(|| self.head.host())
    }

    /// The host that a trusted proxy names.
    pub(crate) fn forwarded_host(&self) -> Option<&str> {
        self.forwarded.as_ref()?.host.as_deref()
    }

    /// `https` if the client came by TLS, else `http`: to this server, or as a trusted proxy says
    /// ([`ProxyHeaders`](crate::ProxyHeaders)) to that.
    ///
    /// # Example
    /// ```
    /// use landline::{Request, Response};
    /// fn to_tls(request: &Request) -> Response {
    ///     if request.is_secure() {
    ///         return Response::text("safe");
    ///     }
    ///     Response::redirect(&format!("https://{}{}", request.host(), request.path()))
    /// }
    /// # let _ = to_tls;
    /// ```
    pub fn scheme(&self) -> &'static str {
        let own = if self.source.is_secure() { Scheme::Https } else { Scheme::Http };
        let forwarded = self.forwarded.as_ref().and_then(|forwarded| forwarded.scheme);
        forwarded.unwrap_or(own).as_str()
    }

    /// True if the client came by TLS, see [`scheme`](Self::scheme).
    pub fn is_secure(&self) -> bool {
        self.scheme() == Scheme::Https.as_str()
    }

    /// The certificate by which the client has shown who it is, if the settings ask for one
    /// ([`TlsSettings::client_certificates`](crate::TlsSettings::client_certificates)).
    #[cfg(feature = "tls")]
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.source.client_certificate()
    }

    /// The address of the other end of the connection: of the client, or of the proxy in front of
    /// this server; `0.0.0.0:0` if it came through a Unix socket. Behind a listener that
    /// [expects the PROXY protocol](crate::Server::expect_proxy_protocol) it is the one that the
    /// proxy's header names.
    pub fn peer(&self) -> SocketAddr {
        self.source.peer()
    }

    /// The address of the client: that of the [`peer`](Self::peer), or what the header fields of a
    /// trusted proxy name ([`Builder::trusted_proxies`](crate::Builder::trusted_proxies)). Limits
    /// for each address count this one.
    pub fn client(&self) -> IpAddr {
        self.forwarded_client().unwrap_or_else(|| self.peer().ip())
    }

    /// The address that a trusted proxy names.
    pub(crate) fn forwarded_client(&self) -> Option<IpAddr> {
        self.forwarded.as_ref()?.client
    }

    /// Counts the WebSocket of this request for a user, up to
    /// [`max_websockets_per_user`](crate::Config::max_websockets_per_user) for each. It counts
    /// until it is over; if it was counted for another user, no longer for that one. A request
    /// without a WebSocket counts for nobody.
    ///
    /// The users that the server knows by itself are counted already: those whom the
    /// [`Auth`] of a route or of the server names, and those of a
    /// [`facility`](crate::facility) with an [`Identity`].
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// `Limit`: the user has as many as one may. A handler that passes this on with `?` before it
    /// used its socket answers 429.
    ///
    /// # Example
    /// ```
    /// use landline::{Request, Result, WebSocket};
    /// fn inbox(request: &Request, ws: &WebSocket) -> Result<()> {
    ///     request.count_user(request.cookie("user").unwrap_or("anonymous"))?;
    ///     ws.send("welcome")
    /// }
    /// # let _ = landline::require_websocket(inbox);
    /// ```
    pub fn count_user(&self, name: &str) -> Result<()> {
        let limit = self.surroundings.config.max_websockets_per_user();
        let (Some(ws), Some(limit)) = (&self.websocket, limit) else { return Ok(()) };
        let mut seat = self.user_seat.lock();
        if seat.as_ref().is_some_and(|seat| seat.name() == name) {
            return Ok(());
        }
        let Some(new) = self.surroundings.users.seat(name, limit) else {
            ws.count_refusal(RefusalReason::UserFull);
            return Err(Refusal::too_many_sockets(limit).into());
        };
        *seat = Some(Box::new(new));
        Ok(())
    }

    /// Who sends the request, as the [`Auth`] of its route or server found out; `None`
    /// where nobody was asked, or somebody unknown may come in.
    ///
    /// # Example
    /// ```
    /// use landline::{Request, Result, WebSocket};
    ///
    /// fn greet(request: &Request, ws: &WebSocket) -> Result<()> {
    ///     let name = request.identity().and_then(|identity| identity.name());
    ///     ws.send(format!("Hello, {}!", name.unwrap_or("stranger")))
    /// }
    /// # let _ = landline::require_websocket(greet);
    /// ```
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_deref()
    }

    /// The name of the group that a signed name stands for, if the signature is good now and for
    /// whoever sends this request.
    ///
    /// # Errors
    /// - `Protocol`: it is not good; a handler that passes it on with `?` before the handshake
    ///   answers 403 with the reason.
    /// - `Config`: the server has no [`GroupSigner`], see
    ///   [`Builder::group_signer`](crate::Builder::group_signer).
    ///
    /// # Example
    /// ```
    /// use landline::{Request, Result, WebSocket};
    ///
    /// fn board(request: &Request, ws: &WebSocket) -> Result<()> {
    ///     let group = request.signed_group(request.query("group").unwrap_or_default())?;
    ///     ws.join(group)?;
    ///     while ws.wait()?.is_some() {}
    ///     Ok(())
    /// }
    /// # let _ = landline::require_websocket(board);
    /// ```
    #[cfg(feature = "auth")]
    pub fn signed_group(&self, token: &str) -> Result<String> {
        let signer = self.group_signer().ok_or_else(|| {
            Error::new(ErrorKind::Config, "this server has no key for signed groups")
        })?;
        signer.verify(token, self.identity())
    }

    /// What knows the signed names of groups, if the server has a key for them.
    pub(crate) fn group_signer(&self) -> Option<&GroupSigner> {
        self.surroundings.group_signer.as_ref()
    }

    /// Its handshake is not accepted, so it counts for nobody.
    pub(crate) fn uncount_user(&self) {
        self.user_seat.lock().take();
    }

    /// The number of the connection, as in the log and in the system's name for its thread.
    pub fn conn_id(&self) -> u64 {
        self.source.conn_id()
    }

    /// The whole body; empty if there is none.
    ///
    /// A client that waits for `100 Continue` gets it now; one whose handler never asks for the
    /// body is answered without.
    ///
    /// # Blocking
    /// At the first call until the body has come or
    /// [`body_timeout`](crate::Config::body_timeout) has passed; later calls return at once.
    ///
    /// # Errors
    /// A handler that passes them on with `?` answers with the right status:
    /// - `Limit`: the body is over [`body_bytes`](crate::Config::body_bytes) (413).
    /// - `Timeout`: it did not come in time (408).
    /// - `Protocol`: it is malformed or was cut off (400).
    pub fn body(&self) -> Result<&[u8]> {
        self.read_body().map_err(|refusal| Error::from(refusal.clone()))
    }

    /// The first value of a field of a form body (`application/x-www-form-urlencoded`).
    ///
    /// # Blocking
    /// As [`body`](Self::body).
    ///
    /// # Errors
    /// As [`body`](Self::body); `Protocol` also if the body is no form or not decodable (400).
    pub fn form(&self, name: &str) -> Result<Option<&str>> {
        match &**self.form.get_or_init(|| Box::new(self.read_form())) {
            Ok(pairs) => Ok(pairs.get(name)),
            Err(refusal) => Err(Error::from(refusal.clone())),
        }
    }

    fn read_form(&self) -> Result<Pairs, Refusal> {
        let kind = self.header("content-type").unwrap_or("");
        let kind = kind.split(';').next().unwrap_or("").trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Refusal::bad_request("The body is not a form."));
        }
        Pairs::parse(self.read_body().map_err(Refusal::clone)?)
    }

    fn read_body(&self) -> Result<&[u8], &Refusal> {
        self.body.get_or_init(|| Box::new(self.source.read_body())).as_deref()
    }

    /// The body read as JSON.
    ///
    /// # Blocking
    /// As [`body`](Self::body).
    ///
    /// # Errors
    /// As [`body`](Self::body); `Protocol` if it is not JSON or not a `T` (answered 400), with
    /// the place in the source.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(self.body()?).map_err(|error| {
            let refusal = Refusal::bad_request("The body is not the expected JSON.").and_keep();
            Error::new(ErrorKind::Json, "the body is not the expected JSON")
                .with_source(error)
                .with_returned(refusal)
        })
    }

    /// The groups of the server's connections.
    pub fn hub(&self) -> &Hub {
        &self.surroundings.hub
    }

    /// Longest message that the server takes, in bytes.
    pub(crate) fn max_message_bytes(&self) -> usize {
        self.surroundings.config.message_bytes()
    }

    /// The server itself.
    pub(super) fn sighted(&self) -> &Sighted {
        &self.surroundings.sighted
    }

    /// What it is for, for the rule about origins.
    pub(crate) fn site(&self) -> Site<'_> {
        Site { host: self.host(), is_tls: self.is_secure() }
    }

    /// True if a web page sends this that is of the same host or on the server's list of origins.
    pub(crate) fn is_of_known_page(&self) -> bool {
        self.surroundings.origins.knows_page(&self.head, self.site())
    }

    /// Fills a template of the server with values and answers it as HTML.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// `Config`: there is no such template, or it failed; the text names the template and line.
    pub fn render(&self, template: &str, values: impl Serialize) -> Result<Response> {
        self.source.mark_deep();
        Ok(Response::html(self.surroundings.templates.render(template, values)?))
    }

    /// True if this is a valid WebSocket handshake on a route that accepts it.
    ///
    /// # Source
    /// dwebsocket `is_websocket()`, which looked at the `Upgrade` header alone.
    pub fn is_websocket(&self) -> bool {
        self.websocket.is_some()
    }

    /// The WebSocket, if [`is_websocket`](Self::is_websocket). The handshake is answered at its
    /// first use.
    pub fn websocket(&self) -> Option<&WebSocket> {
        self.websocket.as_ref()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("conn_id", &self.conn_id())
            .field("peer", &self.peer())
            .field("head", &self.head)
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}
