use serde_json::Value;
use serde_json::json;
use shared::ids::{CreditGrantId, OrganizationId, UserId};
use turnpike_tests::personas::{BALANCE, GRANTS, available, fresh_key, sql_digest, sql_id};
use turnpike_tests::{TestHost, User, api_tests};

use crate::refusals::{check_currency_parameter, check_money_input, refuse};

api_tests![
    gives_credits,
    gives_credits_on_terms,
    gives_credits_in_one_organization,
    is_done_once_for_each_key,
    is_done_once_whoever_leaves_meanwhile,
    lists_ones_own_grants,
    voids_what_is_left,
    voids_once_for_each_key,
    refuses,
    refuses_terms,
    refuses_to_list,
    refuses_to_void,
    stops_at_the_most_open_grants,
    stops_at_the_largest_balance,
];

async fn gives_credits(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = host.new_user("ada").await;
    let body = json!({"user_id": user.id, "amount": "12.5", "currency": "USD", "description": "welcome 🎁"});
    let call = host
        .post(GRANTS)
        .bearer(&admin.token)
        .idempotency_key(&fresh_key())
        .json(&body);
    let response = call.send().await.expect(201);
    let transaction = &response.json()["transaction"];
    assert_eq!(response.json()["user_id"], json!(user.id), "{response}");
    let home = host.organization_of(&user).await;
    assert_eq!(
        response.json()["organization_id"],
        json!(home),
        "{response}"
    );
    assert_eq!(transaction["kind"], "grant", "{response}");
    assert_eq!(
        transaction["amount"],
        json!({"amount": "12.50", "currency": "USD"}),
        "{response}"
    );
    assert_eq!(
        transaction["available_after"]["amount"], "12.50",
        "{response}"
    );
    assert_eq!(transaction["description"], "welcome 🎁", "{response}");
    let grant = &response.json()["grant"];
    assert_eq!(grant["kind"], "paid", "{response}");
    assert_eq!(grant["priority"], 50, "{response}");
    assert_eq!(grant["state"], "open", "{response}");
    assert_eq!(grant["amount"], transaction["amount"], "{response}");
    assert_eq!(grant["remaining"], transaction["amount"], "{response}");
    assert_eq!(grant["expires_at"], Value::Null, "{response}");
    assert_eq!(response.db_queries(), 1, "one statement\n{response}");
    let again = host.grant(&admin, &user, "0.000000001", "USD").await;
    assert_eq!(again["available_after"]["amount"], "12.500000001");
    let largest = host
        .grant(&admin, &user, "999999999999.999999999", "EUR")
        .await;
    assert_eq!(largest["amount"]["amount"], "999999999999.999999999");
    // Oneself and others, in any organization.
    host.grant(&admin, &admin, "1", "USD").await;
}

async fn gives_credits_on_terms(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = host.new_user("ada").await;
    let send = |terms: Value| {
        let call = host.grant_with_call(&admin, &user, "5", terms);
        async move { call.send().await.expect(201).json()["grant"].clone() }
    };
    let grant = send(json!({
        "kind": "promotional", "priority": 7,
        "effective_at": "2130-01-01T01:00:00+02:00", "expires_at": "2131-01-01T00:00:00.5Z",
    }))
    .await;
    let expected = [
        ("kind", json!("promotional")),
        ("priority", json!(7)),
        ("state", json!("pending")),
        ("effective_at", json!("2129-12-31T23:00:00.000000Z")),
        ("expires_at", json!("2131-01-01T00:00:00.500000Z")),
    ];
    for (member, value) in expected {
        assert_eq!(grant[member], value, "{member} of {grant}");
    }
    assert_eq!(
        host.balance(&user).await.to_string(),
        "0.00",
        "what is not yet effective cannot be spent"
    );
    host.consume_call(&user, "1")
        .send()
        .await
        .expect_problem(402, "insufficient_credits");
    // What began in the past begins now, however long ago that was.
    for effective_at in ["2020-01-01T00:00:00Z", "0001-01-01T00:00:00Z"] {
        let grant = send(json!({"effective_at": effective_at})).await;
        assert_eq!(grant["state"], "open", "{grant}");
        assert_eq!(grant["effective_at"].as_str().map(|t| &t[..2]), Some("20"));
    }
    send(json!({"expires_at": "2030-12-31T23:59:60Z", "priority": 100.0})).await;
    send(json!({"kind": null, "priority": null, "effective_at": null, "expires_at": null})).await;
    assert_eq!(host.balance(&user).await.to_string(), "20.00");
}

/// Credits are spent where they were given, and nowhere else.
async fn gives_credits_in_one_organization(host: &TestHost) {
    let admin = host.platform_admin().await;
    let (ada, boss) = (host.new_user("ada").await, host.new_user("boss").await);
    let (home, other) = (
        host.organization_of(&ada).await,
        host.organization_of(&boss).await,
    );
    let to = |organization: Value| {
        let terms = json!({"organization_id": organization});
        host.grant_with_call(&admin, &ada, "5", terms)
    };
    for organization in [json!("org_1"), json!(ada.id), json!(1)] {
        let call = to(organization);
        refuse(host, call, 422, "invalid_fields", &["organization_id"]).await;
    }
    let nowhere = OrganizationId::new(1, &[9; shared::ids::RANDOM_BYTES]);
    for organization in [other, nowhere] {
        refuse(host, to(json!(organization)), 404, "not_found", &[]).await;
    }
    let member = host.member_of(home, "member").await;
    let theirs = host.organization_of(&member).await;
    let table = [
        (json!(null), theirs),
        (json!(home), home),
        (json!(theirs), theirs),
    ];
    for (organization, expected) in table {
        let terms = json!({"organization_id": organization});
        let call = host.grant_with_call(&admin, &member, "5", terms);
        let granted = call.send().await.expect(201);
        assert_eq!(
            granted.json()["organization_id"],
            json!(expected),
            "{granted}"
        );
    }
    let at_home = host.token_in(&member, theirs).await;
    let table = [(member.token.as_str(), "5.00"), (&at_home, "10.00")];
    for (token, expected) in table {
        let balance = host.get(BALANCE).bearer(token).send().await.expect(200);
        assert_eq!(available(&balance).to_string(), expected);
    }
    // Whoever has left finds their credits when they come back; a retry finds its answer.
    let key = fresh_key();
    let retried =
        json!({"user_id": member.id, "organization_id": home, "amount": "1", "currency": "USD"});
    let retried = host
        .post(GRANTS)
        .bearer(&admin.token)
        .idempotency_key(&key)
        .json(&retried);
    let first = retried.send().await.expect(201);
    let membership = format!(
        "organization_id = '{}' AND user_id = {}",
        home.as_uuid(),
        sql_id(member.id)
    );
    host.execute(&format!("DELETE FROM memberships WHERE {membership}"))
        .await;
    assert_eq!(retried.send().await.expect(201).json(), first.json());
    let call = host.grant_with_call(&admin, &member, "5", json!({"organization_id": home}));
    refuse(host, call, 404, "not_found", &[]).await;
    host.execute(&format!(
        "INSERT INTO memberships (organization_id, user_id, role) VALUES ('{}', {}, 'member')",
        home.as_uuid(),
        sql_id(member.id)
    ))
    .await;
    assert_eq!(host.balance(&member).await.to_string(), "6.00");
    // Nowhere to spend them.
    host.execute(&format!(
        "DELETE FROM memberships WHERE user_id = {}",
        sql_id(member.id)
    ))
    .await;
    let call = host.grant_with_call(&admin, &member, "5", json!({}));
    refuse(host, call, 409, "user_without_organization", &[]).await;
}

async fn is_done_once_for_each_key(host: &TestHost) {
    let admin = host.platform_admin().await;
    let (user, other) = (host.new_user("ada").await, host.new_user("eve").await);
    let key = "k".repeat(255);
    let send = |to: UserId, amount: &str| {
        let body = json!({"user_id": to, "amount": amount, "currency": "USD"});
        host.post(GRANTS)
            .bearer(&admin.token)
            .idempotency_key(&key)
            .json(&body)
    };
    let first = send(user.id, "5").send().await.expect(201);
    let second = send(user.id, "5").send().await.expect(201);
    assert_eq!(
        first.json(),
        second.json(),
        "a repeated key must repeat the first answer"
    );
    refuse(host, send(user.id, "6"), 422, "idempotency_key_reused", &[]).await;
    // Another person, of whichever organization: the key is that of the caller's organization.
    let home = host.organization_of(&user).await;
    let colleague = host.member_of(home, "member").await;
    let to_colleague = json!({"user_id": colleague.id, "organization_id": home,
                              "amount": "5", "currency": "USD"});
    let reused = host
        .post(GRANTS)
        .bearer(&admin.token)
        .idempotency_key(&key)
        .json(&to_colleague);
    refuse(host, reused, 422, "idempotency_key_reused", &[]).await;
    refuse(
        host,
        send(other.id, "5"),
        422,
        "idempotency_key_reused",
        &[],
    )
    .await;
    for (user, grants, balance) in [(&user, 1, "5.00"), (&other, 0, "0.00")] {
        assert_eq!(host.count_transfers(user, "grant").await, grants);
        assert_eq!(host.balance(user).await.to_string(), balance);
    }
    // The same key from somebody else is another key.
    let second_admin = host.platform_admin().await;
    let body = json!({"user_id": user.id, "amount": "5", "currency": "USD"});
    let call = host
        .post(GRANTS)
        .bearer(&second_admin.token)
        .idempotency_key(&key)
        .json(&body);
    call.send().await.expect(201);
    assert_eq!(host.balance(&user).await.to_string(), "10.00");
}

/// A grant that does not say where goes to the oldest organization, which is another one once the
/// user has left it. A retry is no second grant.
async fn is_done_once_whoever_leaves_meanwhile(host: &TestHost) {
    let admin = host.platform_admin().await;
    let (user, boss) = (host.new_user("ada").await, host.new_user("boss").await);
    let (home, other) = (
        host.organization_of(&user).await,
        host.organization_of(&boss).await,
    );
    host.execute(&format!(
        "INSERT INTO memberships (organization_id, user_id, role) VALUES ('{}', {}, 'member')",
        other.as_uuid(),
        sql_id(user.id)
    ))
    .await;
    let call = host.grant_call(&admin, user.id, "5", "USD");
    let first = call.send().await.expect(201);
    assert_eq!(first.json()["organization_id"], json!(home), "{first}");
    let leave = format!(
        "DELETE FROM memberships WHERE organization_id = '{}' AND user_id = {}",
        home.as_uuid(),
        sql_id(user.id)
    );
    host.execute(&leave).await;
    assert_eq!(call.send().await.expect(201).json(), first.json());
    let rows = host
        .query("SELECT count(*), sum(amount)::bigint FROM credit_grants")
        .await;
    let granted: (i64, i64) = (rows[0].get(0), rows[0].get(1));
    assert_eq!(granted, (1, 5), "one grant");
    // A new request goes where the user is now.
    let next = host.grant_call(&admin, user.id, "5", "USD").send().await;
    let next = next.expect(201);
    assert_eq!(next.json()["organization_id"], json!(other), "{next}");
}

async fn refuses(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = host.new_user("ada").await;
    let valid = json!({"user_id": user.id, "amount": "1", "currency": "USD"});
    let with_token = || host.post(GRANTS).bearer(&admin.token);
    check_money_input(host, with_token, &valid).await;

    let id = user.id.to_string();
    let ids = [
        json!(""),
        json!("usr_1"),
        json!(id.replace("usr_", "org_")),
        json!(id.to_uppercase()),
        json!(&id[4..]),
        json!(format!("{id}0")),
        json!(format!("{id}\u{0}")),
        json!(1),
        json!(null),
        json!([id]),
    ];
    for id in ids {
        let body = json!({"user_id": id, "amount": "1", "currency": "USD"});
        let call = with_token().idempotency_key(&fresh_key()).json(&body);
        refuse(host, call, 422, "invalid_fields", &["user_id"]).await;
    }
    let nobody = UserId::new(1, &[9; shared::ids::RANDOM_BYTES]);
    refuse(
        host,
        host.grant_call(&admin, nobody, "1", "USD"),
        404,
        "not_found",
        &[],
    )
    .await;
    // An owner may spend, and give nothing: neither to others nor to themselves.
    refuse(
        host,
        host.grant_call(&user, user.id, "1", "USD"),
        403,
        "forbidden",
        &[],
    )
    .await;
    refuse(
        host,
        host.grant_call(&user, nobody, "1", "USD"),
        403,
        "forbidden",
        &[],
    )
    .await;
}

async fn list(host: &TestHost, user: &User, query: &str) -> (Vec<Value>, Option<String>) {
    let call = host.get(format!("{GRANTS}{query}")).bearer(&user.token);
    let body = call.send().await.expect(200).json();
    let grants = body["grants"].as_array().cloned().unwrap_or_default();
    (grants, body["next_cursor"].as_str().map(str::to_owned))
}

async fn lists_ones_own_grants(host: &TestHost) {
    let admin = host.platform_admin().await;
    let (user, eve) = (host.new_user("ada").await, host.new_user("eve").await);
    assert_eq!(list(host, &user, "").await, (vec![], None));
    for amount in ["1", "2", "3", "4", "5"] {
        host.grant(&admin, &user, amount, "USD").await;
    }
    host.grant(&admin, &user, "6", "JPY").await;
    host.grant(&admin, &eve, "7", "USD").await;
    host.consume(&user, "2.5").await;
    let amounts = |grants: &[Value]| -> Vec<(String, String)> {
        let text = |value: &Value| value["amount"].as_str().unwrap_or_default().to_owned();
        let pair = |grant: &Value| (text(&grant["amount"]), text(&grant["remaining"]));
        grants.iter().map(pair).collect()
    };
    let pairs = |table: &[(&str, &str)]| -> Vec<(String, String)> {
        let owned = table
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
        owned.collect()
    };
    let (all, _) = list(host, &user, "").await;
    assert_eq!(amounts(&all)[..2], pairs(&[("6", "6"), ("5.00", "5.00")]));
    let (first, cursor) = list(host, &user, "?currency=USD&limit=3").await;
    assert_eq!(
        amounts(&first),
        pairs(&[("5.00", "5.00"), ("4.00", "4.00"), ("3.00", "3.00")])
    );
    let cursor = cursor.expect("two more follow");
    host.grant(&admin, &user, "8", "USD").await;
    let (rest, end) = list(
        host,
        &user,
        &format!("?currency=USD&limit=3&cursor={cursor}"),
    )
    .await;
    assert_eq!(amounts(&rest), pairs(&[("2.00", "0.50"), ("1.00", "0.00")]));
    assert_eq!(end, None);
    assert_eq!(rest[1]["state"], "closed");
    let (yen, _) = list(host, &user, "?currency=JPY").await;
    assert_eq!(amounts(&yen), pairs(&[("6", "6")]));
    let (eves, _) = list(host, &eve, "").await;
    assert_eq!(amounts(&eves), pairs(&[("7.00", "7.00")]));
}

async fn voids_what_is_left(host: &TestHost) {
    let (user, admin) = host.user_with("10.00").await;
    let grant = host
        .grant_with(&admin, &user, "8", json!({"priority": 1}))
        .await;
    host.consume(&user, "3").await;
    host.hold(&user, "1", 900).await;
    host.warm(&host.balance_call(&user)).await;
    let response = host
        .void_call(&admin, &grant, &fresh_key())
        .send()
        .await
        .expect(200);
    let answer = response.json();
    assert_eq!(answer["user_id"], json!(user.id), "{response}");
    assert_eq!(answer["transaction"]["kind"], "void", "{response}");
    assert_eq!(
        answer["transaction"]["amount"]["amount"], "-4.00",
        "{response}"
    );
    assert_eq!(answer["grant"]["state"], "closed", "{response}");
    assert_eq!(answer["grant"]["remaining"]["amount"], "0.00", "{response}");
    assert_eq!(answer["grant"]["held"]["amount"], "1.00", "{response}");
    assert!(answer["grant"]["voided_at"].is_string(), "{response}");
    assert_eq!(
        response.db_queries(),
        2,
        "whose it is, and the change\n{response}"
    );
    assert_eq!(
        host.balance(&user).await.to_string(),
        "10.00",
        "a voided grant must be gone at once"
    );
    let again = host.void_call(&admin, &grant, &fresh_key());
    refuse(host, again, 409, "nothing_left", &[]).await;

    // One that is not yet effective can be voided too, and never becomes so.
    let tomorrow = host.time_in("1 day").await;
    let terms = json!({"effective_at": tomorrow});
    let pending = host.grant_with(&admin, &user, "5", terms).await;
    let answer = host
        .void_call(&admin, &pending, &fresh_key())
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(answer["transaction"]["debited"], "pending");
    host.execute(
        "UPDATE credit_grants SET effective_at = clock_timestamp() WHERE effective_at > now();
         UPDATE credit_accounts SET next_due_at = clock_timestamp()",
    )
    .await;
    assert_eq!(host.balance(&user).await.to_string(), "10.00");
}

async fn voids_once_for_each_key(host: &TestHost) {
    host.fail_on_deadlock().await;
    let (user, admin) = host.user_with("10.00").await;
    let grant = host.grant_with(&admin, &user, "8", json!({})).await;
    let other = host.grant_with(&admin, &user, "9", json!({})).await;
    let calls = (0..16).map(|_| {
        let call = host.void_call(&admin, &grant, "one");
        async move { call.settle().await.expect(200) }
    });
    let responses = futures::future::join_all(calls).await;
    for response in &responses {
        assert_eq!(response.body, responses[0].body, "all are answered alike");
    }
    let reused = host.void_call(&admin, &other, "one");
    refuse(host, reused, 422, "idempotency_key_reused", &[]).await;
    assert_eq!(host.balance(&user).await.to_string(), "19.00");
}

async fn refuses_terms(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = host.new_user("ada").await;
    let (past, tomorrow, later) = (
        host.time_in("-1 second").await,
        host.time_in("1 day").await,
        host.time_in("2 days").await,
    );
    let table = [
        (json!({"kind": "gift"}), "kind"),
        (json!({"kind": ""}), "kind"),
        (json!({"kind": 1}), "kind"),
        (json!({"priority": -1}), "priority"),
        (json!({"priority": 101}), "priority"),
        (json!({"priority": 1.5}), "priority"),
        (json!({"priority": "1"}), "priority"),
        (json!({"effective_at": "tomorrow"}), "effective_at"),
        (
            json!({"effective_at": "2030-01-01T00:00:00"}),
            "effective_at",
        ),
        (json!({"effective_at": 1_900_000_000}), "effective_at"),
        (json!({"effective_at": "2030-01-01\u{0}"}), "effective_at"),
        (json!({"expires_at": "2030-02-30T00:00:00Z"}), "expires_at"),
        (json!({"expires_at": [tomorrow]}), "expires_at"),
        (json!({"expires_at": past}), "expires_at"),
        (
            json!({"effective_at": later, "expires_at": tomorrow}),
            "expires_at",
        ),
        (
            json!({"effective_at": later, "expires_at": later}),
            "expires_at",
        ),
    ];
    for (terms, field) in table {
        let call = host.grant_with_call(&admin, &user, "1", terms);
        refuse(host, call, 422, "invalid_fields", &[field]).await;
    }
    let call = host.grant_with_call(&admin, &user, "1", json!({"expires_at": past}));
    let response = call.send().await.expect(422);
    assert_eq!(
        response.text_at("/errors/0/code"),
        "too_early",
        "{response}"
    );
}

async fn refuses_to_list(host: &TestHost) {
    let (user, _) = host.user_with("5.00").await;
    let with_query = |query: &str| host.get(format!("{GRANTS}?{query}")).bearer(&user.token);
    check_currency_parameter(host, with_query).await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("cursor=", "cursor"),
        ("cursor=AgAAAAAAAAAH", "cursor"),
    ] {
        refuse(host, with_query(query), 400, "invalid_parameter", &[field]).await;
    }
}

async fn refuses_to_void(host: &TestHost) {
    let (user, admin) = host.user_with("5.00").await;
    let grant = host.grant_with(&admin, &user, "8", json!({})).await;
    let path = format!("{GRANTS}/{grant}/void");
    let keyless = host.post(&path).bearer(&admin.token);
    refuse(
        host,
        keyless,
        400,
        "invalid_parameter",
        &["idempotency-key"],
    )
    .await;
    let nothing = CreditGrantId::new(1, &[9; shared::ids::RANDOM_BYTES]).to_string();
    let upper = grant.to_uppercase();
    for id in [nothing.as_str(), upper.as_str(), "cgr_1", "x", &grant[4..]] {
        let call = host.void_call(&admin, id, &fresh_key());
        refuse(host, call, 404, "not_found", &[]).await;
    }
    // Whoever may not void is not told what there is.
    for id in [grant.as_str(), nothing.as_str()] {
        let call = host.void_call(&user, id, &fresh_key());
        refuse(host, call, 403, "forbidden", &[]).await;
    }
}

/// Grants that can fall due are few, and those that cannot are many.
async fn stops_at_the_most_open_grants(host: &TestHost) {
    let (user, admin) = host.user_with("1").await;
    let lasting = host.grant_call(&admin, user.id, "1", "USD");
    let expiring = || {
        let body = json!({"user_id": user.id, "amount": "1", "currency": "USD", "expires_at": "2099-01-01T00:00:00Z"});
        host.post(GRANTS)
            .bearer(&admin.token)
            .idempotency_key(&fresh_key())
            .json(&body)
    };
    let fill = |count: &str, end: &str| {
        format!(
            "SET session_replication_role = replica;
             INSERT INTO credit_grants (organization_id, id, account_id, sequence, kind, priority, amount, remaining,
                                        effective_at, expires_at, state, description)
             SELECT organization_id, gen_random_uuid(), account_id, 100000 + n, 'paid', 50, 1, 1, effective_at, '{end}',
                    'open', 'one of many'
               FROM credit_grants, generate_series(1, {count}) AS n WHERE sequence = 1;
             RESET session_replication_role"
        )
    };
    let clear = "DELETE FROM credit_grants WHERE description = 'one of many'";

    // Not through refuse(), because what the account is said to have is invented; without the
    // triggers, because no total has it.
    host.execute(&fill("max_due_grants()", "2099-01-01")).await;
    expiring()
        .send()
        .await
        .expect_problem(409, "too_many_open_grants");
    lasting.send().await.expect(201);
    host.execute(clear).await;
    host.execute(&fill("max_open_grants() - 2", "infinity"))
        .await;
    let last = host.grant_call(&admin, user.id, "1", "USD");
    last.send()
        .await
        .expect_problem(409, "too_many_open_grants");
    host.execute(clear).await;
    expiring().send().await.expect(201);

    // A hold over all grants leaves none open, and what it gives back opens them again.
    let owner = host.new_user("ada").await;
    host.execute(&format!(
        "SELECT credits_grant({admin}, 'grant-' || n, token_hash({admin}), gen_random_uuid(), gen_random_uuid(),
                              gen_random_uuid(), {id}, 'USD', 1, '', p_expires_at => '2099-01-01Z')
           FROM audit_asker('127.0.0.1', {admin}), generate_series(1, max_due_grants()) AS n",
        admin = sql_digest(&admin.token),
        id = sql_id(owner.id),
    ))
    .await;
    let hold = host.hold(&owner, "150", 900).await;
    let more = || {
        let terms = json!({"expires_at": "2099-01-01T00:00:00Z"});
        host.grant_with_call(&admin, &owner, "1", terms)
    };
    let refused = more().settle().await;
    refused.expect_problem(409, "too_many_open_grants");
    // One that does not expire has nothing that could fall due.
    host.grant(&admin, &owner, "1", "USD").await;
    let capture = host.capture_call(&owner, &hold, "150", &fresh_key());
    capture.settle().await.expect(200);
    more().settle().await.expect(201);
}

/// numeric(27,9) holds 18 digits before the point. A grant that would not fit is refused,
/// and the account stays usable.
async fn stops_at_the_largest_balance(host: &TestHost) {
    let (user, admin) = host.user_with("1").await;
    // A million of the largest grants, in one as no request could ask for it.
    host.execute(
        "WITH raised AS (UPDATE credit_accounts
                SET issued = issued - 999999999999999000, available = available + 999999999999999000,
                    sequence = sequence + 1 RETURNING *),
              booked AS (
         INSERT INTO ledger_transfers (organization_id, id, account_id, sequence, kind, debited, credited, amount,
                                       available_after, description, actor_id)
         SELECT organization_id, owned_id(organization_id, gen_random_uuid()), id, sequence, 'grant', 'issued', 'available',
                999999999999999000, available, '', user_id FROM raised RETURNING *),
              given AS (
         INSERT INTO credit_grants (organization_id, id, account_id, sequence, kind, priority, amount, remaining,
                                    effective_at, state, description)
         SELECT organization_id, id, account_id, sequence, 'paid', 50, amount, amount, created_at, 'open', ''
           FROM booked RETURNING *)
         INSERT INTO credit_movements (organization_id, transfer_id, grant_id, amount, position)
         SELECT organization_id, id, id, amount, 1 FROM given",
    ).await;
    let call = host.grant_call(&admin, user.id, "999999999999", "USD");
    refuse(host, call, 422, "invalid_fields", &["amount"]).await;
    host.grant(&admin, &user, "1", "USD").await;
    assert_eq!(
        host.balance(&user).await.to_string(),
        "999999999999999002.00"
    );
    host.consume(&user, "0.000000001").await;
    assert_eq!(
        host.balance(&user).await.to_string(),
        "999999999999999001.999999999"
    );
}
