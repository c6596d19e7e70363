use std::collections::BTreeMap;
use std::fmt::Display;

use futures::future::{join, join_all};
use http::HeaderMap;
use serde_json::json;
use shared::ids::OrganizationId;
use turnpike_tests::personas::{
    INTROSPECT, IssuedSession, LOGIN, LOGOUT, ME, ORGANIZATIONS, PASSWORD, SESSION_ORGANIZATION,
    SESSIONS, available, sql_id,
};
use turnpike_tests::{Call, Response, Reuse, TestHost, User, api_tests};

use crate::refusals::refuse;

/// Changes of one session at once, and how often each race is run. A fresh instance for every
/// request makes no difference to what is raced for, which are rows of Postgres.
const RACERS: usize = 16;
const ROUNDS: usize = 12;
const FRESH_ROUNDS: usize = 3;

fn change(host: &TestHost, token: &str, organization: impl Display) -> Call {
    host.put(SESSION_ORGANIZATION)
        .bearer(token)
        .json(&json!({"organization_id": organization.to_string()}))
}

fn rounds(host: &TestHost) -> usize {
    match host.reuse() {
        Reuse::Pooled => ROUNDS,
        Reuse::Fresh => FRESH_ROUNDS,
    }
}

async fn expect_me(host: &TestHost, token: &str, status: u16) {
    host.get(ME).bearer(token).send().await.expect(status);
}

async fn expect_refresh(host: &TestHost, token: &str, status: u16) {
    host.refresh_call(token).send().await.expect(status);
}

async fn join_as(host: &TestHost, user: &User, organization: OrganizationId, role: &str) {
    host.execute(&format!(
        "INSERT INTO memberships (organization_id, user_id, role) VALUES ('{}', {}, '{role}')
         ON CONFLICT DO NOTHING",
        organization.as_uuid(),
        sql_id(user.id)
    ))
    .await;
}

/// Somebody who is an owner of their own organization and a member of the second, whose owner
/// comes with them.
async fn of_two(host: &TestHost) -> (User, OrganizationId, User, OrganizationId) {
    let (ada, boss) = (host.new_user("ada").await, host.new_user("boss").await);
    let own = host.organization_of(&ada).await;
    let other = host.organization_of(&boss).await;
    join_as(host, &ada, other, "member").await;
    (ada, own, boss, other)
}

/// The ids of the user's live sessions, and in which organizations they act.
async fn live_sessions(host: &TestHost, user: &User) -> Vec<(String, String)> {
    let rows = host
        .query(&format!(
            "SELECT prefixed_id('ses_', id), prefixed_id('org_', organization_id) FROM sessions
              WHERE user_id = {} AND revoked_at IS NULL ORDER BY id",
            sql_id(user.id)
        ))
        .await;
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn session_of(response: &Response) -> IssuedSession {
    let id = response.text_at("/session_id");
    IssuedSession {
        id: id
            .parse()
            .unwrap_or_else(|_| response.fail("session_id must be a session's id")),
        token: response.text_at("/access_token"),
        refresh_token: response.text_at("/refresh_token"),
    }
}

api_tests![
    keeps_what_the_sign_in_was,
    replaces_cookies_by_cookies,
    a_lost_answer_can_be_asked_for_again,
    a_pair_that_was_received_is_not_ended,
    the_old_token_can_end_what_it_became,
    reuse_after_a_move_ends_the_sign_in,
    an_end_beside_a_change_leaves_nothing,
    refuses,
];

api_tests![
    fresh_too:
    acts_in_the_other_organization_at_once,
    each_organization_has_credits_and_keys_of_its_own,
    changes_at_once_leave_one_session,
];

async fn acts_in_the_other_organization_at_once(host: &TestHost) {
    let (ada, own, boss, other) = of_two(host).await;
    let mut token = ada.token.clone();
    for _ in 0..2 {
        let old = host.get(ME).bearer(&token);
        host.warm(&old).await;
        let introspect = host.introspect_call(&boss.token, &token);
        introspect.send().await.expect(200);
        let changed = change(host, &token, other).send().await.expect(200);
        assert_eq!(changed.text_at("/organization_id"), other.to_string());
        assert_eq!(changed.text_at("/token_type"), "Bearer");
        // Cached or not.
        old.send().await.expect_problem(401, "unauthenticated");
        let seen = introspect.send().await.expect(200);
        assert_eq!(seen.json(), json!({"active": false}), "{seen}");

        token = changed.text_at("/access_token");
        let me = host.get(ME).bearer(&token);
        let now = host.warm(&me).await;
        assert_eq!(now.text_at("/organization_id"), other.to_string(), "{now}");
        assert_eq!(now.text_at("/session_id"), changed.text_at("/session_id"));
        assert!(!now.text_at("/permissions/0").is_empty(), "{now}");
        let seen = host.introspect_call(&boss.token, &token);
        let seen = host.warm(&seen).await;
        assert_eq!(seen.json()["active"], json!(true), "{seen}");
    }
    // A member there is no owner any more, and their own organization is another one.
    let call = host.post(INTROSPECT).bearer(&token).form("token=x");
    refuse(host, call, 403, "forbidden", &[]).await;
    let call = host.get(format!("{ORGANIZATIONS}/{own}")).bearer(&token);
    refuse(host, call, 404, "not_found", &[]).await;
    let back = change(host, &token, own).send().await.expect(200);
    let seen = host.introspect_call(&boss.token, &back.text_at("/access_token"));
    let seen = seen.send().await.expect(200);
    assert_eq!(seen.json(), json!({"active": false}));
    expect_refresh(host, &back.text_at("/refresh_token"), 200).await;
    assert_eq!(live_sessions(host, &ada).await.len(), 1);
}

async fn keeps_what_the_sign_in_was(host: &TestHost) {
    let (ada, _, _, other) = of_two(host).await;
    let session = host.issue_session(&ada).await;
    host.execute(&format!(
        "UPDATE sessions SET created_at = now() - interval '100 days', authenticated_at = now() - interval '99 days',
                             last_used_at = now() - interval '98 days'
          WHERE id = '{}'",
        session.id.as_uuid()
    ))
    .await;
    let changed = change(host, &session.token, other).send().await.expect(200);
    let new = session_of(&changed);
    assert_ne!(new.id, session.id);
    let rows = host
        .query(&format!(
            "SELECT (new.created_at, new.authenticated_at, new.user_agent, new.address, new.sign_in_id)
                    = (old.created_at, old.authenticated_at, 'test', '127.0.0.1', old.sign_in_id)
                    AND new.last_used_at > now() - interval '5 minutes'
               FROM sessions new, sessions old WHERE new.id = '{}' AND old.id = '{}'",
            new.id.as_uuid(),
            session.id.as_uuid()
        ))
        .await;
    assert!(rows[0].get::<_, bool>(0), "the sign-in is the same");
    let listed = host.get(SESSIONS).bearer(&new.token).send().await;
    let listed = listed.expect(200);
    let shown = listed.json()["sessions"].as_array().cloned();
    let shown = shown.unwrap_or_default();
    assert_eq!(
        shown.len(),
        2,
        "the old session is listed no more\n{listed}"
    );
    let is_current = |shown: &&serde_json::Value| shown["is_current"] == json!(true);
    let shown = shown.iter().find(is_current).cloned().unwrap_or_default();
    assert_eq!(shown["id"], json!(new.id), "{listed}");
    assert_eq!(shown["organization_id"], json!(other), "{listed}");
    let rows = host
        .query(
            "SELECT subject, detail ->> 'previous_session_id' FROM audit_events
              WHERE event_type = 'session.organization_changed'",
        )
        .await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get::<_, &str>(0), new.id.to_string());
    assert_eq!(rows[0].get::<_, &str>(1), session.id.to_string());
}

/// The cookies that an answer sets, as a browser sends them back.
fn cookies(response: &Response) -> String {
    let headers: &HeaderMap = &response.headers;
    let set = headers.get_all("set-cookie").iter();
    let set = set.filter_map(|value| value.to_str().ok()?.split(';').next());
    set.collect::<Vec<_>>().join("; ")
}

async fn replaces_cookies_by_cookies(host: &TestHost) {
    let email = host.signup("ada").await;
    let login = host
        .post(LOGIN)
        .json(&json!({"email": email, "password": PASSWORD, "cookie": true}));
    let login = login.settle().await.expect(200);
    let organization = login.text_at("/organization_id");
    let from = |cookies: &str, site: &str| {
        host.put(SESSION_ORGANIZATION)
            .header("cookie", cookies)
            .header("sec-fetch-site", site)
            .json(&json!({"organization_id": organization}))
    };
    let forged = from(&cookies(&login), "cross-site");
    forged
        .send()
        .await
        .expect_problem(403, "cross_site_request");
    let changed = from(&cookies(&login), "same-origin").send().await;
    let changed = changed.expect(200);
    assert_eq!(changed.text_at("/token_type"), "Cookie");
    for member in ["access_token", "refresh_token"] {
        assert!(
            changed.json().get(member).is_none(),
            "no script may read {member}\n{changed}"
        );
    }
    let me = |cookies: &str| host.get(ME).header("cookie", cookies);
    me(&cookies(&login)).send().await.expect(401);
    let seen = me(&cookies(&changed)).send().await.expect(200);
    assert_eq!(seen.text_at("/session_id"), changed.text_at("/session_id"));
}

async fn a_lost_answer_can_be_asked_for_again(host: &TestHost) {
    let (ada, own, _, other) = of_two(host).await;
    let call = change(host, &ada.token, other);
    let mut lost = session_of(&call.send().await.expect(200));
    for _ in 0..2 {
        let repeated = session_of(&call.send().await.expect(200));
        assert_ne!(repeated.id, lost.id);
        expect_me(host, &lost.token, 401).await;
        expect_refresh(host, &lost.refresh_token, 401).await;
        expect_me(host, &repeated.token, 200).await;
        lost = repeated;
    }
    assert_eq!(live_sessions(host, &ada).await.len(), 1);
    // The old token says this and nothing else.
    change(host, &ada.token, own)
        .send()
        .await
        .expect_problem(401, "unauthenticated");
    expect_me(host, &ada.token, 401).await;
    expect_me(host, &lost.token, 200).await;
    // And says it within a minute.
    host.execute(&format!(
        "UPDATE sessions SET revoked_at = revoked_at - interval '61 seconds',
                             last_used_at = last_used_at - interval '61 seconds'
          WHERE user_id = {}",
        sql_id(ada.id)
    ))
    .await;
    call.send().await.expect_problem(401, "unauthenticated");
    expect_me(host, &lost.token, 200).await;
}

async fn a_pair_that_was_received_is_not_ended(host: &TestHost) {
    let (ada, _, _, other) = of_two(host).await;
    let call = change(host, &ada.token, other);
    let received = session_of(&call.send().await.expect(200));
    let refreshed = host.refresh_call(&received.refresh_token).send().await;
    let refreshed = session_of(&refreshed.expect(200));
    assert_eq!(refreshed.id, received.id);
    for _ in 0..2 {
        call.send().await.expect_problem(401, "unauthenticated");
        let logout = host.post(LOGOUT).bearer(&ada.token);
        logout.send().await.expect_problem(401, "unauthenticated");
    }
    expect_me(host, &refreshed.token, 200).await;
    // What ended stays ended.
    let logout = host.post(LOGOUT).bearer(&refreshed.token);
    logout.send().await.expect(200);
    call.send().await.expect_problem(401, "unauthenticated");
    assert_eq!(live_sessions(host, &ada).await, []);
}

async fn the_old_token_can_end_what_it_became(host: &TestHost) {
    let (ada, own, _, other) = of_two(host).await;
    let lost = change(host, &ada.token, other).send().await.expect(200);
    let logout = host.post(LOGOUT).bearer(&ada.token);
    logout.send().await.expect(200);
    expect_me(host, &lost.text_at("/access_token"), 401).await;
    logout.send().await.expect_problem(401, "unauthenticated");
    // By its old id too, however often it moved since.
    let listed = host.issue_session(&ada).await;
    let first = change(host, &listed.token, other).send().await.expect(200);
    let first = first.text_at("/access_token");
    let second = change(host, &first, own).send().await.expect(200);
    let ender = host.issue_token(&ada).await;
    let end = host.delete(format!("{SESSIONS}/{}", listed.id));
    let end = end.bearer(&ender);
    for revoked in [1, 0] {
        let ended = end.send().await.expect(200);
        assert_eq!(ended.json(), json!({"revoked": revoked}));
    }
    expect_me(host, &second.text_at("/access_token"), 401).await;
    expect_me(host, &ender, 200).await;
}

/// Whoever copied a refresh token hides behind no move: the owner, who sends the token that they
/// have, ends what the sign-in has become. The copy was refreshed before the move, or was not.
async fn reuse_after_a_move_ends_the_sign_in(host: &TestHost) {
    for is_refreshed in [true, false] {
        let (ada, own, _, other) = of_two(host).await;
        let session = host.issue_session(&ada).await;
        let mut token = session.token.clone();
        if is_refreshed {
            let refreshed = host.refresh_call(&session.refresh_token).send().await;
            token = refreshed.expect(200).text_at("/access_token");
        }
        let moved = change(host, &token, other).send().await.expect(200);
        let moved = change(host, &moved.text_at("/access_token"), own);
        let moved = session_of(&moved.send().await.expect(200));
        host.warm(&host.get(ME).bearer(&moved.token)).await;
        for _ in 0..2 {
            let reused = host.refresh_call(&session.refresh_token).send().await;
            reused.expect_problem(401, "invalid_refresh_token");
            expect_me(host, &moved.token, 401).await;
        }
        expect_refresh(host, &moved.refresh_token, 401).await;
        expect_me(host, &ada.token, 200).await;
        assert_eq!(live_sessions(host, &ada).await.len(), 1);
        let rows = host
            .query(&format!(
                "SELECT subject FROM audit_events
                  WHERE event_type = 'session.refresh_reused' AND actor_id = {}",
                sql_id(ada.id)
            ))
            .await;
        let told: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(told, [session.id.to_string()]);
    }
}

/// What a person has in an organization is spent there alone, and a key that was used in one is
/// not used in another. Balances are read until they are cached, before and after each change.
async fn each_organization_has_credits_and_keys_of_its_own(host: &TestHost) {
    let (mut ada, admin) = host.user_with("10.00").await;
    let boss = host.new_user("boss").await;
    let own = host.organization_of(&ada).await;
    let other = host.organization_of(&boss).await;
    join_as(host, &ada, other, "member").await;
    host.grant_with(&admin, &ada, "20", json!({"organization_id": other}))
        .await;
    let mut transactions = BTreeMap::new();
    for (organization, left) in [
        (own, "6.00"),
        (other, "16.00"),
        (own, "6.00"),
        (other, "16.00"),
    ] {
        let changed = change(host, &ada.token, organization).send().await;
        ada.token = changed.expect(200).text_at("/access_token");
        let call = host.consume_call_with_key(&ada, "4", "one");
        let sent = join_all((0..4).map(|_| call.settle())).await;
        for spent in sent {
            let id = spent.expect(201).text_at("/transaction/id");
            let first = transactions
                .entry(organization)
                .or_insert_with(|| id.clone());
            assert_eq!(*first, id, "one key is one spend in {organization}");
        }
        let cached = host.warm(&host.balance_call(&ada)).await;
        assert_eq!(available(&cached).to_string(), left, "in {organization}");
    }
    let [first, second] = [own, other].map(|organization| &transactions[&organization]);
    assert_ne!(first, second);
    // Nor is a hold of one organization found in the other.
    let hold = host.hold(&ada, "1", 900).await;
    let changed = change(host, &ada.token, own).send().await;
    ada.token = changed.expect(200).text_at("/access_token");
    let capture = host.capture_call(&ada, &hold, "1", "two");
    refuse(host, capture, 404, "not_found", &[]).await;
}

async fn changes_at_once_leave_one_session(host: &TestHost) {
    for round in 0..rounds(host) {
        let (ada, own, _, other) = of_two(host).await;
        // To one organization in even rounds, and to two in odd ones.
        let calls = (0..RACERS).map(|racer| match (round + racer * round) % 2 {
            0 => change(host, &ada.token, other),
            _ => change(host, &ada.token, own),
        });
        let calls: Vec<Call> = calls.collect();
        let answers = join_all(calls.iter().map(Call::settle)).await;
        let (changed, refused): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer| answer.status == 200);
        for answer in refused {
            answer.expect_problem(401, "unauthenticated");
        }
        let live = live_sessions(host, &ada).await;
        assert_eq!(live.len(), 1, "round {round}: {live:?}");
        let pairs: Vec<IssuedSession> = changed.iter().map(session_of).collect();
        for pair in &pairs {
            let is_live = pair.id.to_string() == live[0].0;
            expect_me(host, &pair.token, if is_live { 200 } else { 401 }).await;
        }
        assert!(
            pairs.iter().any(|pair| pair.id.to_string() == live[0].0),
            "round {round}: somebody has the tokens of the one that lives"
        );
        expect_me(host, &ada.token, 401).await;
    }
}

/// Whatever ends a session ends it beside a change of its organization as well: either the change
/// comes first, and the new session is ended, or it comes too late.
async fn an_end_beside_a_change_leaves_nothing(host: &TestHost) {
    let admin = host.platform_admin().await;
    for round in 0..rounds(host) {
        for end in [
            "logout",
            "removal",
            "all others",
            "this one",
            "reuse",
            "disabled",
        ] {
            let (ada, _, boss, other) = of_two(host).await;
            let mut session = host.issue_session(&ada).await;
            let spent = session.refresh_token.clone();
            if end == "reuse" {
                session = session_of(&host.refresh_call(&spent).settle().await.expect(200));
            }
            let mover = change(host, &session.token, other);
            let ender = match end {
                "logout" => host.post(LOGOUT).bearer(&session.token),
                "removal" => host
                    .delete(format!("{ORGANIZATIONS}/{other}/members/{}", ada.id))
                    .bearer(&boss.token),
                "all others" => host.delete(SESSIONS).bearer(&ada.token),
                "this one" => host
                    .delete(format!("{SESSIONS}/{}", session.id))
                    .bearer(&ada.token),
                "reuse" => host.refresh_call(&spent),
                _ => host
                    .patch(format!("/api/v1/users/{}", ada.id))
                    .bearer(&admin.token)
                    .json(&json!({"disabled": true})),
            };
            let (moved, ended) = join(mover.settle(), ender.settle()).await;
            ended.expect(if end == "reuse" { 401 } else { 200 });
            match (moved.status, end) {
                (200 | 401, _) | (404, "removal") => {}
                _ => moved.fail("a change answers 200, or 401 when the end came first"),
            }
            let live = live_sessions(host, &ada).await;
            let own = ada.token.clone();
            match end {
                "disabled" => assert_eq!(live, [], "round {round}, {end}"),
                "removal" => assert!(
                    live.iter()
                        .all(|(_, organization)| *organization != other.to_string()),
                    "round {round}, {end}: {live:?}"
                ),
                // The one that asked.
                _ => {
                    assert_eq!(live.len(), 1, "round {round}, {end}: {live:?}");
                    expect_me(host, &own, 200).await;
                }
            }
            if moved.status == 200 {
                expect_me(host, &moved.text_at("/access_token"), 401).await;
            }
        }
    }
}

async fn refuses(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let eve = host.new_user("eve").await;
    let (own, other) = (
        host.organization_of(&ada).await,
        host.organization_of(&eve).await,
    );
    for id in [json!("org_1"), json!(ada.id), json!(1), json!(null)] {
        let call = host
            .put(SESSION_ORGANIZATION)
            .bearer(&ada.token)
            .json(&json!({"organization_id": id}));
        refuse(host, call, 422, "invalid_fields", &["organization_id"]).await;
    }
    refuse(host, change(host, &ada.token, other), 404, "not_found", &[]).await;
    for nowhere in [
        "org_0193e7a1b2c37d4e8f90a1b2c3d4e5f6",
        "org_00000000000000000000000000000000",
    ] {
        let call = change(host, &ada.token, nowhere);
        refuse(host, call, 404, "not_found", &[]).await;
    }
    let key = host.issue_api_key(&ada, &["credits:read"]).await.key;
    refuse(host, change(host, &key, own), 403, "session_required", &[]).await;
}
