//! What ends sessions of a person ends what they left pending: every cell of the table in
//! docs/auth.md, and every making of something beside an end.

mod rules;
mod stage;

use futures::future::{join, join_all};
use serde_json::json;
use turnpike_tests::personas::{ACCEPT, EMAIL, EMAIL_VERIFICATION, ME, ORGANIZATIONS, TOTP};
use turnpike_tests::{TestHost, api_tests};

use self::rules::{EVENTS, Event, Maker, THINGS, Thing, makers, rules, works_after};
use self::stage::{Pending, by, confirm, fresh_email, stage};
use crate::authenticator::Authenticator;

/// Uses of one pending thing beside the event.
const PARALLEL_USES: usize = 6;

/// Rounds in which something is made beside an end.
const ROUNDS: usize = 40;

api_tests![
    every_cell_of_the_table,
    every_cell_beside_its_event,
    makings_beside_ends,
    refreshes_beside_ends,
];

async fn every_cell_of_the_table(host: &TestHost) {
    let admin = host.platform_admin().await;
    let mut cells = 0;
    for (event, thing, rule) in rules() {
        for maker in makers(event, thing) {
            let mut stage = stage(host, &admin, event, thing).await;
            stage.what = format!("{event:?}, {thing:?} of {maker:?}: {rule}");
            let pending = stage.make(host, thing, event, maker).await;
            if event == Event::EmailChanged && maker == Maker::Other && thing == Thing::ChangeLink {
                // The event is this link.
                continue;
            }
            let call = stage.event(host, event, thing).await;
            let done = call.settle().await;
            let expected = if event == Event::RefreshReused {
                401
            } else {
                200
            };
            if done.status != expected {
                done.fail(&stage.what);
            }
            stage.bring_back(host, event).await;
            let answer = stage.try_out(host, &pending).await;
            stage.expect(&answer, &pending, works_after(event, &rule, maker));
        }
        cells += 1;
    }
    assert_eq!(cells, EVENTS.len() * THINGS.len());
}

/// The pending thing is used beside the event: a use comes first, and has taken effect, or it is
/// refused. Afterwards nothing of it is left that the rule ends.
async fn every_cell_beside_its_event(host: &TestHost) {
    host.fail_on_deadlock().await;
    let admin = host.platform_admin().await;
    for (event, thing, rule) in rules() {
        if works_after(event, &rule, Maker::Ended)
            // The event is the use of the link.
            || (thing == Thing::ResetLink
                && matches!(event, Event::PasswordReset | Event::UnverifiedReset))
        {
            continue;
        }
        let stage = stage(host, &admin, event, thing).await;
        let pending = stage.make(host, thing, event, Maker::Ended).await;
        let call = stage.event(host, event, thing).await;
        let uses = join_all((0..PARALLEL_USES).map(|_| stage.try_out(host, &pending)));
        let (used, done) = join(uses, call.settle()).await;
        let mut is_used = false;
        for answer in &used {
            match (answer.status, &pending) {
                (200, _) => is_used = true,
                // Disabled, or removed, in the midst of it.
                (401 | 409 | 422 | 429, _) => {}
                _ => answer.fail(&stage.what),
            }
        }
        let expected = if event == Event::RefreshReused {
            401
        } else {
            200
        };
        // A link that changes who has the account may be used first: then what the event needs is
        // gone, and the event has done nothing.
        let takes_over = matches!(
            thing,
            Thing::ChangeLink | Thing::ResetLink | Thing::UndoLink | Thing::VerifyLink
        );
        if done.status != expected && !(is_used && takes_over) {
            done.fail(&stage.what);
        }
        if done.status == expected {
            stage.bring_back(host, event).await;
            let answer = stage.try_out(host, &pending).await;
            // A factor that was confirmed before is in force, and is no longer pending.
            match thing {
                Thing::Enrolment if is_used => drop(answer.expect(409)),
                // Who has joined before has joined.
                Thing::Invitation if is_used => drop(answer.expect(200)),
                _ => stage.expect(&answer, &pending, false),
            }
        }
    }
}

/// What can be made in a session.
const MAKINGS: [Thing; 5] = [
    Thing::ApiKey,
    Thing::Invitation,
    Thing::Enrolment,
    Thing::VerifyLink,
    Thing::ChangeLink,
];

/// What the session makes beside the end was there to be ended, or was refused. Nothing of it
/// lives again when its user is back.
async fn makings_beside_ends(host: &TestHost) {
    host.fail_on_deadlock().await;
    let admin = host.platform_admin().await;
    let ends = [
        Event::OthersEnded,
        Event::UserDisabled,
        Event::MemberRemoved,
        Event::PasswordChanged,
        Event::PasswordReset,
    ];
    for round in 0..ROUNDS {
        let event = ends[round % ends.len()];
        for thing in MAKINGS {
            if event == Event::MemberRemoved && !matches!(thing, Thing::ApiKey | Thing::Invitation)
                // It is the reset of a user whose email is proved already.
                || event == Event::PasswordReset && thing == Thing::VerifyLink
            {
                continue;
            }
            let mut stage = stage(host, &admin, event, thing).await;
            stage.what = format!("round {round}, {event:?} beside a new {thing:?}");
            let guest = host.new_user("guest").await;
            let new_email = fresh_email();
            let session = &stage.ended.token;
            let make = match thing {
                Thing::ApiKey => host.api_key_call(
                    &by(&stage.user, session),
                    &json!({"name": "test", "scopes": ["credits:read"]}),
                ),
                Thing::Invitation => host
                    .post(format!(
                        "{ORGANIZATIONS}/{}/invitations",
                        stage.organization
                    ))
                    .bearer(session)
                    .json(&json!({"email": guest.email, "role": "member"})),
                Thing::Enrolment => host.post(TOTP).bearer(session),
                Thing::VerifyLink => host.post(EMAIL_VERIFICATION).bearer(session),
                _ => host
                    .put(EMAIL)
                    .bearer(session)
                    .json(&json!({"email": new_email})),
            };
            let end = stage.event(host, event, thing).await;
            let (made, ended) = join(make.settle(), end.settle()).await;
            ended.expect(200);
            if made.status == 401 {
                continue;
            }
            if !(200..300).contains(&made.status) {
                made.fail(&stage.what);
            }
            stage.bring_back(host, event).await;
            let left = match thing {
                Thing::ApiKey => Pending::Key(host.get(ME).bearer(&made.text_at("/key"))),
                Thing::Invitation => {
                    let link = host.newest_mail_token("invitation", &guest.email).await;
                    let accept = host.post(ACCEPT).bearer(&guest.token);
                    Pending::Link(accept.json(&json!({"token": link})))
                }
                Thing::Enrolment => Pending::Code(Authenticator::of(&made)),
                Thing::VerifyLink => {
                    let link = host.newest_mail_token("verify_email", &stage.user.email);
                    Pending::Link(confirm(host, &link.await))
                }
                _ => {
                    let link = host.newest_mail_token("change_email", &new_email).await;
                    Pending::Link(confirm(host, &link))
                }
            };
            let answer = stage.try_out(host, &left).await;
            stage.expect(&answer, &left, false);
        }
    }
}

/// A refresh beside an end gives tokens that are worth nothing, or is refused.
async fn refreshes_beside_ends(host: &TestHost) {
    host.fail_on_deadlock().await;
    let admin = host.platform_admin().await;
    let ends = [
        Event::OthersEnded,
        Event::OneEnded,
        Event::UserDisabled,
        Event::MemberRemoved,
    ];
    for round in 0..ROUNDS {
        let event = ends[round % ends.len()];
        let stage = stage(host, &admin, event, Thing::ApiKey).await;
        let refresh = host.refresh_call(&stage.ended.refresh_token);
        let end = stage.event(host, event, Thing::ApiKey).await;
        let (refreshed, ended) = join(refresh.settle(), end.settle()).await;
        ended.expect(200);
        stage.bring_back(host, event).await;
        if refreshed.status == 401 {
            continue;
        }
        let refreshed = refreshed.expect(200);
        let me = host.get(ME).bearer(&refreshed.text_at("/access_token"));
        me.settle().await.expect_problem(401, "unauthenticated");
        let again = host.refresh_call(&refreshed.text_at("/refresh_token"));
        again
            .settle()
            .await
            .expect_problem(401, "invalid_refresh_token");
    }
}
