//! Tokens that must be refused, each for one reason, and a few similar tokens that must
//! be accepted.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use super::*;

const NOW: u64 = 1_800_000_000;
const LEEWAY: u64 = 30;
const EXPECTED: Expected<'static> = Expected {
    issuer: "https://turnpike.example",
    audience: "api",
};

fn key() -> SigningKey {
    SigningKey::derive(b"a master secret for tests only", "2027-01").expect("a good id")
}

fn header() -> Value {
    json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "2027-01"})
}

fn claims() -> Claims {
    Claims {
        iss: EXPECTED.issuer.to_owned(),
        sub: "usr_0190b3a47c6e7def8abc0123456789ab".to_owned(),
        aud: Audience::One("api".to_owned()),
        exp: NOW + 300,
        iat: NOW,
        nbf: None,
        jti: "0190b3a47c6e7def8abc0123456789ac".to_owned(),
        client_id: super::FIRST_PARTY_CLIENT.to_owned(),
        scope: "credits:read credits:consume".to_owned(),
        org: OrganizationId::new(1, &[1; 10]),
        sid: Some(SessionId::new(1, &[2; 10])),
    }
}

fn body() -> Value {
    serde_json::to_value(claims()).expect("claims serialize")
}

/// A token with any header and payload, signed with the right key. So only what the
/// case changes is wrong.
fn signed(header: &str, payload: &str) -> String {
    key().sign_bytes(header.as_bytes(), payload.as_bytes())
}

fn verdict(compact: &str) -> Result<Claims, Refusal> {
    let other = SigningKey::derive(b"another master", "2026-12").expect("a good id");
    let keys = [other.public_jwk(), key().public_jwk()];
    verify(compact, &keys, &EXPECTED, NOW, LEEWAY)
}

#[track_caller]
fn check(what: &str, compact: &str, expected: Result<(), Refusal>) {
    let got = verdict(compact).map(drop);
    assert_eq!(
        got, expected,
        "{what}: verify must answer {expected:?} to {compact:?}"
    );
}

#[test]
fn what_is_signed_is_read_back() {
    let compact = key().sign(&claims()).expect("claims serialize");
    assert_eq!(verdict(&compact), Ok(claims()));
    assert!(
        compact.starts_with(&URL_SAFE_NO_PAD.encode(header_text())),
        "the header is {}",
        header_text()
    );
}

fn header_text() -> &'static str {
    r#"{"alg":"EdDSA","typ":"at+jwt","kid":"2027-01"}"#
}

#[test]
fn scopes() {
    let table = [
        ("credits:read", true),
        ("credits:consume", true),
        ("credits", false),
        ("credits:read credits:consume", false),
        ("CREDITS:READ", false),
        ("", false),
    ];
    for (scope, permitted) in table {
        assert_eq!(claims().permits(scope), permitted, "{scope:?}");
    }
}

#[test]
fn headers() {
    let table = [
        ("typ", json!("application/at+jwt"), Ok(())),
        ("alg", json!("none"), Err(Refusal::Algorithm)),
        ("alg", json!("None"), Err(Refusal::Algorithm)),
        ("alg", json!("HS256"), Err(Refusal::Algorithm)),
        ("alg", json!("RS256"), Err(Refusal::Algorithm)),
        ("alg", json!("ES256"), Err(Refusal::Algorithm)),
        ("alg", json!("eddsa"), Err(Refusal::Algorithm)),
        ("alg", json!("EDDSA"), Err(Refusal::Algorithm)),
        ("alg", json!("EdDSA "), Err(Refusal::Algorithm)),
        ("alg", json!("EdDSA\0"), Err(Refusal::Algorithm)),
        ("alg", json!(["EdDSA"]), Err(Refusal::Algorithm)),
        ("alg", json!(null), Err(Refusal::Algorithm)),
        ("typ", json!("JWT"), Err(Refusal::Type)),
        ("typ", json!("at+JWT"), Err(Refusal::Type)),
        ("typ", json!("id+jwt"), Err(Refusal::Type)),
        (
            "typ",
            json!("application/application/at+jwt"),
            Err(Refusal::Type),
        ),
        ("typ", json!(""), Err(Refusal::Type)),
        ("typ", json!(null), Err(Refusal::Type)),
        ("kid", json!("2026-12"), Err(Refusal::Signature)),
        ("kid", json!("2027-02"), Err(Refusal::UnknownKey)),
        ("kid", json!("2027-01 "), Err(Refusal::KeyId)),
        ("kid", json!("../../dev/null"), Err(Refusal::KeyId)),
        ("kid", json!("' OR 1=1 --"), Err(Refusal::KeyId)),
        ("kid", json!(""), Err(Refusal::KeyId)),
        ("kid", json!("k".repeat(65)), Err(Refusal::KeyId)),
        ("kid", json!(2027), Err(Refusal::KeyId)),
        ("kid", json!(null), Err(Refusal::KeyId)),
        (
            "jku",
            json!("https://evil.example/jwks"),
            Err(Refusal::ForbiddenHeader),
        ),
        ("jwk", json!({"kty": "OKP"}), Err(Refusal::ForbiddenHeader)),
        (
            "x5u",
            json!("https://evil.example/x5u"),
            Err(Refusal::ForbiddenHeader),
        ),
        ("x5c", json!(["MII"]), Err(Refusal::ForbiddenHeader)),
        ("crit", json!(["exp"]), Err(Refusal::ForbiddenHeader)),
        ("crit", json!([]), Err(Refusal::ForbiddenHeader)),
        ("b64", json!(false), Err(Refusal::ForbiddenHeader)),
        ("zip", json!("DEF"), Err(Refusal::ForbiddenHeader)),
        ("Alg", json!("EdDSA"), Err(Refusal::ForbiddenHeader)),
    ];
    for (name, value, expected) in table {
        let mut changed = header();
        changed[name] = value.clone();
        let compact = signed(&changed.to_string(), &body().to_string());
        check(&format!("{name}: {value}"), &compact, expected);
    }
    for (name, expected) in [
        ("alg", Refusal::Algorithm),
        ("typ", Refusal::Type),
        ("kid", Refusal::KeyId),
    ] {
        let mut changed = header();
        changed.as_object_mut().expect("an object").remove(name);
        let compact = signed(&changed.to_string(), &body().to_string());
        check(&format!("no {name}"), &compact, Err(expected));
    }
}

#[test]
fn headers_and_payloads_that_are_no_strict_objects() {
    let good = header_text();
    let table = [
        (
            r#"{"alg":"none","alg":"EdDSA","typ":"at+jwt","kid":"2027-01"}"#,
            Refusal::Header,
        ),
        (
            r#"{"alg":"EdDSA","\u0061lg":"EdDSA","typ":"at+jwt","kid":"2027-01"}"#,
            Refusal::Header,
        ),
        (
            r#"{"alg":"EdDSA","typ":"at+jwt","kid":"2026-12","kid":"2027-01"}"#,
            Refusal::Header,
        ),
        (r#"["EdDSA"]"#, Refusal::Header),
        ("null", Refusal::Header),
        ("", Refusal::Header),
        ("{", Refusal::Header),
        (
            r#"{"alg":"EdDSA","typ":"at+jwt","kid":"2027-01"}{}"#,
            Refusal::Header,
        ),
        ("\u{feff}{\"alg\":\"EdDSA\"}", Refusal::Header),
    ];
    for (header, expected) in table {
        check(header, &signed(header, &body().to_string()), Err(expected));
    }
    let twice = body().to_string().replacen('{', r#"{"exp":9999999999,"#, 1);
    for payload in [twice.as_str(), "[]", "null", "", "{", "\"text\""] {
        check(payload, &signed(good, payload), Err(Refusal::Payload));
    }
    let invalid_utf8 = key().sign_bytes(good.as_bytes(), b"{\"iss\":\"\xff\"}");
    check("not UTF-8", &invalid_utf8, Err(Refusal::Payload));
    let deep = format!("{{\"iss\":{}", "[".repeat(2000));
    check(
        "2,000 brackets",
        &signed(good, &deep),
        Err(Refusal::Payload),
    );
}

#[test]
fn claims_one_by_one() {
    let table = [
        ("aud", json!(["web", "api"]), Ok(())),
        ("exp", json!(NOW - LEEWAY + 1), Ok(())),
        ("iat", json!(NOW + LEEWAY), Ok(())),
        ("nbf", json!(NOW + LEEWAY), Ok(())),
        ("exp", json!(u64::MAX), Ok(())),
        ("a claim of tomorrow", json!({"is": "ignored"}), Ok(())),
        (
            "iss",
            json!("https://turnpike.example/"),
            Err(Refusal::Issuer),
        ),
        ("iss", json!("https://evil.example"), Err(Refusal::Issuer)),
        (
            "iss",
            json!("HTTPS://TURNPIKE.EXAMPLE"),
            Err(Refusal::Issuer),
        ),
        ("iss", json!(""), Err(Refusal::Issuer)),
        (
            "iss",
            json!(["https://turnpike.example"]),
            Err(Refusal::Payload),
        ),
        ("aud", json!("web"), Err(Refusal::Audience)),
        ("aud", json!("api "), Err(Refusal::Audience)),
        ("aud", json!("api web"), Err(Refusal::Audience)),
        ("aud", json!(["web"]), Err(Refusal::Audience)),
        ("aud", json!([]), Err(Refusal::Audience)),
        ("aud", json!([["api"]]), Err(Refusal::Payload)),
        ("aud", json!({"api": true}), Err(Refusal::Payload)),
        ("exp", json!(NOW - LEEWAY), Err(Refusal::Expired)),
        ("exp", json!(0), Err(Refusal::Expired)),
        ("exp", json!(-1), Err(Refusal::Payload)),
        ("exp", json!("9999999999"), Err(Refusal::Payload)),
        ("exp", json!(9_999_999_999.5), Err(Refusal::Payload)),
        ("exp", json!(null), Err(Refusal::Payload)),
        ("nbf", json!(NOW + LEEWAY + 1), Err(Refusal::NotYetValid)),
        ("nbf", json!("0"), Err(Refusal::Payload)),
        ("iat", json!(NOW + LEEWAY + 1), Err(Refusal::IssuedInFuture)),
        (
            "org",
            json!("usr_0190b3a47c6e7def8abc0123456789ab"),
            Err(Refusal::Payload),
        ),
        ("sid", json!("anything"), Err(Refusal::Payload)),
        ("scope", json!(["credits:read"]), Err(Refusal::Payload)),
        ("sub", json!(1), Err(Refusal::Payload)),
        ("client_id", json!(null), Err(Refusal::Payload)),
        ("client_id", json!(["key_1"]), Err(Refusal::Payload)),
    ];
    for (name, value, expected) in table {
        let mut changed = body();
        changed[name] = value.clone();
        let compact = signed(header_text(), &changed.to_string());
        check(&format!("{name}: {value}"), &compact, expected);
    }
    for name in REQUIRED_CLAIMS {
        let mut changed = body();
        changed.as_object_mut().expect("an object").remove(name);
        let compact = signed(header_text(), &changed.to_string());
        check(
            &format!("no {name}"),
            &compact,
            Err(Refusal::MissingClaim(name)),
        );
    }
    for name in ["scope", "sid", "nbf"] {
        let mut changed = body();
        changed.as_object_mut().expect("an object").remove(name);
        let compact = signed(header_text(), &changed.to_string());
        check(&format!("no {name}"), &compact, Ok(()));
    }
}

#[test]
fn framing() {
    let good = key().sign(&claims()).expect("claims serialize");
    let (input, signature) = good.rsplit_once('.').expect("three segments");
    let (head, payload) = input.split_once('.').expect("three segments");
    let table = [
        (String::new(), Refusal::Segments),
        (".".to_owned(), Refusal::Segments),
        (input.to_owned(), Refusal::Segments),
        (format!("{good}."), Refusal::Segments),
        (format!("{good}.{signature}"), Refusal::Segments),
        (format!("{head}..{payload}.{signature}"), Refusal::Segments),
        // The five segments of an encrypted token.
        (format!("{good}.{head}.{head}"), Refusal::Segments),
        ("..".to_owned(), Refusal::Header),
        (format!("{input}."), Refusal::Signature),
        (format!("{input}.AAAA"), Refusal::Signature),
        (format!("{input}.{signature}AA"), Refusal::Signature),
        (format!("{good}=="), Refusal::Encoding),
        (format!("{head}=.{payload}.{signature}"), Refusal::Encoding),
        (format!("{head}.{payload}=.{signature}"), Refusal::Encoding),
        (format!(" {good}"), Refusal::Encoding),
        (format!("{good}\n"), Refusal::Encoding),
        (format!("Bearer {good}"), Refusal::Encoding),
        (
            format!("{head}.{payload}.+{}", &signature[1..]),
            Refusal::Encoding,
        ),
        (
            format!("{head}.{payload}./{}", &signature[1..]),
            Refusal::Encoding,
        ),
        (
            format!("{head}.{payload}.é{}", &signature[2..]),
            Refusal::Encoding,
        ),
        ("a".repeat(MAX_TOKEN_BYTES + 1), Refusal::TooLong),
        (
            format!("{input}.{}", "A".repeat(MAX_TOKEN_BYTES)),
            Refusal::TooLong,
        ),
    ];
    for (compact, expected) in table {
        check("framing", &compact, Err(expected));
    }
}

#[test]
fn bits_beyond_the_last_byte_are_refused() {
    let good = key().sign(&claims()).expect("claims serialize");
    // 64 bytes fill 85 characters and two of the six bits of the last one.
    let last = good.as_bytes()[good.len() - 1];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let value = alphabet.iter().position(|&b| b == last).expect("base64url");
    let other = char::from(alphabet[value | 1]);
    let changed = format!("{}{other}", &good[..good.len() - 1]);
    assert_ne!(changed, good);
    check("a trailing bit", &changed, Err(Refusal::Encoding));
}

#[test]
fn a_token_without_a_signature_is_refused() {
    for algorithm in ["none", "None", "NONE", "nOnE"] {
        let mut unsigned = header();
        unsigned["alg"] = json!(algorithm);
        let input = signing_input(
            unsigned.to_string().as_bytes(),
            body().to_string().as_bytes(),
        );
        check(algorithm, &format!("{input}."), Err(Refusal::Algorithm));
    }
    let good = key().sign(&claims()).expect("claims serialize");
    let (input, _) = good.rsplit_once('.').expect("three segments");
    check("stripped", &format!("{input}."), Err(Refusal::Signature));
}

#[test]
fn a_mac_keyed_with_the_public_key_is_refused() {
    let mut forged_header = header();
    forged_header["alg"] = json!("HS256");
    let input = signing_input(
        forged_header.to_string().as_bytes(),
        body().to_string().as_bytes(),
    );
    let public = key().public_jwk();
    let mut mac =
        Hmac::<Sha256>::new_from_slice(public.verifying_key().as_bytes()).expect("any length");
    mac.update(input.as_bytes());
    let mac: [u8; 32] = mac.finalize().into_bytes().into();
    let alone = format!("{input}.{}", URL_SAFE_NO_PAD.encode(mac));
    check("a MAC", &alone, Err(Refusal::Algorithm));
    let padded = format!("{input}.{}", URL_SAFE_NO_PAD.encode([mac, mac].concat()));
    check("a MAC, twice", &padded, Err(Refusal::Algorithm));
}

#[test]
fn signatures_of_other_bytes_and_keys_are_refused() {
    let good = key().sign(&claims()).expect("claims serialize");
    let other_claims = Claims {
        scope: "platform:admin".to_owned(),
        ..claims()
    };
    let other = key().sign(&other_claims).expect("claims serialize");
    let (good_input, good_signature) = good.rsplit_once('.').expect("three segments");
    let (other_input, _) = other.rsplit_once('.').expect("three segments");
    let swapped = format!("{other_input}.{good_signature}");
    check("swapped", &swapped, Err(Refusal::Signature));

    let same_kid = SigningKey::derive(b"another master", "2027-01").expect("a good id");
    let foreign = same_kid.sign(&claims()).expect("claims serialize");
    check("another's key", &foreign, Err(Refusal::Signature));

    let zeros = format!("{good_input}.{}", URL_SAFE_NO_PAD.encode([0u8; 64]));
    check("zeros", &zeros, Err(Refusal::Signature));
    // R is the neutral element and S is zero: valid for any message of a weak key.
    let mut neutral = [0u8; 64];
    neutral[0] = 1;
    let neutral = format!("{good_input}.{}", URL_SAFE_NO_PAD.encode(neutral));
    check("a neutral R", &neutral, Err(Refusal::Signature));
    check(
        "S plus the order",
        &with_order_added(&good),
        Err(Refusal::Signature),
    );

    let nobody: [PublicJwk; 0] = [];
    assert_eq!(
        verify(&good, &nobody, &EXPECTED, NOW, LEEWAY),
        Err(Refusal::UnknownKey)
    );
}

/// The same signature with the group's order added to S. An implementation that does
/// not insist on the smallest S accepts it.
fn with_order_added(compact: &str) -> String {
    // L = 2^252 + 27742317777372353535851937790883648493, little-endian.
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let (input, signature) = compact.rsplit_once('.').expect("three segments");
    let mut signature = decode(signature).expect("just made");
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0, "S is below L, so twice L fits");
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn every_single_character_change_is_refused() {
    let good = key().sign(&claims()).expect("claims serialize");
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).expect("ASCII stays ASCII");
        assert!(
            verdict(&changed).is_err(),
            "character {at} of the token was changed and it still passed"
        );
    }
}

#[test]
fn claims_that_make_too_long_a_token_are_not_signed() {
    let long = Claims {
        scope: "s".repeat(MAX_TOKEN_BYTES),
        ..claims()
    };
    assert_eq!(key().sign(&long), Err(SigningFailed));
}

#[test]
fn what_is_read_unverified_is_what_would_be_verified() {
    let token = key().sign(&claims()).expect("plain claims");
    let (kid, unverified) = read_unverified(&token).expect("it is well formed");
    let keys = [key().public_jwk()];
    let verified = verify(&token, &keys, &EXPECTED, NOW, LEEWAY).expect("it is good");
    assert_eq!((kid.as_str(), unverified), (key().kid(), verified));

    let payload = serde_json::to_vec(&claims()).expect("plain claims");
    let mut forbidden = header();
    forbidden["jku"] = json!("https://evil.example");
    let token = key().sign_bytes(forbidden.to_string().as_bytes(), &payload);
    assert_eq!(read_unverified(&token), Err(Refusal::ForbiddenHeader));
    for text in ["", "a.b", "tpa_abc", &"x".repeat(MAX_TOKEN_BYTES + 1)] {
        assert!(read_unverified(text).is_err(), "{text:?} is no token");
    }
}

#[test]
fn a_new_key_id_is_one() {
    let kid = key_id(&[0xff; 16]);
    assert_eq!(kid.len(), 22);
    assert!(SigningKey::derive(b"master", &kid).is_ok());
}
