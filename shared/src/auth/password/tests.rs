use argon2::{AssociatedData, ParamsBuilder};
use proptest::prelude::*;

use super::*;

fn ada() -> EmailAddress {
    EmailAddress::parse("Ada.Lovelace@Example.com").expect("an address")
}

fn presented_hash(text: &str, salt: u8, pepper: &[u8]) -> String {
    hash(&Password::presented(text), &[salt; SALT_BYTES], pepper).expect("the parameters are valid")
}

#[test]
fn rfc_9106_section_5_3() {
    let params = ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .output_len(32)
        .data(AssociatedData::new(&[4; 12]).expect("12 bytes"))
        .build()
        .expect("from the RFC");
    let mut tag = [0u8; 32];
    Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params)
        .and_then(|argon2| argon2.hash_password_into(&[1; 32], &[2; 16], &mut tag))
        .expect("from the RFC");
    let expected = [
        0x0d, 0x64, 0x0d, 0xf5, 0x8d, 0x78, 0x76, 0x6c, 0x08, 0xc0, 0x37, 0xa3, 0x4a, 0x8b, 0x53,
        0xc9, 0xd0, 0x1e, 0xf0, 0x45, 0x2d, 0x75, 0xb6, 0x5e, 0xb5, 0x25, 0x20, 0xe9, 0x6b, 0x01,
        0xe6, 0x59,
    ];
    assert_eq!(tag, expected, "argon2 no longer computes Argon2id");
}

#[test]
fn a_password_verifies_against_its_own_hash_only() {
    let phc = presented_hash("correct horse", 7, b"");
    assert!(phc.starts_with("$argon2id$v=19$m=7168,t=5,p=1$"), "{phc}");
    let table = [
        ("correct horse", true),
        // NFKC replaces full-width letters and a no-break space.
        ("ｃｏｒｒｅｃｔ\u{a0}horse", true),
        ("correct horse ", false),
        ("Correct horse", false),
        ("", false),
    ];
    for (text, matches) in table {
        let password = Password::presented(text);
        assert_eq!(verify(&password, &phc, b""), matches, "{text:?}");
    }
}

#[test]
fn the_salt_and_the_pepper_decide() {
    let plain = presented_hash("same password", 1, b"");
    assert_ne!(plain, presented_hash("same password", 2, b""));
    let peppered = presented_hash("same password", 1, b"pepper");
    assert_ne!(plain, peppered);
    let password = Password::presented("same password");
    let table: [(&str, &[u8], bool); 5] = [
        (&plain, b"", true),
        (&plain, b"pepper", false),
        (&peppered, b"pepper", true),
        (&peppered, b"Pepper", false),
        (&peppered, b"", false),
    ];
    for (phc, pepper, matches) in table {
        assert_eq!(verify(&password, phc, pepper), matches, "{phc} {pepper:?}");
    }
}

#[test]
fn what_may_become_a_password() {
    let most = "p".repeat(MAX_CHARS);
    let too_many = "p".repeat(MAX_CHARS + 1);
    let far_too_many = "\u{fdfa}".repeat(100_000);
    // 128 syllables of three code points and nine bytes each, decomposed.
    let decomposed = "\u{1112}\u{1161}\u{11ab}".repeat(MAX_CHARS);
    let table: [(&str, Result<(), PasswordError>); 22] = [
        ("longenough", Ok(())),
        ("pässwörd", Ok(())),
        ("        ", Ok(())),
        (&most, Ok(())),
        (&decomposed, Ok(())),
        ("ada.lovelace1", Ok(())),
        ("lovelace@example.com", Ok(())),
        ("", Err(PasswordError::WrongLength)),
        ("seven77", Err(PasswordError::WrongLength)),
        // Eight code points that normalize to seven characters.
        ("e\u{301}tude77", Err(PasswordError::WrongLength)),
        (&too_many, Err(PasswordError::WrongLength)),
        (&far_too_many, Err(PasswordError::WrongLength)),
        ("password", Err(PasswordError::TooCommon)),
        ("PassWord", Err(PasswordError::TooCommon)),
        ("ｐａｓｓｗｏｒｄ", Err(PasswordError::TooCommon)),
        ("12345678", Err(PasswordError::TooCommon)),
        ("Qwertyuiop", Err(PasswordError::TooCommon)),
        ("P@ssw0rd", Err(PasswordError::TooCommon)),
        ("ada.lovelace", Err(PasswordError::EqualsEmail)),
        ("ADA.Lovelace", Err(PasswordError::EqualsEmail)),
        ("ada.lovelace@example.com", Err(PasswordError::EqualsEmail)),
        ("Ada.Lovelace@EXAMPLE.com", Err(PasswordError::EqualsEmail)),
    ];
    for (text, expected) in table {
        let shown: String = text.chars().take(40).collect();
        let chosen = NewPassword::parse(text);
        if expected != Err(PasswordError::EqualsEmail) {
            let got = chosen.clone().map(drop);
            assert_eq!(got, expected, "{shown:?} without an email");
        }
        let got = chosen.and_then(|new| new.of(&ada())).map(drop);
        assert_eq!(got, expected, "{shown:?}");
    }
}

#[test]
fn no_look_of_the_email_may_become_its_password() {
    let email = EmailAddress::parse("zo\u{eb}.meyer@m\u{fc}nchen.example").expect("an address");
    let table = [
        ("zo\u{eb}.meyer", true),
        ("ZOE\u{308}.Meyer", true),
        ("zo\u{eb}.meyer@m\u{fc}nchen.example", true),
        ("ZOE\u{308}.Meyer@MU\u{308}NCHEN.example", true),
        ("zo\u{eb}.meyer@xn--mnchen-3ya.example", true),
        ("zoe.meyer@m\u{fc}nchen.example", false),
        ("zo\u{eb}.meyer@munchen.example", false),
    ];
    for (text, is_email) in table {
        let got = NewPassword::parse(text)
            .and_then(|new| new.of(&email))
            .map(drop);
        let expected = if is_email {
            Err(PasswordError::EqualsEmail)
        } else {
            Ok(())
        };
        assert_eq!(got, expected, "{text:?}");
    }
}

#[test]
fn what_is_presented_is_bounded_and_what_is_cut_matches_nothing() {
    // The longest password there is: 128 characters of four bytes.
    let longest = "\u{1f511}".repeat(MAX_CHARS);
    let password = NewPassword::parse(&longest).and_then(|new| new.of(&ada()));
    let password = password.expect("128 characters");
    let phc = hash(&password, &[7; SALT_BYTES], b"").expect("the parameters are valid");
    let table = [
        (longest.clone(), true),
        (format!("{longest}x"), false),
        (format!("{longest}{longest}"), false),
    ];
    for (text, matches) in table {
        let password = Password::presented(&text);
        assert!(password.0.len() <= MAX_BYTES + 4);
        assert_eq!(
            verify(&password, &phc, b""),
            matches,
            "{} bytes",
            text.len()
        );
    }
}

#[test]
fn a_password_is_never_shown() {
    let shown = format!("{:?}", Password::presented("correct horse"));
    assert_eq!(shown, "Password(..)");
    let shown = format!("{:?}", NewPassword::parse("correct horse"));
    assert_eq!(shown, "Ok(NewPassword(Password(..)))");
}

#[test]
fn nobody_is_well_formed_with_todays_parameters_and_matches_nothing() {
    assert!(
        !needs_rehash(NOBODY),
        "rewrite NOBODY with today's parameters, or a login tells who has an account"
    );
    assert!(!verify(&Password::presented(""), NOBODY, b""));
}

#[test]
fn an_unreadable_hash_matches_nothing() {
    for phc in ["", "plain", "$argon2id$", "$2b$10$abcdefghijklmnopqrstuv"] {
        assert!(
            !verify(&Password::presented("password"), phc, b""),
            "{phc:?}"
        );
        assert!(needs_rehash(phc), "{phc:?}");
    }
}

#[test]
fn hashes_of_other_parameters_need_a_rehash() {
    const TAIL: &str = "c3RhbmRzLWZvci1ub2JvZA$xKq0m0H2cJ8Yw3n5Tz7r1vBdEo9uLsGfPiQ4aXhN6Vk";
    let table = [
        ("$argon2id$v=19$m=7168,t=5,p=1", false),
        ("$argon2i$v=19$m=7168,t=5,p=1", true),
        ("$argon2d$v=19$m=7168,t=5,p=1", true),
        ("$argon2id$v=16$m=7168,t=5,p=1", true),
        ("$argon2id$m=7168,t=5,p=1", true),
        ("$argon2id$v=19$m=19456,t=2,p=1", true),
        ("$argon2id$v=19$m=7168,t=4,p=1", true),
        ("$argon2id$v=19$m=7168,t=5,p=2", true),
        ("$argon2id$v=19$m=65536,t=5,p=1", true),
    ];
    for (head, needed) in table {
        assert_eq!(needs_rehash(&format!("{head}${TAIL}")), needed, "{head}");
    }
    let short_salt =
        "$argon2id$v=19$m=7168,t=5,p=1$c29tZXNhbHQ$xKq0m0H2cJ8Yw3n5Tz7r1vBdEo9uLsGfPiQ4aXhN6Vk";
    let short_output =
        "$argon2id$v=19$m=7168,t=5,p=1$c3RhbmRzLWZvci1ub2JvZA$xKq0m0H2cJ8Yw3n5Tz7r1g";
    for phc in [short_salt, short_output] {
        assert!(needs_rehash(phc), "{phc}");
    }
}

proptest! {
    #[test]
    fn normalization_is_bounded_and_settles(text in "\\PC*") {
        let once = normalize(&text);
        prop_assert!(once.len() <= MAX_BYTES + 4);
        if once.len() <= MAX_BYTES {
            prop_assert_eq!(normalize(&once), once);
        }
    }
}
