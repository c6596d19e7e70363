use proptest::prelude::*;

use super::*;

/// The secret of both RFCs' test vectors.
const RFC_SECRET: &[u8; 20] = b"12345678901234567890";

fn user(seed: u8) -> UserId {
    UserId::new(1_700_000_000_000, &[seed; 10])
}

#[test]
fn rfc_4226_appendix_d() {
    let table = [
        (0, 1_284_755_224, "755224"),
        (1, 1_094_287_082, "287082"),
        (2, 137_359_152, "359152"),
        (3, 1_726_969_429, "969429"),
        (4, 1_640_338_314, "338314"),
        (5, 868_254_676, "254676"),
        (6, 1_918_287_922, "287922"),
        (7, 82_162_583, "162583"),
        (8, 673_399_871, "399871"),
        (9, 645_520_489, "520489"),
    ];
    for (counter, truncated, code) in table {
        assert_eq!(truncated_mac(RFC_SECRET, counter), truncated, "{counter}");
        assert_eq!(hotp(RFC_SECRET, counter, Digits::Six), code, "{counter}");
    }
}

#[test]
fn rfc_6238_appendix_b_sha1() {
    let table = [
        (59, 1, "94287082"),
        (1_111_111_109, 0x0235_23EC, "07081804"),
        (1_111_111_111, 0x0235_23ED, "14050471"),
        (1_234_567_890, 0x0273_EF07, "89005924"),
        (2_000_000_000, 0x03F9_40AA, "69279037"),
        (20_000_000_000, 0x27BC_86AA, "65353130"),
    ];
    for (unix_secs, step, code) in table {
        assert_eq!(step_at(unix_secs), step, "{unix_secs}");
        assert_eq!(
            totp(RFC_SECRET, unix_secs, Digits::Eight),
            code,
            "{unix_secs}"
        );
        assert_eq!(
            totp(RFC_SECRET, unix_secs, Digits::Six),
            code[2..],
            "{unix_secs}"
        );
    }
}

#[test]
fn a_secret_is_shown_in_base32_without_padding() {
    // RFC 4648, section 10, has "foobar" as MZXW6YTBOI.
    let secret = *b"foobarfoobarfoobar\0\0";
    let text = secret_text(&secret);
    assert_eq!(text, "MZXW6YTBOJTG633CMFZGM33PMJQXEAAA");
}

#[test]
fn a_code_is_accepted_one_step_around_its_own() {
    let now = 1_234_567_890;
    let step = step_at(now);
    let table = [
        (step - 2, None),
        (step - 1, Some(step - 1)),
        (step, Some(step)),
        (step + 1, Some(step + 1)),
        (step + 2, None),
    ];
    for (shown_at, expected) in table {
        let code = hotp(RFC_SECRET, shown_at, Digits::Six);
        assert_eq!(
            matching_step(RFC_SECRET, &code, now),
            expected,
            "the code of step {shown_at} at step {step}"
        );
    }
}

#[test]
fn the_ends_of_time_are_no_trouble() {
    let first = hotp(RFC_SECRET, 0, Digits::Six);
    assert_eq!(matching_step(RFC_SECRET, &first, 0), Some(0));
    let last = totp(RFC_SECRET, u64::MAX, Digits::Six);
    assert_eq!(
        matching_step(RFC_SECRET, &last, u64::MAX),
        Some(step_at(u64::MAX))
    );
}

#[test]
fn anything_but_six_digits_is_refused() {
    let code = totp(RFC_SECRET, 59, Digits::Six);
    let table = [
        String::new(),
        code[1..].to_owned(),
        format!("0{code}"),
        format!("{code} "),
        format!("+{}", &code[1..]),
        totp(RFC_SECRET, 59, Digits::Eight),
        "٢٨٧٠٨٢".to_owned(),
        "０００".to_owned(),
        "28708é".to_owned(),
    ];
    for text in table {
        assert_eq!(matching_step(RFC_SECRET, &text, 59), None, "{text:?}");
    }
}

#[test]
fn two_steps_with_one_code_match_as_the_later() {
    // The first such pair of this secret, found by trying them all.
    let (early, late) = (153_567, 153_569);
    assert_eq!(
        hotp(RFC_SECRET, early, Digits::Six),
        hotp(RFC_SECRET, late, Digits::Six)
    );
    let code = hotp(RFC_SECRET, early, Digits::Six);
    let between = (early + 1) * STEP_SECS;
    assert_eq!(
        matching_step(RFC_SECRET, &code, between),
        Some(late),
        "the earlier step would let the code be used a second time"
    );
}

#[test]
fn the_secret_depends_on_master_user_and_enrolment() {
    let derive = |master: &[u8], of: UserId, enrolment: u8| {
        derive_secret(master, of, &[enrolment; ENROLMENT_BYTES])
    };
    let secret = derive(b"master", user(1), 1);
    assert_eq!(secret, derive(b"master", user(1), 1));
    assert_ne!(secret, derive(b"other", user(1), 1), "another master");
    assert_ne!(secret, derive(b"master", user(2), 1), "another user");
    assert_ne!(secret, derive(b"master", user(1), 2), "another enrolment");
}

#[test]
fn the_uri_is_what_authenticators_read() {
    let table = [
        (
            "Turnpike",
            "ada@example.com",
            "otpauth://totp/Turnpike:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Turnpike&algorithm=SHA1&digits=6&period=30",
        ),
        (
            "Ünit & Co?",
            "a:b#c/d",
            "otpauth://totp/%C3%9Cnit%20%26%20Co%3F:a%3Ab%23c%2Fd?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=%C3%9Cnit%20%26%20Co%3F&algorithm=SHA1&digits=6&period=30",
        ),
    ];
    for (issuer, account, expected) in table {
        assert_eq!(enrolment_uri(issuer, account, RFC_SECRET), expected);
    }
}

#[test]
fn recovery_codes_are_read_as_people_type_them() {
    let random = std::array::from_fn(|at| u8::try_from(at).unwrap_or_default());
    let codes = RecoveryCode::mint(&random);
    assert_eq!(codes[0].to_string(), "01234-56789");
    assert_eq!(codes[2].to_string(), "MNPQR-STVWX");
    let table = [
        ("01234-56789", Some(0)),
        ("0123456789", Some(0)),
        (" oI2 34 -- 56789 ", Some(0)),
        ("OL234-56789", Some(0)),
        ("mnpqr-stvwx", Some(2)),
        ("", None),
        ("-----", None),
        ("01234-5678", None),
        ("01234-567890", None),
        ("01234_56789", None),
        ("U1234-56789", None),
        ("é1234-5678", None),
        ("0123456789\n", None),
    ];
    for (text, expected) in table {
        assert_eq!(
            RecoveryCode::parse(text).map(|code| code.to_string()),
            expected.map(|at: usize| codes[at].to_string()),
            "{text:?}"
        );
    }
    assert_eq!(format!("{:?}", codes[0]), "RecoveryCode(..)");
}

#[test]
fn a_recovery_code_has_another_digest_for_each_user() {
    let code = RecoveryCode::parse("01234-56789").expect("well formed");
    let other = RecoveryCode::parse("01234-56780").expect("well formed");
    assert_ne!(code.digest(user(1)), code.digest(user(2)));
    assert_ne!(code.digest(user(1)), other.digest(user(1)));
}

proptest! {
    #[test]
    fn what_is_shown_is_accepted_within_the_window_only(
        secret: [u8; SECRET_BYTES],
        shown in 60u64..4_000_000_000,
        late in -120i64..120,
    ) {
        let code = totp(&secret, shown, Digits::Six);
        prop_assert_eq!(code.len(), 6);
        let now = shown.saturating_add_signed(late);
        let matched = matching_step(&secret, &code, now);
        if step_at(now).abs_diff(step_at(shown)) <= WINDOW_STEPS {
            // A later step of the window may share the code.
            prop_assert!(matched >= Some(step_at(shown)), "{:?}", matched);
        }
        if let Some(step) = matched {
            prop_assert!(step.abs_diff(step_at(now)) <= WINDOW_STEPS);
            prop_assert_eq!(hotp(&secret, step, Digits::Six), code);
        }
    }

    #[test]
    fn recovery_codes_round_trip(random: Vec<u8>) {
        let mut bytes = [0u8; RECOVERY_RANDOM_BYTES];
        for (to, from) in bytes.iter_mut().zip(random) {
            *to = from;
        }
        for code in RecoveryCode::mint(&bytes) {
            let shown = code.to_string();
            prop_assert_eq!(shown.len(), RECOVERY_CODE_CHARS + 1);
            prop_assert!(RecoveryCode::parse(&shown) == Some(code));
            prop_assert!(RecoveryCode::parse(&shown.to_lowercase()) == Some(code));
        }
    }
}
