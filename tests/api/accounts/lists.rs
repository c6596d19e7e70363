//! Accounts by what is asked for.

use serde_json::{Value, json};
use turnpike_tests::personas::unique;
use turnpike_tests::{TestHost, User, api_tests};

use super::{ACCOUNTS, id_of, make, path};
use crate::refusals::refuse;

api_tests![is_listed_by_what_is_asked_for,];

/// The names of a list's accounts, page by page.
async fn names(host: &TestHost, caller: &User, query: &str, limit: usize) -> Vec<String> {
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let target = format!("{ACCOUNTS}?{query}&limit={limit}{cursor}");
        let page = host
            .get(target)
            .bearer(&caller.token)
            .send()
            .await
            .expect(200);
        let body = page.json();
        let accounts = body["accounts"].as_array().cloned().unwrap_or_default();
        assert!(accounts.len() <= limit, "{page}");
        names.extend(
            accounts
                .iter()
                .map(|a| a["name"].as_str().unwrap_or_default().to_owned()),
        );
        match body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return names,
        }
    }
}

async fn is_listed_by_what_is_asked_for(host: &TestHost) {
    let admin = host.platform_admin().await;
    // Words of this test alone, because the database has others' accounts.
    let mark = unique().to_string();
    let name = |name: &str| format!("{mark} {name}");
    let table = [
        ("Zoë", "XPF", "gold", Some("zoe")),
        ("ada", "XPF", "gold", None),
        ("Ada", "USD", "gold", None),
        ("Bob", "XPF", "iron", None),
    ];
    for (person, currency, tier, external_id) in table {
        let body = json!({
            "name": name(person), "currency": currency, "email": format!("{mark}.{}@example.com", person.len()),
            "metadata": {"tier": format!("{mark}={tier}"), "person": person},
            "external_id": external_id.map(|id| format!("{mark}{id}")),
        });
        let id = id_of(&make(host, &admin, body).await);
        if person == "ada" {
            host.post(format!("{}/close", path(&id)))
                .bearer(&admin.token)
                .settle()
                .await
                .expect(200);
        }
    }
    let gold = format!("metadata=tier%3D{mark}%3Dgold");
    let table: [(String, &[&str]); 13] = [
        (gold.clone(), &["Ada", "ada", "Zoë"]),
        (format!("{gold}&currency=XPF"), &["ada", "Zoë"]),
        (format!("{gold}&currency=XPF&status=active"), &["Zoë"]),
        (format!("{gold}&status=closed"), &["ada"]),
        (format!("external_id={mark}zoe"), &["Zoë"]),
        (format!("external_id={mark}zoe&currency=USD"), &[]),
        (format!("external_id={mark}ZOE"), &[]),
        // By their names and emails in the order of letters; what is equal by their ids.
        (format!("q={mark}+"), &["ada", "Ada", "Bob", "Zoë"]),
        (format!("q={mark}+ADA"), &["ada", "Ada"]),
        (format!("q={mark}+zo%C3%8B"), &["Zoë"]),
        // Zoë has four bytes.
        (format!("q={mark}.3"), &["ada", "Ada", "Bob"]),
        (format!("q={mark}.4%40&status=active"), &["Zoë"]),
        (format!("q={mark}%25"), &[]),
    ];
    for (query, expected) in &table {
        let expected: Vec<String> = expected.iter().map(|person| name(person)).collect();
        for limit in [1, 2, 100] {
            assert_eq!(
                names(host, &admin, query, limit).await,
                expected,
                "{query} {limit}"
            );
        }
    }
    // What is asked for without a name of this test begins with its newest.
    for query in ["status=active", "currency=XPF", ""] {
        let target = format!("{ACCOUNTS}?{query}&limit=100");
        let page = host
            .get(target)
            .bearer(&admin.token)
            .send()
            .await
            .expect(200);
        let accounts = page.json()["accounts"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let ids: Vec<String> = accounts.iter().map(id_of).collect();
        assert!(ids.is_sorted_by(|a, b| a > b), "{query}: newest first");
        let is_right = |account: &Value| match query {
            "status=active" => account["status"] == "active",
            "currency=XPF" => account["currency"] == "XPF",
            _ => true,
        };
        assert!(
            !accounts.is_empty() && accounts.iter().all(is_right),
            "{query}"
        );
    }
    // A cursor is good for its own parameters.
    let page = host
        .get(format!("{ACCOUNTS}?{gold}&limit=1"))
        .bearer(&admin.token)
        .send()
        .await
        .expect(200);
    let cursor = page.text_at("/next_cursor");
    for query in [
        format!("{gold}&status=active"),
        format!("q={mark}"),
        String::new(),
    ] {
        let target = format!("{ACCOUNTS}?{query}&cursor={cursor}");
        let call = host.get(target).bearer(&admin.token);
        refuse(host, call, 400, "invalid_parameter", &["cursor"]).await;
    }

    // An organization sees its own.
    let owner = host.new_user("owner").await;
    let organization = host.organization_of(&owner).await;
    for person in ["Cyd", "Dot"] {
        let member = host.member_of(organization, "member").await;
        let body = json!({"name": name(person), "organization_id": organization, "user_id": member.id,
                          "currency": "XPF", "metadata": {"tier": format!("{mark}=gold")}});
        make(host, &admin, body).await;
    }
    let table: [(String, &[&str]); 6] = [
        (gold.clone(), &["Dot", "Cyd"]),
        ("currency=XPF".to_owned(), &["Dot", "Cyd"]),
        (format!("q={mark}"), &["Cyd", "Dot"]),
        (format!("q={mark}+d&status=active"), &["Dot"]),
        ("status=closed".to_owned(), &[]),
        (format!("external_id={mark}zoe"), &[]),
    ];
    for (query, expected) in &table {
        let expected: Vec<String> = expected.iter().map(|person| name(person)).collect();
        for limit in [1, 100] {
            assert_eq!(
                names(host, &owner, query, limit).await,
                expected,
                "{query} {limit}"
            );
        }
    }
    assert_eq!(names(host, &owner, "", 1).await.len(), 3);
    for (query, field) in [
        ("status=open", "status"),
        ("currency=usd", "currency"),
        ("metadata=tier", "metadata"),
        ("metadata=%3Dgold", "metadata"),
        ("metadata=a%00%3Dgold", "metadata"),
        ("q=", "q"),
        ("q=a%00", "q"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
        ("external_id=", "external_id"),
    ] {
        let call = host.get(format!("{ACCOUNTS}?{query}")).bearer(&owner.token);
        refuse(host, call, 400, "invalid_parameter", &[field]).await;
    }
}
