//! Tokens of the RFCs, by keys that are not ours. `tests/it/auth_jwt.rs` has all that is wrong.

use super::*;

/// RFC 7515 A.1: expired in 2011.
const HS256: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
    eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
    dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const HS256_KEYS: &str = r#"{"keys": [{"kty": "oct", "k":
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}]}"#;

/// RFC 8037 A.4: signs a text and no claims.
const EDDSA: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
    hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
const EDDSA_KEYS: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

#[test]
fn the_token_of_rfc_7515_is_good_until_it_expires() {
    let jwt = Jwt::with_jwks(HS256_KEYS).unwrap().issuer("joe");
    let before = SystemTime::UNIX_EPOCH + Duration::from_secs(1_300_000_000);
    assert_eq!(jwt.examine(HS256, NOBODY, before), Err(Flaw::NoUser), "the example has no subject");
    let jwt = jwt.user_claim("iss");
    assert_eq!(jwt.examine(HS256, NOBODY, before).unwrap().name(), Some("joe"));
    assert_eq!(jwt.examine(HS256, NOBODY, SystemTime::now()), Err(Flaw::Expired));
}

#[test]
fn the_signature_of_rfc_8037_is_right() {
    let (jwt, other) = (Jwt::with_jwks(EDDSA_KEYS).unwrap(), Jwt::with_jwks(HS256_KEYS).unwrap());
    // Signed, and then no JSON.
    assert_eq!(jwt.examine(EDDSA, NOBODY, SystemTime::now()), Err(Flaw::Malformed));
    assert_eq!(other.examine(EDDSA, NOBODY, SystemTime::now()), Err(Flaw::Signature));
    let changed = EDDSA.replace("8037", "").replace("hgyY", "hgyZ");
    assert_eq!(jwt.examine(&changed, NOBODY, SystemTime::now()), Err(Flaw::Signature));
}
