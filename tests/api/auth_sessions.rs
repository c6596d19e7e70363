use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::{join, join_all};
use serde_json::{Value, json};
use turnpike_tests::personas::{ME, PASSWORD, SESSIONS};
use turnpike_tests::{Reuse, TestHost, api_tests};

use crate::refusals::refuse;

/// Sessions that are revoked at once, and clients that validate them meanwhile. A fresh instance
/// for every request has nothing in its memory, which leaves less to race for.
const REVOKED: usize = 1_000;
const REVOKED_FRESH: usize = 200;
const CLIENTS: usize = 16;

/// How long the clients validate before the sessions are revoked: long enough that each has some
/// of its tokens cached.
const RACE_LEAD: Duration = Duration::from_millis(500);

/// How long it may take until every client has validated some.
const RACE_PATIENCE: Duration = Duration::from_secs(60);

async fn list(host: &TestHost, token: &str) -> Vec<Value> {
    let response = host.get(SESSIONS).bearer(token).send().await.expect(200);
    let body = response.json();
    body["sessions"].as_array().cloned().unwrap_or_default()
}

async fn expect_me(host: &TestHost, token: &str, status: u16) {
    host.get(ME).bearer(token).send().await.expect(status);
}

api_tests![lists_ones_own_newest_first, ends_one, refuses,];

api_tests![
    fresh_too:
    ends_half_a_year_after_the_sign_in,
];

api_tests![
    fresh_too:
    ends_all_others,
    validations_race_with_the_end_of_every_session,
];

/// However often it is used and refreshed.
async fn ends_half_a_year_after_the_sign_in(host: &TestHost) {
    let email = host.signup("ada").await;
    let age = async |session: &str, interval: &str| {
        host.execute(&format!(
            "UPDATE sessions SET created_at = now() - interval '{interval}' WHERE prefixed_id('ses_', id) = '{session}'"
        ))
        .await;
    };
    let end_is = async |session: &str, token: &str, interval: &str| {
        let sessions = list(host, token).await;
        let shown = sessions.iter().find(|shown| shown["id"] == session);
        let end = shown
            .map(|shown| shown["expires_at"].clone())
            .unwrap_or_default();
        let rows = host
            .query(&format!(
                "SELECT abs(extract(epoch FROM nullif('{}', '')::timestamptz - now() - interval '{interval}')) < 120",
                end.as_str().unwrap_or_default()
            ))
            .await;
        let is_so = rows[0].get::<_, Option<bool>>(0);
        assert_eq!(
            is_so,
            Some(true),
            "{session} ends at {end}, not in {interval}"
        );
    };
    let first = host.login_call(&email, PASSWORD).settle().await.expect(200);
    let (session, token) = (first.text_at("/session_id"), first.text_at("/access_token"));
    end_is(&session, &token, "30 days").await;
    // Its end draws near: no refresh moves it.
    age(&session, "179 days 23 hours 55 minutes").await;
    end_is(&session, &token, "5 minutes").await;
    let refreshed = host.refresh_call(&first.text_at("/refresh_token"));
    let refreshed = refreshed.send().await.expect(200);
    let token = refreshed.text_at("/access_token");
    end_is(&session, &token, "5 minutes").await;
    let rows = host
        .query(
            "SELECT max(t.expires_at) <= s.created_at + interval '180 days'
               FROM sessions s JOIN (SELECT session_id, expires_at FROM access_tokens
                                     UNION ALL
                                     SELECT session_id, expires_at FROM refresh_tokens WHERE successor IS NULL) t
                 ON t.session_id = s.id
              GROUP BY s.created_at",
        )
        .await;
    assert!(rows[0].get::<_, bool>(0), "no token outlives its session");
    // Over, whatever its tokens say. The answers of a cached session end with it, too.
    let second = host.login_call(&email, PASSWORD).settle().await.expect(200);
    age(&second.text_at("/session_id"), "180 days").await;
    expect_me(host, &second.text_at("/access_token"), 401).await;
    let refresh = host.refresh_call(&second.text_at("/refresh_token"));
    refresh
        .send()
        .await
        .expect_problem(401, "invalid_refresh_token");
    expect_me(host, &token, 200).await;
    assert_eq!(
        list(host, &token).await.len(),
        1,
        "what is over is not listed"
    );
}

async fn lists_ones_own_newest_first(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let eve = host.new_user("eve").await;
    let second = host.issue_session(&ada).await;
    let sessions = list(host, &ada.token).await;
    assert_eq!(sessions.len(), 2, "{sessions:?}");
    assert_eq!(sessions[0]["id"], json!(second.id), "newest first");
    let current: Vec<_> = sessions
        .iter()
        .map(|session| session["is_current"].clone())
        .collect();
    assert_eq!(
        current,
        [json!(false), json!(true)],
        "the caller's own is marked"
    );
    assert_eq!(sessions[0]["user_agent"], "test");
    assert_eq!(sessions[1]["address"], "127.0.0.1", "as the host saw it");
    let seen_by_second = list(host, &second.token).await;
    assert_eq!(seen_by_second[0]["is_current"], true);
    assert_eq!(
        list(host, &eve.token).await.len(),
        1,
        "nobody sees another's sessions"
    );
    host.delete(format!("{SESSIONS}/{}", second.id))
        .bearer(&ada.token)
        .send()
        .await
        .expect(200);
    assert_eq!(
        list(host, &ada.token).await.len(),
        1,
        "an ended session is not listed"
    );
}

async fn ends_one(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let eve = host.new_user("eve").await;
    let (second, third) = (
        host.issue_session(&ada).await,
        host.issue_session(&ada).await,
    );
    for token in [&second.token, &third.token, &eve.token] {
        host.warm(&host.get(ME).bearer(token)).await;
    }
    let path = format!("{SESSIONS}/{}", second.id);
    refuse(
        host,
        host.delete(&path).bearer(&eve.token),
        404,
        "not_found",
        &[],
    )
    .await;
    expect_me(host, &second.token, 200).await;
    let response = host
        .delete(&path)
        .bearer(&ada.token)
        .send()
        .await
        .expect(200);
    assert_eq!(response.json(), json!({"revoked": 1}));
    expect_me(host, &second.token, 401).await;
    host.refresh_call(&second.refresh_token)
        .send()
        .await
        .expect_problem(401, "invalid_refresh_token");
    for token in [&ada.token, &third.token, &eve.token] {
        expect_me(host, token, 200).await;
    }
    // What has ended is as revoked as a repetition wants it.
    let repeated = host.delete(&path).bearer(&ada.token);
    let repeated = repeated.send().await.expect(200);
    assert_eq!(repeated.json(), json!({"revoked": 0}));
    // One's own can be ended too, as by a logout.
    let path = format!("{SESSIONS}/{}", third.id);
    host.delete(&path)
        .bearer(&third.token)
        .send()
        .await
        .expect(200);
    expect_me(host, &third.token, 401).await;
}

async fn ends_all_others(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let eve = host.new_user("eve").await;
    let others = [
        host.issue_session(&ada).await,
        host.issue_session(&ada).await,
    ];
    for session in &others {
        host.warm(&host.get(ME).bearer(&session.token)).await;
    }
    for revoked in [2, 0] {
        let response = host
            .delete(SESSIONS)
            .bearer(&ada.token)
            .send()
            .await
            .expect(200);
        assert_eq!(response.json(), json!({"revoked": revoked}));
    }
    for session in &others {
        expect_me(host, &session.token, 401).await;
        host.refresh_call(&session.refresh_token)
            .send()
            .await
            .expect_problem(401, "invalid_refresh_token");
    }
    expect_me(host, &ada.token, 200).await;
    expect_me(host, &eve.token, 200).await;
}

/// Whoever asks after the end was acknowledged learns of it, whatever was cached before and
/// however many ask: no validation that begins then succeeds.
async fn validations_race_with_the_end_of_every_session(host: &TestHost) {
    let user = host.new_user("ada").await;
    let gateway = host.issue_api_key(&user, &["tokens:introspect"]).await;
    let revoked = match host.reuse() {
        Reuse::Pooled => REVOKED,
        Reuse::Fresh => REVOKED_FRESH,
    };
    let tokens = host.issue_tokens(&user, revoked).await;
    let (is_over, gateway) = (&AtomicBool::new(false), &gateway.key);
    let before = [(); CLIENTS].map(|()| AtomicUsize::new(0));
    let clients =
        tokens
            .chunks(revoked.div_ceil(CLIENTS))
            .zip(&before)
            .map(|(own, before)| async move {
                for (turn, token) in own.iter().cycle().enumerate() {
                    if is_over.load(Ordering::SeqCst) {
                        break;
                    }
                    // Some ask for the user's own sake and some for a gateway's, each of a token
                    // twice in a row, so that the second finds it cached.
                    if turn % 2 == 0 {
                        let me = host.get(ME).bearer(token);
                        for _ in 0..2 {
                            me.settle().await;
                        }
                    } else {
                        let introspection = host.introspect_call(gateway, token);
                        for _ in 0..2 {
                            introspection.settle().await.expect(200);
                        }
                    }
                    before.fetch_add(2, Ordering::SeqCst);
                }
                for token in own {
                    let response = host.introspect_call(gateway, token).settle().await;
                    if response.expect(200).body != br#"{"active":false}"# {
                        panic!("a session was active after its end was acknowledged");
                    }
                    let me = host.get(ME).bearer(token).settle().await;
                    me.expect_problem(401, "unauthenticated");
                }
            });
    let revoke = async {
        let began = Instant::now();
        let have_begun = || before.iter().all(|count| count.load(Ordering::SeqCst) > 0);
        while began.elapsed() < RACE_LEAD || !have_begun() {
            assert!(
                began.elapsed() < RACE_PATIENCE,
                "every client must race: {before:?}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let call = host.delete(SESSIONS).bearer(&user.token);
        let response = call.send().await.expect(200);
        is_over.store(true, Ordering::SeqCst);
        assert_eq!(response.json(), json!({"revoked": revoked}));
    };
    join(join_all(clients), revoke).await;
    expect_me(host, &user.token, 200).await;
}

async fn refuses(host: &TestHost) {
    let user = host.new_user("ada").await;
    let one = format!("{SESSIONS}/{}", host.issue_session(&user).await.id);
    // The deletions above were refused, and so ended nothing.
    let key = host
        .issue_api_key(&user, &["credits:read", "api_keys:manage"])
        .await;
    for call in [host.get(SESSIONS), host.delete(SESSIONS), host.delete(&one)] {
        refuse(host, call.bearer(&key.key), 403, "session_required", &[]).await;
    }
    let ids = [
        "ses_1",
        "usr_0193e7a1b2c37d4e8f90a1b2c3d4e5f6",
        "ses_0193e7a1b2c37d4e8f90a1b2c3d4e5f6",
        "%00",
        "SES_",
        "1",
    ];
    for id in ids {
        refuse(
            host,
            host.delete(format!("{SESSIONS}/{id}")).bearer(&user.token),
            404,
            "not_found",
            &[],
        )
        .await;
    }
    host.delete(&one)
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
}
