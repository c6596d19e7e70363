use serde_json::json;
use shared::text::csv;
use turnpike_tests::personas::unique;
use turnpike_tests::{TestHost, api_tests};

use crate::accounts::{ACCOUNTS, account_of};
use crate::refusals::refuse;

/// Where the file is.
pub const EXPORT: &str = "/api/v1/accounts/export";

api_tests![has_what_one_may_see, is_sent_in_pieces, refuses];

async fn has_what_one_may_see(host: &TestHost) {
    let admin = host.platform_admin().await;
    let owner = host.new_user("owner").await;
    let organization = host.organization_of(&owner).await;
    let member = host.member_of(organization, "member").await;
    let mark = unique();
    let body = json!({
        "name": "=cmd|' /C calc'!A0", "organization_id": organization, "user_id": member.id,
        "external_id": format!("'{mark}"), "phone": "+44 20", "metadata": {"a": "b\n\"c\""},
        "billing_address": {"line1": "1, Road", "country": "GB"},
    });
    host.post(ACCOUNTS)
        .bearer(&admin.token)
        .json(&body)
        .settle()
        .await
        .expect(201);
    let file = host
        .get(EXPORT)
        .bearer(&owner.token)
        .send()
        .await
        .expect(200);
    assert_eq!(file.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(
        file.header("content-disposition"),
        Some("attachment; filename=\"accounts.csv\"")
    );
    let text = String::from_utf8(file.body.clone()).expect("it is UTF-8");
    let rows = csv::read(&text).expect("it is a table");
    assert_eq!(
        rows.len(),
        3,
        "a header, the person's and the organization's"
    );
    let header = &rows[0].fields;
    let cell = |row: usize, column: &str| {
        let at = header
            .iter()
            .position(|name| name == column)
            .expect("it is a column");
        rows[row].fields[at].clone()
    };
    let table = [
        ("name", "'=cmd|' /C calc'!A0".to_owned()),
        ("external_id", format!("''{mark}")),
        ("phone", "'+44 20".to_owned()),
        ("metadata", "{\"a\":\"b\\n\\\"c\\\"\"}".to_owned()),
        ("billing_line1", "1, Road".to_owned()),
        ("billing_city", String::new()),
        ("billing_country", "GB".to_owned()),
        ("shipping_line1", String::new()),
        ("tax_ids", String::new()),
        ("kind", "person".to_owned()),
        ("user_id", member.id.to_string()),
        ("version", "1".to_owned()),
    ];
    for (column, expected) in table {
        assert_eq!(cell(1, column), expected, "{column}");
    }
    assert_eq!(cell(2, "id"), account_of(organization).to_string());
    // The platform has them all.
    let all = host
        .get(EXPORT)
        .bearer(&admin.token)
        .send()
        .await
        .expect(200);
    let all = String::from_utf8(all.body.clone()).expect("it is UTF-8");
    for row in &rows[1..] {
        assert!(all.contains(&row.fields[0]), "{all}");
    }
    let (others, own) = (csv::read(&all).expect("it is a table").len(), rows.len());
    assert!(others > own, "{others} and {own}");
}

async fn is_sent_in_pieces(host: &TestHost) {
    let owner = host.new_user("owner").await;
    let organization = host.organization_of(&owner).await;
    for more in [999, 1, 1_500] {
        host.execute(&format!(
            "INSERT INTO billing_accounts (organization_id, id, user_id, kind, name)
             SELECT '{organization}', owned_id('{organization}', gen_random_uuid()), gen_random_uuid(), 'person', 'x'
               FROM generate_series(1, {more})",
            organization = organization.as_uuid()
        ))
        .await;
        let file = host
            .get(EXPORT)
            .bearer(&owner.token)
            .send()
            .await
            .expect(200);
        let text = String::from_utf8(file.body.clone()).expect("it is UTF-8");
        let rows = csv::read(&text).expect("it is a table");
        let mut ids: Vec<&String> = rows[1..].iter().map(|row| &row.fields[0]).collect();
        assert!(ids.is_sorted_by(|a, b| a > b), "newest first");
        ids.dedup();
        let rows = host
            .query(&format!(
                "SELECT count(*) FROM billing_accounts WHERE organization_id = '{}'",
                organization.as_uuid()
            ))
            .await;
        assert_eq!(ids.len() as i64, rows[0].get::<_, i64>(0));
        let is_short = ids.len() <= 1_000;
        assert_eq!(
            file.header("content-length").is_some(),
            is_short,
            "{}",
            ids.len()
        );
    }
}

async fn refuses(host: &TestHost) {
    let owner = host.new_user("owner").await;
    let member = host
        .member_of(host.organization_of(&owner).await, "member")
        .await;
    let call = host.get(EXPORT).bearer(&member.token);
    refuse(host, call, 403, "forbidden", &[]).await;
}
