//! What ends sessions of a person ends what they left pending: every cell of the table in
//! docs/auth.md, and every making of something beside an end.

use std::fmt;

use futures::future::{join, join_all};
use serde_json::json;
use shared::ids::OrganizationId;
use turnpike_tests::environment::project_root;
use turnpike_tests::personas::{
    ACCEPT, EMAIL, EMAIL_CONFIRM, EMAIL_UNDO, EMAIL_VERIFICATION, IssuedSession, LOGOUT, ME,
    ORGANIZATIONS, PASSWORD, PASSWORD_FORGOT, PASSWORD_RESET, REAUTHENTICATE, SESSIONS, TOTP,
    sql_id, unique,
};
use turnpike_tests::{Call, Response, TestHost, User, api_tests};

use crate::authenticator::Authenticator;

const NEW_PASSWORD: &str = "a quite different phrase";

/// Uses of one pending thing beside the event.
const PARALLEL_USES: usize = 6;

/// Rounds in which something is made beside an end.
const ROUNDS: usize = 100;

api_tests![
    every_cell_of_the_table,
    every_cell_beside_its_event,
    makings_beside_ends,
    refreshes_beside_ends,
];

/// What ends sessions, by its row in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    PasswordChanged,
    PasswordReset,
    UnverifiedReset,
    OthersEnded,
    OneEnded,
    RefreshReused,
    LoggedOut,
    UserDisabled,
    MemberRemoved,
    MemberLeft,
    EmailChanged,
    EmailUndone,
}

const EVENTS: [(Event, &str); 12] = [
    (Event::PasswordChanged, "password changed"),
    (Event::PasswordReset, "password reset"),
    (
        Event::UnverifiedReset,
        "password of an unverified account reset",
    ),
    (Event::OthersEnded, "all others ended"),
    (Event::OneEnded, "one ended from another"),
    (Event::RefreshReused, "refresh token reused"),
    (Event::LoggedOut, "logged out"),
    (Event::UserDisabled, "user disabled"),
    (Event::MemberRemoved, "member removed"),
    (Event::MemberLeft, "member left"),
    (Event::EmailChanged, "email changed"),
    (Event::EmailUndone, "email change undone"),
];

/// What is pending, by its column in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    VerifyLink,
    ChangeLink,
    ResetLink,
    UndoLink,
    Invitation,
    ApiKey,
    Enrolment,
    RecoveryCodes,
}

const THINGS: [(Thing, &str); 8] = [
    (Thing::VerifyLink, "verify link"),
    (Thing::ChangeLink, "change link"),
    (Thing::ResetLink, "reset link"),
    (Thing::UndoLink, "undo link"),
    (Thing::Invitation, "invitation"),
    (Thing::ApiKey, "API key"),
    (Thing::Enrolment, "unconfirmed enrolment"),
    (Thing::RecoveryCodes, "recovery codes"),
];

/// Whose session made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maker {
    /// One that the event ends.
    Ended,
    /// The one that asks for the event, or lives on beside it.
    Other,
    /// One that was logged out before.
    Gone,
    /// One in another organization than that which the event is about.
    Elsewhere,
}

impl Event {
    /// Whether it leaves the session that is not the one it is about.
    fn keeps_other(self) -> bool {
        !matches!(
            self,
            Self::PasswordReset
                | Self::UnverifiedReset
                | Self::UserDisabled
                | Self::EmailUndone
                | Self::MemberRemoved
                | Self::MemberLeft
        )
    }

    fn is_of_an_organization(self) -> bool {
        matches!(self, Self::MemberRemoved | Self::MemberLeft)
    }
}

/// A row of the table, by column.
type Row = Vec<String>;

/// The table of docs/auth.md: its columns, and its rows by their event.
fn table() -> (Row, Vec<Row>) {
    let text = std::fs::read_to_string(project_root().join("docs/auth.md"))
        .expect("docs/auth.md can be read");
    let cells = |line: &str| -> Row {
        let inner = line.trim().trim_matches('|');
        inner
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let mut lines = text
        .lines()
        .skip_while(|line| !line.starts_with("| event |"));
    let columns = cells(lines.next().unwrap_or_default());
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    (columns, rows.map(cells).collect())
}

/// What the table says of every event and thing.
fn rules() -> Vec<(Event, Thing, String)> {
    let (columns, rows) = table();
    assert_eq!(
        columns[2..],
        THINGS.map(|(_, name)| name),
        "the columns of the table are the things that are pending"
    );
    let events: Vec<&str> = rows.iter().map(|row| &*row[0]).collect();
    assert_eq!(events, EVENTS.map(|(_, name)| name));
    let mut rules = Vec::new();
    for ((event, _), row) in EVENTS.into_iter().zip(&rows) {
        for ((thing, _), rule) in THINGS.into_iter().zip(&row[2..]) {
            rules.push((event, thing, rule.clone()));
        }
    }
    rules
}

/// A person with what one cell is about.
struct Stage {
    user: User,
    /// What the event ends.
    ended: IssuedSession,
    /// What it does not, where it leaves any.
    other: User,
    /// The organization that the person invites to, and is removed from.
    organization: OrganizationId,
    boss: User,
    admin: User,
    /// The link that undoes the change of the email, where there was one.
    undo: String,
    what: String,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Something pending, and how it is used.
enum Pending {
    Link(Call),
    Key(Call),
    Code(Authenticator),
    Recovery(String),
}

fn fresh_email() -> String {
    format!("other-{}@example.com", unique())
}

fn by(user: &User, token: &str) -> User {
    User {
        token: token.to_owned(),
        ..user.clone()
    }
}

async fn verify_by_hand(host: &TestHost, user: &User, is_verified: bool) {
    host.execute(&format!(
        "UPDATE users SET email_verified_at = CASE WHEN {is_verified} THEN now() END WHERE id = {}",
        sql_id(user.id)
    ))
    .await;
}

fn confirm(host: &TestHost, token: &str) -> Call {
    host.post(EMAIL_CONFIRM).json(&json!({"token": token}))
}

fn reset(host: &TestHost, token: &str) -> Call {
    host.post(PASSWORD_RESET)
        .json(&json!({"token": token, "new_password": NEW_PASSWORD}))
}

async fn reset_token(host: &TestHost, email: &str) -> String {
    let forgot = host.post(PASSWORD_FORGOT).json(&json!({"email": email}));
    forgot.settle().await.expect(202);
    host.newest_mail_token("reset_password", email).await
}

/// Asks for another email in the session; returns the email and the link's token.
async fn ask_for_change(host: &TestHost, token: &str) -> (String, String) {
    let new = fresh_email();
    let asked = host.put(EMAIL).bearer(token).json(&json!({"email": new}));
    asked.settle().await.expect(202);
    let link = host.newest_mail_token("change_email", &new).await;
    (new, link)
}

/// Changes the email of a user who had proved theirs; returns the link that undoes it.
async fn change_email(host: &TestHost, user: &mut User) -> String {
    verify_by_hand(host, user, true).await;
    let (new, link) = ask_for_change(host, &user.token).await;
    confirm(host, &link).settle().await.expect(200);
    let undo = host.newest_mail_token("email_changed", &user.email).await;
    user.email = new;
    undo
}

/// A session of its own, with tokens of both kinds, in the organization.
async fn session_in(host: &TestHost, user: &User, organization: OrganizationId) -> IssuedSession {
    let session = host.issue_session(user).await;
    let moved = host
        .put(turnpike_tests::personas::SESSION_ORGANIZATION)
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

async fn stage(host: &TestHost, admin: &User, event: Event, thing: Thing) -> Stage {
    let boss = host.new_user("boss").await;
    let organization = host.organization_of(&boss).await;
    let mut user = host.new_user("ada").await;
    host.execute(&format!(
        "INSERT INTO memberships (organization_id, user_id, role) VALUES ('{}', {}, 'admin')",
        organization.as_uuid(),
        sql_id(user.id)
    ))
    .await;
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
    async fn make(&self, host: &TestHost, thing: Thing, event: Event, maker: Maker) -> Pending {
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

    async fn make_with(
        &self,
        host: &TestHost,
        thing: Thing,
        event: Event,
        maker: Maker,
        token: &str,
    ) -> Pending {
        match thing {
            Thing::VerifyLink => {
                verify_by_hand(host, &self.user, false).await;
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
    async fn event(&self, host: &TestHost, event: Event, thing: Thing) -> Call {
        // A second factor asks the other sessions to prove who they are again.
        host.execute(&format!(
            "UPDATE sessions SET authenticated_at = now() WHERE user_id = {}",
            sql_id(self.user.id)
        ))
        .await;
        match event {
            Event::PasswordChanged => host.password_call(&self.other.token, PASSWORD, NEW_PASSWORD),
            Event::PasswordReset | Event::UnverifiedReset => {
                verify_by_hand(host, &self.user, event == Event::PasswordReset).await;
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
                verify_by_hand(host, &self.user, true).await;
                let (_, link) = ask_for_change(host, &self.other.token).await;
                confirm(host, &link)
            }
            Event::EmailUndone => host.post(EMAIL_UNDO).json(&json!({"token": self.undo})),
        }
    }

    fn set_disabled(&self, host: &TestHost, is_disabled: bool) -> Call {
        host.patch(format!("/api/v1/users/{}", self.user.id))
            .bearer(&self.admin.token)
            .json(&json!({"disabled": is_disabled}))
    }

    /// Brings back who is only gone for a while, so that what they left can be tried.
    async fn bring_back(&self, host: &TestHost, event: Event) {
        if event == Event::UserDisabled {
            self.set_disabled(host, false).settle().await.expect(200);
        }
        if event.is_of_an_organization() || event == Event::UnverifiedReset {
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
    async fn try_out(&self, host: &TestHost, pending: &Pending) -> Response {
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
    fn expect(&self, answer: &Response, pending: &Pending, works: bool) {
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

/// The makers whose things a cell tells apart.
fn makers(event: Event, thing: Thing) -> Vec<Maker> {
    let mut makers = vec![Maker::Ended];
    if !matches!(thing, Thing::ResetLink | Thing::UndoLink) {
        makers.push(Maker::Other);
    }
    if matches!(thing, Thing::Invitation | Thing::ApiKey) {
        makers.push(Maker::Gone);
        if event.is_of_an_organization() {
            makers.push(Maker::Elsewhere);
        }
    }
    makers
}

fn works_after(event: Event, rule: &str, maker: Maker) -> bool {
    match rule {
        "stays" => true,
        "all" | "newer" => false,
        "there" => maker == Maker::Elsewhere,
        "made" => match maker {
            Maker::Ended => false,
            Maker::Other => event.keeps_other(),
            Maker::Gone | Maker::Elsewhere => true,
        },
        unknown => panic!("docs/auth.md does not say what {unknown:?} is"),
    }
}

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
    let admin = host.platform_admin().await;
    let ends = [
        Event::OthersEnded,
        Event::UserDisabled,
        Event::MemberRemoved,
    ];
    for round in 0..ROUNDS {
        let event = ends[round % ends.len()];
        for thing in MAKINGS {
            if event == Event::MemberRemoved && !matches!(thing, Thing::ApiKey | Thing::Invitation)
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
