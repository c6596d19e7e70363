//! Spends of one account that wait for each other are sent as one statement, and each fares as if
//! it had been sent alone.

use std::time::Duration;

use serde_json::{Value, json};
use turnpike_tests::personas::{fresh_key, sql_digest, sql_id};
use turnpike_tests::{Call, Random, Response, Settings, TestHost, User, api_tests, run};

use crate::together::{self, ATTEMPTS, Holder, WAITING, are_fewer, count, organization_of, revoke};

api_tests![
    each_fares_as_if_it_was_alone,
    each_member_of_a_pool_fares_as_if_they_were_alone,
    refuses_several_accounts,
    those_that_wait_are_one_statement,
    those_that_wait_for_a_pool_are_one_statement,
    one_that_fails_fails_alone,
    whoever_comes_too_late_is_told_at_once,
];

/// A request to spend, as SQL has it.
struct Spend {
    digest: String,
    key: String,
    request: u64,
    amount: &'static str,
    service: Option<&'static str>,
}

/// The functions for one spend and for several, and what both take after the transfer's id.
struct Functions {
    one: &'static str,
    many: &'static str,
    organization: Option<String>,
}

impl Functions {
    /// What one statement for each of the spends answers.
    async fn one_by_one(&self, host: &TestHost, spends: &[Spend]) -> Vec<String> {
        let mut answers = Vec::new();
        for spend in spends {
            let organization = self.organization.as_ref();
            let sql = format!(
                "SELECT {}({}, '{}', sha256('{}'), gen_random_uuid(), {} 'USD', {}, 'text', {})::text",
                self.one,
                spend.digest,
                spend.key,
                spend.request,
                organization.map_or(String::new(), |id| format!("{id},")),
                spend.amount,
                quoted(spend.service),
            );
            let rows = host.query(&sql).await;
            answers.push(outline(rows[0].get(0)));
        }
        answers
    }

    /// What one statement for all of them answers.
    async fn together(&self, host: &TestHost, spends: &[Spend]) -> Vec<String> {
        let rows = host.query(&self.sql(spends)).await;
        rows.iter().map(|row| outline(row.get(0))).collect()
    }

    fn sql(&self, spends: &[Spend]) -> String {
        let array = |kind: &str, value: &dyn Fn(&Spend) -> String| {
            let values: Vec<_> = spends.iter().map(value).collect();
            format!("ARRAY[{}]::{kind}[]", values.join(", "))
        };
        let organization = self.organization.as_ref();
        let organizations = organization.map_or(String::new(), |id| {
            format!("{},", array("uuid", &|_| id.clone()))
        });
        format!(
            "SELECT unnest({}({}, {}, {}, {}, {organizations} {}, {}, {}, {}, {}))::text",
            self.many,
            array("bytea", &|spend| spend.digest.clone()),
            array("text", &|spend| format!("'{}'", spend.key)),
            array("bytea", &|spend| format!("sha256('{}')", spend.request)),
            array("uuid", &|_| "gen_random_uuid()".to_owned()),
            array("text", &|_| "'USD'".to_owned()),
            array("numeric", &|spend| spend.amount.to_owned()),
            array("text", &|_| "'text'".to_owned()),
            array("text", &|spend| quoted(spend.service)),
            array("text", &|_| "NULL".to_owned()),
        )
    }
}

fn quoted(text: Option<&str>) -> String {
    text.map_or("NULL".to_owned(), |text| format!("'{text}'"))
}

/// An answer without what differs from one spend to the next: ids and times.
fn outline(answer: &str) -> String {
    let mut value: Value = serde_json::from_str(answer).expect("an answer is JSON");
    if let Some(transaction) = value.get_mut("transaction").and_then(Value::as_object_mut) {
        for name in ["id", "occurred_at", "created_at"] {
            transaction.remove(name).expect("a transaction has it");
        }
    }
    if let Some(allocation) = value.get_mut("allocation").and_then(Value::as_object_mut) {
        allocation.remove("user_id");
        allocation.remove("period_started_at");
    }
    value.to_string()
}

/// All that spends write, of one organization and without ids and times.
async fn books(host: &TestHost, organization: &str) -> Vec<String> {
    let sql = format!(
        "SELECT concat_ws(' ', 'account', available, consumed, sequence) FROM credit_accounts
          WHERE organization_id = {organization}
          UNION ALL
         SELECT concat_ws(' ', 'transfer', t.sequence, t.kind, t.amount, available_after, t.description, service,
                          '|', g.sequence, m.amount, m.position, g.remaining, g.state)
           FROM ledger_transfers t
           JOIN credit_movements m ON (m.organization_id, m.transfer_id) = (t.organization_id, t.id)
           JOIN credit_grants g ON (g.organization_id, g.id) = (m.organization_id, m.grant_id)
          WHERE t.organization_id = {organization}
          UNION ALL
         SELECT concat_ws(' ', 'day', service, model, spent, spends) FROM credit_usage_daily
          WHERE organization_id = {organization}
          UNION ALL
         SELECT concat_ws(' ', 'key', key, answer ->> 'refusal', answer #>> '{{transaction,available_after,amount}}')
           FROM idempotency_keys WHERE organization_id = {organization} AND key LIKE 'spend-%'
          UNION ALL
         SELECT concat_ws(' ', 'allocation', spending_limit, used) FROM credit_pool_allocations
          WHERE organization_id = {organization}
          ORDER BY 1"
    );
    let rows = host.query(&sql).await;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Batches of up to twenty spends by these tokens: of few keys and bodies, so that some repeat in
/// the batch and some from an earlier one, and of few services, so that a day has too many.
fn batches(random: &mut Random, tokens: usize) -> Vec<Vec<(usize, Spend)>> {
    let amounts = ["0.25", "1", "1.000000001", "4", "30"];
    let services = [None, Some("a"), Some("b"), Some("c"), Some("d"), Some("e")];
    let pick = |random: &mut Random, end: usize| {
        usize::try_from(random.below(u64::try_from(end).unwrap_or(1))).unwrap_or(0)
    };
    (0..12)
        .map(|_| {
            let count = 1 + random.below(20);
            let spend = |_| {
                let spend = Spend {
                    digest: String::new(),
                    key: format!("spend-{}", random.below(60)),
                    request: random.below(8) / 7,
                    amount: amounts[pick(random, amounts.len())],
                    service: services[pick(random, services.len())],
                };
                (pick(random, tokens), spend)
            };
            (0..count).map(spend).collect()
        })
        .collect()
}

fn by(tokens: &[String], spends: &[(usize, Spend)]) -> Vec<Spend> {
    let spends = spends.iter().map(|(token, spend)| Spend {
        digest: tokens[*token].clone(),
        key: spend.key.clone(),
        ..*spend
    });
    spends.collect()
}

const FEW_NAMES: &str =
    "CREATE OR REPLACE FUNCTION max_usage_names() RETURNS bigint LANGUAGE sql IMMUTABLE RETURN 4";

/// Two people with the same grants: the one's spends are sent one by one, and the other's together.
async fn each_fares_as_if_it_was_alone(host: &TestHost) {
    host.execute(FEW_NAMES).await;
    let mut random = Random::seeded("spends together");
    let admin = host.platform_admin().await;
    let functions = Functions {
        one: "credits_consume",
        many: "credits_consume_many",
        organization: None,
    };
    for _ in 0..3 {
        let mut twins = Vec::new();
        for name in ["ada", "eve"] {
            let user = host.new_user(name).await;
            for (amount, priority) in [("5.5", 50), ("0.75", 40), ("20", 60), ("9", 50)] {
                host.grant_with(&admin, &user, amount, json!({"priority": priority}))
                    .await;
            }
            let revoked = host.issue_token(&user).await;
            revoke(host, &revoked).await;
            let tokens = [user.token.clone(), host.issue_token(&user).await, revoked];
            let tokens: Vec<_> = tokens.iter().map(|token| sql_digest(token)).collect();
            twins.push((organization_of(host, &user).await, tokens));
        }
        for batch in batches(&mut random, 3) {
            let alone = functions.one_by_one(host, &by(&twins[0].1, &batch)).await;
            let together = functions.together(host, &by(&twins[1].1, &batch)).await;
            assert_eq!(together, alone);
        }
        assert_eq!(
            books(host, &twins[1].0).await,
            books(host, &twins[0].0).await
        );
    }
}

/// The same of two pools, whose members share what there is.
async fn each_member_of_a_pool_fares_as_if_they_were_alone(host: &TestHost) {
    host.execute(FEW_NAMES).await;
    let mut random = Random::seeded("pool spends together");
    for _ in 0..3 {
        let mut twins = Vec::new();
        for _ in 0..2 {
            let (owner, organization, admin) = host.organization_with("12").await;
            host.pool_grant(&admin, organization, "18.5", json!({"priority": 40}))
                .await;
            let mut tokens = Vec::new();
            for limit in ["4", "11.5", "100"] {
                let member = host.member_with(&owner, organization, limit, "never").await;
                tokens.push(member.token);
            }
            // Nothing is allocated to one, one has another organization, and one has left.
            tokens.push(host.member_of(organization, "member").await.token);
            tokens.push(host.new_user("stranger").await.token);
            let revoked = host
                .member_with(&owner, organization, "100", "never")
                .await
                .token;
            revoke(host, &revoked).await;
            tokens.push(revoked);
            let tokens: Vec<_> = tokens.iter().map(|token| sql_digest(token)).collect();
            let organization = format!("'{}'::uuid", organization.as_uuid());
            let functions = Functions {
                one: "credit_pool_consume",
                many: "credit_pool_consume_many",
                organization: Some(organization.clone()),
            };
            twins.push((organization, tokens, functions));
        }
        for batch in batches(&mut random, 6) {
            let alone = twins[0].2.one_by_one(host, &by(&twins[0].1, &batch)).await;
            let together = twins[1].2.together(host, &by(&twins[1].1, &batch)).await;
            assert_eq!(together, alone);
        }
        assert_eq!(
            books(host, &twins[1].0).await,
            books(host, &twins[0].0).await
        );
    }
}

/// What is not of one account fails whole, whatever order it comes in.
async fn refuses_several_accounts(host: &TestHost) {
    let (ada, admin) = host.user_with("10").await;
    let eve = host.new_user("eve").await;
    host.grant(&admin, &eve, "10", "USD").await;
    let spend = |user: &User| Spend {
        digest: sql_digest(&user.token),
        key: fresh_key(),
        request: 1,
        amount: "1",
        service: None,
    };
    let functions = Functions {
        one: "credits_consume",
        many: "credits_consume_many",
        organization: None,
    };
    let before = host.money_state().await;
    for users in [[&ada, &eve], [&eve, &ada]] {
        let sql = functions.sql(&users.map(spend));
        let error = host.db().query(&sql, &[]).await.expect_err("two accounts");
        let code = error.as_db_error().map(|error| error.code().code());
        assert_eq!(code, Some("TP004"), "{error:?}");
    }
    // An unknown token belongs to nobody, and is refused by itself.
    let mut unknown = spend(&ada);
    unknown.digest = sql_digest(&turnpike_tests::personas::invented_token(ada.id));
    let answers = functions.together(host, &[unknown]).await;
    assert_eq!(answers, [r#"{"refusal":"unauthenticated"}"#]);
    assert_eq!(host.money_state().await, before);
}

/// What holds an account.
fn hold_account(which: &str) -> String {
    format!("SELECT 1 FROM credit_accounts WHERE {which} FOR UPDATE")
}

/// Sends a request while the account is held, and the others while it waits.
async fn send_while_held(host: &TestHost, which: &str, calls: Vec<Call>) -> Vec<Response> {
    together::send_while_held(host, &hold_account(which), calls).await
}

/// How many transactions have written the spends of an organization.
async fn statements(host: &TestHost, organization: &str) -> usize {
    let spends =
        format!("ledger_transfers WHERE kind = 'consume' AND organization_id = {organization}");
    together::statements(host, &spends).await
}

/// Among those that wait are a key that comes twice, one with two bodies, a token that was revoked,
/// and more than there is. A busy machine may deliver all of them late, and is given another try.
async fn those_that_wait_are_one_statement(host: &TestHost) {
    for _ in 0..ATTEMPTS {
        let (user, _) = host.user_with("30").await;
        let organization = organization_of(host, &user).await;
        let revoked = User {
            token: host.issue_token(&user).await,
            ..user.clone()
        };
        revoke(host, &revoked.token).await;
        let mut calls: Vec<_> = (0..WAITING - 4)
            .map(|_| host.consume_call(&user, "1"))
            .collect();
        calls.insert(4, host.consume_call(&revoked, "1"));
        calls.insert(2, host.consume_call(&user, "100"));
        for (amount, place) in [("1", 3), ("1", 6), ("2", 8)] {
            calls.insert(place, host.consume_call_with_key(&user, amount, "twice"));
        }
        let responses = send_while_held(host, &is_of(&user), calls).await;
        assert_eq!(responses[0].status, 201, "{}", responses[0]);
        assert_eq!(count(&responses, 401), 1, "the revoked token");
        // Of one key, whichever body came first is spent, and the other is refused.
        let key: Vec<_> = [3, 6, 8].iter().map(|place| &responses[*place]).collect();
        let refused = count(&responses, 422);
        assert!(
            (1..=2).contains(&refused),
            "{refused} were refused for the key"
        );
        let spent = key.iter().filter(|response| response.status == 201);
        let bodies: Vec<_> = spent.map(|response| &response.body).collect();
        assert!(bodies.windows(2).all(|two| two[0] == two[1]), "one effect");
        let spends = host.count_transfers(&user, "consume").await;
        assert_eq!(
            usize::try_from(spends).ok(),
            Some(count(&responses, 201) - (bodies.len().saturating_sub(1)))
        );
        assert!(
            responses.iter().all(|response| response.db_queries() >= 1),
            "each has asked Postgres"
        );
        let spends = usize::try_from(spends).expect("it is a count");
        if are_fewer(statements(host, &organization).await, spends) {
            return;
        }
    }
    panic!("the spends never waited together");
}

async fn those_that_wait_for_a_pool_are_one_statement(host: &TestHost) {
    for _ in 0..ATTEMPTS {
        let (owner, organization, _) = host.organization_with("24").await;
        let mut members = Vec::new();
        for limit in ["6", "9", "50"] {
            members.push(host.member_with(&owner, organization, limit, "month").await);
        }
        let calls = (0..WAITING + 1).map(|index| {
            host.pool_spend_call(&members[index % 3], organization, "1", &fresh_key())
        });
        let id = format!("'{}'::uuid", organization.as_uuid());
        let which = format!("organization_id = {id} AND user_id IS NULL");
        let responses = send_while_held(host, &which, calls.collect()).await;
        assert_eq!(count(&responses, 201), 24, "all that there is");
        assert_eq!(count(&responses, 402), WAITING + 1 - 24);
        let within = host
            .query(&format!(
                "SELECT bool_and(used <= spending_limit), sum(used)::integer
                   FROM credit_pool_allocations WHERE organization_id = {id}"
            ))
            .await;
        let within: (bool, i32) = (within[0].get(0), within[0].get(1));
        assert_eq!(within, (true, 24), "each within their own limit");
        assert_eq!(host.pool(&owner, organization).await[0], "0.00");
        if are_fewer(statements(host, &id).await, 24) {
            return;
        }
    }
    panic!("the spends never waited together");
}

fn is_of(user: &User) -> String {
    format!("user_id = {}", sql_id(user.id))
}

/// A fault that one of them causes is that one's: the others are sent again, each alone.
async fn one_that_fails_fails_alone(host: &TestHost) {
    host.execute(
        "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
         CREATE TRIGGER fails BEFORE INSERT ON ledger_transfers FOR EACH ROW
         WHEN (NEW.service = 'bad') EXECUTE FUNCTION fails()",
    )
    .await;
    for _ in 0..ATTEMPTS {
        let (user, _) = host.user_with("100").await;
        let mut calls: Vec<_> = (0..WAITING)
            .map(|_| host.consume_call(&user, "1"))
            .collect();
        let bad = host.consume_with_call(&user, "1", json!({"service": "bad"}), &fresh_key());
        calls.insert(5, bad.unchecked());
        let lines = host.log_lines().len();
        let responses = send_while_held(host, &is_of(&user), calls).await;
        let statuses: Vec<_> = responses.iter().map(|response| response.status).collect();
        assert_eq!(statuses[5], 500, "{statuses:?}");
        assert_eq!(count(&responses, 201), WAITING, "{statuses:?}");
        assert_eq!(host.balance(&user).await.to_string(), "60.00");
        let failed = host.log_lines().split_off(lines);
        if failed
            .iter()
            .any(|line| line.contains("credits_consume_many"))
        {
            return;
        }
    }
    panic!("the spends never waited together");
}

/// Lets statements wait for an account for so long that two of them do not fit into the time of a
/// request. The host has no connection yet, so that all have it.
const LONG_WAITS: &str = "DO $$ BEGIN
    EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I SET lock_timeout = ''1400ms''', current_database());
END $$";

/// What a request is told that was not sent, since those before it take all of its time.
const CROWDED: &str = "Requests before this one take all the time";

async fn whoever_comes_too_late_is_told_at_once(host: &TestHost) {
    host.execute(LONG_WAITS).await;
    let (user, _) = host.user_with("100").await;
    let holder = Holder::hold(host, &hold_account(&is_of(&user))).await;
    let first = host.consume_call(&user, "1");
    let first = tokio::spawn(async move { first.settle().await });
    host.until_blocked().await;
    // Some come before it is known how long it takes, and wait until their time is up.
    let mut late = Vec::new();
    let (key, told) = loop {
        assert!(late.len() < ATTEMPTS, "everybody waited");
        let key = fresh_key();
        let call = host.consume_call_with_key(&user, "1", &key);
        let answer = call.send_once().await;
        assert!(answer.asks_for_retry(), "{answer}");
        late.push(call);
        let is_crowded = answer.text_at("/detail").starts_with(CROWDED);
        if is_crowded && answer.elapsed < Duration::from_secs(1) {
            break (key, answer);
        }
    };
    assert_eq!(told.db_queries(), 0, "nothing was sent for it: {told}");
    let told = told.expect_problem(503, "dependency_unavailable");
    let retry_after = told.header("retry-after");
    assert!(matches!(retry_after, Some("1" | "2")), "{told}");
    let sql = format!("SELECT count(*) FROM idempotency_keys WHERE key = '{key}'");
    let kept: i64 = host.query(&sql).await[0].get(0);
    assert_eq!(kept, 0, "nothing was changed");
    holder.release().await;
    first.await.expect("it is answered").expect(201);
    for call in &late {
        call.settle().await.expect(201);
    }
    let left = format!("{}.00", 99 - late.len());
    assert_eq!(host.balance(&user).await.to_string(), left);
}

/// An instance of its own for each request has nobody wait.
#[test]
fn fresh_instances_spend_one_by_one() {
    run(Settings::fresh(), async |host: &TestHost| {
        let (user, _) = host.user_with("10").await;
        let organization = organization_of(host, &user).await;
        let calls = (0..6).map(|_| host.consume_call(&user, "1")).collect();
        let responses = send_while_held(host, &is_of(&user), calls).await;
        assert_eq!(count(&responses, 201), 6);
        assert_eq!(statements(host, &organization).await, 6);
    });
}
