//! Nobody locks anybody out. The stories of those who tried are told here step by step, from the
//! outside, and each ends well for the owner of the account.

mod addresses;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::{join, join_all};
use serde_json::json;
use shared::auth::device::{DEVICE_COOKIE, DEVICE_TTL_SECS, Device};
use shared::ids::{DeviceId, SessionId, UserId};
use turnpike_tests::personas::{
    LOGIN, PASSWORD, PASSWORD_FORGOT, PASSWORD_RESET, REAUTHENTICATE, SESSION_ORGANIZATION,
    SESSIONS, TOTP,
};
use turnpike_tests::{Call, Response, Settings, TestHost, User, run};

use crate::authenticator::{Authenticator, confirm_call};

/// Where the owner is as a rule.
const HOME: &str = "192.0.2.10";
/// Where the owner is on a journey, on a device that nobody knows.
const HOTEL: &str = "198.51.100.20";
/// Where somebody else is.
const STRANGER: &str = "203.0.113.66";
/// Wrong guesses that are verified at once: five are free, and the sixth is the first that makes
/// the next one wait.
const VERIFIED_AT_ONCE: u32 = 6;
/// The password after a change.
const NEW_PASSWORD: &str = "a quite different phrase";
/// The secret of these tests' hosts, with which the tests sign devices themselves.
const MASTER_SECRET: &str = "the master secret of these tests";

/// A host behind one proxy, as the tests are to it.
fn behind_a_proxy() -> Settings {
    Settings::pooled()
        .with_variable("trusted_proxies", "1")
        .with_variable("master_secret", MASTER_SECRET)
}

/// How many wrong guesses of one subject may be verified within a time: the waits between further
/// ones are 1, 2, 4 seconds and so on.
fn allowance(elapsed: Duration) -> u32 {
    VERIFIED_AT_ONCE + (elapsed.as_secs() + 1).ilog2()
}

fn wrong_guess(host: &TestHost, email: &str, address: &str) -> Call {
    host.login_call(email, "wrong password").client(address)
}

fn sign_in(host: &TestHost, email: &str, address: &str) -> Call {
    host.login_call(email, PASSWORD).client(address)
}

fn forgot(host: &TestHost, email: &str, address: &str) -> Call {
    let body = json!({"email": email});
    host.post(PASSWORD_FORGOT).json(&body).client(address)
}

fn with_device(call: Call, note: &str) -> Call {
    call.header("cookie", format!("theme=dark; {DEVICE_COOKIE}={note}"))
}

/// The device that an answer makes known, whose cookie must have every protection.
#[track_caller]
fn device_of(response: &Response) -> String {
    let values = response.headers.get_all("set-cookie");
    let mut lines = values.iter().filter_map(|value| value.to_str().ok());
    let begin = format!("{DEVICE_COOKIE}=");
    let Some(line) = lines.find_map(|line| line.strip_prefix(&begin)) else {
        response.fail("the device must be made known");
    };
    let mut parts = line.split("; ");
    let note = parts.next().unwrap_or_default().to_owned();
    let attributes: Vec<&str> = parts.collect();
    let max_age = format!("Max-Age={DEVICE_TTL_SECS}");
    for wanted in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax", &max_age] {
        if !attributes.contains(&wanted) {
            response.fail(&format!("the cookie of a device must be {wanted}"));
        }
    }
    note
}

/// Signs in from home, and returns the device that is known then.
async fn known_device(host: &TestHost, email: &str) -> String {
    device_of(&sign_in(host, email, HOME).send().await.expect(200))
}

/// Lets time pass for what is counted.
async fn let_pass(host: &TestHost, interval: &str) {
    host.execute(&format!(
        "UPDATE login_attempts SET last_failed = last_failed - interval '{interval}',
                                   locked_until = locked_until - interval '{interval}';
         UPDATE mail_quota SET window_started = window_started - interval '{interval}';
         UPDATE email_tokens SET created_at = created_at - interval '{interval}',
                                 expires_at = expires_at - interval '{interval}'"
    ))
    .await;
}

/// Makes everybody wait who waits, and for longer than the test takes.
async fn hold_the_waits(host: &TestHost) {
    host.execute(
        "UPDATE login_attempts SET locked_until = clock_timestamp() + interval '1 hour'
          WHERE locked_until IS NOT NULL",
    )
    .await;
}

/// Guesses until the address has to wait for the account, and keeps it waiting.
async fn lock_out(host: &TestHost, email: &str, address: &str) {
    for _ in 0..VERIFIED_AT_ONCE {
        let wrong = wrong_guess(host, email, address).send().await;
        wrong.expect_problem(401, "invalid_credentials");
    }
    hold_the_waits(host).await;
    let call = sign_in(host, email, address);
    call.send().await.expect_problem(429, "too_many_attempts");
}

/// How many guesses are counted against a subject, which is an expression of SQL.
async fn counted(host: &TestHost, subject: &str) -> u32 {
    let sql = format!("SELECT failures FROM login_attempts WHERE subject = {subject}");
    let rows = host.query(&sql).await;
    let failures = rows.first().map_or(0, |row| row.get::<_, i32>(0));
    u32::try_from(failures).unwrap_or_default()
}

fn stranger(email: &str, address: &str) -> String {
    format!("guess_subject('{email}', '{address}')")
}

/// Against what the guesses of a user's session count that ask for the password.
fn in_session(session: SessionId) -> String {
    format!(
        "(SELECT 'session:' || user_id || ':' || sign_in_id FROM sessions WHERE id = '{}')",
        session.as_uuid()
    )
}

/// Fails unless as many guesses were counted as the limit lets through since `began`. An answer
/// may be lost on a busy machine, so fewer may say that theirs was verified, and never more.
#[track_caller]
fn expect_allowance(counted: u32, verified: u32, began: Instant) {
    let limit = allowance(began.elapsed());
    assert!(
        (VERIFIED_AT_ONCE..=limit).contains(&counted),
        "{counted} guesses were counted, and not {VERIFIED_AT_ONCE} to {limit}"
    );
    assert!(
        verified <= counted,
        "{verified} guesses were verified, and {counted} counted"
    );
}

/// How many of the answers say that a password was verified. All others must say that it was not.
#[track_caller]
fn verified(answers: &[Response]) -> u32 {
    let mut count = 0;
    for answer in answers {
        match answer.status {
            401 => count += 1,
            429 => drop(answer.clone().expect_problem(429, "too_many_attempts")),
            _ => drop(answer.clone().expect_problem(503, "too_many_hashes")),
        }
    }
    count
}

#[test]
fn sixty_four_guesses_at_once() {
    run(behind_a_proxy(), async |host| {
        let owner = host.new_user("owner").await;
        let mut device = known_device(host, &owner.email).await;
        let unknown = "nobody@example.com";
        // From the very address of the owner, from elsewhere, and at an email that is nobody's.
        for (email, address) in [
            (&*owner.email, HOME),
            (&owner.email, STRANGER),
            (unknown, HOME),
        ] {
            let began = Instant::now();
            let is_over = AtomicBool::new(false);
            let guesses: Vec<Call> = (0..64).map(|_| wrong_guess(host, email, address)).collect();
            let attack = async {
                let answers = join_all(guesses.iter().map(Call::send)).await;
                is_over.store(true, Ordering::SeqCst);
                answers
            };
            let owners = async {
                loop {
                    let call = with_device(sign_in(host, &owner.email, HOME), &device);
                    device = device_of(&call.send().await.expect(200));
                    if is_over.load(Ordering::SeqCst) {
                        break;
                    }
                }
            };
            let (answers, ()) = join(attack, owners).await;
            let counted = counted(host, &stranger(email, address)).await;
            expect_allowance(counted, verified(&answers), began);
        }
        host.assert_leases_are_given_back().await;
    });
}

fn guesses_of_64_addresses(host: &TestHost, email: &str) -> Vec<Call> {
    let addresses = (1..=64).map(|number| format!("203.0.113.{number}"));
    addresses
        .map(|address| wrong_guess(host, email, &address))
        .collect()
}

/// None of them waits for another, and the owner for none, on a device and at an address that
/// nobody knows.
#[test]
fn sixty_four_addresses_guess_once_each() {
    let settings = behind_a_proxy().with_variable("max_hashes_in_flight", "256");
    run(settings, async |host| {
        let owner = host.new_user("owner").await;
        // Whoever is cut off on a busy machine guesses again, more often than five times. What all
        // of them might share has its limit.
        let pairs = (1..=64).map(|number| stranger(&owner.email, &format!("203.0.113.{number}")));
        let pairs = pairs.collect::<Vec<_>>().join(", ");
        host.execute(&format!(
            "INSERT INTO login_attempts (subject, failures, last_failed, last_guess_id)
             SELECT unnest(ARRAY[{pairs}]), -100, clock_timestamp(), gen_random_uuid()"
        ))
        .await;
        let guesses = guesses_of_64_addresses(host, &owner.email);
        let call = sign_in(host, &owner.email, HOTEL);
        let attack = join_all(guesses.iter().map(Call::send));
        let (answers, owners) = join(attack, call.send()).await;
        owners.expect(200);
        for answer in answers {
            answer.expect_problem(401, "invalid_credentials");
        }
    });
}

/// With no more hashes at once than by default some may be turned away, and nothing of it stays.
#[test]
fn the_owner_comes_after_sixty_four_addresses() {
    run(behind_a_proxy(), async |host| {
        let owner = host.new_user("owner").await;
        let guesses = guesses_of_64_addresses(host, &owner.email);
        for answer in join_all(guesses.iter().map(Call::send)).await {
            match answer.status {
                401 => drop(answer.expect_problem(401, "invalid_credentials")),
                _ => drop(answer.expect_problem(503, "too_many_hashes")),
            }
        }
        sign_in(host, &owner.email, HOTEL).send().await.expect(200);
        host.assert_leases_are_given_back().await;
    });
}

/// Nine requests an hour kept an account locked for ever: 64 at once, and then one whenever the
/// wait of a quarter of an hour is over.
#[test]
fn a_guess_each_quarter_of_an_hour() {
    run(behind_a_proxy(), async |host| {
        let owner = host.new_user("owner").await;
        let device = known_device(host, &owner.email).await;
        let guesses: Vec<Call> = (0..64)
            .map(|_| wrong_guess(host, &owner.email, STRANGER))
            .collect();
        verified(&join_all(guesses.iter().map(Call::send)).await);
        for round in 0..9 {
            let_pass(host, "15 minutes").await;
            let wrong = wrong_guess(host, &owner.email, STRANGER).send().await;
            wrong.expect_problem(401, "invalid_credentials");
            let call = with_device(sign_in(host, &owner.email, HOME), &device);
            call.send().await.expect(200);
            sign_in(host, &owner.email, HOTEL).send().await.expect(200);
            if round > 2 {
                // It is the stranger who waits.
                let wrong = sign_in(host, &owner.email, STRANGER).send().await;
                wrong.expect_problem(429, "too_many_attempts");
            }
        }
        // And nobody waits for ever.
        let_pass(host, "61 minutes").await;
        let wrong = wrong_guess(host, &owner.email, STRANGER);
        for _ in 0..VERIFIED_AT_ONCE {
            wrong
                .send()
                .await
                .expect_problem(401, "invalid_credentials");
        }
    });
}

/// What strangers do meanwhile does not stop a live session, and what one session does stops no
/// other.
#[test]
fn a_live_session_goes_on() {
    run(behind_a_proxy(), async |host| {
        let owner = host.new_user("owner").await;
        let other = host.issue_token(&owner).await;
        for address in [HOME, STRANGER] {
            lock_out(host, &owner.email, address).await;
        }
        host.execute(
            "INSERT INTO login_attempts (subject, failures, last_failed, last_guess_id, locked_until)
             VALUES ('address:192.0.2.10', 400, now(), gen_random_uuid(), now() + interval '1 hour')
             ON CONFLICT (subject) DO UPDATE SET locked_until = excluded.locked_until",
        )
        .await;
        let reauthenticate = |token: &str, password: &str| {
            host.post(REAUTHENTICATE)
                .bearer(token)
                .json(&json!({"password": password}))
                .client(HOME)
        };
        let change =
            |token: &str, from: &str, to: &str| host.password_call(token, from, to).client(HOME);
        reauthenticate(&owner.token, PASSWORD)
            .send()
            .await
            .expect(200);
        change(&owner.token, PASSWORD, NEW_PASSWORD)
            .send()
            .await
            .expect(200);
        change(&owner.token, NEW_PASSWORD, PASSWORD)
            .send()
            .await
            .expect(200);
        let authenticator = Authenticator::enrol(host, &owner.token).await;
        let confirm = |token: &str, code: &str| confirm_call(host, token, code).client(HOME);
        let wrong = authenticator.wrong_code();
        for _ in 0..3 {
            let refused = confirm(&owner.token, &wrong).send().await;
            refused.expect_fields(422, "invalid_fields", &["code"]);
        }

        // One who holds a stolen session guesses in it, with whatever asks for a password or code.
        let stolen = host.issue_token(&owner).await;
        host.get(SESSIONS).bearer(&other).send().await.expect(401);
        let guesses = [
            reauthenticate(&stolen, "wrong password"),
            change(&stolen, "wrong password", NEW_PASSWORD),
        ];
        for guess in guesses.iter().cycle().take(6) {
            guess.send().await.expect_problem(422, "invalid_fields");
        }
        hold_the_waits(host).await;
        let right = [
            reauthenticate(&stolen, PASSWORD),
            change(&stolen, PASSWORD, NEW_PASSWORD),
        ];
        for call in right {
            call.send().await.expect_problem(429, "too_many_attempts");
        }
        // The first code of an enrolment has a count of its own.
        for _ in 0..6 {
            let refused = confirm(&stolen, &wrong).send().await;
            refused.expect_fields(422, "invalid_fields", &["code"]);
        }
        hold_the_waits(host).await;
        let right = confirm(&stolen, &authenticator.code());
        right.send().await.expect_problem(429, "too_many_attempts");
        reauthenticate(&owner.token, PASSWORD)
            .send()
            .await
            .expect(200);
        confirm(&owner.token, &authenticator.code())
            .send()
            .await
            .expect(200);
        host.assert_leases_are_given_back().await;
    });
}

/// Neither a move to another organization nor a second factor of one's own frees a session that has
/// guessed too often.
#[test]
fn a_session_takes_its_count_along() {
    run(behind_a_proxy(), async |host| {
        let owner = host.new_user("owner").await;
        let organization = host.organization_of(&owner).await;
        let stolen = host.issue_session(&owner).await;
        let subject = in_session(stolen.id);
        let guess = |token: &str| host.password_call(token, "wrong password", NEW_PASSWORD);
        for _ in 1..VERIFIED_AT_ONCE {
            let wrong = guess(&stolen.token).send().await;
            wrong.expect_problem(422, "invalid_fields");
        }
        // Whoever holds the session knows the codes of what they enrol.
        let (authenticator, _) = Authenticator::turn_on(host, &stolen.token).await;
        let reauthenticate = host.post(REAUTHENTICATE).bearer(&stolen.token);
        let with_code = reauthenticate.json(&json!({"totp_code": authenticator.code_in(1)}));
        with_code.send().await.expect(200);
        let disable = host.delete(TOTP).bearer(&stolen.token);
        disable.send().await.expect(200);
        assert_eq!(counted(host, &subject).await, VERIFIED_AT_ONCE - 1);
        let wrong = guess(&stolen.token).send().await;
        wrong.expect_problem(422, "invalid_fields");
        hold_the_waits(host).await;
        let mut token = stolen.token;
        for _ in 0..2 {
            let right = host.password_call(&token, PASSWORD, NEW_PASSWORD);
            right.send().await.expect_problem(429, "too_many_attempts");
            let moved = host.put(SESSION_ORGANIZATION).bearer(&token);
            let moved = moved.json(&json!({"organization_id": organization}));
            token = moved.send().await.expect(200).text_at("/access_token");
        }
        // Another sign-in of the same user is free.
        let own = host.password_call(&owner.token, PASSWORD, NEW_PASSWORD);
        own.send().await.expect(200);
    });
}

#[test]
fn sixty_four_guesses_in_one_session() {
    run(behind_a_proxy(), async |host| {
        let owner = host.new_user("owner").await;
        let session = host.issue_session(&owner).await;
        let began = Instant::now();
        let call = host.password_call(&session.token, "wrong password", NEW_PASSWORD);
        let answers = join_all((0..64).map(|_| call.send())).await;
        let mut count = 0;
        for answer in answers {
            match answer.status {
                422 => count += 1,
                429 => drop(answer.expect_problem(429, "too_many_attempts")),
                _ => drop(answer.expect_problem(503, "too_many_hashes")),
            }
        }
        let counted = counted(host, &in_session(session.id)).await;
        expect_allowance(counted, count, began);
    });
}

/// A known device fails for itself.
#[test]
fn a_device_counts_alone() {
    run(behind_a_proxy(), async |host| {
        let owner = host.new_user("owner").await;
        let phone = known_device(host, &owner.email).await;
        let laptop = known_device(host, &owner.email).await;
        assert_ne!(phone, laptop, "each sign-in is a device of its own");
        for _ in 0..VERIFIED_AT_ONCE {
            let wrong = with_device(wrong_guess(host, &owner.email, HOME), &phone);
            wrong
                .send()
                .await
                .expect_problem(401, "invalid_credentials");
        }
        hold_the_waits(host).await;
        let call = sign_in(host, &owner.email, HOME);
        let waiting = with_device(call.clone(), &phone).send().await;
        waiting.expect_problem(429, "too_many_attempts");
        let subjects = host.query("SELECT subject FROM login_attempts").await;
        assert_eq!(
            subjects.len(),
            1,
            "what a device fails counts for nothing else"
        );
        with_device(call.clone(), &laptop).send().await.expect(200);
        call.send().await.expect(200);
    });
}

/// Only a device that the user signed in from is known, and only until it is too old or the
/// password changes.
#[test]
fn worthless_devices() {
    run(behind_a_proxy(), async |host| {
        let owner = host.new_user("owner").await;
        let eve = host.new_user("eve").await;
        let good = known_device(host, &owner.email).await;
        let foreign = known_device(host, &eve.email).await;
        let master = MASTER_SECRET.as_bytes();
        let rows = host
            .query("SELECT (extract(epoch FROM now()) * 1000000)::bigint")
            .await;
        let now_micros: i64 = rows[0].get(0);
        let year_micros = i64::from(DEVICE_TTL_SECS) * 1_000_000;
        let note = |user: UserId, age_micros: i64, master: &[u8]| {
            let device = Device {
                user,
                id: DeviceId::new(1, &[7; 10]),
                issued_micros: now_micros - age_micros,
            };
            device.sealed(master)
        };
        let mut altered = good.clone().into_bytes();
        altered[40] = if altered[40] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).expect("ASCII stays ASCII");
        let worthless = [
            ("nothing", String::new()),
            ("garbage", "tpd_AAAA".to_owned()),
            ("altered", altered),
            ("cut", good[..good.len() - 1].to_owned()),
            ("forged", note(owner.id, 0, b"another master secret")),
            ("forged without a secret", note(owner.id, 0, b"")),
            ("another user's", foreign),
            ("expired", note(owner.id, year_micros + 60_000_000, master)),
            ("an access token", owner.token.clone()),
        ];
        let call = sign_in(host, &owner.email, HOME);
        lock_out(host, &owner.email, HOME).await;
        for (which, note) in &worthless {
            let refused = with_device(call.clone(), note).send().await;
            if refused.status != 429 {
                refused.fail(&format!("{which} must be worth nothing"));
            }
        }
        let young = note(owner.id, year_micros - 600_000_000, master);
        for note in [&good, &young] {
            with_device(call.clone(), note).send().await.expect(200);
        }

        // A device is worth nothing at the email of somebody else, nor at nobody's.
        for email in [&*eve.email, "nobody@example.com"] {
            lock_out(host, email, HOME).await;
            let refused = with_device(sign_in(host, email, HOME), &good).send().await;
            refused.expect_problem(429, "too_many_attempts");
        }
    });
}

/// A new password ends every device but the one that changed it.
#[test]
fn a_new_password_ends_devices() {
    run(behind_a_proxy(), async |host| {
        let owner = host.new_user("owner").await;
        let before = known_device(host, &owner.email).await;
        let changed = host.password_call(&owner.token, PASSWORD, NEW_PASSWORD);
        let own = device_of(&changed.send().await.expect(200));
        lock_out_with(host, &owner.email, NEW_PASSWORD).await;
        let call = host.login_call(&owner.email, NEW_PASSWORD).client(HOME);
        let refused = with_device(call.clone(), &before).send().await;
        refused.expect_problem(429, "too_many_attempts");
        let own = device_of(&with_device(call, &own).send().await.expect(200));

        forgot(host, &owner.email, HOTEL).send().await.expect(202);
        let token = host.newest_mail_token("reset_password", &owner.email).await;
        let reset = host
            .post(PASSWORD_RESET)
            .json(&json!({"token": token, "new_password": PASSWORD}))
            .client(HOTEL);
        reset.send().await.expect(200);
        let call = sign_in(host, &owner.email, HOME);
        let refused = with_device(call, &own).send().await;
        refused.expect_problem(429, "too_many_attempts");
        sign_in(host, &owner.email, HOTEL).send().await.expect(200);
    });
}

/// As [`lock_out`] from home, for a user whose password is another.
async fn lock_out_with(host: &TestHost, email: &str, password: &str) {
    for _ in 0..VERIFIED_AT_ONCE {
        wrong_guess(host, email, HOME).send().await.expect(401);
    }
    hold_the_waits(host).await;
    let call = host.login_call(email, password).client(HOME);
    call.send().await.expect_problem(429, "too_many_attempts");
}

/// Whoever resets the password by mail may sign in from where they are, however often they
/// mistyped it there.
#[test]
fn a_reset_ends_ones_own_wait() {
    run(behind_a_proxy(), async |host| {
        let owner = host.new_user("owner").await;
        for address in [HOTEL, STRANGER] {
            lock_out(host, &owner.email, address).await;
        }
        forgot(host, &owner.email, HOTEL).send().await.expect(202);
        let token = host.newest_mail_token("reset_password", &owner.email).await;
        let reset = host
            .post(PASSWORD_RESET)
            .json(&json!({"token": token, "new_password": NEW_PASSWORD}))
            .client(HOTEL);
        reset.send().await.expect(200);
        let call = host.login_call(&owner.email, NEW_PASSWORD);
        call.clone().client(HOTEL).send().await.expect(200);
        let waiting = call.client(STRANGER).send().await;
        waiting.expect_problem(429, "too_many_attempts");
    });
}

/// One who knows the password guesses codes. They wait, the owner does not, and not for ever.
#[test]
fn wrong_codes_stop_who_sends_them() {
    run(behind_a_proxy(), async |host| {
        let owner = host.new_user("owner").await;
        let device = known_device(host, &owner.email).await;
        let (authenticator, codes) = Authenticator::turn_on(host, &owner.token).await;
        let with_code = |field: &str, code: &str, address: &str| {
            let body = json!({"email": owner.email, "password": PASSWORD, field: code});
            host.post(LOGIN).json(&body).client(address)
        };
        let wrong = authenticator.wrong_code();
        let began = Instant::now();
        let guess = with_code("totp_code", &wrong, STRANGER);
        let answers = join_all((0..64).map(|_| guess.send())).await;
        let counted = counted(host, &stranger(&owner.email, STRANGER)).await;
        expect_allowance(counted, verified(&answers), began);
        hold_the_waits(host).await;
        for call in [
            with_code("recovery_code", &codes[0], STRANGER),
            sign_in(host, &owner.email, STRANGER),
        ] {
            call.send().await.expect_problem(429, "too_many_attempts");
        }
        // A password without a code is no guess, however often.
        for _ in 0..8 {
            let asked = sign_in(host, &owner.email, HOTEL).send().await;
            asked.expect_problem(401, "second_factor_required");
        }
        let call = with_code("recovery_code", &codes[1], HOTEL);
        call.send().await.expect(200);
        let call = with_code("recovery_code", &codes[2], HOME);
        with_device(call, &device).send().await.expect(200);
        let_pass(host, "2 hours").await;
        let call = with_code("recovery_code", &codes[3], STRANGER);
        call.send().await.expect(200);
    });
}
