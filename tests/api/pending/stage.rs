//! Somebody with something pending, the event that may end it, and the use of what is left.

use std::fmt;

use serde_json::json;
use shared::ids::OrganizationId;
use turnpike_tests::personas::{
    ACCEPT, EMAIL, EMAIL_CONFIRM, EMAIL_UNDO, EMAIL_VERIFICATION, IssuedSession, LOGOUT, ME,
    ORGANIZATIONS, PASSWORD, PASSWORD_FORGOT, PASSWORD_RESET, REAUTHENTICATE, SESSION_ORGANIZATION,
    SESSIONS, TOTP, sql_id, unique,
};
use turnpike_tests::{Call, Response, TestHost, User};

use super::rules::{Event, Maker, Thing};
use crate::authenticator::Authenticator;

const NEW_PASSWORD: &str = "a quite different phrase";

/// A person with what one cell is about.
pub(super) struct Stage {
    pub(super) user: User,
    /// What the event ends.
    pub(super) ended: IssuedSession,
    /// What it does not, where it leaves any.
    pub(super) other: User,
    /// The organization that the person invites to, and is removed from.
    pub(super) organization: OrganizationId,
    pub(super) boss: User,
    pub(super) admin: User,
    /// The link that undoes the change of the email, where there was one.
    pub(super) undo: String,
    pub(super) what: String,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Something pending, and how it is used.
pub(super) enum Pending {
    Link(Call),
    Key(Call),
    Code(Authenticator),
    Recovery(String),
}

pub(super) fn fresh_email() -> String {
    format!("other-{}@example.com", unique())
}

pub(super) fn by(user: &User, token: &str) -> User {
    User {
        token: token.to_owned(),
        ..user.clone()
    }
}

/// Has the user's email count as nobody's.
async fn unverify_email(host: &TestHost, user: &User) {
    host.execute(&format!(
        "UPDATE users SET email_verified_at = NULL WHERE id = {}",
        sql_id(user.id)
    ))
    .await;
}

pub(super) fn confirm(host: &TestHost, token: &str) -> Call {
    host.post(EMAIL_CONFIRM).json(&json!({"token": token}))
}

pub(super) fn reset(host: &TestHost, token: &str) -> Call {
    host.post(PASSWORD_RESET)
        .json(&json!({"token": token, "new_password": NEW_PASSWORD}))
}

pub(super) async fn reset_token(host: &TestHost, email: &str) -> String {
    let forgot = host.post(PASSWORD_FORGOT).json(&json!({"email": email}));
    forgot.settle().await.expect(202);
    host.newest_mail_token("reset_password", email).await
}

/// Asks for another email in the session; returns the email and the link's token.
pub(super) async fn ask_for_change(host: &TestHost, token: &str) -> (String, String) {
    let new = fresh_email();
    let asked = host.put(EMAIL).bearer(token).json(&json!({"email": new}));
    asked.settle().await.expect(202);
    let link = host.newest_mail_token("change_email", &new).await;
    (new, link)
}

/// Changes the email of a user who had proved theirs; returns the link that undoes it.
pub(super) async fn change_email(host: &TestHost, user: &mut User) -> String {
    host.verify_email(user).await;
    let (new, link) = ask_for_change(host, &user.token).await;
    confirm(host, &link).settle().await.expect(200);
    let undo = host.newest_mail_token("email_changed", &user.email).await;
    user.email = new;
    undo
}

/// A session of its own, with tokens of both kinds, in the organization.
pub(super) async fn session_in(
    host: &TestHost,
    user: &User,
    organization: OrganizationId,
) -> IssuedSession {
    let session = host.issue_session(user).await;
    let moved = host
        .put(SESSION_ORGANIZATION)
        .bearer(&session.token)
        .json(&json!({"organization_id": organization}));
    let moved = moved.settle().await.expect(200);
    IssuedSession {
        id: moved
            .text_at("/session_id")
            .parse()
            .unwrap_or_else(|_| moved.fail("session_id must be a session's id")),
        token: moved.text_at("/access_token"),
        refresh_token: moved.text_at("/refresh_token"),
    }
}

pub(super) async fn stage(host: &TestHost, admin: &User, event: Event, thing: Thing) -> Stage {
    let boss = host.new_user("boss").await;
    let organization = host.organization_of(&boss).await;
    let mut user = host.new_user("ada").await;
    host.execute(&format!(
        "INSERT INTO memberships (organization_id, user_id, role) VALUES ('{}', {}, 'admin')",
        organization.as_uuid(),
        sql_id(user.id)
    ))
    .await;
    if thing == Thing::Invitation {
        host.verify_email(&user).await;
    }
    let undo = if event == Event::EmailUndone || thing == Thing::UndoLink {
        change_email(host, &mut user).await
    } else {
        String::new()
    };
    let ended = session_in(host, &user, organization).await;
    let other = session_in(host, &user, organization).await;
    let other = by(&user, &other.token);
    Stage {
        what: format!("{event:?}, {thing:?}"),
        user,
        ended,
        other,
        organization,
        boss,
        admin: admin.clone(),
        undo,
    }
}

impl Stage {
    /// Makes the thing in the session of a token.
    pub(super) async fn make(
        &self,
        host: &TestHost,
        thing: Thing,
        event: Event,
        maker: Maker,
    ) -> Pending {
        let gone = match maker {
            Maker::Gone => Some(session_in(host, &self.user, self.organization).await.token),
            Maker::Elsewhere => Some(host.issue_token(&self.user).await),
            Maker::Ended | Maker::Other => None,
        };
        let token = match (&gone, maker) {
            (Some(token), _) => token,
            (None, Maker::Other) => &self.other.token,
            (None, _) => &self.ended.token,
        };
        let made = self.make_with(host, thing, event, maker, token).await;
        if maker == Maker::Gone {
            let logout = host.post(LOGOUT).bearer(token);
            logout.settle().await.expect(200);
        }
        made
    }

    pub(super) async fn make_with(
        &self,
        host: &TestHost,
        thing: Thing,
        event: Event,
        maker: Maker,
        token: &str,
    ) -> Pending {
        match thing {
            Thing::VerifyLink => {
                unverify_email(host, &self.user).await;
                let call = host.post(EMAIL_VERIFICATION).bearer(token);
                call.settle().await.expect(202);
                let link = host.newest_mail_token("verify_email", &self.user.email);
                Pending::Link(confirm(host, &link.await))
            }
            Thing::ChangeLink => {
                let (_, link) = ask_for_change(host, token).await;
                Pending::Link(confirm(host, &link))
            }
            Thing::ResetLink => {
                let link = reset_token(host, &self.user.email).await;
                Pending::Link(reset(host, &link))
            }
            Thing::UndoLink if event == Event::EmailUndone => {
                // Of a later change, which the undoing of the first undoes as well.
                let mut user = by(&self.user, &self.ended.token);
                let undo = change_email(host, &mut user).await;
                Pending::Link(host.post(EMAIL_UNDO).json(&json!({"token": undo})))
            }
            Thing::UndoLink => {
                Pending::Link(host.post(EMAIL_UNDO).json(&json!({"token": self.undo})))
            }
            Thing::Invitation => {
                let organization = match maker {
                    Maker::Elsewhere => host.organization_of(&self.user).await,
                    _ => self.organization,
                };
                let guest = host.new_user("guest").await;
                let invite = host.post(format!("{ORGANIZATIONS}/{organization}/invitations"));
                let invite = invite
                    .bearer(token)
                    .json(&json!({"email": guest.email, "role": "member"}));
                invite.settle().await.expect(201);
                let link = host.newest_mail_token("invitation", &guest.email).await;
                let accept = host.post(ACCEPT).bearer(&guest.token);
                Pending::Link(accept.json(&json!({"token": link})))
            }
            Thing::ApiKey => {
                let user = by(&self.user, token);
                let key = host.issue_api_key(&user, &["credits:read"]).await.key;
                let call = host.get(ME).bearer(&key);
                call.settle().await.expect(200);
                Pending::Key(call)
            }
            Thing::Enrolment => Pending::Code(Authenticator::enrol(host, token).await),
            Thing::RecoveryCodes => {
                let (_, codes) = Authenticator::turn_on(host, token).await;
                Pending::Recovery(codes[0].clone())
            }
        }
    }

    /// The request that is the event, after what it needs was prepared.
    pub(super) async fn event(&self, host: &TestHost, event: Event, thing: Thing) -> Call {
        // A second factor asks the other sessions to prove who they are again.
        host.execute(&format!(
            "UPDATE sessions SET authenticated_at = now() WHERE user_id = {}",
            sql_id(self.user.id)
        ))
        .await;
        match event {
            Event::PasswordChanged => host.password_call(&self.other.token, PASSWORD, NEW_PASSWORD),
            Event::PasswordReset | Event::UnverifiedReset => {
                match event {
                    Event::UnverifiedReset => unverify_email(host, &self.user).await,
                    _ => host.verify_email(&self.user).await,
                }
                let email = &self.user.email;
                // A second link would replace the one that the cell is about.
                let token = match thing {
                    Thing::ResetLink => host.newest_mail_token("reset_password", email).await,
                    _ => reset_token(host, email).await,
                };
                reset(host, &token)
            }
            Event::OthersEnded => host.delete(SESSIONS).bearer(&self.other.token),
            Event::OneEnded => host
                .delete(format!("{SESSIONS}/{}", self.ended.id))
                .bearer(&self.other.token),
            Event::RefreshReused => {
                let refresh = host.refresh_call(&self.ended.refresh_token);
                refresh.settle().await.expect(200);
                refresh
            }
            Event::LoggedOut => host.post(LOGOUT).bearer(&self.ended.token),
            Event::UserDisabled => self.set_disabled(host, true),
            Event::MemberRemoved | Event::MemberLeft => {
                let whose = if event == Event::MemberLeft {
                    &self.other
                } else {
                    &self.boss
                };
                host.delete(format!(
                    "{ORGANIZATIONS}/{}/members/{}",
                    self.organization, self.user.id
                ))
                .bearer(&whose.token)
            }
            Event::EmailChanged => {
                host.verify_email(&self.user).await;
                let (_, link) = ask_for_change(host, &self.other.token).await;
                confirm(host, &link)
            }
            Event::EmailUndone => host.post(EMAIL_UNDO).json(&json!({"token": self.undo})),
        }
    }

    pub(super) fn set_disabled(&self, host: &TestHost, is_disabled: bool) -> Call {
        host.patch(format!("/api/v1/users/{}", self.user.id))
            .bearer(&self.admin.token)
            .json(&json!({"disabled": is_disabled}))
    }

    /// Brings back who is only gone for a while, so that what they left can be tried.
    pub(super) async fn bring_back(&self, host: &TestHost, event: Event) {
        if event == Event::UserDisabled {
            self.set_disabled(host, false).settle().await.expect(200);
        }
        if event.is_of_an_organization() {
            host.execute(&format!(
                "INSERT INTO memberships (organization_id, user_id, role) VALUES ('{}', {}, 'admin')
                 ON CONFLICT DO NOTHING",
                self.organization.as_uuid(),
                sql_id(self.user.id)
            ))
            .await;
        }
    }

    /// Uses the thing once.
    pub(super) async fn try_out(&self, host: &TestHost, pending: &Pending) -> Response {
        match pending {
            Pending::Link(call) | Pending::Key(call) => call.settle().await,
            Pending::Code(authenticator) => {
                let token = host.token_in(&self.user, self.organization).await;
                let call = host.post(format!("{TOTP}/confirm")).bearer(&token);
                let call = call.json(&json!({"code": authenticator.code()}));
                call.settle().await
            }
            Pending::Recovery(code) => {
                let token = host.token_in(&self.user, self.organization).await;
                let call = host.post(REAUTHENTICATE).bearer(&token);
                call.json(&json!({"recovery_code": code})).settle().await
            }
        }
    }

    /// Fails unless the thing works as it should by now.
    pub(super) fn expect(&self, answer: &Response, pending: &Pending, works: bool) {
        let expected: &[u16] = match (pending, works) {
            (_, true) => &[200],
            (Pending::Link(_), false) => &[422],
            (Pending::Key(_), false) => &[401],
            (Pending::Code(_), false) => &[409],
            // Without a second factor a password is asked for.
            (Pending::Recovery(_), false) => &[403, 422],
        };
        if !expected.contains(&answer.status) {
            answer.fail(&format!("{self}: expected {expected:?}"));
        }
    }
}
