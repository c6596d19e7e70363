use super::*;

fn codes<T: Input>(body: &Value) -> Vec<(String, &'static str)> {
    let errors = input::value_at::<T>(body, "").err().unwrap_or_default();
    let named = errors.into_iter().map(|e| (e.field.into_owned(), e.code));
    named.collect()
}

fn check<T: Input>(body: &Value, expected: &[(&str, &'static str)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(field, code)| ((*field).to_owned(), *code))
        .collect();
    assert_eq!(codes::<T>(body), expected, "{body}");
}

#[test]
fn changes_are_merge_patches() {
    let table = [
        (json!({}), json!({})),
        (
            json!({"name": " Ada ", "email": "Ada@Example.com", "phone": null}),
            json!({"name": "Ada", "email": "ada@example.com", "phone": null}),
        ),
        (
            json!({"billing_address": {"city": "London", "line2": null}, "shipping_address": null}),
            json!({"billing_address": {"city": "London", "line2": null}, "shipping_address": null}),
        ),
        (
            json!({"tax_ids": [{"type": "eu_vat", "value": " DE1 "}]}),
            json!({"tax_ids": [{"type": "eu_vat", "value": "DE1"}]}),
        ),
        (
            json!({"metadata": {"a": "", "b": null}, "invoice_settings": {"grace_days": 30}}),
            json!({"metadata": {"a": "", "b": null}, "invoice_settings": {"grace_days": 30}}),
        ),
        (
            json!({"parent_id": "acc_0199a2c4e2447b3c8d5e6f708192a3b4"}),
            json!({"parent_id": "0199a2c4-e244-7b3c-8d5e-6f708192a3b4"}),
        ),
        (
            json!({"payment_terms_days": 365.0, "currency": "JPY", "locale": "zh-Hant-TW"}),
            json!({"payment_terms_days": 365, "currency": "JPY", "locale": "zh-Hant-TW"}),
        ),
    ];
    for (body, expected) in table {
        let change = input::value::<AccountChange>(&body).expect("the table is right");
        assert_eq!(Value::Object(change.into_patch()), expected, "{body}");
    }
}

#[test]
fn what_no_change_can_be() {
    let many: Map<String, Value> = (0..=MAX_METADATA)
        .map(|n| (n.to_string(), json!("x")))
        .collect();
    let ids = vec![json!({"type": "eu_vat", "value": "1"}); MAX_TAX_IDS + 1];
    let table: [(Value, &[(&str, &str)]); 24] = [
        (json!({"name": null}), &[("name", "required")]),
        (json!({"name": " "}), &[("name", "wrong_length")]),
        (json!({"time_zone": null}), &[("time_zone", "required")]),
        (
            json!({"external_id": ""}),
            &[("external_id", "wrong_length")],
        ),
        (
            json!({"external_id": "a\0"}),
            &[("external_id", "invalid_character")],
        ),
        (json!({"email": "ada"}), &[("email", "invalid_email")]),
        (
            json!({"phone": "1".repeat(41)}),
            &[("phone", "wrong_length")],
        ),
        (
            json!({"billing_address": {"country": "gb", "planet": "Earth"}}),
            &[
                ("billing_address.country", "invalid"),
                ("billing_address.planet", "unknown"),
            ],
        ),
        (
            json!({"billing_address": []}),
            &[("billing_address", "wrong_type")],
        ),
        (json!({"tax_ids": ids}), &[("tax_ids", "wrong_length")]),
        (
            json!({"tax_ids": [{"type": "vat"}]}),
            &[
                ("tax_ids[0].type", "invalid"),
                ("tax_ids[0].value", "required"),
            ],
        ),
        (json!({"currency": "XXX"}), &[("currency", "invalid")]),
        (json!({"locale": "en_GB"}), &[("locale", "invalid")]),
        (
            json!({"payment_terms_days": 366}),
            &[("payment_terms_days", "out_of_range")],
        ),
        (
            json!({"payment_terms_days": -1}),
            &[("payment_terms_days", "out_of_range")],
        ),
        (
            json!({"invoice_settings": {"grace_days": 31, "consolidation": "all"}}),
            &[
                ("invoice_settings.grace_days", "out_of_range"),
                ("invoice_settings.consolidation", "invalid"),
            ],
        ),
        (
            json!({"invoice_settings": {"footer": "x".repeat(501)}}),
            &[("invoice_settings.footer", "wrong_length")],
        ),
        (json!({"metadata": many}), &[("metadata", "wrong_length")]),
        (
            json!({"metadata": {"k".repeat(41): "x"}}),
            &[(
                "metadata.kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
                "wrong_length",
            )],
        ),
        (
            json!({"metadata": {"k": 1}}),
            &[("metadata.k", "wrong_type")],
        ),
        (
            json!({"metadata": {"k": "x".repeat(501)}}),
            &[("metadata.k", "wrong_length")],
        ),
        (
            json!({"metadata": {"k": "\0"}}),
            &[("metadata.k", "invalid_character")],
        ),
        (json!({"parent_id": "org_1"}), &[("parent_id", "invalid")]),
        (json!({"kind": "person"}), &[("kind", "unknown")]),
    ];
    for (body, expected) in table {
        check::<AccountChange>(&body, expected);
    }
}

#[test]
fn new_accounts() {
    let organization = "org_0199a2c4e2447b3c8d5e6f708192a3b4";
    let user = "usr_0199a2c4e2447b3c8d5e6f708192a3b4";
    let table: [(Value, &[(&str, &str)]); 8] = [
        (json!({"name": "Ada"}), &[]),
        (json!({"name": "Ada", "kind": "person", "email": null}), &[]),
        (
            json!({"name": "Ada", "organization_id": organization, "user_id": user}),
            &[],
        ),
        (json!({}), &[("name", "required")]),
        (
            json!({"name": "Ada", "organization_id": organization}),
            &[("user_id", "required")],
        ),
        (
            json!({"name": "Ada", "user_id": user}),
            &[("organization_id", "required")],
        ),
        (
            json!({"name": "Ada", "organization_id": organization, "user_id": user, "kind": "organization"}),
            &[("kind", "conflict")],
        ),
        (
            json!({"name": "Ada", "status": "closed"}),
            &[("status", "unknown")],
        ),
    ];
    for (body, expected) in table {
        check::<NewAccount>(&body, expected);
    }
}

#[test]
fn an_account_with_an_organization_of_its_own_has_its_digits() {
    let new = |body: Value| input::value::<NewAccount>(&body).expect("the table is right");
    let own = new(json!({"name": "Ada"}));
    let id = own.draw_id(7, &[3; 10]);
    assert_eq!(id, OrganizationId::new(7, &[3; 10]).as_uuid());
    let item = own.into_item(id);
    assert_eq!(item["kind"], "organization");
    let person = new(json!({"name": "Ada",
        "organization_id": "org_0199a2c4e2447b3c8d5e6f708192a3b4",
        "user_id": "usr_0199a2c4e2447b3c8d5e6f708192a3b4"}));
    let id = person.draw_id(7, &[3; 10]);
    assert_eq!(id.as_bytes()[14..], [0xa3, 0xb4]);
    assert_eq!(person.into_item(id)["kind"], "person");
}

#[test]
fn locales_countries_and_types_of_tax_ids() {
    for text in ["en", "en-GB", "gsw", "zh-Hant", "zh-Hant-TW", "es-419"] {
        assert!(input::text::<Locale>(text).is_ok(), "{text}");
    }
    for text in [
        "",
        "e",
        "EN",
        "en-gb",
        "en-GB-x",
        "en-",
        "engl",
        "en-Hant-Hant",
    ] {
        assert!(input::text::<Locale>(text).is_err(), "{text}");
    }
    for text in ["eu_vat", "us_ein", "au_abn", "eu_oss_vat"] {
        assert!(input::text::<TaxIdType>(text).is_ok(), "{text}");
    }
    for text in [
        "",
        "eu",
        "eu_",
        "eur_vat",
        "EU_vat",
        "eu_a_b_c_d",
        "eu__vat",
    ] {
        assert!(input::text::<TaxIdType>(text).is_err(), "{text}");
    }
    for (text, is_country) in [("GB", true), ("gb", false), ("GBR", false), ("", false)] {
        assert_eq!(input::text::<Country>(text).is_ok(), is_country, "{text}");
    }
}
