//! What deletes what has lapsed. Of each table one row has.

use super::Row;

/// A batch of a table: what makes one row lapse, and which rules are followed.
macro_rules! batch {
    ($of:literal, $lapse:literal, $rules:literal, $indexes:expr) => {
        Row {
            name: concat!("retention_batch of ", $of),
            sql: concat!(
                $lapse,
                "; SELECT retention_batch(table_name, moment, condition, kept, 500)",
                " FROM retention_rules() WHERE ",
                $rules
            ),
            answer: "1",
            indexes: $indexes,
        }
    };
}

pub const ROWS: [Row; 10] = [
    batch!(
        "access tokens",
        "UPDATE access_tokens SET expires_at = '-infinity'
         WHERE organization_id = explain_id(1) AND digest = explain_hash(7)",
        "table_name = 'access_tokens'",
        &["access_tokens_by_expiry"]
    ),
    batch!(
        "refresh tokens",
        "UPDATE refresh_tokens SET expires_at = '-infinity'
         WHERE organization_id = explain_id(1) AND digest = explain_hash(7)",
        "table_name = 'refresh_tokens'",
        &["refresh_tokens_by_expiry"]
    ),
    batch!(
        "sessions that ended",
        "UPDATE sessions SET revoked_at = '-infinity' WHERE organization_id = explain_id(1) AND id = explain_id(7);
         DELETE FROM access_tokens WHERE organization_id = explain_id(1) AND digest = explain_hash(7);
         DELETE FROM refresh_tokens WHERE organization_id = explain_id(1) AND digest = explain_hash(7)",
        "table_name = 'sessions' AND moment = 'revoked_at'",
        &["sessions_ended", "access_tokens_by_session", "refresh_tokens_by_session"]
    ),
    batch!(
        "sessions whose lifetime is over",
        "UPDATE sessions SET created_at = '-infinity' WHERE organization_id = explain_id(1) AND id = explain_id(7);
         DELETE FROM access_tokens WHERE organization_id = explain_id(1) AND digest = explain_hash(7);
         DELETE FROM refresh_tokens WHERE organization_id = explain_id(1) AND digest = explain_hash(7)",
        "table_name = 'sessions' AND moment = 'created_at'",
        &["sessions_unended", "access_tokens_by_session", "refresh_tokens_by_session"]
    ),
    batch!(
        "idempotency keys",
        "UPDATE idempotency_keys SET created_at = '-infinity'
         WHERE organization_id = explain_id(1) AND actor_id = explain_id(1) AND key = 'key-7'",
        "table_name = 'idempotency_keys'",
        &["idempotency_keys_by_age"]
    ),
    batch!(
        "counts of guesses",
        "UPDATE login_attempts SET last_failed = '-infinity'
         WHERE subject = guess_subject('user-7@example.com', '192.0.2.1')",
        "table_name = 'login_attempts'",
        &["login_attempts_by_age"]
    ),
    batch!(
        "links",
        "UPDATE email_tokens SET expires_at = '-infinity'
         WHERE digest = explain_hash(7)",
        "table_name = 'email_tokens'",
        &["email_tokens_by_expiry"]
    ),
    batch!(
        "counts of mail",
        "UPDATE mail_quota SET window_started = '-infinity'
         WHERE subject = 'email:verify_email:user-7@example.com'",
        "table_name = 'mail_quota'",
        &["mail_quota_by_window"]
    ),
    batch!(
        "mail that was sent",
        "UPDATE outbox_messages SET settled_at = '-infinity'
         WHERE organization_id = explain_id(1) AND id = explain_id(7)",
        "table_name = 'outbox_messages'",
        &["outbox_messages_settled"]
    ),
    batch!(
        "keys of resets",
        "UPDATE entitlement_resets SET reset_at = '-infinity'
         WHERE organization_id = explain_id(1) AND entitlement_id = explain_id(7) AND key = 'reset-7'",
        "table_name = 'entitlement_resets'",
        &["entitlement_resets_by_age"]
    ),
];
