//! From the settings of the login to those who ask for it.

use std::time::Duration;

use landline::{
    Auth, Authenticator, BackendAuth, BasicAuth, Builder, Error, GroupSigner, Jwt, Networks,
    TokenSource, TrustedHeader,
};

use crate::exit::{Exit, Failure};
use crate::settings::{Login as Said, Stated};

/// The settings that ask for something.
const METHODS: &str = "--auth-basic-file, --auth-jwt-key, --auth-jwt-jwks, --auth-trusted-header or \
                       --auth-backend-url";

/// Who may come in.
#[derive(Debug)]
pub(crate) struct Login {
    /// `None`: everybody.
    pub(crate) auth: Option<Auth>,
    pub(crate) group_signer: Option<GroupSigner>,
}

impl Login {
    /// Reads the files that the settings name.
    ///
    /// # Blocking
    /// Reads files.
    ///
    /// # Errors
    /// A file or value is wrong, with the place where it was said; a setting has nothing to go with.
    pub(crate) fn prepare(stated: &Stated) -> Result<Self, Failure> {
        let said = &stated.said.login;
        check_company(said)?;
        let blame = |key| move |error: Error| Failure::from(error).set_by(stated, key);
        let mut auth: Option<Auth> = None;
        // First, so that a forged header is refused whatever else is shown.
        if let Some(name) = &said.auth_trusted_header {
            let proxies = said.auth_trusted_proxy.clone();
            let proxies = proxies.unwrap_or_else(|| vec!["127.0.0.1".into(), "::1".into()]);
            let proxies = Networks::list(proxies).map_err(blame("auth_trusted_proxy"))?;
            let header = TrustedHeader::new(name, proxies).map_err(blame("auth_trusted_header"))?;
            auth = Some(and(auth, header));
        }
        if let Some(jwt) = jwt(stated)? {
            auth = Some(and(auth, jwt));
        }
        if let Some(path) = &said.auth_basic_file {
            let basic = BasicAuth::users_file(path).map_err(blame("auth_basic_file"))?;
            auth = Some(and(auth, basic));
        }
        if let Some(backend) = backend(stated)? {
            auth = Some(and(auth, backend));
        }
        let auth = auth.map(|auth| limited(auth, said)).transpose();
        let auth = auth.map_err(blame("auth_close_code"))?;
        Ok(Self { auth, group_signer: group_signer(stated)? })
    }

    /// Puts it before the routes of a server.
    pub(crate) fn guard(self, mut builder: Builder) -> Builder {
        if let Some(auth) = self.auth {
            builder = builder.authenticate(auth);
        }
        match self.group_signer {
            Some(signer) => builder.group_signer(signer),
            None => builder,
        }
    }
}

/// What signs names of groups, if there is a key for it.
///
/// # Errors
/// The key is too short, with the place where it was said.
pub(crate) fn group_signer(stated: &Stated) -> Result<Option<GroupSigner>, Failure> {
    let key = stated.said.login.auth_group_key.as_ref();
    key.map(|key| GroupSigner::with_key(key.text()))
        .transpose()
        .map_err(|error| Failure::from(error).set_by(stated, "auth_group_key"))
}

fn and(auth: Option<Auth>, more: impl Authenticator) -> Auth {
    match auth {
        Some(auth) => auth.or(more),
        None => Auth::new(more),
    }
}

/// Where it counts, and for whom.
fn limited(mut auth: Auth, said: &Said) -> landline::Result<Auth> {
    if let Some(paths) = &said.auth_route {
        auth = auth.under(paths);
    }
    if said.auth_optional == Some(true) {
        auth = auth.optional();
    }
    match said.auth_close_code {
        Some(code) => auth.close_on_expiry(code, "token expired"),
        None => Ok(auth),
    }
}

fn jwt(stated: &Stated) -> Result<Option<Jwt>, Failure> {
    let said = &stated.said.login;
    let blame = |key| move |error: Error| Failure::from(error).set_by(stated, key);
    let mut jwt = match (&said.auth_jwt_key, &said.auth_jwt_jwks) {
        (None, None) => return Ok(None),
        (Some(path), None) => Jwt::key_file(path).map_err(blame("auth_jwt_key"))?,
        (None, Some(path)) => Jwt::jwks_file(path).map_err(blame("auth_jwt_jwks"))?,
        (Some(_), Some(_)) => {
            let text = "give --auth-jwt-key or --auth-jwt-jwks, not both: a set may have all keys";
            return Err(Failure::new(Exit::Config, text));
        }
    };
    if let Some(issuer) = &said.auth_jwt_issuer {
        jwt = jwt.issuer(issuer);
    }
    for audience in said.auth_jwt_audience.iter().flatten() {
        jwt = jwt.audience(audience);
    }
    if let Some(claim) = &said.auth_jwt_user_claim {
        jwt = jwt.user_claim(claim);
    }
    if let Some(claim) = &said.auth_jwt_groups_claim {
        jwt = jwt.groups_claim(claim);
    }
    let Some(cookie) = &said.auth_jwt_cookie else { return Ok(Some(jwt)) };
    let (cookie, query) = (TokenSource::Cookie(cookie.clone()), TokenSource::Query("token".into()));
    let sources = [TokenSource::Header, TokenSource::Subprotocol, cookie, query];
    jwt.sources(sources).map(Some).map_err(blame("auth_jwt_cookie"))
}

fn backend(stated: &Stated) -> Result<Option<BackendAuth>, Failure> {
    let said = &stated.said.login;
    let blame = |key| move |error: Error| Failure::from(error).set_by(stated, key);
    let Some(url) = &said.auth_backend_url else { return Ok(None) };
    let mut backend = BackendAuth::new(url).map_err(blame("auth_backend_url"))?;
    if let Some(names) = &said.auth_backend_header {
        backend = backend.headers(names).map_err(blame("auth_backend_header"))?;
    }
    if let Some(path) = &said.auth_backend_ca_certs {
        backend = backend.authorities_file(path).map_err(blame("auth_backend_ca_certs"))?;
    }
    if let Some(time) = said.auth_backend_timeout.filter(|time| *time > Duration::ZERO) {
        backend = backend.timeout(time);
    }
    Ok(Some(backend))
}

/// Refuses what would be without effect: whoever says where a login is needed means that one is.
fn check_company(said: &Said) -> Result<(), Failure> {
    let has_jwt = said.auth_jwt_key.is_some() || said.auth_jwt_jwks.is_some();
    let has_header = said.auth_trusted_header.is_some();
    let has_backend = said.auth_backend_url.is_some();
    let has_any = has_jwt || has_header || has_backend || said.auth_basic_file.is_some();
    let (jwt, backend) = ("--auth-jwt-key or --auth-jwt-jwks", "--auth-backend-url");
    let lonely = [
        (said.auth_route.is_some() && !has_any, "--auth-route", METHODS),
        (said.auth_optional == Some(true) && !has_any, "--auth-optional", METHODS),
        (said.auth_jwt_issuer.is_some() && !has_jwt, "--auth-jwt-issuer", jwt),
        (said.auth_jwt_audience.is_some() && !has_jwt, "--auth-jwt-audience", jwt),
        (said.auth_jwt_cookie.is_some() && !has_jwt, "--auth-jwt-cookie", jwt),
        (
            said.auth_trusted_proxy.is_some() && !has_header,
            "--auth-trusted-proxy",
            "--auth-trusted-header",
        ),
        (said.auth_backend_header.is_some() && !has_backend, "--auth-backend-header", backend),
        (said.auth_backend_ca_certs.is_some() && !has_backend, "--auth-backend-ca-certs", backend),
    ];
    match lonely.into_iter().find(|(is_lonely, ..)| *is_lonely) {
        Some((_, flag, needed)) => {
            Err(Failure::new(Exit::Config, format!("{flag} does nothing without {needed}")))
        }
        None => Ok(()),
    }
}
