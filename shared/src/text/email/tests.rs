use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use proptest::prelude::*;

use super::*;

/// What is stored for a text, if it is an address.
fn stored(text: &str) -> Option<String> {
    EmailAddress::parse(text).ok().map(|address| address.0)
}

#[test]
fn addresses() {
    let long_local = "a".repeat(65);
    let longest_label = format!("a@{}.example", "b".repeat(63));
    let long_label = format!("a@{}.example", "b".repeat(64));
    let label = "b".repeat(60);
    let longest = format!("a@{label}.{label}.{label}.{label}.bbbbbbbb");
    let long = format!("a@{label}.{label}.{label}.{label}.bbbbbbbbb");
    let endless = format!("{}@example.com", "ﷺ".repeat(1_000));
    let table = [
        ("ada@example.com", Some("ada@example.com")),
        (
            "  Ada.Lovelace+x@Example.COM ",
            Some("ada.lovelace+x@example.com"),
        ),
        (
            "!#$%&'*+-/=?^_`{|}~@example.com",
            Some("!#$%&'*+-/=?^_`{|}~@example.com"),
        ),
        ("ada@r3---x.example", Some("ada@r3---x.example")),
        (&longest_label, Some(&longest_label)),
        (&longest, Some(&longest)),
        ("", None),
        ("ada", None),
        ("@example.com", None),
        ("ada@", None),
        ("ada@example", None),
        ("ada@.com", None),
        ("ada@example..com", None),
        ("ada@example.com.", None),
        ("ada@-example.com", None),
        ("ada@example-.com", None),
        ("ada@exa mple.com", None),
        ("ada@exa_mple.com", None),
        ("ada@[192.0.2.1]", None),
        ("a@b@example.com", None),
        (".ada@example.com", None),
        ("ada.@example.com", None),
        ("a..da@example.com", None),
        ("a da@example.com", None),
        ("a,da@example.com", None),
        ("\"a,da\"@example.com", None),
        ("\"ada\"@example.com", None),
        ("a\\,da@example.com", None),
        ("<ada@example.com>", None),
        ("ada(x)@example.com", None),
        ("ada:x;@example.com", None),
        ("ada\0@example.com", None),
        ("ada@example.com\r\nbcc:eve@example.com", None),
        (&format!("{long_local}@example.com"), None),
        (&long_label, None),
        (&long, None),
        (&endless, None),
    ];
    for (text, expected) in table {
        assert_eq!(stored(text).as_deref(), expected, "{text:?}");
    }
}

/// Each line is one account.
#[test]
fn one_mailbox_has_one_form() {
    let table: [(&str, &[&str]); 8] = [
        (
            "m\u{fc}ller@example.com",
            &[
                "mu\u{308}ller@example.com",
                "M\u{dc}LLER@example.com",
                "MU\u{308}LLER@EXAMPLE.com",
            ],
        ),
        (
            "ada@xn--mnchen-3ya.example",
            &[
                "ada@m\u{fc}nchen.example",
                "ada@mu\u{308}nchen.example",
                "ada@M\u{dc}NCHEN.example",
                "ada@MU\u{308}NCHEN.example",
                "ADA@XN--MNCHEN-3YA.Example",
            ],
        ),
        (
            "ada@xn--strae-oqa.example",
            &["ada@stra\u{df}e.example", "ada@STRA\u{1e9e}E.example"],
        ),
        (
            "ada@example.com",
            &["ada@\u{ff45}xample.com", "\u{ff21}da@EXAMPLE.com"],
        ),
        ("kelvin@example.com", &["\u{212a}elvin@example.com"]),
        ("first@example.com", &["\u{fb01}rst@example.com"]),
        // Hindi, whose virama is a mark and no letter, and Hebrew, from right to left.
        (
            "\u{915}\u{94d}\u{937}@xn--11b2ezc.example",
            &["\u{915}\u{94d}\u{937}@\u{915}\u{94d}\u{937}.example"],
        ),
        (
            "ada@xn--4dbrk0ce.example",
            &["ada@\u{5d9}\u{5e9}\u{5e8}\u{5d0}\u{5dc}.example"],
        ),
    ];
    for (form, looks) in table {
        for look in looks.iter().chain([&form]) {
            assert_eq!(stored(look).as_deref(), Some(form), "{look:?}");
        }
    }
}

/// What nobody sees, or sees as something else, in either part.
#[test]
fn what_is_not_plain_is_refused() {
    let pieces = [
        "\u{0}",
        "\u{7}",
        "\u{7f}",
        "\u{85}",
        "\u{9f}",
        "\u{a0}",
        "\u{2028}",
        "\u{2029}",
        "\u{ad}",
        "\u{34f}",
        "\u{61c}",
        "\u{115f}",
        "\u{1160}",
        "\u{17b4}",
        "\u{17b5}",
        "\u{180b}",
        "\u{180e}",
        "\u{200b}",
        "\u{200c}",
        "\u{200d}",
        "\u{200e}",
        "\u{200f}",
        "\u{202a}",
        "\u{202b}",
        "\u{202c}",
        "\u{202d}",
        "\u{202e}",
        "\u{2060}",
        "\u{2066}",
        "\u{2069}",
        "\u{3164}",
        "\u{fe0f}",
        "\u{feff}",
        "\u{ffa0}",
        "\u{e0061}",
        "\u{e0100}",
        // What NFKC makes into characters that have a meaning in an address.
        "\u{2100}",
        "\u{ff20}",
        "\u{fe6b}",
        "\u{ff0c}",
        "\u{ff0e}",
        "\u{3002}",
        "\u{2488}",
        "\u{2024}",
        "\u{fe52}",
        "\u{2044}",
        "\u{1f600}",
        "\u{fffd}",
        "\u{e000}",
    ];
    for piece in pieces {
        for text in [
            format!("a{piece}da@example.com"),
            format!("\u{fc}{piece}da@example.com"),
            format!("ada@ex{piece}ample.com"),
            format!("ada@\u{fc}{piece}x.example"),
        ] {
            assert_eq!(stored(&text), None, "{text:?}");
        }
    }
    for domain in [
        "xn--.example",
        "xn--a.example",
        "xn--ada-.example",
        "xn--mnchen-3yA\u{fc}.example",
        "\u{ff58}n--mnchen-3ya.example",
        // A form that another label has, a mark first, reserved hyphens.
        "xn--MU\u{308}nchen.example",
        "xn--a-ecp.example",
        "\u{308}a.example",
        "ab--\u{fc}.example",
        // Directions that mix.
        "\u{5d0}a.example",
        "a\u{5d0}.example",
        "\u{5d0}1.example",
        "\u{5d0}.1a.example",
        "\u{5d0}.\u{fc}.example",
    ] {
        assert_eq!(stored(&format!("ada@{domain}")), None, "{domain:?}");
    }
    for local in ["\u{308}a", "a.\u{308}a"] {
        assert_eq!(stored(&format!("{local}@example.com")), None, "{local:?}");
    }
}

/// What UTS 46 makes of a domain, at its strictest.
fn by_uts_46(domain: &str) -> Option<String> {
    Uts46::new()
        .to_ascii(
            domain.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::Check,
            DnsLength::Verify,
        )
        .ok()
        .map(|ascii| ascii.into_owned())
}

/// Each character, alone and beside letters, is refused or as UTS 46 has it. The form is
/// its own form.
#[test]
fn each_character_is_as_in_uts_46() {
    let mut accepted = 0_u32;
    for c in '\0'..=char::MAX {
        for label in [
            format!("{c}"),
            format!("a{c}b"),
            format!("\u{fc}{c}"),
            format!("\u{5d0}{c}"),
            format!("\u{627}{c}\u{628}"),
        ] {
            let Some(form) = domain::to_ascii(&format!("{label}.example")) else {
                continue;
            };
            accepted += 1;
            let expected = by_uts_46(&format!("{label}.example"));
            assert_eq!(
                Some(&form),
                expected.as_ref(),
                "U+{:04X} in {label:?}",
                c as u32
            );
            assert_eq!(domain::to_ascii(&form).as_ref(), Some(&form), "{label:?}");
        }
        for text in [
            format!("a{c}b@example.com"),
            format!("{c}\u{fc}@example.com"),
        ] {
            if let Some(form) = stored(&text) {
                assert_eq!(stored(&form).as_ref(), Some(&form), "{text:?}");
            }
        }
    }
    assert!(accepted > 400_000, "only {accepted} labels were compared");
}

proptest! {
    #[test]
    fn a_form_has_itself_as_its_form(text in r"[\PC]{1,12}@[\PC]{1,12}\.[a-z]{2,3}") {
        if let Some(form) = stored(&text) {
            prop_assert_eq!(stored(&form), Some(form.clone()));
        }
    }

    #[test]
    fn letters_of_scripts_are_as_in_uts_46(label in r"[\p{Latin}\p{Greek}\p{Hebrew}\p{Devanagari}\p{Thai}\p{Hangul}\p{M}0-9-]{1,10}") {
        let domain = format!("{label}.example");
        if let Some(form) = domain::to_ascii(&domain) {
            prop_assert_eq!(Some(form), by_uts_46(&domain));
        }
    }
}
