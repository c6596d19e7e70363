use serde_json::{Value, json};
use shared::billing::account_table::COLUMNS;
use turnpike_tests::personas::unique;
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::accounts::ACCOUNTS;
use crate::accounts_export::EXPORT;
use crate::refusals::refuse;

api_tests![
    what_was_exported_changes_nothing,
    each_row_has_an_answer_of_its_own,
    an_old_file_overwrites_nothing,
    refuses,
];

fn import(host: &TestHost, admin: &User, file: impl Into<Vec<u8>>) -> Call {
    host.post(format!("{ACCOUNTS}/import"))
        .bearer(&admin.token)
        .header("content-type", "text/csv; charset=utf-8")
        .body(file.into())
}

async fn rows(host: &TestHost, admin: &User, file: impl Into<Vec<u8>>) -> Vec<Value> {
    let answer = import(host, admin, file).settle().await.expect(200);
    assert_eq!(answer.db_queries(), 1, "{answer}");
    let body = answer.json();
    body["rows"].as_array().cloned().unwrap_or_default()
}

/// The accounts of an organization, whole.
async fn listed(host: &TestHost, owner: &User) -> Value {
    let list = host
        .get(ACCOUNTS)
        .bearer(&owner.token)
        .send()
        .await
        .expect(200);
    list.json()["accounts"].clone()
}

async fn what_was_exported_changes_nothing(host: &TestHost) {
    let admin = host.platform_admin().await;
    let owner = host.new_user("owner").await;
    let organization = host.organization_of(&owner).await;
    let texts = [
        "=1+1",
        "'quoted'",
        "two\r\nlines, \"so\"",
        "\u{200b}hidden",
        "plain",
        "-1",
        "日本",
    ];
    for text in texts {
        let member = host.member_of(organization, "member").await;
        let body = json!({
            "organization_id": organization, "user_id": member.id, "name": text.replace(['\r', '\n'], ""),
            "external_id": format!("-{}", unique()), "email": format!("e{}@example.com", unique()),
            "phone": "+1", "billing_address": {"line1": "=x", "country": "DE"},
            "tax_ids": [{"type": "eu_vat", "value": "-1"}], "currency": "EUR", "time_zone": "Europe/Berlin",
            "locale": "de", "payment_terms_days": 14, "metadata": {"=a": text},
            "invoice_settings": {"grace_days": 1, "consolidation": "subscription", "footer": text},
        });
        host.post(ACCOUNTS)
            .bearer(&admin.token)
            .json(&body)
            .settle()
            .await
            .expect(201);
    }
    let before = listed(host, &owner).await;
    let export = || async {
        let file = host
            .get(EXPORT)
            .bearer(&owner.token)
            .send()
            .await
            .expect(200);
        file.body.clone()
    };
    let file = export().await;
    let answers = rows(host, &admin, file.clone()).await;
    assert_eq!(answers.len(), texts.len() + 1);
    for answer in answers {
        assert_eq!(
            (&answer["status"], &answer["problem"]),
            (&json!(200), &json!(null)),
            "{answer}"
        );
    }
    assert_eq!(listed(host, &owner).await, before, "not even a version");
    assert_eq!(export().await, file);
}

async fn each_row_has_an_answer_of_its_own(host: &TestHost) {
    let admin = host.platform_admin().await;
    let mark = unique();
    let file = format!(
        "external_id,name,email,billing_city,metadata,is_test\r\n\
         {mark}-1,\"Ada\n& Co\",,London,,\r\n\
         {mark}-2,Ada,ada@example.com,London,\"{{\"\"tier\"\":\"\"gold\"\"}}\",true\r\n\
         \r\n\
         {mark}-2,Twice,,,,\r\n\
         {mark}-3,Bob,bob,,,\r\n\
         {mark}-4,'=Eve,,,,\r\n\
         {mark}-5,Short\r\n"
    );
    let answers = rows(host, &admin, file).await;
    let shown: Vec<(u64, u64, &str, &str)> = answers
        .iter()
        .map(|answer| {
            let number = |name: &str| answer[name].as_u64().unwrap_or_default();
            let text = |pointer: &str| {
                answer
                    .pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            (
                number("line"),
                number("status"),
                text("/problem/code"),
                text("/problem/errors/0/field"),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            // Names have one line.
            (2, 422, "invalid_fields", "name"),
            (4, 201, "", ""),
            (6, 409, "external_id_taken", ""),
            (7, 422, "invalid_fields", "email"),
            (8, 201, "", ""),
            (9, 422, "invalid_fields", ""),
        ]
    );
    let id = answers[1]["account_id"].as_str().unwrap_or_default();
    let made = host
        .get(format!("{ACCOUNTS}/{id}"))
        .bearer(&admin.token)
        .send()
        .await
        .expect(200);
    let made = made.json();
    assert_eq!(made["metadata"], json!({"tier": "gold"}));
    assert_eq!(
        (&made["is_test"], &made["billing_address"]),
        (&json!(true), &json!({"city": "London"}))
    );
    let id = answers[4]["account_id"].as_str().unwrap_or_default();
    let made = host
        .get(format!("{ACCOUNTS}/{id}"))
        .bearer(&admin.token)
        .send()
        .await
        .expect(200);
    assert_eq!(made.json()["name"], "=Eve");
}

async fn an_old_file_overwrites_nothing(host: &TestHost) {
    let admin = host.platform_admin().await;
    let body = json!({"name": "Ada", "phone": "1"});
    let made = host
        .post(ACCOUNTS)
        .bearer(&admin.token)
        .json(&body)
        .settle()
        .await
        .expect(201);
    let id = made.text_at("/id");
    let table = [
        (format!("id,version,name,phone\n{id},1,Ada,2"), 200),
        (format!("id,version,name,phone\n{id},1,Ada,3"), 412),
        (format!("id,version,name,phone\n{id},1,Ada,2"), 200),
        (format!("id,version,name,phone\n{id},,Ada,3"), 200),
        (format!("id,name,phone\n{id},Ada,"), 200),
        (
            "id,name\nacc_0199a2c4e2447b3c8d5e6f708192a3b4,Ada".to_owned(),
            404,
        ),
    ];
    for (file, status) in table {
        let answers = rows(host, &admin, file.clone()).await;
        assert_eq!(answers[0]["status"], status, "{file}");
    }
    let shown = host
        .get(format!("{ACCOUNTS}/{id}"))
        .bearer(&admin.token)
        .send()
        .await
        .expect(200);
    assert_eq!(
        (&shown.json()["version"], &shown.json()["phone"]),
        (&json!(4), &json!(null))
    );
}

async fn refuses(host: &TestHost) {
    let admin = host.platform_admin().await;
    let owner = host.new_user("owner").await;
    refuse(
        host,
        import(host, &owner, "name\nAda"),
        403,
        "forbidden",
        &[],
    )
    .await;
    let many = format!("name\n{}", "Ada\n".repeat(1_001));
    let twice = format!("{},name\n", COLUMNS.join(","));
    let table: [(&[u8], u16, &str, &[&str]); 8] = [
        (b"", 422, "invalid_fields", &["name"]),
        (b"name\n", 422, "invalid_fields", &[""]),
        (many.as_bytes(), 422, "invalid_fields", &[""]),
        (twice.as_bytes(), 422, "invalid_fields", &["name"]),
        (b"name,planet\nAda,x", 422, "invalid_fields", &["planet"]),
        (b"name\n\"Ada", 400, "malformed_body", &[]),
        (b"name\nA\"da", 400, "malformed_body", &[]),
        (b"name\n\xff", 400, "malformed_body", &[]),
    ];
    for (file, status, code, fields) in table {
        refuse(host, import(host, &admin, file), status, code, fields).await;
    }
    for content_type in ["text/plain", "application/json", "text/csvx"] {
        let call = host
            .post(format!("{ACCOUNTS}/import"))
            .bearer(&admin.token)
            .header("content-type", content_type)
            .body("name\nAda");
        refuse(host, call, 415, "unsupported_media_type", &[]).await;
    }
    let long = format!("name\n{}", "x".repeat(2_048_000));
    refuse(host, import(host, &admin, long), 413, "body_too_large", &[]).await;
}
