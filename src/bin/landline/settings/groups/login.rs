//! Who clients are, and who of them may come in.

use std::path::PathBuf;
use std::time::Duration;

use crate::settings::form::{CLOSE_CODE, FILE, FLAG, KEY, NETWORK, PATH_BEGIN, SECONDS, TEXT, URL};
use crate::settings::setting::{Many, One, Preset, declare};
use crate::settings::values::Secret;

declare! {
    /// Who clients are, and who of them may come in.
    Login in "Login: who does not show what one of these asks for is not let in";

    /// File of users with their passwords (HTTP Basic), a line for each, as "landline passwd" or
    /// "htpasswd -B" writes it
    auth_basic_file: One<PathBuf> = FILE, Preset::words("no passwords", "users.txt"), Live;

    /// File with the key of JSON Web Tokens: public keys in PEM (RS256, ES256, EdDSA), else a secret
    /// of 32 characters and more (HS256)
    auth_jwt_key: One<PathBuf> = FILE, Preset::words("no tokens", "jwt.pem"), Live;

    /// File with the keys of JSON Web Tokens as a JSON Web Key Set
    auth_jwt_jwks: One<PathBuf> = FILE, Preset::words("no tokens", "jwks.json"), Live;

    /// Who has to have issued a token (iss)
    auth_jwt_issuer: One<String> =
        TEXT, Preset::words("anybody with the key", "https://login.example.com"), Live;

    /// For whom a token has to be (aud); may be repeated, for one of several
    auth_jwt_audience: Many<String> =
        TEXT, Preset::words("only tokens that name nobody", "landline"), Live;

    /// Claim with the user's name, or a path to it
    auth_jwt_user_claim: One<String> = TEXT, Preset::of("sub"), Live;

    /// Claim with the user's groups, or a path to it
    auth_jwt_groups_claim: One<String> = TEXT, Preset::of("groups"), Live;

    /// Cookie with the token, besides Authorization: Bearer, the subprotocols and ?token=
    auth_jwt_cookie: One<String> = TEXT, Preset::words("no cookie", "jwt"), Live;

    /// Header with the user's name, which a proxy sets that has its users log in itself
    auth_trusted_header: One<String> = TEXT, Preset::words("no header", "X-Remote-User"), Live;

    /// Address or network of that proxy, "unix" for Unix sockets; may be repeated. The header of
    /// anybody else is refused. Apart from --forwarded-allow-ips: who tells addresses need not keep
    /// clients from writing this header
    auth_trusted_proxy: Many<String> = NETWORK, Preset::of("127.0.0.1,::1"), Live;

    /// Address of your own server that says who sends the cookies of a request, such as a Django
    auth_backend_url: One<String> =
        URL, Preset::words("nobody is asked", "http://127.0.0.1:8001/landline/auth/"), Live;

    /// Header that is shown to it; may be repeated
    auth_backend_header: Many<String> = TEXT, Preset::of("Cookie,Authorization"), Live;

    /// Authorities in PEM whose certificates it may have, instead of those that are known to all
    auth_backend_ca_certs: One<PathBuf> = FILE, Preset::words("those known to all", "ca.pem"), Live;

    /// Time for its answer; without one, nobody is let in (503)
    auth_backend_timeout: One<Duration> = SECONDS, Preset::seconds(Duration::from_secs(5)), Live;

    /// Path that needs a login, with all below it; may be repeated. Publishing and the page for
    /// operators have their own keys; /healthz, /readyz and /static/ need none
    auth_route: Many<String> = PATH_BEGIN, Preset::words("every path", "/ws/"), Live;

    /// Let in who shows nothing at all, as nobody in particular; what is wrong is still refused
    auth_optional: One<bool> = FLAG, Preset::of(false), Live;

    /// Close code for a WebSocket whose token or session has expired
    auth_close_code: One<u16> = CLOSE_CODE, Preset::of(4401), Live;

    /// Key for signed names of groups (?group= of facilities, private- rooms of the chat), 32
    /// characters or more
    auth_group_key: One<Secret> = KEY, Preset::words("no signed names", ""), Live;
}
