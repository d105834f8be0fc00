//! The running server and its stop.
//!
//! ```text
//! run ──stop()──► serves on ──delay──► listeners closed, 1001 to each ──all ended──► done
//!                     │ stop_now()        │ all told and grace over, or stop_now()     ▲
//!                     └───────────────────┴──► every connection cut ──ended, or 1 s ───┘
//! ```

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select};

use crate::config::AFTER_CUT;
use crate::conn::RefusalReason;
use crate::conn::drain::Order;
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::hub::Hub;
use crate::net::listener::Listener;
use crate::server::accept::accept_loop;
use crate::server::app::App;
use crate::server::builder::Builder;
use crate::server::listen::listen;
use crate::sync::atomic::Ordering;

/// A server that listens and has its routes; [`run`](Self::run) serves.
///
/// # Example
/// ```
/// use landline::{Request, Server};
///
/// # fn main() -> landline::Result<()> {
/// let server = Server::builder()
///     .route("/hello/<name>", |request: &Request| {
///         format!("Hello, {}!", request.param("name").unwrap_or("you"))
///     })
///     .bind("127.0.0.1:0")?;
/// let handle = server.handle();
/// let thread = std::thread::spawn(move || server.run());
/// handle.stop();
/// thread.join().expect("the server's thread ends")?;
/// # Ok(())
/// # }
/// ```
pub struct Server {
    app: Arc<App>,
    pub(super) listeners: Vec<Arc<Listener>>,
    /// Where those of the last call begin.
    last_bound: usize,
    orders: Receiver<Order>,
    handle: Handle,
}

/// Stops a server from any thread, or changes its settings; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) app: Arc<App>,
    orders: Sender<Order>,
}

/// What a connection's thread holds so that the stop knows when the last one has ended.
pub(crate) type Alive = Sender<()>;

impl Server {
    /// Starts with the default settings and no routes.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(app: Arc<App>) -> Self {
        let (sender, orders) = bounded(8);
        let handle = Handle { app: Arc::clone(&app), orders: sender };
        Self { app, listeners: Vec::new(), last_bound: 0, orders, handle }
    }

    /// Listens on one more address (on each address, if a name stands for several). Port 0
    /// takes a free port, another one for each address.
    ///
    /// # Blocking
    /// For the resolution of a host name, if one is given.
    ///
    /// # Errors
    /// `Bind`: the address is wrong, in use or not permitted; the text names it, the source says
    /// why.
    pub fn bind(self, address: impl ToSocketAddrs + fmt::Debug) -> Result<Self> {
        let listeners = listen(address, self.backlog())?;
        Ok(self.with_listeners(listeners))
    }

    /// Adds what one call listens on.
    pub(super) fn with_listeners(mut self, listeners: Vec<Listener>) -> Self {
        self.last_bound = self.listeners.len();
        self.listeners.extend(listeners.into_iter().map(Arc::new));
        self
    }

    /// Connections that the kernel holds for us until they are accepted.
    pub(super) fn backlog(&self) -> u32 {
        self.app.shared.config().listen_backlog()
    }

    /// Says that connections to what the last call of [`bind`](Self::bind) listens on begin with a
    /// PROXY header, version 1 or 2, which tells for whom they are: its address is that of the
    /// [`peer`](crate::Request::peer) in requests, logs and limits.
    ///
    /// Only the [trusted proxies](crate::Builder::trusted_proxies) may connect there. Others, and
    /// who sends no valid header within [`head_timeout`](crate::Config::head_timeout), are closed
    /// without an answer.
    ///
    /// # Example
    /// ```
    /// use landline::Server;
    /// let server = Server::builder()
    ///     .trusted_proxies("127.0.0.1".parse()?)
    ///     .bind("127.0.0.1:0")? // for health checks
    ///     .bind("127.0.0.1:0")?
    ///     .expect_proxy_protocol();
    /// # Ok::<(), landline::Error>(())
    /// ```
    ///
    /// # Source
    /// HAProxy's `doc/proxy-protocol.txt`; `accept-proxy` there, `proxy_protocol` in nginx.
    #[must_use]
    pub fn expect_proxy_protocol(self) -> Self {
        self.listeners[self.last_bound..].iter().for_each(|listener| listener.expect_proxy());
        self
    }

    /// The addresses it listens on, with their real ports, in the order of binding; Unix sockets
    /// have none.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.address()).collect()
    }

    /// Most connections that are admitted: the configured number or the host's ceiling.
    ///
    /// # Blocking
    /// Never.
    pub fn max_connections(&self) -> usize {
        self.app.stats.limit()
    }

    /// A handle to stop this server from another thread.
    ///
    /// # Blocking
    /// Never.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until it is stopped through a [`Handle`].
    ///
    /// A graceful stop serves on for [`drain_delay`](crate::Config::drain_delay), then accepts
    /// nothing new, closes every WebSocket with 1001 behind what is queued for it, all at the same
    /// time or spread over [`drain_time`](crate::Config::drain_time), lets requests in work end, and
    /// cuts what is left when another [`shutdown_grace`](crate::Config::shutdown_grace) is over.
    ///
    /// # Blocking
    /// Until the last connection has ended, once it was told to stop no longer than these three times
    /// together; handlers that do not return within a second after their connection was cut are left
    /// behind.
    ///
    /// # Errors
    /// `Io`: no thread for accepting could be started.
    pub fn run(self) -> Result<()> {
        let (alive, all_ended) = bounded(0);
        let mut threads = Vec::new();
        for (index, listener) in self.listeners.iter().enumerate() {
            let (app, listener, alive) = (self.app.clone(), listener.clone(), Alive::clone(&alive));
            let thread = thread::Builder::new()
                .name(format!("accept-{index}"))
                .spawn(move || accept_loop(&app, &listener, &alive))
                .map_err(|error| {
                    Error::new(ErrorKind::Io, "cannot start a thread to accept").with_source(error)
                })?;
            threads.push(thread);
        }
        drop(alive);
        let order = self.orders.recv().unwrap_or(Order::Cut);
        self.stop(self.delay(order), &all_ended);
        for thread in threads {
            // A panic of the accept loop has been reported by the panic hook.
            let _ = thread.join();
        }
        Ok(())
    }

    /// Serves on while a load balancer learns that it should send nobody any more; the order as it
    /// stands then.
    fn delay(&self, order: Order) -> Order {
        let delay = self.app.shared.config().drain_delay();
        if order != Order::Drain || delay.is_zero() {
            return order;
        }
        log::info!("draining: no longer ready, serving on for {delay:?}");
        let deadline = Deadline::after(delay);
        loop {
            let time = deadline.remaining().unwrap_or(Duration::MAX);
            match self.orders.recv_timeout(time) {
                Ok(Order::Cut) => return Order::Cut,
                Ok(_) => {}
                Err(_) => return order,
            }
        }
    }

    fn stop(&self, order: Order, all_ended: &Receiver<()>) {
        let app = &self.app;
        app.stats.start_stopping();
        app.threads.dismiss();
        self.listeners.iter().for_each(|listener| listener.close());
        if order == Order::Drain {
            let config = app.shared.config();
            let open = app.stats.open();
            let (spread, grace) = (config.drain_span(open), config.shutdown_grace());
            if spread.is_zero() {
                log::info!("stopping: {open} connections get {grace:?} to end");
            } else {
                log::info!(
                    "stopping: {open} connections are told over {spread:?}, then get {grace:?}"
                );
            }
            app.keeper.give_order(Order::Drain);
            if self.wait_for_end(Deadline::after(spread.saturating_add(grace)), all_ended) {
                return;
            }
        }
        log::info!("cutting {} connections", app.stats.open());
        app.keeper.give_order(Order::Cut);
        if let Err(RecvTimeoutError::Timeout) = all_ended.recv_timeout(AFTER_CUT) {
            log::warn!("{} handlers have not returned and are left behind", app.stats.open());
        }
    }

    /// True once every thread has ended; false when the time is over or the stop is forced.
    fn wait_for_end(&self, deadline: Deadline, all_ended: &Receiver<()>) -> bool {
        loop {
            let time = deadline.remaining().unwrap_or(Duration::MAX);
            select! {
                // Nothing is ever sent: the channel closes when its last holder has ended.
                recv(all_ended) -> _ => return true,
                recv(self.orders) -> order => {
                    if !matches!(order, Ok(Order::Drain)) {
                        return false;
                    }
                }
                default(time) => return false,
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listeners.iter().for_each(|listener| listener.close());
        self.app.keeper.dismiss();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self.listeners.iter().map(ToString::to_string).collect::<Vec<_>>();
        write!(f, "Server({places:?})")
    }
}

impl Handle {
    /// Begins a graceful stop, see [`Server::run`]; a second call changes nothing.
    ///
    /// # Blocking
    /// Never.
    pub fn stop(&self) {
        self.app.stats.start_draining();
        // Full means that the stop has been asked for already.
        let _ = self.orders.try_send(Order::Drain);
    }

    /// Stops at once: every connection is cut.
    ///
    /// # Blocking
    /// Never.
    pub fn stop_now(&self) {
        self.app.stats.start_stopping();
        self.app.keeper.give_order(Order::Cut);
        let _ = self.orders.try_send(Order::Cut);
    }

    /// True once the server was told to stop: whoever sends it clients should choose another one.
    /// For as long as [`drain_delay`](crate::Config::drain_delay) it serves all the same.
    ///
    /// # Blocking
    /// Never.
    pub fn is_draining(&self) -> bool {
        self.app.stats.is_draining()
    }

    /// The longest that a graceful stop takes, see
    /// [`Config::longest_stop`](crate::Config::longest_stop).
    ///
    /// # Blocking
    /// Never.
    pub fn longest_stop(&self) -> Duration {
        self.app.shared.config().longest_stop()
    }

    /// The groups of this server's connections.
    ///
    /// # Blocking
    /// Never.
    pub fn hub(&self) -> Hub {
        self.app.surroundings().hub.clone()
    }

    /// Open connections, HTTP and WebSocket together.
    ///
    /// # Blocking
    /// Never.
    pub fn connections(&self) -> usize {
        self.app.stats.open()
    }

    /// Clients that were turned away by a limit, or for what their proxy said, whatever the
    /// [reason](Self::refused).
    ///
    /// # Blocking
    /// Never.
    pub fn refused_clients(&self) -> u64 {
        self.app.shared.refusals.sum()
    }

    /// Open connections that have not sent a whole request yet.
    ///
    /// # Blocking
    /// Never.
    pub fn silent_connections(&self) -> usize {
        self.app.stats.silent()
    }

    /// Clients that were turned away for one reason.
    ///
    /// # Blocking
    /// Never.
    pub fn refused(&self, reason: RefusalReason) -> u64 {
        self.app.shared.refusals.of(reason)
    }

    /// WebSocket clients that went on sending faster than they may and were closed with 1008.
    ///
    /// # Blocking
    /// Never.
    pub fn fast_clients(&self) -> u64 {
        self.app.shared.fast_clients.load(Ordering::Relaxed)
    }

    /// WebSocket clients that stopped reading and were closed with 1013.
    ///
    /// # Blocking
    /// Never.
    pub fn slow_clients(&self) -> u64 {
        self.app.shared.slow_clients.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({} connections)", self.connections())
    }
}
