//! The people who use the API, and what they do with it.

mod calls;

use std::str::FromStr as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rust_decimal::Decimal;
use serde_json::json;
use shared::auth::password::{self, Password};
use shared::ids::{ApiKeyId, OrganizationId, SessionId, UserId};
use shared::token::{self, TokenKind};

use crate::api::Call;
use crate::host::TestHost;
use crate::response::Response;

/// Tells the users, keys and secrets of one process apart.
static COUNTER: AtomicU64 = AtomicU64::new(1);

/// The permissions that reach across tenants, which no organization's owner has.
pub const PLATFORM_PERMISSIONS: [&str; 17] = [
    "accounts:manage",
    "accounts:read",
    "analytics:read",
    "audit:read_platform",
    "cache:manage",
    "cache:read",
    "credits:grant",
    "entitlements:grant",
    "metrics:read",
    "outbox:deliver",
    "plans:manage",
    "retention:purge",
    "signing_keys:manage",
    "subscriptions:manage",
    "usage:close",
    "usage:upkeep",
    "users:manage",
];

/// The password of everybody who does not care.
pub const PASSWORD: &str = "correct horse battery";

/// How long it may take until an answer comes from the cache: an instance whose store was once
/// too slow leaves it alone for a second, and on a busy machine that may happen again and again.
const WARM_PATIENCE: Duration = Duration::from_secs(60);

/// The path of a balance.
pub const BALANCE: &str = "/api/v1/credits/balance";
/// The path of the signed-in user.
pub const ME: &str = "/api/v1/auth/me";
/// The path that spends credits.
pub const CONSUME: &str = "/api/v1/credits/consume";
/// The path that gives credits.
pub const GRANTS: &str = "/api/v1/credits/grants";
/// The path of what was spent and is given back.
pub const REFUNDS: &str = "/api/v1/credits/refunds";
/// The path that reserves credits.
pub const HOLDS: &str = "/api/v1/credits/holds";
/// The path of the ledger.
pub const TRANSACTIONS: &str = "/api/v1/credits/transactions";
/// The path of the ledger as a file.
pub const TRANSACTIONS_EXPORT: &str = "/api/v1/credits/transactions/export";
/// The path of what was spent.
pub const USAGE_SUMMARY: &str = "/api/v1/credits/usage/summary";
/// The path that registers.
pub const SIGNUP: &str = "/api/v1/auth/signup";
/// The path that signs in.
pub const LOGIN: &str = "/api/v1/auth/login";
/// The path that signs out.
pub const LOGOUT: &str = "/api/v1/auth/logout";

/// The path that spends a refresh token.
pub const REFRESH: &str = "/api/v1/auth/refresh";
/// The path that tells what a token stands for.
pub const INTROSPECT: &str = "/api/v1/auth/introspect";
/// The path of one's sessions.
pub const SESSIONS: &str = "/api/v1/auth/sessions";
/// The path of one's API keys.
pub const API_KEYS: &str = "/api/v1/auth/api-keys";
/// The path that changes a password.
pub const PASSWORD_CHANGE: &str = "/api/v1/auth/password";
/// The path that mails a link for a forgotten password.
pub const PASSWORD_FORGOT: &str = "/api/v1/auth/password/forgot";
/// The path that replaces a password with a token from a mail.
pub const PASSWORD_RESET: &str = "/api/v1/auth/password/reset";
/// The path that changes one's email.
pub const EMAIL: &str = "/api/v1/auth/email";
/// The path that sends another verification mail.
pub const EMAIL_VERIFICATION: &str = "/api/v1/auth/email/verification";
/// The path that confirms an email with a token from a mail.
pub const EMAIL_CONFIRM: &str = "/api/v1/auth/email/confirm";
/// The path that undoes a change of the email with a token from a mail.
pub const EMAIL_UNDO: &str = "/api/v1/auth/email/undo";
/// The path that sends the mail that is waiting.
pub const DELIVERIES: &str = "/api/v1/outbox/deliveries";
/// The path of a developer's view of the mail.
pub const DEV_OUTBOX: &str = "/api/v1/dev/outbox";
/// The path that proves again who one is.
pub const REAUTHENTICATE: &str = "/api/v1/auth/reauthenticate";
/// The path of one's second factor.
pub const TOTP: &str = "/api/v1/auth/totp";
/// The path that gives a JWT for a session or an API key.
pub const TOKEN: &str = "/api/v1/auth/token";
/// The path of the keys that JWTs are verified with.
pub const JWKS: &str = "/.well-known/jwks.json";
/// The path of the keys that sign JWTs.
pub const SIGNING_KEYS: &str = "/api/v1/auth/signing-keys";
/// The path of the organization's audit log.
pub const AUDIT_LOG: &str = "/api/v1/audit-log";

/// The path of one's organizations.
pub const ORGANIZATIONS: &str = "/api/v1/organizations";
/// The path that changes the organization of a session.
pub const SESSION_ORGANIZATION: &str = "/api/v1/auth/organization";
/// The path that accepts an invitation.
pub const ACCEPT: &str = "/api/v1/invitations/accept";

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Their email address.
    pub email: String,
    /// Their access token.
    pub token: String,
}

/// A session of a user.
#[derive(Debug, Clone)]
pub struct IssuedSession {
    /// Its id.
    pub id: SessionId,
    /// Its access token.
    pub token: String,
    /// Its refresh token.
    pub refresh_token: String,
}

/// An API key of a user.
#[derive(Debug, Clone)]
pub struct IssuedKey {
    /// Its id.
    pub id: ApiKeyId,
    /// The key itself.
    pub key: String,
}

/// A number that no one else in this process got.
pub fn unique() -> u64 {
    COUNTER.fetch_add(1, Ordering::Relaxed)
}

/// A fresh Idempotency-Key.
pub fn fresh_key() -> String {
    format!("key-{}", unique())
}

/// The random part of an id that nobody else in this process got.
fn unique_bytes() -> [u8; shared::ids::RANDOM_BYTES] {
    let mut bytes = [0; shared::ids::RANDOM_BYTES];
    let number = unique().to_be_bytes();
    bytes[..8].copy_from_slice(&number);
    // Of an organization its slot, which differs too.
    bytes[8..].copy_from_slice(&number[6..]);
    bytes
}

fn now_millis() -> u64 {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH);
    clock.map_or(0, |elapsed| elapsed.as_millis() as u64)
}

/// The hash of [`PASSWORD`] under the empty pepper that the tests' hosts have.
fn password_hash() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| {
        let hash = password::hash(
            &Password::presented(PASSWORD),
            &[7; password::SALT_BYTES],
            b"",
        );
        hash.unwrap_or_else(|error| panic!("the password of the tests cannot be hashed: {error}"))
    })
}

/// A well-formed access token of `owner`, in no organization, that nobody was given.
pub fn invented_token(owner: UserId) -> String {
    invented(TokenKind::Access, owner)
}

/// A well-formed token of any kind, in no organization, that nobody was given.
pub fn invented(kind: TokenKind, owner: UserId) -> String {
    invented_in(OrganizationId::NONE, kind, owner)
}

/// A well-formed token of any kind and organization that nobody was given.
pub fn invented_in(organization: OrganizationId, kind: TokenKind, owner: UserId) -> String {
    let mut secret = [0; token::SECRET_BYTES];
    secret[..8].copy_from_slice(&unique().to_be_bytes());
    token::mint(kind, organization, owner, &secret)
}

/// A token's organization and hash inside a SQL statement, as SQL functions take them.
pub fn sql_digest(token: &str) -> String {
    let digits = token::digest(token).0.map(|byte| format!("{byte:02x}"));
    format!("'\\x{}'::bytea", digits.concat())
}

/// A token's hash inside a SQL statement, as tables hold it.
pub fn sql_hash(token: &str) -> String {
    format!("token_hash({})", sql_digest(token))
}

/// The user's id inside a SQL statement.
pub fn sql_id(user: UserId) -> String {
    format!("'{}'::uuid", user.as_uuid())
}

/// What a balance says is available.
#[track_caller]
pub fn available(balance: &Response) -> Decimal {
    decimal(&balance.text_at("/available/amount"))
}

/// A decimal in a test's table or in an answer.
#[track_caller]
pub fn decimal(text: &str) -> Decimal {
    match Decimal::from_str(text) {
        Ok(amount) => amount,
        Err(error) => panic!("{text:?} is no decimal: {error}"),
    }
}

impl TestHost {
    /// Registers somebody whose email begins with `name`; returns the email.
    pub async fn signup(&self, name: &str) -> String {
        let email = format!("{name}-{}@example.com", unique());
        self.signup_call(&email, PASSWORD)
            .settle()
            .await
            .expect(202);
        email
    }

    /// Signs in through the API.
    pub async fn login(&self, email: &str) -> User {
        let response = self.login_call(email, PASSWORD).settle().await.expect(200);
        let id = response.text_at("/user_id");
        User {
            id: id
                .parse()
                .unwrap_or_else(|_| response.fail("user_id must be a user's id")),
            email: email.to_owned(),
            token: response.text_at("/access_token"),
        }
    }

    /// Somebody new who signed up through the API, and was therefore sent the mail that verifies
    /// their email. The session is written straight to the database.
    pub async fn signed_up_user(&self, name: &str) -> User {
        let email = self.signup(name).await;
        let rows = self
            .query(&format!(
                "SELECT prefixed_id('usr_', id) FROM users WHERE email = '{email}'"
            ))
            .await;
        let id: &str = rows[0].get(0);
        let user = User {
            id: id
                .parse()
                .unwrap_or_else(|_| panic!("{id} is no user's id")),
            email,
            token: String::new(),
        };
        let token = self.issue_token(&user).await;
        User { token, ..user }
    }

    /// Somebody new with an organization of their own, signed in there. They are as sign-up and
    /// sign-in leave them, and their password is [`PASSWORD`]; but no request is sent and nothing
    /// is hashed, because that takes longer than all the rest of most tests. No mail is written
    /// either: tests of mail take [`TestHost::signed_up_user`], and tests of sign-up and sign-in
    /// [`TestHost::signup`] and [`TestHost::login`].
    pub async fn new_user(&self, name: &str) -> User {
        self.new_user_with(name, "").await
    }

    /// As [`TestHost::new_user`], with an email that was shown to be theirs, so that they may invite.
    pub async fn verified_user(&self, name: &str) -> User {
        let user = self.new_user(name).await;
        self.verify_email(&user).await;
        user
    }

    /// Has the user's email count as shown to be theirs, as the link of a mail does.
    pub async fn verify_email(&self, user: &User) {
        self.execute(&format!(
            "UPDATE users SET email_verified_at = now() WHERE id = {}",
            sql_id(user.id)
        ))
        .await;
    }

    /// Somebody new who belongs to no organization, signed in.
    pub async fn new_user_of_none(&self, name: &str) -> User {
        let user = self.new_user(name).await;
        self.execute(&format!(
            "DELETE FROM memberships WHERE user_id = {}",
            sql_id(user.id)
        ))
        .await;
        let token = self.issue_token(&user).await;
        User { token, ..user }
    }

    /// Somebody new who may do everything, signed in.
    pub async fn platform_admin(&self) -> User {
        self.new_user_with("admin", "platform_admin").await
    }

    async fn new_user_with(&self, name: &str, platform_role: &str) -> User {
        let user = User {
            id: UserId::new(now_millis(), &unique_bytes()),
            email: format!("{name}-{}@example.com", unique()),
            token: String::new(),
        };
        let organization = OrganizationId::new(now_millis(), &unique_bytes());
        self.execute(&format!(
            "SELECT audit_asker('127.0.0.1', NULL);
             SELECT user_register({id}, '{organization}', '{email}', '{hash}');
             UPDATE users SET platform_role = nullif('{platform_role}', '') WHERE id = {id}",
            id = sql_id(user.id),
            organization = organization.as_uuid(),
            email = user.email,
            hash = password_hash(),
        ))
        .await;
        let token = self.issue_token(&user).await;
        User { token, ..user }
    }

    /// Somebody new with US dollars to spend, and the admin who gave them.
    pub async fn user_with(&self, amount: &str) -> (User, User) {
        let admin = self.platform_admin().await;
        let user = self.new_user("user").await;
        self.grant(&admin, &user, amount, "USD").await;
        (user, admin)
    }

    /// Another access token of the user, in a session of its own.
    pub async fn issue_token(&self, user: &User) -> String {
        self.issue_session(user).await.token
    }

    /// Another session of the user. It is written straight to the database, because checking a
    /// password takes longer than all the rest of a test.
    pub async fn issue_session(&self, user: &User) -> IssuedSession {
        let rows = self
            .query(&format!(
                "SELECT user_home_organization({})",
                sql_id(user.id)
            ))
            .await;
        let organization = rows[0].get::<_, Option<_>>(0);
        let organization = organization.map_or(OrganizationId::NONE, OrganizationId::from_uuid);
        let session = IssuedSession {
            id: SessionId::owned(organization, now_millis(), &unique_bytes()),
            token: invented_in(organization, TokenKind::Access, user.id),
            refresh_token: invented_in(organization, TokenKind::Refresh, user.id),
        };
        self.execute(&format!(
            "SELECT audit_asker('127.0.0.1', NULL);
             SELECT auth_login(id, password_hash, password_hash, '{}', {}, {}, 3600, 7200, 'test', '127.0.0.1')
               FROM users WHERE id = {}",
            session.id.as_uuid(),
            sql_digest(&session.token),
            sql_digest(&session.refresh_token),
            sql_id(user.id)
        ))
        .await;
        session
    }

    /// The access tokens of so many new sessions of the user, which one statement opens.
    pub async fn issue_tokens(&self, user: &User, count: usize) -> Vec<String> {
        let organization = self.organization_of(user).await;
        let invent = |_| invented_in(organization, TokenKind::Access, user.id);
        let tokens: Vec<String> = (0..count).map(invent).collect();
        let digests: Vec<Vec<u8>> = tokens
            .iter()
            .map(|token| token::digest(token).0.to_vec())
            .collect();
        let sql = format!(
            "WITH issued AS MATERIALIZED (
                 SELECT token_organization(digest) AS organization_id, token_hash(digest) AS digest,
                        owned_id(token_organization(digest), gen_random_uuid()) AS session_id
                   FROM unnest($1::bytea[]) AS digest
             ), opened AS (
                 INSERT INTO sessions (organization_id, id, user_id)
                 SELECT organization_id, session_id, {} FROM issued)
             INSERT INTO access_tokens (organization_id, digest, session_id, expires_at)
             SELECT organization_id, digest, session_id, now() + interval '1 hour' FROM issued",
            sql_id(user.id)
        );
        let issued = self.db().execute(&sql, &[&digests]).await;
        assert_eq!(
            issued.unwrap_or_else(|error| panic!("{sql}: {error:?}")),
            count as u64
        );
        tokens
    }

    /// The organization that the user signed up with.
    pub async fn organization_of(&self, user: &User) -> OrganizationId {
        let rows = self
            .query(&format!(
                "SELECT prefixed_id('org_', organization_id) FROM memberships
                  WHERE user_id = {} ORDER BY created_at LIMIT 1",
                sql_id(user.id)
            ))
            .await;
        let id: &str = rows[0].get(0);
        id.parse()
            .unwrap_or_else(|_| panic!("{id} is no organization's id"))
    }

    /// Another access token of the user, in a session that acts in `organization`. It is written
    /// straight to the database.
    pub async fn token_in(&self, user: &User, organization: OrganizationId) -> String {
        let token = invented_in(organization, TokenKind::Access, user.id);
        self.execute(&format!(
            "WITH opened AS (
                 INSERT INTO sessions (organization_id, id, user_id)
                 VALUES ('{organization}', owned_id('{organization}', gen_random_uuid()), {})
                 RETURNING organization_id, id)
             INSERT INTO access_tokens (organization_id, digest, session_id, expires_at)
             SELECT organization_id, {}, id, now() + interval '1 hour' FROM opened",
            sql_id(user.id),
            sql_hash(&token),
            organization = organization.as_uuid(),
        ))
        .await;
        token
    }

    /// Somebody new who is a member of `organization` too, signed in there.
    pub async fn member_of(&self, organization: OrganizationId, role: &str) -> User {
        let mut user = self.new_user(role).await;
        self.execute(&format!(
            "INSERT INTO memberships (organization_id, user_id, role) VALUES ('{}', {}, '{role}')",
            organization.as_uuid(),
            sql_id(user.id)
        ))
        .await;
        user.token = self.token_in(&user, organization).await;
        user
    }

    /// Gives the organization a role of its own.
    pub async fn own_role(&self, organization: OrganizationId, name: &str, permissions: &[&str]) {
        self.execute(&format!(
            "INSERT INTO roles (organization_id, name, permissions)
             VALUES ('{}', '{name}', ARRAY[{}]::text[])",
            organization.as_uuid(),
            permissions
                .iter()
                .map(|permission| format!("'{permission}'"))
                .collect::<Vec<_>>()
                .join(", ")
        ))
        .await;
    }

    /// A new API key of the user.
    pub async fn issue_api_key(&self, user: &User, scopes: &[&str]) -> IssuedKey {
        let call = self.api_key_call(user, &json!({"name": "test", "scopes": scopes}));
        let response = call.send().await.expect(201);
        let id = response.text_at("/api_key/id");
        IssuedKey {
            id: id
                .parse()
                .unwrap_or_else(|_| response.fail("id must be an API key's id")),
            key: response.text_at("/key"),
        }
    }

    /// The kinds of the messages that were written to `email`, oldest first.
    pub async fn mail_kinds(&self, email: &str) -> Vec<String> {
        let rows = self
            .query(&format!(
                "SELECT kind FROM outbox_messages WHERE recipient = '{email}' ORDER BY created_at"
            ))
            .await;
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// The token of the newest message of a kind to `email`, which must be there.
    pub async fn newest_mail_token(&self, kind: &str, email: &str) -> String {
        let rows = self
            .query(&format!(
                "SELECT token FROM outbox_messages
                  WHERE kind = '{kind}' AND recipient = '{email}' ORDER BY created_at DESC LIMIT 1"
            ))
            .await;
        match rows.first().and_then(|row| row.get::<_, Option<String>>(0)) {
            Some(token) => token,
            None => panic!("no message {kind} with a token was written to {email}"),
        }
    }

    /// The time after an interval of Postgres, as the API writes it.
    pub async fn time_in(&self, interval: &str) -> String {
        let rows = self
            .query(&format!(
                "SELECT rfc3339(clock_timestamp() + interval '{interval}')"
            ))
            .await;
        rows[0].get(0)
    }

    /// Lets every grant end now that was to end later. No balance may be cached that reckons with
    /// their later ends.
    pub async fn let_grants_end(&self) {
        self.execute(
            "UPDATE credit_grants SET expires_at = clock_timestamp() WHERE expires_at < 'infinity';
             UPDATE credit_accounts SET next_due_at = clock_timestamp()",
        )
        .await;
    }

    /// Gives US dollars whose grant begins or ends (`moment` is the field) a second and a half from
    /// now, or later if the machine is too slow to make such a grant in time.
    pub async fn grant_with_moment(&self, admin: &User, to: &User, amount: &str, moment: &str) {
        for millis in [1_500, 6_000, 24_000, 96_000] {
            let time = self.time_in(&format!("{millis} milliseconds")).await;
            let terms = json!({moment: time});
            let response = self
                .grant_with_call(admin, to, amount, terms)
                .settle()
                .await;
            if response.status == 201 {
                return;
            }
            response.expect_fields(422, "invalid_fields", &[moment]);
        }
        panic!("no grant was made before its own {moment}");
    }

    /// Waits until the last time in a column is past, infinity aside.
    pub async fn wait_until_due(&self, table: &str, column: &str) {
        let rows = self
            .query(&format!(
                "SELECT greatest(0, ceil(extract(epoch FROM max({column}) - clock_timestamp()) * 1000))::bigint
                   FROM {table} WHERE ({column}) < 'infinity'"
            ))
            .await;
        let millis: Option<i64> = rows[0].get(0);
        let millis = u64::try_from(millis.unwrap_or_default()).unwrap_or_default();
        // Caches count in whole milliseconds, and by the clock of the host.
        tokio::time::sleep(Duration::from_millis(millis + 20)).await;
    }

    /// What the ledger says is available in US dollars.
    pub async fn ledger_balance(&self, user: &User) -> Decimal {
        let rows = self
            .query(&format!(
                "SELECT coalesce(sum(e.amount), 0)::text
                   FROM ledger_entries e JOIN credit_accounts a ON (a.organization_id, a.id) = (e.organization_id, e.account_id)
                  WHERE a.user_id = {} AND a.currency = 'USD' AND e.bucket = 'available'",
                sql_id(user.id)
            ))
            .await;
        decimal(rows[0].get(0))
    }

    /// How many transfers of a kind the user's US dollars have seen.
    pub async fn count_transfers(&self, user: &User, kind: &str) -> i64 {
        let rows = self
            .query(&format!(
                "SELECT count(*) FROM ledger_transfers t
                   JOIN credit_accounts a ON (a.organization_id, a.id) = (t.organization_id, t.account_id)
                  WHERE a.user_id = {} AND a.currency = 'USD' AND t.kind = '{kind}'",
                sql_id(user.id)
            ))
            .await;
        rows[0].get(0)
    }

    /// Reads until the cache has a part in the answer: on a busy machine a store may be too slow for
    /// once, and the instance leaves it alone for a second.
    pub async fn ask_cache(&self, call: &Call) -> Response {
        let began = Instant::now();
        loop {
            let response = call.send().await.expect(200);
            if response.cache() != "bypass" || began.elapsed() > WARM_PATIENCE {
                return response;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Reads until the answer comes from the cache, which takes two reads when nothing
    /// interferes: the first names a generation, the second stores under it.
    pub async fn warm(&self, call: &Call) -> Response {
        let began = Instant::now();
        while began.elapsed() < WARM_PATIENCE {
            let response = call.settle().await.expect(200);
            if response.cache() == "hit" {
                return response;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let response = call.send().await;
        response.fail("reads were not served from the cache for a minute")
    }
}
