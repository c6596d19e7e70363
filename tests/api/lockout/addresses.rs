//! What is counted by address: guesses, mail, and whose address it is behind proxies.

use super::*;

/// Five sign-ups an hour with somebody's email kept their reset from being sent.
#[test]
fn others_mail_stops_no_reset() {
    run(behind_a_proxy(), async |host| {
        let owner = host.new_user("owner").await;
        for _ in 0..8 {
            let signup = host.signup_call(&owner.email, PASSWORD).client(STRANGER);
            signup.send().await.expect(202);
        }
        let kinds = host.mail_kinds(&owner.email).await;
        assert_eq!(kinds, ["email_taken"; 5], "no more than five an hour");
        forgot(host, &owner.email, HOME).send().await.expect(202);
        let kinds = host.mail_kinds(&owner.email).await;
        assert_eq!(kinds.last().map(String::as_str), Some("reset_password"));

        // So do as many requests of others for a reset.
        let_pass(host, "61 minutes").await;
        for _ in 0..8 {
            forgot(host, &owner.email, STRANGER)
                .send()
                .await
                .expect(202);
        }
        let count = async || {
            let kinds = host.mail_kinds(&owner.email).await;
            kinds
                .iter()
                .filter(|kind| *kind == "reset_password")
                .count()
        };
        assert_eq!(count().await, 1 + 5);
        let_pass(host, "11 minutes").await;
        forgot(host, &owner.email, HOME).send().await.expect(202);
        assert_eq!(count().await, 1 + 5 + 1);
        let token = host.newest_mail_token("reset_password", &owner.email).await;

        // Many askers cause one mail in ten minutes, and do not void the link that was sent.
        for number in 1..=20 {
            let call = forgot(host, &owner.email, &format!("203.0.113.{number}"));
            call.send().await.expect(202);
        }
        assert_eq!(count().await, 1 + 5 + 1);
        let reset = host
            .post(PASSWORD_RESET)
            .json(&json!({"token": token, "new_password": NEW_PASSWORD}))
            .client(HOME);
        reset.send().await.expect(200);
        // The link is spent, so the next who asks gets another.
        forgot(host, &owner.email, HOTEL).send().await.expect(202);
        assert_eq!(count().await, 1 + 5 + 1 + 1);
        let_pass(host, "11 minutes").await;
        for number in 1..=20 {
            let call = forgot(host, &owner.email, &format!("203.0.113.{number}"));
            call.send().await.expect(202);
        }
        assert_eq!(count().await, 1 + 5 + 1 + 1 + 1);

        // What is sent beyond the quota of all askers is no event: of an email that nobody has
        // there would be none.
        let sql = format!(
            "SELECT count(*) FROM audit_events
              WHERE event_type = 'password.reset_requested' AND subject = '{}'",
            owner.id
        );
        let told: i64 = host.query(&sql).await[0].get(0);
        assert_eq!(told, 1 + 5);
    });
}

/// Of many askers at the same moment no more are sent mail than one after the other.
#[test]
fn many_ask_for_a_reset_at_once() {
    run(behind_a_proxy(), async |host| {
        let owner = host.new_user("owner").await;
        let calls: Vec<Call> = (1..=24)
            .map(|number| forgot(host, &owner.email, &format!("203.0.113.{number}")))
            .collect();
        for answer in join_all(calls.iter().map(Call::send)).await {
            answer.expect(202);
        }
        let sql = format!(
            "SELECT token FROM outbox_messages WHERE recipient = '{}'",
            owner.email
        );
        let rows = host.query(&sql).await;
        assert_eq!(rows.len(), 5);
        // One of the links is the last, and is good.
        let mut statuses = Vec::new();
        for row in rows {
            let body = json!({"token": row.get::<_, &str>(0), "new_password": NEW_PASSWORD});
            statuses.push(host.post(PASSWORD_RESET).json(&body).send().await.status);
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 422, 422, 422, 422]);
    });
}

/// Without the setting, 300 failures of one client locked out everybody behind the proxy.
#[test]
fn an_address_fails_for_itself() {
    run(behind_a_proxy(), async |host| {
        let [ada, ben] = [host.new_user("ada").await, host.new_user("ben").await];
        let wrong = wrong_guess(host, &ada.email, STRANGER).send().await;
        wrong.expect_problem(401, "invalid_credentials");
        host.execute("UPDATE login_attempts SET failures = 300 WHERE subject LIKE 'address:%'")
            .await;
        // No more of them are verified at once than may still fail: it is one.
        let began = Instant::now();
        let guesses: Vec<Call> = (0..16)
            .map(|number| wrong_guess(host, &format!("nobody-{number}@example.com"), STRANGER))
            .collect();
        let answers = join_all(guesses.iter().map(Call::send)).await;
        let (count, limit) = (verified(&answers), allowance(began.elapsed()) - 5);
        assert!(
            (1..=limit).contains(&count),
            "{count} were verified, and not at most {limit}"
        );
        hold_the_waits(host).await;
        for user in [&ada, &ben] {
            let waiting = sign_in(host, &user.email, STRANGER).send().await;
            waiting.expect_problem(429, "too_many_attempts");
            sign_in(host, &user.email, HOME).send().await.expect(200);
        }
    });
}

/// A client with IPv6 has a whole network, and is one client all the same.
#[test]
fn a_network_is_one_client() {
    run(behind_a_proxy(), async |host| {
        let owner = host.new_user("owner").await;
        for number in 1..=VERIFIED_AT_ONCE {
            let address = format!("2001:db8:0:1:{number}::{number}");
            let wrong = wrong_guess(host, &owner.email, &address).send().await;
            wrong.expect_problem(401, "invalid_credentials");
        }
        hold_the_waits(host).await;
        let waiting = sign_in(host, &owner.email, "2001:db8:0:1::99").send().await;
        waiting.expect_problem(429, "too_many_attempts");
        let next = sign_in(host, &owner.email, "2001:db8:0:2::1").send().await;
        let session = next.expect(200).text_at("/session_id");
        // The list of sessions has the address itself.
        let sessions = host
            .get(SESSIONS)
            .bearer(&owner.token)
            .send()
            .await
            .expect(200);
        let listed = sessions.json()["sessions"].clone();
        let listed = listed.as_array().into_iter().flatten();
        let address = listed
            .filter(|listed| listed["id"] == session.as_str())
            .map(|listed| listed["address"].clone());
        assert_eq!(address.collect::<Vec<_>>(), ["2001:db8:0:2::1"]);
    });
}

/// `X-Forwarded-For` is believed of a trusted proxy, and of nobody else.
#[test]
fn addresses_behind_proxies() {
    let table = [
        ("", HOME, "127.0.0.1"),
        ("0", HOME, "127.0.0.1"),
        ("1", HOME, HOME),
        ("1", "203.0.113.66, 192.0.2.10", HOME),
        ("1", "nonsense", "127.0.0.1"),
        ("2", "192.0.2.10, 10.0.0.1", HOME),
        ("127.0.0.0/8", HOME, HOME),
        (
            "127.0.0.0/8, 10.0.0.0/8",
            "203.0.113.66, 192.0.2.10, 10.0.0.1",
            HOME,
        ),
        ("10.0.0.0/8", HOME, "127.0.0.1"),
    ];
    for (proxies, forwarded, expected) in table {
        let settings = Settings::pooled().with_variable("trusted_proxies", proxies);
        run(settings, async |host| {
            let user: User = host.new_user("ada").await;
            sign_in(host, &user.email, forwarded)
                .send()
                .await
                .expect(200);
            let sql = "SELECT address FROM sessions ORDER BY created_at DESC";
            let rows = host.query(sql).await;
            let address: &str = rows[0].get(0);
            assert_eq!(address, expected, "{proxies:?} and {forwarded:?}");
        });
    }
}

/// A setting that nobody can understand must not pass for none: everybody would be one client.
#[test]
fn a_wrong_setting_of_proxies() {
    let settings = Settings::pooled().with_variable("trusted_proxies", "proxy.example");
    run(settings, async |host| {
        let call = host.login_call("nobody@example.com", PASSWORD).unchecked();
        call.send().await.expect_problem(500, "internal");
        let lines = host.log_lines();
        assert!(
            lines.iter().any(|line| line.contains("trusted_proxies")),
            "the log must name the variable: {lines:?}"
        );
    });
}
