//! What responses hold, and what makes them faulty.

use super::*;

#[test]
fn bodies_say_their_type_and_charset() {
    let rows = [
        (Response::text("x"), "text/plain; charset=utf-8"),
        (Response::html("x"), "text/html; charset=utf-8"),
        (Response::json("x").unwrap(), "application/json; charset=utf-8"),
        (Response::bytes("image/png", *b"x"), "image/png"),
        (Response::reader("text/csv", std::io::empty(), None), "text/csv"),
    ];
    for (response, content_type) in rows {
        assert_eq!(response.header("content-type"), Some(content_type));
        assert_eq!(response.header("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(response.status_code(), 200);
    }
}

#[test]
fn a_header_cannot_be_split() {
    for bad in ["a\r\nX: y", "a\n", "\r", "a\0b", "\u{7f}", "ü", "\u{1b}[31m"] {
        let response = Response::text("x").with_header("X-Name", bad);
        assert_eq!(response.status_code(), 500, "{bad:?}");
        assert!(!response.fault().unwrap().to_string().contains(['\r', '\n', '\u{1b}']));
    }
    for bad in ["", "a b", "a:", "a\r\nb", "ü"] {
        assert!(Response::text("x").with_header(bad, "y").fault().is_some(), "{bad:?}");
    }
    assert!(Response::bytes("text/html\r\nX: y", "").fault().is_some());
    assert!(Response::redirect("/\r\nX: y").fault().is_some());
}

#[test]
fn framing_belongs_to_the_server() {
    for name in ["Content-Length", "transfer-encoding", "Trailer"] {
        assert!(Response::text("x").with_header(name, "1").fault().is_some());
    }
    assert!(Response::text("x").with_header("Connection", "keep-alive").fault().is_some());
    let response = Response::text("x").with_header("connection", "Close");
    assert!(response.closes() && response.fault().is_none());
}

#[test]
fn a_header_is_replaced_but_cookies_add_up() {
    let response = Response::text("x")
        .with_header("content-type", "text/css")
        .with_cookie(Cookie::new("a", "1"))
        .with_cookie(Cookie::build(("b", "2")).path("/").http_only(true).build());
    assert_eq!(response.header("Content-Type"), Some("text/css"));
    let cookies: Vec<_> =
        response.headers.iter().filter(|header| header.field.equiv("Set-Cookie")).collect();
    assert_eq!(cookies.len(), 2);
    assert_eq!(cookies[1].value.as_str(), "b=2; HttpOnly; Path=/");
}

#[test]
fn an_unsafe_cookie_spoils_the_response() {
    let response = Response::text("x").with_cookie(Cookie::new("a", "1; Path=/\r\n"));
    assert_eq!(response.status_code(), 500);
}

#[test]
fn only_a_final_status_can_be_answered() {
    assert_eq!(Response::empty(204).status_code(), 204);
    assert_eq!(Response::status(404).body(), Some(&b"Not Found\n"[..]));
    for bad in [0, 100, 101, 199, 600, u16::MAX] {
        assert!(Response::empty(bad).fault().is_some(), "{bad}");
    }
}

#[test]
fn a_redirect_encodes_its_address() {
    let response = Response::redirect("/chat/你 好/?a=%20&b=c#d");
    assert_eq!(response.status_code(), 302);
    let location = "/chat/%E4%BD%A0%20%E5%A5%BD/?a=%20&b=c#d";
    assert_eq!(response.header("location"), Some(location));
}

#[test]
fn the_marker_is_told_apart() {
    assert!(Response::closed().is_closed_marker() && Response::closed().body().is_none());
    assert!(!Response::empty(204).is_closed_marker());
}
