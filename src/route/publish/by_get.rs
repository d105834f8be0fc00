//! `PublishByGet`, the elder tutorial's `/send/?message=`.

use super::answer::Fault;
use super::api::{PublishApi, parts};
use super::asked::Asked;
use crate::error::Result;
use crate::http::{Method, Response};
use crate::route::auth::{Auth, OPEN};
use crate::route::handler::Handler;
use crate::route::request::Request;

/// The methods of the route. Not `HEAD`: what looks at a link must not publish it.
const METHODS: &str = "GET, OPTIONS";

/// Publishes what stands in the query of a `GET`; made by
/// [`PublishApi::by_get`](crate::PublishApi::by_get), with the same permission and the same
/// answers.
///
/// The fields are those of [`PublishApi`]; without a target the message is for every open
/// WebSocket.
///
/// A `GET` that changes something is easily sent by mistake or by a foreign page's image. Where a
/// browser does not say that the request comes from this server's own page or from its person,
/// it is refused, as is a `HEAD` or what a browser fetches ahead of time.
///
/// # Source
/// The elder tutorial's `/send/?message=`, which sends to everybody, for everybody.
#[derive(Clone, Debug)]
pub struct PublishByGet {
    api: PublishApi,
}

impl PublishByGet {
    pub(crate) fn new(api: PublishApi) -> Self {
        Self { api }
    }

    fn take(&self, request: &Request) -> Result<Response, Fault> {
        if *request.method() != Method::Get {
            return Err(Fault::method_not_allowed(METHODS));
        }
        self.api.check(request)?;
        let asked = Asked::of_query(parts(request, b""))?;
        self.api.publish(request, &asked)
    }
}

impl Handler for PublishByGet {
    fn call(&self, request: &Request) -> Result<Response> {
        if *request.method() == Method::Options {
            return Ok(Response::empty(204).with_header("Allow", METHODS));
        }
        Ok(self.take(request).unwrap_or_else(Fault::into_response))
    }

    /// Who may publish is for the API's own key to say, whatever the server asks elsewhere.
    fn auth(&self, _method: &Method) -> Option<&Auth> {
        Some(&OPEN)
    }

    fn answers_json(&self) -> bool {
        true
    }
}
