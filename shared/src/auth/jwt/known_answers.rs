//! The examples of RFC 7515, 7638 and 8037, byte for byte.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use super::*;

/// The key of RFC 8037, appendix A.1.
fn rfc_8037_key() -> SigningKey {
    let seed = decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").expect("from the RFC");
    let seed: [u8; 32] = seed.try_into().expect("32 bytes");
    SigningKey {
        kid: "rfc8037".to_owned(),
        key: ed25519_dalek::SigningKey::from_bytes(&seed),
    }
}

#[test]
fn rfc_7515_appendix_a_1_framing_and_mac() {
    let input = signing_input(
        b"{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}",
        b"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}",
    );
    assert_eq!(
        input,
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
         eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    );
    let key = decode(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    )
    .expect("from the RFC");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length");
    mac.update(input.as_bytes());
    let mac = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    assert_eq!(mac, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");

    let expected = Expected {
        issuer: "joe",
        audience: "anyone",
    };
    assert_eq!(
        verify(
            &format!("{input}.{mac}"),
            &[rfc_8037_key().public_jwk()],
            &expected,
            1_300_819_379,
            0
        ),
        Err(Refusal::Algorithm),
        "a verifier that knows Ed25519 only has no use for a MAC"
    );
}

#[test]
fn rfc_8037_appendix_a_2_public_key() {
    let jwk = serde_json::to_value(rfc_8037_key().public_jwk()).expect("serializes");
    assert_eq!(
        jwk,
        json!({
            "kty": "OKP", "crv": "Ed25519",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "kid": "rfc8037", "alg": "EdDSA", "use": "sig",
        })
    );
    let read: PublicJwk = serde_json::from_value(jwk).expect("what is written can be read");
    assert_eq!(read, rfc_8037_key().public_jwk());
}

#[test]
fn thumbprints() {
    assert_eq!(
        rfc_8037_key().public_jwk().thumbprint(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        "RFC 8037, appendix A.3"
    );
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    assert_eq!(
        thumbprint(&BTreeMap::from([("kty", "RSA"), ("n", n), ("e", "AQAB")])),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        "RFC 7638, section 3.1"
    );
}

#[test]
fn rfc_8037_appendix_a_4_and_a_5() {
    let key = rfc_8037_key();
    let compact = key.sign_bytes(br#"{"alg":"EdDSA"}"#, b"Example of Ed25519 signing");
    assert_eq!(
        compact,
        "eyJhbGciOiJFZERTQSJ9.\
         RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
         hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
    let (input, signature) = compact.rsplit_once('.').expect("three segments");
    let signature: [u8; 64] = decode(signature)
        .expect("just made")
        .try_into()
        .expect("64 bytes");
    let signature = Signature::from_bytes(&signature);
    let jwk = key.public_jwk();
    let verify = |input: &str| {
        jwk.verifying_key()
            .verify_strict(input.as_bytes(), &signature)
    };
    assert!(verify(input).is_ok());
    assert!(verify(&input.replace("RXhh", "RXhi")).is_err());
}

#[test]
fn a_key_depends_on_master_and_id() {
    let x = |master: &[u8], kid: &str| {
        let key = SigningKey::derive(master, kid).expect("a good id");
        key.public_jwk().x()
    };
    assert_eq!(x(b"master", "a"), x(b"master", "a"));
    assert_ne!(x(b"master", "a"), x(b"master", "b"));
    assert_ne!(x(b"master", "a"), x(b"retsam", "a"));
    let shown = format!("{:?}", rfc_8037_key());
    assert_eq!(shown, "SigningKey(\"rfc8037\", ..)");
}

#[test]
fn key_ids() {
    let longest = "k".repeat(MAX_KEY_ID_BYTES);
    let too_long = "k".repeat(MAX_KEY_ID_BYTES + 1);
    let table = [
        ("2026-01_a", true),
        ("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", true),
        (&longest, true),
        ("", false),
        (&too_long, false),
        ("../key", false),
        ("a b", false),
        ("a\"b", false),
        ("clé", false),
        ("a\0", false),
    ];
    for (kid, accepted) in table {
        assert_eq!(
            SigningKey::derive(b"master", kid).is_ok(),
            accepted,
            "{kid:?}"
        );
    }
}

#[test]
fn only_public_ed25519_signature_keys_are_read() {
    let good = serde_json::to_value(rfc_8037_key().public_jwk()).expect("serializes");
    let table = [
        ("kty", json!("RSA")),
        ("kty", json!(null)),
        ("crv", json!("X25519")),
        ("crv", json!("ed25519")),
        ("x", json!("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUR")),
        ("x", json!("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")),
        // No point of the curve has a y of 2.
        ("x", json!("AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
        // The neutral element, for which everybody can sign.
        ("x", json!("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
        ("kid", json!("../key")),
        ("kid", json!(null)),
        ("alg", json!("HS256")),
        ("use", json!("enc")),
    ];
    for (name, value) in table {
        let mut bad = good.clone();
        bad[name] = value.clone();
        assert!(
            serde_json::from_value::<PublicJwk>(bad).is_err(),
            "{name} {value} was accepted"
        );
    }
    let mut bare = good;
    bare["alg"] = json!(null);
    bare["use"] = json!(null);
    assert!(serde_json::from_value::<PublicJwk>(bare).is_ok());
}
