//! Signed names of groups: by them a client joins what nobody else can.

use std::time::{Duration, SystemTime};

use landline::{
    Admission, Auth, Consumer, Context, GroupSigner, Hub, Identity, Request, Result, Server,
    Verdict, WebSocket, consumer, facility, require_websocket,
};

use crate::harness::{Client, Running};

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn by_name(request: &Request) -> Result<Verdict> {
    let name = request.query("user");
    Ok(name.map_or(Verdict::NotMine, |name| Verdict::Known(Identity::default().user(name))))
}

fn signer() -> GroupSigner {
    GroupSigner::with_key(KEY).unwrap()
}

/// A signed name that is good for a minute.
fn signed(group: &str, user: Option<&str>) -> String {
    signer().sign(group, SystemTime::now() + Duration::from_secs(60), user)
}

fn expired(group: &str) -> String {
    signer().sign(group, SystemTime::now() - Duration::from_secs(1), None)
}

fn member(request: &Request, ws: &WebSocket) -> Result<()> {
    ws.join(request.signed_group(request.query("group").unwrap_or_default())?)?;
    while ws.wait()?.is_some() {}
    Ok(())
}

struct Member;

impl Consumer for Member {
    fn connect(&mut self, ctx: &Context<'_>) -> Result<Admission> {
        ctx.join_signed(ctx.request().query("group").unwrap_or_default())?;
        Ok(Admission::accept())
    }
}

fn serve(hub: &Hub, signer: Option<GroupSigner>) -> Running {
    let builder = Server::builder()
        .hub(hub.clone())
        .route("/handler", require_websocket(member))
        .route("/consumer", consumer(|_| Member))
        .route("/ws/<facility>/", facility())
        .authenticate(Auth::new(by_name).optional());
    Running::start(match signer {
        Some(signer) => builder.group_signer(signer),
        None => builder,
    })
}

fn status(server: &Running, target: &str) -> (u16, String) {
    let reply = server.connect().ask(Client::handshake_head(target));
    (reply.status, reply.text().to_owned())
}

#[test]
fn a_signed_name_opens_its_group_and_nothing_else_does() {
    let hub = Hub::new();
    let server = serve(&hub, Some(signer()));
    for path in ["/handler", "/consumer"] {
        let mut client =
            server.websocket(&format!("{path}?group={}", signed("private:房间", None)));
        hub.group("private:房间").send("for members").unwrap();
        assert_eq!(client.expect_text(), "for members", "{path}");
        let other = GroupSigner::with_key("f".repeat(32)).unwrap();
        let until = SystemTime::now() + Duration::from_secs(60);
        for (token, words) in [
            (String::new(), "malformed"),
            ("private:a".into(), "malformed"),
            (expired("a"), "expired"),
            (other.sign("a", until, None), "not signed by a key"),
            (signed("a", Some("anna")), "somebody else"),
            (signed("a", None).replacen("YQ", "Yg", 1), "not signed by a key"),
        ] {
            let (status, text) = status(&server, &format!("{path}?group={token}"));
            assert_eq!(status, 403, "{path} {token}");
            assert!(text.contains(words) && !text.contains("g1."), "{text}");
        }
        drop(server.websocket(&format!("{path}?user=anna&group={}", signed("a", Some("anna")))));
        let of_anna = signed("a", Some("anna"));
        assert_eq!(status(&server, &format!("{path}?user=ben&group={of_anna}")).0, 403);
    }
}

#[test]
fn a_facility_adds_the_groups_of_signed_names() {
    let hub = Hub::new();
    let server = serve(&hub, Some(signer()));
    let (a, b) = (signed("a", None), signed("b", Some("anna")));
    let mut client =
        server.websocket(&format!("/ws/news/?subscribe-group&user=anna&group={a}&group={b}"));
    for group in ["a", "b"] {
        hub.publisher("news").groups([group]).send(group).unwrap();
        assert_eq!(client.expect_text(), group);
    }
    for wrong in [expired("a"), "a".into(), b] {
        let target = format!("/ws/news/?subscribe-group&group={a}&group={wrong}");
        assert_eq!(status(&server, &target).0, 403);
    }
    let (status, _) = status(&server, "/ws/news/?subscribe-group");
    assert_eq!(status, 403, "without a group there is no channel");
}

#[test]
fn without_a_key_nothing_is_understood() {
    let hub = Hub::new();
    let server = serve(&hub, None);
    let token = signed("a", None);
    assert_eq!(status(&server, &format!("/handler?group={token}")).0, 500);
    assert_eq!(status(&server, &format!("/ws/x/?subscribe-group&group={token}")).0, 403);
    drop(server.websocket(&format!("/ws/x/?subscribe-broadcast&group={token}")));
    server.handle.reload_group_signer(Some(signer()));
    drop(server.websocket(&format!("/handler?group={token}")));
    server.handle.reload_group_signer(None);
    assert_eq!(status(&server, &format!("/handler?group={token}")).0, 500);
}

#[test]
fn a_file_of_keys_is_read_again() {
    let path = std::env::temp_dir().join(format!("landline-groups-{}", std::process::id()));
    std::fs::write(&path, KEY).unwrap();
    let of_file = GroupSigner::key_file(&path).unwrap();
    let token = signed("a", None);
    assert_eq!(of_file.verify(&token, None).unwrap(), "a");
    std::fs::write(&path, "short").unwrap();
    let error = of_file.reload().unwrap_err().chain();
    assert!(error.contains(path.to_str().unwrap()) && !error.contains("short"), "{error}");
    std::fs::write(&path, format!("{}\n{KEY}\n", "n".repeat(32))).unwrap();
    of_file.reload().unwrap();
    assert_eq!(of_file.verify(&token, None).unwrap(), "a", "the old key is still known");
    let new = of_file.sign("a", SystemTime::now() + Duration::from_secs(60), None);
    assert!(signer().verify(&new, None).is_err(), "the new one signs");
    std::fs::remove_file(&path).unwrap();
}
