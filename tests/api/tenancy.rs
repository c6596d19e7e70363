//! What is one's own stays one's own.

use turnpike_tests::personas::{BALANCE, ME, TRANSACTIONS};
use turnpike_tests::{TestHost, api_tests, personas};

api_tests![
    a_spend_charges_only_the_spender,
    ids_of_credits_lead_to_their_organization,
];

api_tests![
    fresh_too:
    nobody_sees_what_belongs_to_another,
];

async fn nobody_sees_what_belongs_to_another(host: &TestHost) {
    let (ada, admin) = host.user_with("100.00").await;
    let eve = host.new_user("eve").await;
    host.grant(&admin, &eve, "3", "USD").await;
    host.consume(&ada, "1").await;
    // Warm everything, so that an entry in the wrong place would be found.
    for user in [&ada, &eve] {
        host.warm(&host.balance_call(user)).await;
        host.warm(&host.get(ME).bearer(&user.token)).await;
    }
    for _ in 0..3 {
        for (user, amount, rows) in [(&ada, "99.00", 2), (&eve, "3.00", 1)] {
            // Naming somebody else in the query must be of no use.
            let query = format!(
                "?user_id={}&currency=USD",
                if user.id == ada.id { eve.id } else { ada.id }
            );
            let balance = host
                .get(format!("{BALANCE}{query}"))
                .bearer(&user.token)
                .send()
                .await
                .expect(200);
            assert_eq!(
                balance.text_at("/user_id"),
                user.id.to_string(),
                "{balance}"
            );
            assert_eq!(balance.text_at("/available/amount"), amount, "{balance}");
            let list = host
                .get(format!("{TRANSACTIONS}{query}"))
                .bearer(&user.token)
                .send()
                .await
                .expect(200);
            assert_eq!(
                list.json()["transactions"].as_array().map(Vec::len),
                Some(rows),
                "{list}"
            );
            let me = host.get(ME).bearer(&user.token).send().await.expect(200);
            assert_eq!(me.text_at("/email"), user.email, "{me}");
        }
    }
    // A cursor of another's list is none.
    let first = host
        .get(format!("{TRANSACTIONS}?limit=1"))
        .bearer(&ada.token)
        .send()
        .await
        .expect(200);
    let cursor = first.text_at("/next_cursor");
    host.get(format!("{TRANSACTIONS}?limit=1&cursor={cursor}"))
        .bearer(&eve.token)
        .send()
        .await
        .expect_fields(400, "invalid_parameter", &["cursor"]);
    // A token that names ada and was never given out opens nothing of hers.
    let invented = personas::invented_token(ada.id);
    host.get(BALANCE)
        .bearer(&invented)
        .send()
        .await
        .expect_problem(401, "unauthenticated");
}

/// Spending one's own credits with one's own token touches nobody else's.
async fn a_spend_charges_only_the_spender(host: &TestHost) {
    let (ada, admin) = host.user_with("10.00").await;
    let eve = host.new_user("eve").await;
    host.grant(&admin, &eve, "10.00", "USD").await;
    for _ in 0..3 {
        host.consume(&eve, "1").await;
    }
    assert_eq!(host.balance(&ada).await.to_string(), "10.00");
    assert_eq!(host.balance(&eve).await.to_string(), "7.00");
}

/// The check that runs after every test finds an id that leads elsewhere.
async fn ids_of_credits_lead_to_their_organization(host: &TestHost) {
    let (ada, _) = host.user_with("5.00").await;
    host.hold(&ada, "1", 900).await;
    let elsewhere = host.organization_of(&host.new_user("eve").await).await;
    let table = [
        ("credit_accounts", "an account"),
        ("ledger_transfers", "a transfer"),
        ("credit_grants", "a grant"),
        ("credit_holds", "a hold"),
    ];
    for (rows, what) in table {
        host.execute(&format!(
            "BEGIN; SET LOCAL session_replication_role = replica;
             UPDATE {rows} SET id = owned_id('{}', id)",
            elsewhere.as_uuid()
        ))
        .await;
        let found = host
            .query("SELECT violation FROM ledger_violations() WHERE violation LIKE 'the id of %'")
            .await;
        host.execute("ROLLBACK").await;
        let found: Vec<&str> = found.iter().map(|row| row.get(0)).collect();
        let expected = format!("the id of {what} does not lead to its organization");
        assert!(found.contains(&expected.as_str()), "{rows}: {found:?}");
    }
}
