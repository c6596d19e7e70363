use futures::future::{join, join_all};
use serde_json::json;
use shared::ids::OrganizationId;
use turnpike_tests::personas::{BALANCE, LOGIN, ME, PASSWORD, REAUTHENTICATE, TOTP, sql_id};
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::authenticator::{Authenticator, confirm_call};
use crate::refusals::refuse;

/// Members who are made the owner at once.
const RACERS: usize = 4;
const ROUNDS: usize = 25;

fn path(user: &User) -> String {
    format!("/api/v1/users/{}", user.id)
}

fn set(host: &TestHost, caller: &User, user: &User, disabled: bool) -> Call {
    host.patch(path(user))
        .bearer(&caller.token)
        .json(&json!({"disabled": disabled}))
}

async fn administrator(host: &TestHost) -> User {
    let user = host.new_user("admin").await;
    host.execute(&format!(
        "UPDATE users SET platform_role = 'platform_admin' WHERE id = {}",
        sql_id(user.id)
    ))
    .await;
    user
}

api_tests![
    a_way_back_for_an_organization_without_an_owner,
    ownerships_at_once_leave_one_owner,
    an_owner_is_named_by_whoever_just_signed_in,
    a_lost_factor_is_removed_after_three_days,
    turning_off_what_is_off_tells_nothing_more,
    a_factor_that_is_used_is_not_lost,
    a_removal_races_with_a_code,
    a_removal_is_refused,
    refuses,
];

api_tests![
    fresh_too:
    a_disabled_user_is_out_at_once,
];

async fn a_disabled_user_is_out_at_once(host: &TestHost) {
    let admin = administrator(host).await;
    let ada = host.new_user("ada").await;
    let organization = host.organization_of(&ada).await;
    let boss = host.member_of(organization, "admin").await;
    let key = host.issue_api_key(&ada, &["credits:read"]).await.key;
    let refresh_token = host.issue_session(&ada).await.refresh_token;
    let read = host.get(path(&ada)).bearer(&admin.token);
    let found = read.send().await.expect(200);
    assert_eq!(
        (found.text_at("/email"), &found.json()["disabled_at"]),
        (ada.email.clone(), &json!(null))
    );
    let of_session = [ME, BALANCE].map(|path| host.get(path).bearer(&ada.token));
    let of_key = [ME, BALANCE].map(|path| host.get(path).bearer(&key));
    let asked = host.introspect_call(&boss.token, &ada.token);
    for call in of_session.iter().chain(&of_key).chain([&asked]) {
        host.warm(call).await;
    }
    for _ in 0..2 {
        let disabled = set(host, &admin, &ada, true).send().await.expect(200);
        assert!(disabled.json()["disabled_at"].is_string(), "{disabled}");
        for call in of_session.iter().chain(&of_key) {
            call.send().await.expect_problem(401, "unauthenticated");
        }
        let seen = asked.send().await.expect(200);
        assert_eq!(seen.json(), json!({"active": false}));
    }
    host.login_call(&ada.email, turnpike_tests::personas::PASSWORD)
        .send()
        .await
        .expect_problem(401, "invalid_credentials");

    let enabled = set(host, &admin, &ada, false).send().await.expect(200);
    assert_eq!(enabled.json()["disabled_at"], json!(null));
    assert_eq!(read.send().await.expect(200).json(), enabled.json());
    for call in of_session.iter().chain(&of_key) {
        call.send().await.expect_problem(401, "unauthenticated");
    }
    host.refresh_call(&refresh_token)
        .send()
        .await
        .expect_problem(401, "invalid_refresh_token");
    host.login(&ada.email).await;
    let rows = host
        .query(&format!(
            "SELECT e.event_type FROM audit_events e
              WHERE e.actor_id = {} AND e.event_type IN ('user.disabled', 'user.enabled')
              ORDER BY e.sequence",
            sql_id(admin.id)
        ))
        .await;
    let events: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(events, ["user.disabled", "user.enabled"]);
}

fn own(host: &TestHost, caller: &User, user: &User, organization: OrganizationId) -> Call {
    host.post(format!("{}/ownerships", path(user)))
        .bearer(&caller.token)
        .json(&json!({"organization_id": organization}))
}

async fn a_way_back_for_an_organization_without_an_owner(host: &TestHost) {
    let admin = administrator(host).await;
    let ada = host.new_user("ada").await;
    let organization = host.organization_of(&ada).await;
    let [bob, eve] = [
        host.member_of(organization, "member").await,
        host.member_of(organization, "admin").await,
    ];
    let stranger = host.new_user("stranger").await;
    let call = own(host, &admin, &bob, organization);
    refuse(host, call.clone(), 409, "owner_present", &[]).await;
    set(host, &admin, &ada, true).send().await.expect(200);
    for nobody in [&stranger, &ada] {
        let call = own(host, &admin, nobody, organization);
        refuse(host, call, 404, "not_found", &[]).await;
    }
    let roles = host.get(format!("/api/v1/organizations/{organization}/roles"));
    let put = host
        .put(format!("/api/v1/organizations/{organization}/roles/clerk"))
        .bearer(&bob.token)
        .json(&json!({"permissions": []}));
    refuse(host, put.clone(), 403, "forbidden", &[]).await;
    host.warm(&host.get(ME).bearer(&bob.token)).await;
    for _ in 0..2 {
        let made = call.send().await.expect(200);
        assert_eq!(
            made.json(),
            json!({"organization_id": organization, "user_id": bob.id, "role": "owner"})
        );
    }
    put.settle().await.expect(200);
    roles.bearer(&bob.token).send().await.expect(200);
    // There is an owner now, whoever else is to be one. The one of before is one still.
    let call = own(host, &admin, &eve, organization);
    refuse(host, call, 409, "owner_present", &[]).await;
    set(host, &admin, &ada, false).send().await.expect(200);
    let rows = host
        .query(&format!(
            "SELECT count(*) FROM audit_events
              WHERE organization_id = '{}' AND event_type = 'member.ownership_given' AND actor_id = {}",
            organization.as_uuid(),
            sql_id(admin.id)
        ))
        .await;
    assert_eq!(rows[0].get::<_, i64>(0), 1);
}

async fn ownerships_at_once_leave_one_owner(host: &TestHost) {
    host.fail_on_deadlock().await;
    let admin = administrator(host).await;
    for round in 0..ROUNDS {
        let ada = host.new_user("ada").await;
        let organization = host.organization_of(&ada).await;
        let mut calls = Vec::new();
        for _ in 0..RACERS {
            let member = host.member_of(organization, "member").await;
            calls.push(own(host, &admin, &member, organization));
        }
        set(host, &admin, &ada, true).send().await.expect(200);
        let answers = join_all(calls.iter().map(Call::settle)).await;
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409, 409, 409], "round {round}");
    }
}

async fn an_owner_is_named_by_whoever_just_signed_in(host: &TestHost) {
    let admin = administrator(host).await;
    let key = host.issue_api_key(&admin, &["users:manage"]).await.key;
    let ada = host.new_user("ada").await;
    let organization = host.organization_of(&ada).await;
    let bob = host.member_of(organization, "member").await;
    set(host, &admin, &ada, true).send().await.expect(200);
    let program = User {
        token: key,
        ..admin.clone()
    };
    let call = own(host, &program, &bob, organization);
    refuse(host, call, 403, "session_required", &[]).await;
    let call = own(host, &admin, &bob, organization);
    for (age, is_recent) in [("601 seconds", false), ("9 minutes", true)] {
        host.execute(&format!(
            "UPDATE sessions SET authenticated_at = now() - interval '{age}' WHERE user_id = {}",
            sql_id(admin.id)
        ))
        .await;
        if is_recent {
            call.send().await.expect(200);
        } else {
            refuse(host, call.clone(), 403, "recent_login_required", &[]).await;
        }
    }
}

/// Where the removal of a user's second factor is.
pub fn removal_path(user: &User) -> String {
    format!("{}/second-factor-removal", path(user))
}

/// A login with a code.
fn login_with(host: &TestHost, user: &User, field: &str, code: &str) -> Call {
    let body = json!({"email": user.email, "password": PASSWORD, field: code});
    host.post(LOGIN).json(&body)
}

/// Lets the time pass until the removal is due.
pub async fn pass_interval(host: &TestHost) {
    host.execute(
        "UPDATE totp_enrolments SET removal_due_at = now() WHERE removal_due_at IS NOT NULL",
    )
    .await;
}

/// What the audit log has of a user's second factor.
pub async fn events_of(host: &TestHost, user: &User) -> Vec<String> {
    let rows = host
        .query(&format!(
            "SELECT event_type FROM audit_events
              WHERE subject = '{}' AND event_type LIKE 'totp.%' ORDER BY occurred_at",
            user.id
        ))
        .await;
    rows.iter().map(|row| row.get(0)).collect()
}

async fn removals_told(host: &TestHost, user: &User) -> usize {
    let kinds = host.mail_kinds(&user.email).await;
    let told = kinds.iter().filter(|kind| *kind == "second_factor_removal");
    told.count()
}

async fn a_lost_factor_is_removed_after_three_days(host: &TestHost) {
    let admin = administrator(host).await;
    let ada = host.new_user("ada").await;
    let (_, codes) = Authenticator::turn_on(host, &ada.token).await;
    let remove = host.put(removal_path(&ada)).bearer(&admin.token);
    let first = remove.send().await.expect(200);
    assert_eq!(first.json()["user_id"], json!(ada.id));
    let rows = host
        .query(
            "SELECT removal_due_at BETWEEN now() + interval '71 hours' AND now() + interval '72 hours'
               FROM totp_enrolments WHERE removal_due_at IS NOT NULL",
        )
        .await;
    assert!(rows[0].get::<_, bool>(0), "it is due in three days");
    // Asked for again, it is due when it was, and nothing is told twice.
    let again = remove.send().await.expect(200);
    assert_eq!(again.json(), first.json());
    assert_eq!(removals_told(host, &ada).await, 1);
    let login = host.login_call(&ada.email, PASSWORD);
    login
        .send()
        .await
        .expect_problem(401, "second_factor_required");
    pass_interval(host).await;
    // It is off from that moment on, for whoever asks.
    let seen = host.get(TOTP).bearer(&ada.token).send().await.expect(200);
    assert_eq!(
        seen.json(),
        json!({"enabled": false, "recovery_codes_left": 0})
    );
    let keep = host.delete(removal_path(&ada)).bearer(&admin.token);
    refuse(host, keep, 409, "totp_not_enabled", &[]).await;
    refuse(
        host,
        confirm_call(host, &ada.token, "000000"),
        409,
        "totp_not_enrolled",
        &[],
    )
    .await;
    let opened = login.settle().await.expect(200);
    let left = host
        .query(
            "SELECT (SELECT count(*) FROM totp_enrolments) + (SELECT count(*) FROM recovery_codes)",
        )
        .await;
    assert_eq!(left[0].get::<_, i64>(0), 0, "the sign-in deletes it");
    assert_eq!(
        events_of(host, &ada).await,
        ["totp.enabled", "totp.removal_requested", "totp.removed"]
    );
    // Another factor is another's: the old codes are good for nothing.
    let token = opened.text_at("/access_token");
    Authenticator::turn_on(host, &token).await;
    let call = login_with(host, &ada, "recovery_code", &codes[0]);
    call.settle()
        .await
        .expect_problem(401, "invalid_second_factor");
    host.login_call(&ada.email, PASSWORD)
        .settle()
        .await
        .expect_problem(401, "second_factor_required");
}

async fn turning_off_what_is_off_tells_nothing_more(host: &TestHost) {
    let admin = administrator(host).await;
    let ada = host.new_user("ada").await;
    Authenticator::turn_on(host, &ada.token).await;
    let remove = host.put(removal_path(&ada)).bearer(&admin.token);
    remove.send().await.expect(200);
    pass_interval(host).await;
    let disable = host.delete(TOTP).bearer(&ada.token);
    disable.send().await.expect(200);
    assert_eq!(
        events_of(host, &ada).await,
        ["totp.enabled", "totp.removal_requested", "totp.removed"]
    );
    let kinds = host.mail_kinds(&ada.email).await;
    assert_eq!(kinds, ["second_factor_enabled", "second_factor_removal"]);
}

async fn a_factor_that_is_used_is_not_lost(host: &TestHost) {
    let admin = administrator(host).await;
    let ada = host.new_user("ada").await;
    let (authenticator, codes) = Authenticator::turn_on(host, &ada.token).await;
    let remove = host.put(removal_path(&ada)).bearer(&admin.token);
    let keep = host.delete(removal_path(&ada)).bearer(&admin.token);
    let reauthenticate = |field: &str, code: &str| {
        let call = host.post(REAUTHENTICATE).bearer(&ada.token);
        call.json(&json!({field: code}))
    };
    let code = authenticator.code_in(1);
    // Each of them has been asked for since the one before was done.
    let ways = [
        ("a sign-in", login_with(host, &ada, "totp_code", &code)),
        (
            "a sign-in by recovery code",
            login_with(host, &ada, "recovery_code", &codes[0]),
        ),
        (
            "a reauthentication",
            reauthenticate("recovery_code", &codes[1]),
        ),
        ("the platform", keep.clone()),
    ];
    for (number, (way, call)) in ways.iter().enumerate() {
        remove.send().await.expect(200);
        assert_eq!(removals_told(host, &ada).await, number + 1, "{way}");
        call.settle().await.expect(200);
        // Nothing is due any more, whatever time passes.
        pass_interval(host).await;
        host.login_call(&ada.email, PASSWORD)
            .settle()
            .await
            .expect_problem(401, "second_factor_required");
    }
    let kept = keep.send().await.expect(200);
    assert_eq!(kept.json(), json!({"user_id": ada.id, "due_at": null}));
    let mut expected = vec!["totp.enabled"];
    for _ in ways {
        expected.extend(["totp.removal_requested", "totp.removal_withdrawn"]);
    }
    assert_eq!(events_of(host, &ada).await, expected);
    // A wrong code proves nothing.
    remove.send().await.expect(200);
    let wrong = reauthenticate("totp_code", &authenticator.wrong_code());
    wrong.settle().await.expect_problem(422, "invalid_fields");
    pass_interval(host).await;
    let login = host.login_call(&ada.email, PASSWORD);
    login.settle().await.expect(200);
}

async fn a_removal_races_with_a_code(host: &TestHost) {
    host.fail_on_deadlock().await;
    let admin = administrator(host).await;
    let ada = host.new_user("ada").await;
    let (_, codes) = Authenticator::turn_on(host, &ada.token).await;
    let remove = host.put(removal_path(&ada)).bearer(&admin.token);
    for code in &codes {
        let login = login_with(host, &ada, "recovery_code", code);
        let (removed, opened) = join(remove.settle(), login.settle()).await;
        removed.expect(200);
        opened.expect(200);
    }
    // Every removal that was asked for was told, and ended in one way or waits.
    let events = events_of(host, &ada).await;
    let count = |event: &str| events.iter().filter(|one| *one == event).count();
    let asked = count("totp.removal_requested");
    let rows = host
        .query("SELECT count(*) FROM totp_enrolments WHERE removal_due_at IS NOT NULL")
        .await;
    let waiting = usize::try_from(rows[0].get::<_, i64>(0)).expect("a small number");
    assert_eq!(asked, count("totp.removal_withdrawn") + waiting);
    assert_eq!(asked, removals_told(host, &ada).await);
}

async fn a_removal_is_refused(host: &TestHost) {
    let admin = administrator(host).await;
    let key = host.issue_api_key(&admin, &["users:manage"]).await.key;
    let ada = host.new_user("ada").await;
    let of_ada = removal_path(&ada);
    for call in [host.put(&of_ada), host.delete(&of_ada)] {
        let by_admin = call.clone().bearer(&admin.token);
        refuse(host, by_admin, 409, "totp_not_enabled", &[]).await;
        let by_ada = call.clone().bearer(&ada.token);
        refuse(host, by_ada, 403, "forbidden", &[]).await;
        refuse(host, call.bearer(&key), 403, "session_required", &[]).await;
    }
    Authenticator::turn_on(host, &admin.token).await;
    let own = removal_path(&admin);
    for call in [host.put(&own), host.delete(&own)] {
        let call = call.bearer(&admin.token);
        refuse(host, call, 409, "own_second_factor", &[]).await;
    }
    Authenticator::turn_on(host, &ada.token).await;
    host.execute(&format!(
        "UPDATE sessions SET authenticated_at = now() - interval '601 seconds' WHERE user_id = {}",
        sql_id(admin.id)
    ))
    .await;
    let old = host.put(&of_ada).bearer(&admin.token);
    refuse(host, old, 403, "recent_login_required", &[]).await;
    for id in ["usr_1", "usr_0193e7a1b2c37d4e8f90a1b2c3d4e5f6"] {
        let path = format!("/api/v1/users/{id}/second-factor-removal");
        let call = host.delete(path).bearer(&admin.token);
        refuse(host, call, 404, "not_found", &[]).await;
    }
}

async fn refuses(host: &TestHost) {
    let admin = host.platform_admin().await;
    let ada = host.new_user("ada").await;
    let one = path(&ada);
    let valid = json!({"disabled": false});
    for disabled in [json!(null), json!("true"), json!(1)] {
        let call = host
            .patch(&one)
            .bearer(&admin.token)
            .json(&json!({"disabled": disabled}));
        refuse(host, call, 422, "invalid_fields", &["disabled"]).await;
    }
    for organization in [json!(null), json!(1), json!("org_1"), json!(ada.id)] {
        let call = host
            .post(format!("{one}/ownerships"))
            .bearer(&admin.token)
            .json(&json!({"organization_id": organization}));
        refuse(host, call, 422, "invalid_fields", &["organization_id"]).await;
    }
    let organization = host.organization_of(&ada).await;
    let call = own(host, &ada, &ada, organization);
    refuse(host, call, 403, "forbidden", &[]).await;
    // An owner is no platform's administrator, not even of themselves.
    for call in [host.get(&one), host.patch(&one).json(&valid)] {
        refuse(host, call.bearer(&ada.token), 403, "forbidden", &[]).await;
    }
    refuse(host, set(host, &admin, &admin, true), 409, "own_user", &[]).await;
    host.get(ME).bearer(&admin.token).send().await.expect(200);
    for id in ["usr_1", "usr_0193e7a1b2c37d4e8f90a1b2c3d4e5f6", "%00"] {
        let call = host.get(format!("/api/v1/users/{id}")).bearer(&admin.token);
        refuse(host, call, 404, "not_found", &[]).await;
        let call = host
            .patch(format!("/api/v1/users/{id}"))
            .bearer(&admin.token)
            .json(&valid);
        refuse(host, call, 404, "not_found", &[]).await;
    }
}
