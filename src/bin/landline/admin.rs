//! The operator's page and what stands behind it: who is connected, who was, what goes through.
//!
//! ```text
//! /admin/                        the page; it asks for the key
//! /admin/session                 whether there is one; POST {key} opens it, DELETE ends it
//! /admin/data                    figures of the last ten minutes
//! /admin/connections             open ones; ?filter=, and /<id>/ for one with its events
//! /admin/closed                  the last that ended, with why; ?filter=, and /<id>/
//! /admin/groups                  groups; ?filter=
//! /admin/connections/<id>/close  POST {code, reason}
//! /admin/groups/say              POST {group, text}
//! /admin/users/close             POST {user} or {session}, with {code, reason}
//! ```
//! They stand on a listener of their own, or beside the demo behind the key. What changes something
//! needs the key always.

mod access;
mod actions;
mod listener;
mod sampler;
mod session;
mod throttle;
mod views;

use std::sync::{Arc, OnceLock};

use landline::{Auth, Builder, Handle, Methods, Probe, Request, Response, Result, get, post};
use serde_json::json;

use crate::pages::guarded;
use access::{Access, Refused};
use sampler::Samples;

pub(crate) use listener::AdminPage;

/// What the routes of the page share.
pub(crate) struct Admin {
    /// The server that is looked at; known once it listens.
    handle: OnceLock<Handle>,
    access: Access,
    samples: Samples,
}

impl Admin {
    fn new(access: Access) -> Arc<Self> {
        Arc::new(Self { handle: OnceLock::new(), access, samples: Samples::default() })
    }

    /// Begins to look at a server.
    fn look_at(self: &Arc<Self>, handle: Handle) -> std::io::Result<()> {
        if self.handle.set(handle.clone()).is_err() {
            return Ok(());
        }
        sampler::start(self, handle)
    }

    /// The server, for who may see it.
    fn server(&self, request: &Request) -> Result<&Handle, Refused> {
        self.access.may_see(request)?;
        self.handle.get().ok_or_else(Refused::not_yet)
    }

    /// The server, for who may change something.
    fn server_to_change(&self, request: &Request) -> Result<&Handle, Refused> {
        self.access.may_change(request)?;
        self.handle.get().ok_or_else(Refused::not_yet)
    }
}

/// Adds the page, its files and the figures for Prometheus.
fn routes(builder: Builder, admin: &Arc<Admin>) -> Builder {
    type View = fn(&Admin, &Request) -> Result<Response, Refused>;
    let call = |view: View| {
        let admin = Arc::clone(admin);
        move |request: &Request| view(&admin, request).unwrap_or_else(Refused::into_response)
    };
    // Who may is for the page's own key to say, whatever the server asks elsewhere.
    let routes: [(&str, Methods); 12] = [
        ("/admin/", get(page)),
        (
            "/admin/session",
            get(call(session::show)).post(call(session::open)).delete(call(session::close)),
        ),
        ("/admin/data", get(call(views::figures))),
        ("/admin/connections", get(call(views::connections))),
        ("/admin/connections/<int:id>", get(call(views::connection))),
        ("/admin/connections/<int:id>/close", post(call(actions::close))),
        ("/admin/closed", get(call(views::closed))),
        ("/admin/closed/<int:id>", get(call(views::closed_one))),
        ("/admin/groups", get(call(views::groups))),
        ("/admin/groups/say", post(call(actions::say))),
        ("/admin/users/close", post(call(actions::dismiss))),
        ("/metrics", get(call(views::metrics))),
    ];
    routes.into_iter().fold(builder, |builder, (path, methods)| {
        builder.route(path, methods.authenticate(Auth::open()))
    })
}

/// The page itself holds nothing that is secret.
fn page(request: &Request) -> Result<Response> {
    let values = json!({ "version": env!("CARGO_PKG_VERSION"), "address": request.host() });
    Ok(guarded(request.render("admin.html", values)?))
}

/// Answers whether the server is alive and ready, which nobody needs a key for.
pub(crate) fn probes(builder: Builder) -> Builder {
    let probe = |probe: Probe| get(probe).authenticate(Auth::open());
    builder.route("/healthz", probe(Probe::alive())).route("/readyz", probe(Probe::ready()))
}
