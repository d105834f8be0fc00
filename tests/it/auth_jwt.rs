//! Tokens: every algorithm, every place, and all that can be wrong with them.

use std::time::Duration;

use base64::Engine as _;
use landline::{
    Auth, Jwt, Request, Result, Server, TokenSource, WebSocket, get, require_websocket,
};
use serde_json::{Value, json};

use crate::harness::{Client, Reply, Running, echo};
use crate::tokens::{
    ED25519_PUBLIC, OTHER_SECRET, P256_PUBLIC, RSA_PUBLIC, SECRET, Signer, encoded, in_seconds,
};

const BY_SECRET: Signer = Signer::Secret(SECRET);

fn by_secret() -> Jwt {
    Jwt::with_key(SECRET).unwrap()
}

fn flaw(jwt: &Jwt, token: &str) -> String {
    let error = jwt.verify(token).unwrap_err();
    assert!(token.is_empty() || !error.chain().contains(token), "{error}");
    error.to_string()
}

fn claims() -> Value {
    json!({ "sub": "anna", "exp": in_seconds(3600) })
}

#[test]
fn each_algorithm_has_its_key_and_no_other() {
    let keys = [
        (SECRET, BY_SECRET),
        (RSA_PUBLIC, Signer::Rsa),
        (P256_PUBLIC, Signer::P256),
        (ED25519_PUBLIC, Signer::Ed25519),
    ];
    for (key, signer) in keys {
        let jwt = Jwt::with_key(key).unwrap();
        assert_eq!(
            jwt.verify(&signer.token_of("anna")).unwrap().name(),
            Some("anna"),
            "{signer:?}"
        );
        for (_, other) in keys {
            if other.algorithm() == signer.algorithm() {
                continue;
            }
            let not_known = "The token is not signed by a key that is known here.";
            assert_eq!(flaw(&jwt, &other.token_of("anna")), not_known, "{other:?}");
            // The signature of one, the name of another.
            let head = json!({ "alg": other.algorithm() });
            assert_eq!(flaw(&jwt, &signer.token(&head, &claims())), not_known, "{head}");
            let head = json!({ "alg": signer.algorithm() });
            assert_eq!(flaw(&jwt, &other.token(&head, &claims())), not_known, "{other:?}");
        }
    }
}

#[test]
fn a_public_key_is_no_secret() {
    // The confusion of algorithms: HMAC with what everybody knows.
    for key in [RSA_PUBLIC, P256_PUBLIC, ED25519_PUBLIC] {
        let jwt = Jwt::with_key(key).unwrap();
        for secret in [key, key.trim_end()] {
            let head = json!({ "alg": "HS256" });
            let leaked: &'static str = Box::leak(secret.to_owned().into_boxed_str());
            assert!(jwt.verify(&Signer::Secret(leaked).token(&head, &claims())).is_err());
        }
    }
}

#[test]
fn unsigned_and_foreign_tokens_are_refused() {
    let jwt = by_secret();
    for name in ["none", "None", "nOnE", "", "HS384", "HS512", "hs256", "RS256", "PS256"] {
        let head = json!({ "alg": name });
        for signer in [Signer::Nobody, BY_SECRET] {
            assert!(jwt.verify(&signer.token(&head, &claims())).is_err(), "{name} by {signer:?}");
        }
    }
    for head in [json!({}), json!([]), json!({ "alg": 1 }), json!({ "alg": null }), json!("HS256")]
    {
        assert_eq!(
            flaw(&jwt, &BY_SECRET.token(&head, &claims())),
            "The token is malformed.",
            "{head}"
        );
    }
    let critical = json!({ "alg": "HS256", "crit": ["exp"] });
    assert!(jwt.verify(&BY_SECRET.token(&critical, &claims())).is_err());
    assert!(jwt.verify(&Signer::Secret(OTHER_SECRET).token_of("anna")).is_err());
    let rsa = Jwt::with_key(RSA_PUBLIC).unwrap();
    assert!(rsa.verify(&Signer::OtherRsa.token_of("anna")).is_err());
}

#[test]
fn a_token_that_was_touched_is_refused() {
    let (jwt, token) = (by_secret(), BY_SECRET.token_of("anna"));
    assert!(jwt.verify(&token).is_ok());
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(jwt.verify(&changed).is_err(), "changed at {at}");
    }
    let [head, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        unreachable!()
    };
    for wrong in [
        String::new(),
        ".".into(),
        "..".into(),
        format!("{head}.{claims}"),
        format!("{head}.{claims}."),
        format!("{head}.{claims}.{signature}."),
        format!("{head}.{claims}.{signature}="),
        format!("{head}.{claims}.{signature}.{signature}.{signature}"),
        format!(" {token}"),
        format!("{token} "),
        format!("{head}.{}.{signature}", encoded(r#"{"sub":"root","exp":9999999999}"#)),
    ] {
        assert!(jwt.verify(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn time_issuer_audience_and_size_are_kept() {
    let jwt = by_secret().issuer("login").audience("chat").leeway(Duration::from_secs(5));
    let good = json!({ "sub": "anna", "iss": "login", "aud": "chat", "exp": in_seconds(60) });
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        BY_SECRET.token(&BY_SECRET.head(), &claims)
    };
    assert!(jwt.verify(&with("x", json!(1))).is_ok());
    for (token, words) in [
        (with("exp", json!(in_seconds(-60))), "The token has expired."),
        (with("exp", json!(null)), "The token is malformed."),
        (with("nbf", json!(in_seconds(60))), "The token is not valid yet."),
        (with("iss", json!("else")), "The token is of another issuer."),
        (with("aud", json!("else")), "The token is for another audience."),
        (with("sub", json!("")), "The token does not say whose it is."),
        (with("x", json!("x".repeat(9000))), "The token is too long."),
    ] {
        assert_eq!(flaw(&jwt, &token), words);
    }
    let mut endless = good.clone();
    endless.as_object_mut().unwrap().remove("exp");
    let endless = BY_SECRET.token(&BY_SECRET.head(), &endless);
    assert_eq!(flaw(&jwt, &endless), "The token does not say when it expires.");
    assert!(jwt.allow_without_expiry().verify(&endless).is_ok());
}

#[test]
fn a_deep_token_needs_no_deep_stack() {
    let deep = format!("{}{}", "[".repeat(3000), "]".repeat(3000));
    let server = serve(by_secret());
    for part in [deep.clone(), format!(r#"{{"alg":{deep}}}"#), format!(r#"{{"x":{deep}}}"#)] {
        let token = format!("{}.{}.x", encoded(&part), encoded("{}"));
        assert_eq!(ask(&server, "/", &format!("Authorization: Bearer {token}")).status, 401);
    }
    server.serves_the_next();
}

/// A set of public keys as providers publish it.
fn jwks() -> Value {
    let part = |bytes: &[u8]| encoded(bytes);
    let spki = |pem: &str| crate::tokens::der(pem);
    let (rsa, p256, ed) = (spki(RSA_PUBLIC), spki(P256_PUBLIC), spki(ED25519_PUBLIC));
    // Behind 33 bytes of a 2048-bit key's description, up to the exponent; the others end with it.
    let n = &rsa[33..33 + 256];
    let point = &p256[p256.len() - 64..];
    json!({ "keys": [
        { "kty": "RSA", "kid": "r", "use": "sig", "alg": "RS256", "n": part(n), "e": "AQAB" },
        { "kty": "EC", "kid": "p", "crv": "P-256", "x": part(&point[..32]), "y": part(&point[32..]) },
        { "kty": "OKP", "kid": "e", "crv": "Ed25519", "x": part(&ed[ed.len() - 32..]) },
        { "kty": "RSA", "kid": "enc", "use": "enc", "n": "AQAB", "e": "AQAB" },
        { "kty": "EC", "kid": "big", "crv": "P-521", "x": "AQAB", "y": "AQAB" },
        { "kty": "RSA", "kid": "pss", "alg": "PS256", "n": part(n), "e": "AQAB" },
    ]})
}

#[test]
fn a_set_of_keys_knows_them_by_name() {
    let jwt = Jwt::with_jwks(jwks().to_string()).unwrap();
    for (signer, id) in [(Signer::Rsa, "r"), (Signer::P256, "p"), (Signer::Ed25519, "e")] {
        let token = |id: Value| {
            let head = json!({ "alg": signer.algorithm(), "kid": id });
            jwt.verify(&signer.token(&head, &claims()))
        };
        assert!(token(json!(id)).is_ok(), "{id}");
        assert!(token(json!(null)).is_ok(), "{id} is the only one of its kind");
        for other in ["x", "enc", "big", "pss", "R", ""] {
            assert!(token(json!(other)).is_err(), "{other}");
        }
    }
}

#[test]
fn keys_of_no_use_are_named_when_they_are_read() {
    for (key, words) in [
        ("short", "32 bytes"),
        (include_str!("keys/rsa.pem"), "private key"),
        (include_str!("keys/p256.pem"), "private key"),
        (include_str!("keys/p384.pub.pem"), "P-256"),
        (include_str!("keys/rsa1024.pub.pem"), "2048"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "certificate"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "no public key"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA", "malformed"),
    ] {
        let error = Jwt::with_key(key).unwrap_err().chain();
        assert!(error.contains(words) && !error.contains("AAAA"), "{error}");
    }
    assert!(Jwt::with_key(include_str!("keys/rsa.pkcs1.pem")).is_ok());
    let both = Jwt::with_key(format!("{RSA_PUBLIC}{ED25519_PUBLIC}")).unwrap();
    assert!(both.verify(&Signer::Rsa.token_of("a")).is_ok());
    assert!(both.verify(&Signer::Ed25519.token_of("a")).is_ok());
    let private = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "AA", "d": "AA" }] });
    let short = json!({ "keys": [{ "kty": "oct", "k": "AAAA" }] });
    for (set, words) in [
        ("{".to_owned(), "JSON"),
        ("{}".to_owned(), "\"keys\""),
        (json!({ "keys": [] }).to_string(), "no key"),
        (json!({ "keys": [{ "kty": "EC", "crv": "P-521" }] }).to_string(), "no key"),
        (private.to_string(), "private"),
        (short.to_string(), "32 bytes"),
        (json!({ "keys": [{}] }).to_string(), "key number 1"),
        (json!({ "keys": vec![json!({ "kty": "x" }); 65] }).to_string(), "64"),
    ] {
        let error = Jwt::with_jwks(&set).unwrap_err().chain();
        assert!(error.contains(words), "{set:.60}: {error}");
    }
}

#[test]
fn a_file_is_read_again() {
    let path = std::env::temp_dir().join(format!("landline-jwt-{}", std::process::id()));
    std::fs::write(&path, format!("{SECRET}\n")).unwrap();
    let jwt = Jwt::key_file(&path).unwrap();
    let clone = jwt.clone().issuer("x");
    assert!(jwt.verify(&BY_SECRET.token_of("anna")).is_ok());
    std::fs::write(&path, "short").unwrap();
    let error = clone.reload().unwrap_err().chain();
    assert!(error.contains(path.to_str().unwrap()) && error.contains("32 bytes"), "{error}");
    assert!(jwt.verify(&BY_SECRET.token_of("anna")).is_ok(), "the old key stays");
    std::fs::write(&path, RSA_PUBLIC).unwrap();
    clone.reload().unwrap();
    assert!(jwt.verify(&BY_SECRET.token_of("anna")).is_err());
    assert!(jwt.verify(&Signer::Rsa.token_of("anna")).is_ok());
    std::fs::remove_file(&path).unwrap();
    assert!(clone.reload().is_err() && Jwt::jwks_file(&path).is_err());
}

fn greet(request: &Request, ws: &WebSocket) -> Result<()> {
    let name = request.identity().and_then(|identity| identity.name()).unwrap_or("nobody");
    assert!(ws.subprotocols().iter().all(|name| !name.contains('.')), "a token is shown");
    ws.send(name)?;
    while ws.wait()?.is_some() {}
    Ok(())
}

fn serve(jwt: Jwt) -> Running {
    let name = |request: &Request| {
        request.identity().and_then(|identity| identity.name()).unwrap_or("nobody").to_owned()
    };
    let cookies = |_: &Request, ws: &WebSocket| ws.accept_with(None, &[("Set-Cookie", "a=b")]);
    Running::start(
        Server::builder()
            .route("/", get(name))
            .route("/ws", require_websocket(greet))
            .route("/chat", require_websocket(greet).subprotocols(["chat"]))
            .route("/cookie", require_websocket(cookies))
            .route("/echo", require_websocket(echo).authenticate(Auth::open()))
            .authenticate(jwt),
    )
}

fn ask(server: &Running, target: &str, line: &str) -> Reply {
    let line = if line.is_empty() { String::new() } else { format!("{line}\r\n") };
    server.connect().ask(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{line}\r\n"))
}

fn handshake(server: &Running, target: &str, line: &str) -> (Client, Reply) {
    let mut client = server.connect();
    let head = Client::handshake_head(target);
    let reply = client.ask(head.replacen("\r\n", &format!("\r\n{line}\r\n"), 1));
    (client, reply)
}

fn every_source() -> Vec<TokenSource> {
    let (cookie, query) = (TokenSource::Cookie("jwt".into()), TokenSource::Query("token".into()));
    vec![TokenSource::Header, TokenSource::Subprotocol, cookie, query]
}

#[test]
fn a_token_is_found_wherever_it_may_stand() {
    let (token, wrong) = (BY_SECRET.token_of("anna"), Signer::Secret(OTHER_SECRET).token_of("eve"));
    let server = serve(by_secret().sources(every_source()).unwrap());
    let places = |token: &str| {
        [
            ("/ws".to_owned(), format!("Authorization: Bearer {token}")),
            ("/ws".to_owned(), format!("authorization: bearer  {token}")),
            ("/ws".to_owned(), format!("Sec-WebSocket-Protocol: bearer, {token}")),
            ("/ws".to_owned(), format!("Cookie: a=b; jwt={token}")),
            (format!("/ws?token={token}"), "X: y".to_owned()),
        ]
    };
    for (target, line) in places(&token) {
        let (mut client, reply) = handshake(&server, &target, &line);
        assert_eq!(reply.status, 101, "{line}: {}", reply.text());
        assert!(!reply.head.contains(&token), "{}", reply.head);
        assert_eq!(client.expect_text(), "anna");
    }
    for (target, line) in places(&wrong) {
        let (_, reply) = handshake(&server, &target, &line);
        assert_eq!(reply.status, 401, "{line}");
        assert!(!reply.head.contains(&wrong) && !reply.text().contains(&wrong));
        let challenge = reply.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer realm=\"landline\", error=\"invalid_token\""));
    }
    // Plain HTTP has no subprotocols.
    assert_eq!(ask(&server, "/", &format!("Authorization: Bearer {token}")).text(), "anna");
    let line = format!("Sec-WebSocket-Protocol: bearer, {token}");
    let reply = ask(&server, "/", &line);
    assert_eq!(
        (reply.status, reply.header("www-authenticate")),
        (401, Some("Bearer realm=\"landline\""))
    );
}

#[test]
fn places_that_are_not_named_are_not_looked_at() {
    let token = BY_SECRET.token_of("anna");
    let server = serve(by_secret());
    assert_eq!(ask(&server, "/", &format!("Cookie: jwt={token}")).status, 401);
    let only_header = serve(by_secret().sources([TokenSource::Header]).unwrap());
    assert_eq!(ask(&only_header, &format!("/?token={token}"), "").status, 401);
    let (_, reply) =
        handshake(&only_header, "/ws", &format!("Sec-WebSocket-Protocol: bearer, {token}"));
    assert_eq!(reply.status, 401);
    assert!(by_secret().sources([TokenSource::Cookie("a b".into())]).is_err());
    assert!(by_secret().sources([TokenSource::Query(String::new())]).is_err());
}

#[test]
fn tokens_of_two_places_have_to_be_the_same() {
    let (anna, ben) = (BY_SECRET.token_of("anna"), BY_SECRET.token_of("ben"));
    let server = serve(by_secret().sources(every_source()).unwrap());
    let same = format!("Authorization: Bearer {anna}\r\nCookie: jwt={anna}");
    assert_eq!(ask(&server, &format!("/?token={anna}"), &same).text(), "anna");
    for (target, line) in [
        ("/".to_owned(), format!("Authorization: Bearer {anna}\r\nCookie: jwt={ben}")),
        ("/".to_owned(), format!("Authorization: Bearer {anna}\r\nAuthorization: Bearer {ben}")),
        ("/".to_owned(), format!("Cookie: jwt={anna}; jwt={ben}")),
        (format!("/?token={anna}&token={ben}"), "X: y".to_owned()),
        (format!("/?token={ben}"), format!("Authorization: Bearer {anna}")),
        ("/?token=".to_owned(), format!("Authorization: Bearer {anna}")),
        ("/".to_owned(), "Authorization: Bearer".to_owned()),
    ] {
        assert_eq!(ask(&server, &target, &line).status, 401, "{target} {line}");
    }
    // Said by its place, and not found out with a key.
    let reply = ask(&server, "/?token=", "");
    assert_eq!(reply.text(), "There is a place for a token, but no token in it.\n");
    // Another way to log in is somebody else's business.
    let basic = base64::engine::general_purpose::STANDARD.encode("a:b");
    let line = format!("Authorization: Basic {basic}\r\nCookie: jwt={anna}");
    assert_eq!(ask(&server, "/", &line).text(), "anna");
}

#[test]
fn the_answer_names_the_way_and_never_the_token() {
    let token = BY_SECRET.token_of("anna");
    let server = serve(by_secret());
    let protocol = |target: &str, offered: &str| {
        let line = format!("Sec-WebSocket-Protocol: {offered}");
        let (_, reply) = handshake(&server, target, &line);
        assert_eq!(reply.status, 101, "{offered}");
        assert!(!reply.head.contains(&token), "{}", reply.head);
        reply.header("sec-websocket-protocol").map(str::to_owned)
    };
    let bearer = Some("bearer".to_owned());
    assert_eq!(protocol("/ws", &format!("bearer, {token}")), bearer);
    assert_eq!(protocol("/ws", &format!("chat, bearer, {token}, other")), bearer);
    assert_eq!(protocol("/cookie", &format!("bearer, {token}")), bearer);
    assert_eq!(protocol("/chat", &format!("bearer, {token}, chat")), Some("chat".into()));
    assert_eq!(protocol("/chat", &format!("bearer, {token}")), bearer);
    let (_, reply) = handshake(&server, "/ws", &format!("Sec-WebSocket-Protocol: {token}, bearer"));
    assert_eq!(reply.status, 401, "the word comes first");
}
