//! Lists of proxies, with lies on their left, and what is written as it must not be.

use super::*;
use proptest::prelude::*;

const PROXIES: &str = "10.0.0.0/8 2001:db8:1::/48";

fn headers(fields: &[(&'static str, &str)]) -> Headers {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    Headers::from_fields(fields.iter().copied())
}

fn read(kind: ProxyHeaders, fields: &[(&'static str, &str)]) -> Result<Forwarded, Refusal> {
    Forwarded::read(&headers(fields), kind, &PROXIES.parse().unwrap())
}

fn client(kind: ProxyHeaders, name: &'static str, value: &str) -> Option<String> {
    read(kind, &[(name, value)]).unwrap().client.map(|client| client.to_string())
}

fn x_for(value: &str) -> Option<String> {
    client(ProxyHeaders::XForwarded, "X-Forwarded-For", value)
}

fn rfc_for(value: &str) -> Option<String> {
    client(ProxyHeaders::Forwarded, "Forwarded", value)
}

#[test]
fn the_right_most_address_that_is_not_trusted_is_the_client() {
    for (list, client) in [
        ("192.0.2.7", "192.0.2.7"),
        ("1.1.1.1, 192.0.2.7", "192.0.2.7"),
        ("1.1.1.1,192.0.2.7 ,10.0.0.9\t, 10.1.1.1", "192.0.2.7"),
        ("10.0.0.1, 192.0.2.7, 10.1.1.1", "192.0.2.7"),
        ("192.0.2.7:4711", "192.0.2.7"),
        ("2001:db8:2::7", "2001:db8:2::7"),
        ("[2001:db8:2::7]", "2001:db8:2::7"),
        ("[2001:db8:2::7]:80, 2001:db8:1::9", "2001:db8:2::7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        (", 192.0.2.7, ,", "192.0.2.7"),
    ] {
        assert_eq!(x_for(list).as_deref(), Some(client), "{list}");
    }
}

#[test]
fn if_all_are_trusted_the_first_of_them_is_the_client() {
    assert_eq!(x_for("10.0.0.7, 10.0.0.8").as_deref(), Some("10.0.0.7"));
}

#[test]
fn what_is_no_address_ends_the_list() {
    assert_eq!(x_for("192.0.2.7, unknown, 10.0.0.8").as_deref(), Some("10.0.0.8"));
    for nothing in ["", "unknown", "192.0.2.7, _hidden", "1.2.3.4.5", "192.0.2.7:x", "[1.2.3.4]"] {
        assert_eq!(x_for(nothing), None, "{nothing}");
    }
    let many = "10.0.0.1, ".repeat(MAX_HOPS);
    assert_eq!(x_for(&format!("192.0.2.7, {many}")).as_deref(), Some("10.0.0.1"));
}

#[test]
fn all_lines_of_a_list_count_in_their_order() {
    let fields = [("X-Forwarded-For", "1.1.1.1, 192.0.2.7"), ("x-forwarded-for", "10.0.0.8")];
    let forwarded = read(ProxyHeaders::XForwarded, &fields).unwrap();
    assert_eq!(forwarded.client, Some("192.0.2.7".parse().unwrap()));
}

#[test]
fn scheme_and_host_are_those_beside_the_client() {
    let fields = [
        ("X-Forwarded-For", "9.9.9.9, 192.0.2.7, 10.0.0.8"),
        ("X-Forwarded-Proto", "http, HTTPS, http"),
        ("X-Forwarded-Host", "lie.example, a.example:81, b.example"),
    ];
    let read_as = |kind| read(kind, &fields).unwrap();
    let with_host = read_as(ProxyHeaders::XForwardedWithHost);
    assert_eq!(with_host.scheme, Some(Scheme::Https));
    assert_eq!(with_host.host.as_deref(), Some("a.example:81"));
    assert_eq!(read_as(ProxyHeaders::XForwarded).host, None);
    assert_eq!(read_as(ProxyHeaders::Off), Forwarded::default());
    assert_eq!(read_as(ProxyHeaders::Forwarded), Forwarded::default());
}

#[test]
fn a_list_of_another_length_counts_from_the_nearest_proxy() {
    let fields = [
        ("X-Forwarded-For", "192.0.2.7, 10.0.0.8"),
        ("X-Forwarded-Proto", "wss"),
        ("X-Forwarded-Host", "lie.example, lie.example, a.example"),
    ];
    let forwarded = read(ProxyHeaders::XForwardedWithHost, &fields).unwrap();
    assert_eq!(
        (forwarded.scheme, forwarded.host.as_deref()),
        (Some(Scheme::Https), Some("a.example"))
    );
    let odd = read(ProxyHeaders::XForwarded, &[("X-Forwarded-Proto", "gopher")]).unwrap();
    assert_eq!(odd, Forwarded::default());
}

#[test]
fn a_host_that_is_none_is_refused() {
    for host in ["a b", "a/b", "[::1", "a:99999"] {
        let fields = [("X-Forwarded-Host", host)];
        let refusal = read(ProxyHeaders::XForwardedWithHost, &fields).unwrap_err();
        assert_eq!(refusal.status(), 400, "{host}");
    }
}

#[test]
fn the_field_of_the_standard_is_read() {
    let line = r#"for=9.9.9.9;host=lie.example, For="[2001:db8:2::7]:47";PROTO=https;by=_a;
        host="a.example" , for=10.0.0.8;proto=http"#;
    let line = line.replace('\n', "");
    let forwarded = read(ProxyHeaders::Forwarded, &[("Forwarded", &line)]).unwrap();
    assert_eq!(forwarded.client, Some("2001:db8:2::7".parse().unwrap()));
    assert_eq!(forwarded.scheme, Some(Scheme::Https));
    assert_eq!(forwarded.host.as_deref(), Some("a.example"));
    for (line, client) in [
        ("for=192.0.2.7", Some("192.0.2.7")),
        ("for=192.0.2.7:80", Some("192.0.2.7")),
        (r#"for="192.0.2.7:80""#, Some("192.0.2.7")),
        (r#"for="19\2.0.2.7";;"#, Some("192.0.2.7")),
        (",for=192.0.2.7,,", Some("192.0.2.7")),
        ("for=192.0.2.7, for=unknown, for=10.0.0.8", Some("10.0.0.8")),
        ("for=192.0.2.7, for=_hidden", None),
        ("for=192.0.2.7, proto=https", None),
        (r#"x="a,b;c=\"d", for=192.0.2.7"#, Some("192.0.2.7")),
        ("", None),
    ] {
        assert_eq!(rfc_for(line).as_deref(), client, "{line}");
    }
}

#[test]
fn what_cannot_be_read_hides_nobody() {
    for line in [
        r#"for=", for=192.0.2.7"#,
        r#"for="a"b, for=192.0.2.7"#,
        r#"for="192.0.2.7\"#,
        "for",
        "for=",
        "for=;proto=http",
        "=192.0.2.7",
        "for=[::1]",
        "for=a for=b",
        "for=1.1.1.1;for=2.2.2.2",
        "for =1.1.1.1",
        "f\u{f6}r=1.1.1.1",
    ] {
        let refusal = read(ProxyHeaders::Forwarded, &[("Forwarded", line)]).unwrap_err();
        assert_eq!(refusal.status(), 400, "{line}");
    }
}

proptest! {
    /// Whatever a client writes, its proxy adds the truth at the right of it.
    #[test]
    fn no_client_can_choose_its_address(lie in r#"[ -~\t]{0,60}"#, real: u32) {
        let real = std::net::Ipv4Addr::from_bits(real);
        prop_assume!(!PROXIES.parse::<Networks>().unwrap().contains(real.into()));
        let fields = [("X-Forwarded-For", &*format!("{lie}, {real}"))];
        let forwarded = read(ProxyHeaders::XForwarded, &fields).unwrap();
        prop_assert_eq!(forwarded.client, Some(real.into()));
        let fields = [("Forwarded", &*format!("{lie}, for={real}"))];
        if let Ok(forwarded) = read(ProxyHeaders::Forwarded, &fields) {
            prop_assert_eq!(forwarded.client, Some(real.into()));
        }
    }
}
