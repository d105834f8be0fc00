//! What is read out of requests, and what is not.

use super::*;
use crate::route::publish::publication::Target;
use proptest::prelude::*;

fn headers(fields: &[(&str, &str)]) -> Headers {
    Headers::from_fields(fields.iter().map(|(name, value)| (*name, value.as_bytes())))
}

fn pairs(query: &str) -> Pairs {
    Pairs::parse(query.as_bytes()).unwrap()
}

fn read_with(
    kind: Kind,
    fields: &[(&str, &str)],
    query: &str,
    body: &[u8],
) -> Result<Asked, Fault> {
    let (headers, query) = (headers(fields), pairs(query));
    Asked::of_body(kind, Parts { headers: &headers, query: &query, body, max_message_bytes: 8 })
}

fn json(body: &str) -> Result<Asked, Fault> {
    read_with(Kind::Json, &[], "", body.as_bytes())
}

fn texts(asked: &Asked) -> Vec<&str> {
    asked.publications.iter().filter_map(|publication| publication.message().as_text()).collect()
}

#[test]
fn the_content_type_tells_how_to_read() {
    let kind = |value: &str| Kind::of(&headers(&[("Content-Type", value)]));
    for (value, expected) in [
        ("application/json", Kind::Json),
        ("Application/JSON; charset=UTF-8", Kind::Json),
        ("application/x-www-form-urlencoded", Kind::Form),
        ("text/plain;charset=\"utf-8\"", Kind::Text),
        ("application/octet-stream", Kind::Binary),
    ] {
        assert_eq!(kind(value), Ok(expected), "{value}");
    }
    for wrong in ["", "text/html", "application/jsonp", "text/plain; charset=latin1", "*/*"] {
        assert_eq!(kind(wrong).unwrap_err().status(), 415, "{wrong}");
    }
    assert_eq!(Kind::of(&headers(&[])).unwrap_err().status(), 415);
    let twice = [("Content-Type", "text/plain"), ("Content-Type", "application/json")];
    assert_eq!(Kind::of(&headers(&twice)).unwrap_err().status(), 415);
    let wrong = Kind::of(&headers(&[("Content-Type", "text/html")])).unwrap_err();
    assert!(wrong.error().starts_with("The Content-Type \"text/html\" is not understood; send"));
    assert!(Kind::of(&headers(&[])).unwrap_err().error().starts_with("There is no Content-Type;"));
    let packed = [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")];
    assert_eq!(Kind::of(&headers(&packed)).unwrap_err().status(), 415);
}

#[test]
fn one_and_many_are_read() {
    let one = json(r#"{"group": "a", "message": "x", "idempotency_key": "k"}"#).unwrap();
    assert_eq!((texts(&one), one.is_batch), (vec!["x"], false));
    assert_eq!(one.idempotency_key.as_deref(), Some("k"));
    let list = r#"[{"group": "a", "message": "x"}, {"everybody": true, "message": "y"}]"#;
    let many = json(list).unwrap();
    assert_eq!((texts(&many), many.is_batch), (vec!["x", "y"], true));
    let many = json(&format!("{{\"messages\": {list}, \"idempotency_key\": \"k\"}}")).unwrap();
    assert_eq!((texts(&many), many.idempotency_key.as_deref()), (vec!["x", "y"], Some("k")));
    let form = read_with(Kind::Form, &[], "", b"group=a&group=b&message=x+y").unwrap();
    assert_eq!(texts(&form), ["x y"]);
    assert_eq!(form.publications[0].target(), &Target::Groups(vec!["a".into(), "b".into()]));
    let raw = read_with(Kind::Binary, &[], "conn=3", b"\xff\0").unwrap();
    assert_eq!(raw.publications[0].message(), &Message::from(b"\xff\0"));
    let raw = read_with(Kind::Text, &[], "everybody=true", b"").unwrap();
    assert_eq!(texts(&raw), [""]);
}

#[test]
fn a_query_alone_goes_to_everybody_by_default() {
    let read = |query: &str| {
        let (headers, query) = (headers(&[]), pairs(query));
        let parts = Parts { headers: &headers, query: &query, body: b"", max_message_bytes: 8 };
        Asked::of_query(parts).map(|asked| asked.publications[0].target().clone())
    };
    assert_eq!(read("message=x"), Ok(Target::Everybody));
    assert_eq!(read("message=x&group=a"), Ok(Target::Groups(vec!["a".into()])));
    assert_eq!(read("").unwrap_err().field(), Some("message"));
    let twice = read("message=x&message=y").unwrap_err();
    assert_eq!(twice.error(), "`message` must be a string, not given 2 times.");
    assert_eq!(read("message=x&key=secret").unwrap_err().field(), Some("key"));
    assert_eq!(read("message=123456789").unwrap_err().status(), 413);
}

#[test]
fn what_is_wrong_in_a_batch_has_its_index() {
    let good = r#"{"group": "a", "message": "x"}"#;
    for (wrong, field) in [
        ("1", None),
        ("[]", None),
        (r#"{"group": "a"}"#, Some("message")),
        (r#"{"message": "x"}"#, None),
        (r#"{"group": "a", "message": "x", "idempotency_key": "k"}"#, Some("idempotency_key")),
        (r#"{"group": "a", "message": "123456789"}"#, Some("message")),
    ] {
        let fault = json(&format!("[{good}, {wrong}, {good}]")).unwrap_err();
        assert_eq!((fault.index(), fault.field()), (Some(1), field), "{wrong}: {}", fault.error());
    }
    for wrong in ["[]", "{\"messages\": {}}", "{\"messages\": [], \"group\": \"a\"}", "1", "\"x\""]
    {
        assert_eq!(json(wrong).unwrap_err().status(), 400, "{wrong}");
    }
    let batch = |number: usize| format!("[{}]", vec![good; number].join(","));
    assert_eq!(json(&batch(MAX_BATCH)).unwrap().publications.len(), MAX_BATCH);
    assert_eq!(json(&batch(MAX_BATCH + 1)).unwrap_err().status(), 413);
}

#[test]
fn a_query_beside_a_body_that_says_it_all_is_refused() {
    for (kind, body) in [
        (Kind::Json, &br#"{"group": "a", "message": "x"}"#[..]),
        (Kind::Form, b"group=a&message=x"),
    ] {
        let fault = read_with(kind, &[], "group=b", body).unwrap_err();
        assert_eq!((fault.status(), fault.field()), (400, Some("group")));
    }
}

#[test]
fn the_key_is_in_field_or_header() {
    let with = |fields: &[(&str, &str)], body: &str| {
        read_with(Kind::Json, fields, "", body.as_bytes()).map(|asked| asked.idempotency_key)
    };
    let plain = r#"{"group": "a", "message": "x"}"#;
    let keyed = r#"{"group": "a", "message": "x", "idempotency_key": "k"}"#;
    assert_eq!(with(&[], plain), Ok(None));
    assert_eq!(with(&[(KEY_HEADER, "k")], plain), Ok(Some("k".into())));
    assert_eq!(with(&[(KEY_HEADER, "\"k\"")], keyed), Ok(Some("k".into())));
    assert_eq!(with(&[(KEY_HEADER, "k")], &format!("[{plain}]")), Ok(Some("k".into())));
    let long = "k".repeat(MAX_KEY_BYTES + 1);
    for (fields, body) in [
        (&[(KEY_HEADER, "other")][..], keyed),
        (&[(KEY_HEADER, "")], plain),
        (&[(KEY_HEADER, long.as_str())], plain),
        (&[(KEY_HEADER, "a"), (KEY_HEADER, "a")], plain),
        (&[], r#"{"group": "a", "message": "x", "idempotency_key": ""}"#),
        (&[], r#"{"group": "a", "message": "x", "idempotency_key": "a\nb"}"#),
        (&[], r#"{"group": "a", "message": "x", "idempotency_key": 1}"#),
    ] {
        assert_eq!(with(fields, body).unwrap_err().status(), 400, "{fields:?} {body}");
    }
}

#[test]
fn text_that_is_no_utf8_is_refused_as_text() {
    let fault = read_with(Kind::Text, &[], "group=a", b"\xff").unwrap_err();
    assert!(fault.error().contains("octet-stream"));
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        query in "[a-z=&+0-9]{0,20}",
    ) {
        for kind in [Kind::Json, Kind::Form, Kind::Text, Kind::Binary] {
            if let Err(fault) = read_with(kind, &[], &query, &bytes) {
                prop_assert!(matches!(fault.status(), 400 | 413), "{fault:?}");
            }
        }
    }
}
