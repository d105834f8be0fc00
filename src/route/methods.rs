//! One path, a handler for each method.

use crate::error::Result;
use crate::http::refusal::Refusal;
use crate::http::{Method, Response};
use crate::route::auth::Auth;
use crate::route::handler::Handler;
use crate::route::request::Request;

/// Handlers by method; other methods are refused with 405 and `Allow`.
///
/// `HEAD` is served by the handler of `GET`, and `OPTIONS` is answered with `Allow`, unless they
/// have handlers of their own.
///
/// # Example
/// ```
/// use landline::{Request, get};
///
/// let notes = get(|_: &Request| "all notes").post(|_: &Request| "noted");
/// # let _ = landline::Server::builder().route("/notes", notes);
/// ```
#[derive(Default)]
pub struct Methods {
    handlers: Vec<(Method, Box<dyn Handler>)>,
    auth: Option<Auth>,
}

/// Starts a set of methods.
macro_rules! starters {
    ($( $(#[$doc:meta])* $name:ident => $method:ident; )*) => {
        $(
            $(#[$doc])*
            pub fn $name(handler: impl Handler) -> Methods {
                Methods::default().on(Method::$method, handler)
            }
        )*

        impl Methods {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(self, handler: impl Handler) -> Self {
                    self.on(Method::$method, handler)
                }
            )*
        }
    };
}

starters! {
    /// A handler for `GET` (and `HEAD`).
    get => Get;
    /// A handler for `POST`.
    post => Post;
    /// A handler for `PUT`.
    put => Put;
    /// A handler for `PATCH`.
    patch => Patch;
    /// A handler for `DELETE`.
    delete => Delete;
}

impl Methods {
    /// A handler for any method; a later one for the same method replaces it.
    #[must_use]
    pub fn on(mut self, method: Method, handler: impl Handler) -> Self {
        self.handlers.retain(|(known, _)| *known != method);
        self.handlers.push((method, Box::new(handler)));
        self
    }

    /// Who may come in to this route, plain HTTP included, instead of what a handler of it or the
    /// server says ([`Builder::authenticate`](crate::Builder::authenticate)).
    #[must_use]
    pub fn authenticate(mut self, auth: impl Into<Auth>) -> Self {
        self.auth = Some(auth.into());
        self
    }

    /// The handler for a method, that of `GET` for `HEAD` if it has none of its own.
    fn serving(&self, method: &Method) -> Option<&dyn Handler> {
        match (self.find(method), method) {
            (None, Method::Head) => self.find(&Method::Get),
            (found, _) => found,
        }
    }

    fn find(&self, method: &Method) -> Option<&dyn Handler> {
        let known = self.handlers.iter().find(|(known, _)| known == method);
        known.map(|(_, handler)| &**handler)
    }

    /// The value of `Allow`.
    fn allow(&self) -> String {
        let mut names: Vec<String> =
            self.handlers.iter().map(|(method, _)| method.to_string()).collect();
        if self.find(&Method::Get).is_some() && self.find(&Method::Head).is_none() {
            names.push("HEAD".into());
        }
        if self.find(&Method::Options).is_none() {
            names.push("OPTIONS".into());
        }
        names.join(", ")
    }
}

impl Handler for Methods {
    fn call(&self, request: &Request) -> Result<Response> {
        let method = request.method();
        match (self.serving(method), method) {
            (Some(handler), _) => handler.call(request),
            (None, Method::Options) => Ok(Response::empty(204).with_header("Allow", self.allow())),
            (None, _) => Err(Refusal::method_not_allowed(&self.allow()).into()),
        }
    }

    fn speaks_websocket(&self) -> bool {
        self.find(&Method::Get).is_some_and(Handler::speaks_websocket)
    }

    fn auth(&self, method: &Method) -> Option<&Auth> {
        self.auth.as_ref().or_else(|| self.serving(method)?.auth(method))
    }

    fn answers_json(&self) -> bool {
        self.handlers.iter().any(|(_, handler)| handler.answers_json())
    }
}

impl std::fmt::Debug for Methods {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Methods({})", self.allow())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allow_names_what_is_served() {
        let methods = get(|_: &Request| "a").post(|_: &Request| "b");
        assert_eq!(methods.allow(), "GET, POST, HEAD, OPTIONS");
        assert_eq!(post(|_: &Request| "b").allow(), "POST, OPTIONS");
    }

    #[test]
    fn the_last_handler_for_a_method_counts() {
        let methods = get(|_: &Request| "a").get(|_: &Request| "b");
        assert_eq!(methods.handlers.len(), 1);
    }
}
