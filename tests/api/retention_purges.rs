//! What is deleted when it has lapsed, and that nothing else is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use serde_json::{Value, json};
use turnpike_tests::environment::project_root;
use turnpike_tests::personas::{
    AUDIT_LOG, BALANCE, CONSUME, JWKS, LOGOUT, ME, PASSWORD, PASSWORD_RESET, SESSIONS, fresh_key,
    sql_hash, sql_id,
};
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::auth_jwks::keys;
use crate::refusals::refuse;

const PURGES: &str = "/api/v1/retention/purges";

/// Rows of each rule that have lapsed, and those that have not.
const LAPSED: i64 = 3;
const KEPT: i64 = 2;

/// Purges, or administrators who purge, at the same moment.
const CALLERS: usize = 8;

/// A rule: the table, the moment that it looks at, for how many hours a row is kept after it, and
/// what writes a row. In that `{moment}` is the moment, `{n}` a number that no other row has,
/// `{user}` a user and `{organization}` theirs.
struct Rule(&'static str, &'static str, u32, &'static str);

const RULES: [Rule; 10] = [
    Rule(
        "access_tokens",
        "expires_at",
        24,
        "INSERT INTO access_tokens (organization_id, digest, session_id, expires_at)
         SELECT organization_id, sha256('{n}'), id, {moment} FROM sessions WHERE user_id = {user} AND revoked_at IS NULL
          ORDER BY created_at DESC LIMIT 1",
    ),
    Rule(
        "refresh_tokens",
        "expires_at",
        24,
        "INSERT INTO refresh_tokens (organization_id, digest, session_id, expires_at, successor)
         SELECT organization_id, sha256('{n}'), id, {moment}, sha256('successor of {n}') FROM sessions
          WHERE user_id = {user} AND revoked_at IS NULL ORDER BY created_at DESC LIMIT 1",
    ),
    Rule(
        "sessions",
        "revoked_at",
        60 * 24,
        "INSERT INTO sessions (organization_id, id, user_id, created_at, revoked_at)
         VALUES ({organization}, owned_id({organization}, gen_random_uuid()), {user}, {moment} - interval '1 hour', {moment})",
    ),
    Rule(
        "sessions",
        "created_at",
        (180 + 60) * 24,
        "INSERT INTO sessions (organization_id, id, user_id, created_at)
         VALUES ({organization}, owned_id({organization}, gen_random_uuid()), {user}, {moment})",
    ),
    Rule(
        "email_tokens",
        "expires_at",
        24,
        "INSERT INTO email_tokens (digest, purpose, email, expires_at)
         VALUES (sha256('{n}'), 'reset_password', 'nobody@example.com', {moment})",
    ),
    Rule(
        "login_attempts",
        "last_failed",
        1,
        "INSERT INTO login_attempts (subject, failures, last_failed, last_guess_id)
         VALUES ('account:{n}', 1, {moment}, gen_random_uuid())",
    ),
    Rule(
        "mail_quota",
        "window_started",
        2,
        "INSERT INTO mail_quota (subject, window_started, sent) VALUES ('email:{n}', {moment}, 1)",
    ),
    Rule(
        "outbox_messages",
        "settled_at",
        30 * 24,
        "INSERT INTO outbox_messages (organization_id, id, kind, recipient, settled_at, is_sent)
         VALUES (no_organization(), owned_id(no_organization(), gen_random_uuid()), 'verify_email', 'a@example.com',
                 {moment}, true)",
    ),
    Rule(
        "idempotency_keys",
        "created_at",
        30 * 24,
        "INSERT INTO idempotency_keys (organization_id, actor_id, key, request_digest, answer, created_at)
         VALUES ({organization}, {user}, 'key of row {n}', sha256('{n}'), '{}', {moment})",
    ),
    Rule(
        "entitlement_resets",
        "reset_at",
        30 * 24,
        // Of an entitlement that is not there, because its id is all that a reset has of it.
        "SET session_replication_role = replica;
         INSERT INTO entitlement_resets (organization_id, entitlement_id, key, reset_at, used)
         VALUES ({organization}, gen_random_uuid(), 'reset {n}', {moment}, 1);
         RESET session_replication_role",
    ),
];

impl Rule {
    /// Writes rows whose moment is so much before or after the one at which a row lapses.
    async fn write(&self, host: &TestHost, user: &User, rows: std::ops::Range<i64>, offset: &str) {
        let Self(table, moment, hours, insert) = self;
        let organization = host.organization_of(user).await;
        let organization = format!("'{}'::uuid", organization.as_uuid());
        let statements = rows.map(|row| {
            insert
                .replace("{n}", &format!("{table} {moment} {row}"))
                .replace("{user}", &sql_id(user.id))
                .replace("{organization}", &organization)
                .replace(
                    "{moment}",
                    &format!("(now() - interval '{hours} hours' + interval '{offset}')"),
                )
        });
        let statements: Vec<String> = statements.collect();
        host.execute(&statements.join(";\n")).await;
    }
}

fn purge_call(host: &TestHost, admin: &User) -> Call {
    host.post(PURGES).bearer(&admin.token)
}

async fn purge(host: &TestHost, admin: &User) -> Value {
    purge_call(host, admin).settle().await.expect(200).json()
}

/// Adds up what was deleted, by table.
fn add(sums: &mut BTreeMap<String, i64>, purged: &Value) {
    for (table, rows) in purged["deleted"].as_object().into_iter().flatten() {
        *sums.entry(table.clone()).or_default() += rows.as_i64().unwrap_or_default();
    }
}

/// What a purge says that deleted so many rows of each rule.
fn deleted(rows: i64) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for Rule(table, ..) in &RULES {
        *sums.entry((*table).to_owned()).or_default() += rows;
    }
    sums
}

async fn count(host: &TestHost, table: &str) -> i64 {
    let rows = host.query(&format!("SELECT count(*) FROM {table}")).await;
    rows[0].get(0)
}

/// Every table, with a digest of all that it holds.
async fn contents(host: &TestHost) -> BTreeMap<String, String> {
    let tables = host
        .query(
            "SELECT c.oid::regclass::text FROM pg_class c
              WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'",
        )
        .await;
    let mut contents = BTreeMap::new();
    for table in &tables {
        let table: String = table.get(0);
        let rows = host
            .query(&format!(
                "SELECT count(*) || ' rows, ' || md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) FROM {table} t"
            ))
            .await;
        contents.insert(table, rows[0].get(0));
    }
    contents
}

api_tests![
    deletes_what_has_lapsed_and_nothing_else,
    a_session_stays_while_a_token_refers_to_it,
    touches_no_other_table,
    a_key_that_may_be_retried_stays,
    each_row_is_deleted_once_by_calls_at_once,
    is_done_beside_sign_in_and_spending,
    rotates_an_old_signing_key_once,
    refuses,
];

api_tests![
    fresh_too:
    changes_no_answer,
];

/// The documentation and the database say the same.
#[test]
fn what_is_kept_for_how_long_is_documented() {
    let path = project_root().join("docs").join("operations.md");
    let text = std::fs::read_to_string(path).expect("the documentation can be read");
    for Rule(table, moment, hours, _) in &RULES {
        let kept = match (hours / 24, hours % 24) {
            (0, 1) => "1 hour".to_owned(),
            (0, hours) => format!("{hours} hours"),
            (1, 0) => "1 day".to_owned(),
            (days, _) => format!("{days} days"),
        };
        let begin = format!("| `{table}` | {kept} after `{moment}` |");
        assert!(
            text.lines().any(|line| line.starts_with(&begin)),
            "the table of what is kept must have a row that begins with {begin}"
        );
    }
}

async fn deletes_what_has_lapsed_and_nothing_else(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = host.signed_up_user("ada").await;
    let rules = host
        .query("SELECT table_name, moment, (extract(epoch FROM kept) / 3600)::integer FROM retention_rules()")
        .await;
    let rules: Vec<(String, String, i32)> = rules
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    let expected: Vec<(String, String, i32)> = RULES
        .iter()
        .map(|Rule(table, moment, hours, _)| {
            let hours = i32::try_from(*hours).unwrap_or_default();
            ((*table).to_owned(), (*moment).to_owned(), hours)
        })
        .collect();
    assert_eq!(rules, expected, "each rule is tried");
    for rule in &RULES {
        // A minute is for the machine to be slow in.
        rule.write(host, &user, LAPSED..LAPSED + KEPT, "1 minute")
            .await;
    }
    let mut before = BTreeMap::new();
    for Rule(table, ..) in &RULES {
        before.insert(*table, count(host, table).await);
    }
    for rule in &RULES {
        rule.write(host, &user, 0..LAPSED, "-1 second").await;
    }
    let purged = purge(host, &admin).await;
    let mut sums = BTreeMap::new();
    add(&mut sums, &purged);
    assert_eq!(sums, deleted(LAPSED), "{purged}");
    assert_eq!(
        (
            &purged["status"],
            &purged["is_complete"],
            &purged["signing_key"]
        ),
        (&json!("done"), &json!(true), &json!(null))
    );
    for (table, rows) in before {
        assert_eq!(count(host, table).await, rows, "{table}");
    }
    let mut sums = BTreeMap::new();
    add(&mut sums, &purge(host, &admin).await);
    assert_eq!(sums, deleted(0), "nothing more has lapsed");
}

async fn a_session_stays_while_a_token_refers_to_it(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = host.new_user("ada").await;
    for (table, by) in [("refresh_tokens", "refresh"), ("access_tokens", "access")] {
        let session = host.issue_session(&user).await;
        let other = if table == "refresh_tokens" {
            "access_tokens"
        } else {
            "refresh_tokens"
        };
        let id = session.id.as_uuid();
        host.execute(&format!(
            "UPDATE sessions SET revoked_at = now() - interval '2000 hours' WHERE id = '{id}';
             DELETE FROM {other} WHERE session_id = '{id}'"
        ))
        .await;
        for (is_lapsed, sessions) in [(false, 0), (true, 1)] {
            if is_lapsed {
                host.execute(&format!(
                    "UPDATE {table} SET expires_at = now() - interval '25 hours' WHERE session_id = '{id}'"
                ))
                .await;
            }
            let purged = purge(host, &admin).await;
            assert_eq!(purged["deleted"]["sessions"], sessions, "{by}: {purged}");
            assert_eq!(purged["deleted"][table], sessions, "{by}: {purged}");
        }
    }
}

/// The ledger, the audit log, subscriptions, usage, and everything else.
async fn touches_no_other_table(host: &TestHost) {
    let (user, admin) = host.user_with("100").await;
    host.consume(&user, "1").await;
    host.hold(&user, "2", 60).await;
    host.issue_api_key(&user, &["credits:read"]).await;
    for rule in &RULES {
        rule.write(host, &user, 0..LAPSED, "-1 second").await;
    }
    let before = contents(host).await;
    let purged = purge(host, &admin).await;
    let mut sums = BTreeMap::new();
    add(&mut sums, &purged);
    assert_eq!(sums, deleted(LAPSED), "{purged}");
    let after = contents(host).await;
    let changed: Vec<&String> = before
        .iter()
        .filter(|(table, held)| after.get(*table) != Some(*held))
        .map(|(table, _)| table)
        // What instances counted is written after any answer.
        .filter(|table| *table != "operation_counts")
        .collect();
    let expected: Vec<String> = deleted(0).into_keys().collect();
    assert_eq!(changed, expected.iter().collect::<Vec<_>>());
    for table in [
        "audit_events",
        "audit_heads",
        "credit_accounts",
        "credit_grants",
        "credit_holds",
        "ledger_transfers",
        "subscription_changes",
        "usage_event_keys",
    ] {
        assert!(before.contains_key(table), "{table} was not compared");
    }
}

async fn a_key_that_may_be_retried_stays(host: &TestHost) {
    let (user, admin) = host.user_with("10").await;
    let age = async |hours: u32| {
        host.execute(&format!(
            "UPDATE idempotency_keys SET created_at = now() - interval '{hours} hours'"
        ))
        .await;
        purge(host, &admin).await["deleted"]["idempotency_keys"].clone()
    };
    let spend = host.consume_call_with_key(&user, "1", "once");
    let first = spend.settle().await.expect(201);
    assert_eq!(age(719).await, 0);
    let again = spend.settle().await.expect(201);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.json(), first.json());
    assert_eq!(host.balance(&user).await.to_string(), "9.00");
    // After 30 days it is another request. The grant had a key too.
    assert_eq!(age(721).await, 2);
    let late = spend.settle().await.expect(201);
    assert_ne!(
        late.text_at("/transaction/id"),
        first.text_at("/transaction/id")
    );
    assert_eq!(host.balance(&user).await.to_string(), "8.00");
}

async fn each_row_is_deleted_once_by_calls_at_once(host: &TestHost) {
    const ROWS: i64 = 4_000;
    host.fail_on_deadlock().await;
    let admin = host.platform_admin().await;
    host.execute(&format!(
        "INSERT INTO login_attempts (subject, failures, last_failed, last_guess_id)
         SELECT 'account:' || n, 1, now() - interval '2 hours', gen_random_uuid() FROM generate_series(1, {ROWS}) n;
         INSERT INTO mail_quota (subject, window_started, sent)
         SELECT 'email:' || n, now() - interval '3 hours', 1 FROM generate_series(1, {ROWS}) n"
    ))
    .await;
    let callers = (0..CALLERS).map(|_| {
        let call = purge_call(host, &admin);
        async move {
            let mut sums = BTreeMap::new();
            loop {
                let purged = call.settle().await.expect(200).json();
                add(&mut sums, &purged);
                if purged["is_complete"] == true {
                    return sums;
                }
            }
        }
    });
    let mut deleted = 0;
    for sums in join_all(callers).await {
        deleted += sums["login_attempts"] + sums["mail_quota"];
    }
    assert_eq!(
        (
            count(host, "login_attempts").await,
            count(host, "mail_quota").await
        ),
        (0, 0)
    );
    // An answer that was lost on a busy machine had counts too.
    let is_cut_off = |line: &String| line.contains("postgres is unavailable");
    if !host.log_lines().iter().any(is_cut_off) {
        assert_eq!(deleted, 2 * ROWS, "what the answers say together");
    }
}

/// Whatever has lapsed is purged all the time while its owners use what is left.
async fn is_done_beside_sign_in_and_spending(host: &TestHost) {
    const TURNS: usize = 12;
    host.fail_on_deadlock().await;
    let (user, admin) = host.user_with("1000").await;
    let ends = AtomicBool::new(false);
    let purging = async {
        let mut sums = BTreeMap::new();
        while !ends.load(Ordering::SeqCst) {
            add(&mut sums, &purge(host, &admin).await);
        }
        // What has lapsed since the last of them.
        add(&mut sums, &purge(host, &admin).await);
        sums
    };
    let refreshing = async {
        let mut session = host.issue_session(&user).await;
        for _ in 0..TURNS {
            let answer = host.refresh_call(&session.refresh_token).settle().await;
            let answer = answer.expect(200);
            host.execute(&format!(
                "UPDATE refresh_tokens SET expires_at = now() - interval '25 hours'
                  WHERE session_id = '{}' AND successor IS NOT NULL",
                session.id.as_uuid()
            ))
            .await;
            session.token = answer.text_at("/access_token");
            session.refresh_token = answer.text_at("/refresh_token");
            host.get(ME)
                .bearer(&session.token)
                .settle()
                .await
                .expect(200);
        }
    };
    let signing_in = async {
        for _ in 0..3 {
            let wrong = host.login_call(&user.email, "not the password");
            wrong
                .settle()
                .await
                .expect_problem(401, "invalid_credentials");
            host.execute("UPDATE login_attempts SET last_failed = now() - interval '61 minutes'")
                .await;
            host.login_call(&user.email, PASSWORD)
                .settle()
                .await
                .expect(200);
        }
    };
    let spending = async {
        for turn in 0..TURNS {
            let key = format!("turn-{turn}");
            let spend = host.consume_call_with_key(&user, "1", &key);
            let first = spend.settle().await.expect(201);
            // An hour before it may go.
            host.execute(&format!(
                "UPDATE idempotency_keys SET created_at = now() - interval '719 hours' WHERE key = '{key}'"
            ))
            .await;
            let again = spend.settle().await.expect(201);
            assert_eq!(again.json(), first.json());
        }
    };
    let using = async {
        futures::join!(refreshing, signing_in, spending);
        ends.store(true, Ordering::SeqCst);
    };
    let (sums, ()) = futures::join!(purging, using);
    assert_eq!(
        sums["refresh_tokens"], TURNS as i64,
        "it was purged beside them: {sums:?}"
    );
    assert_eq!(
        sums["idempotency_keys"], 0,
        "nothing may be purged that may be retried"
    );
    assert_eq!(host.count_transfers(&user, "consume").await, TURNS as i64);
}

async fn changes_no_answer(host: &TestHost) {
    let (user, admin) = host.user_with("10").await;
    let session = host.issue_session(&user).await;
    let spent = host.issue_session(&user).await;
    let ended = host.issue_session(&user).await;
    let mailed = host.signed_up_user("bob").await;
    host.post("/api/v1/auth/password/forgot")
        .json(&json!({"email": mailed.email}))
        .settle()
        .await
        .expect(202);
    let link = host
        .newest_mail_token("reset_password", &mailed.email)
        .await;
    host.refresh_call(&spent.refresh_token)
        .settle()
        .await
        .expect(200);
    host.post(LOGOUT)
        .bearer(&ended.token)
        .settle()
        .await
        .expect(200);
    host.execute(&format!(
        "UPDATE access_tokens SET expires_at = now() - interval '25 hours' WHERE digest IN ({}, {});
         UPDATE refresh_tokens SET expires_at = now() - interval '25 hours' WHERE digest IN ({}, {});
         UPDATE email_tokens SET expires_at = now() - interval '25 hours'",
        sql_hash(&session.token),
        sql_hash(&ended.token),
        sql_hash(&session.refresh_token),
        sql_hash(&ended.refresh_token),
    ))
    .await;
    let call = |path: &str, token: &str| host.get(path).bearer(token);
    let calls = [
        call(ME, &session.token),
        call(BALANCE, &session.token),
        call(SESSIONS, &session.token),
        host.post(LOGOUT).bearer(&session.token),
        host.refresh_call(&session.refresh_token),
        call(ME, &ended.token),
        host.post(LOGOUT).bearer(&ended.token),
        host.refresh_call(&ended.refresh_token),
        host.post(PASSWORD_RESET)
            .json(&json!({"token": link, "new_password": "another horse battery"})),
        call(ME, &user.token),
        call(SESSIONS, &user.token),
        host.balance_call(&user),
        host.introspect_call(&user.token, &session.token),
        host.introspect_call(&user.token, &user.token),
        host.post(CONSUME)
            .bearer(&session.token)
            .idempotency_key(&fresh_key())
            .json(&json!({"amount": "1", "currency": "USD"})),
    ];
    let cached = [call(ME, &user.token), host.balance_call(&user)];
    let mut warm = Vec::new();
    for call in &cached {
        warm.push(host.warm(call).await.json());
    }
    let ask = async || {
        let mut answers = Vec::new();
        for call in &calls {
            let answer = call.settle().await;
            let mut body = answer.json();
            if let Some(body) = body.as_object_mut() {
                body.remove("request_id");
            }
            answers.push((call.path(), answer.status, body));
        }
        answers
    };
    let before = ask().await;
    let purged = purge(host, &admin).await;
    for (table, rows) in [
        ("access_tokens", 2),
        ("refresh_tokens", 2),
        ("email_tokens", 2),
    ] {
        assert_eq!(purged["deleted"][table], rows, "{table}: {purged}");
    }
    for (before, after) in before.into_iter().zip(ask().await) {
        assert_eq!(after, before);
    }
    for (call, warm) in cached.iter().zip(warm) {
        assert_eq!(host.warm(call).await.json(), warm, "{}", call.path());
    }
}

/// A deployment where nobody asks for tokens rotates its key too.
async fn rotates_an_old_signing_key_once(host: &TestHost) {
    host.fail_on_deadlock().await;
    let admin = host.platform_admin().await;
    let user = host.new_user("ada").await;
    let jwt = host.issue_jwt(&user.token).await;
    let is_active = async || {
        let call = host.introspect_call(&user.token, &jwt);
        call.settle().await.expect(200).json()["active"] == true
    };
    let published = async || {
        let jwks = host.get(JWKS).settle().await.expect(200);
        let keys = keys(&jwks);
        let ids = keys.iter().map(|key| key.kid().to_owned());
        ids.collect::<Vec<_>>()
    };
    let first = published().await;
    assert_eq!(purge(host, &admin).await["signing_key"], json!(null));
    let age = |days: u32| {
        format!("UPDATE signing_keys SET signs_from = signs_from - interval '{days} days'")
    };
    host.execute(&age(89)).await;
    assert_eq!(purge(host, &admin).await["signing_key"], json!(null));
    host.execute(&age(2)).await;
    let calls = (0..CALLERS).map(|_| {
        let call = purge_call(host, &admin);
        async move { call.settle().await.expect(200).json() }
    });
    let answers = join_all(calls).await;
    let made: Vec<&str> = answers
        .iter()
        .filter_map(|answer| answer["signing_key"].as_str())
        .collect();
    // The answer may be lost of whoever made it.
    assert!(made.len() <= 1, "{made:?}");
    let both = published().await;
    assert_eq!(both.len(), 2, "{both:?}");
    assert!(
        both.contains(&first[0]),
        "it signs until the other one does"
    );
    assert!(is_active().await, "what it signed is good until it expires");
    assert_eq!(purge(host, &admin).await["signing_key"], json!(null));
    assert_eq!(published().await, both);
    let call = host
        .get(format!("{AUDIT_LOG}/platform"))
        .bearer(&admin.token);
    let log = call.settle().await.expect(200).json();
    let events: Vec<&Value> = log["events"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|event| event["event_type"] == "signing_key.published")
        .collect();
    assert_eq!(events.len(), 1, "{log}");
    assert_eq!(events[0]["detail"]["is_automatic"], true, "{log}");
    assert_ne!(events[0]["subject"], json!(first[0]), "{log}");
}

async fn refuses(host: &TestHost) {
    let owner = host.new_user("owner").await;
    let admin = host.platform_admin().await;
    let other = host.issue_api_key(&admin, &["usage:upkeep"]).await;
    for token in [&owner.token, &other.key] {
        refuse(host, host.post(PURGES).bearer(token), 403, "forbidden", &[]).await;
    }
    refuse(host, host.post(PURGES), 401, "unauthenticated", &[]).await;
    let key = host.issue_api_key(&admin, &["retention:purge"]).await;
    host.post(PURGES)
        .bearer(&key.key)
        .settle()
        .await
        .expect(200);
}
