//! What deletes what has lapsed. Of each table one row has.

use super::Row;

pub const ROWS: [Row; 10] = [
    Row {
        name: "retention_batch of access tokens",
        sql: "UPDATE access_tokens SET expires_at = '-infinity'
               WHERE organization_id = explain_id(1) AND digest = explain_hash(7);
              SELECT retention_batch(table_name, moment, condition, kept, 500) FROM retention_rules()
               WHERE table_name = 'access_tokens'",
        answer: "1",
        indexes: &["access_tokens_by_expiry"],
    },
    Row {
        name: "retention_batch of refresh tokens",
        sql: "UPDATE refresh_tokens SET expires_at = '-infinity'
               WHERE organization_id = explain_id(1) AND digest = explain_hash(7);
              SELECT retention_batch(table_name, moment, condition, kept, 500) FROM retention_rules()
               WHERE table_name = 'refresh_tokens'",
        answer: "1",
        indexes: &["refresh_tokens_by_expiry"],
    },
    Row {
        name: "retention_batch of sessions that ended",
        sql: "UPDATE sessions SET revoked_at = '-infinity' WHERE organization_id = explain_id(1) AND id = explain_id(7);
              DELETE FROM access_tokens WHERE organization_id = explain_id(1) AND digest = explain_hash(7);
              DELETE FROM refresh_tokens WHERE organization_id = explain_id(1) AND digest = explain_hash(7);
              SELECT retention_batch(table_name, moment, condition, kept, 500) FROM retention_rules()
               WHERE table_name = 'sessions' AND moment = 'revoked_at'",
        answer: "1",
        indexes: &["sessions_ended", "access_tokens_by_session", "refresh_tokens_by_session"],
    },
    Row {
        name: "retention_batch of sessions whose lifetime is over",
        sql: "UPDATE sessions SET created_at = '-infinity' WHERE organization_id = explain_id(1) AND id = explain_id(7);
              DELETE FROM access_tokens WHERE organization_id = explain_id(1) AND digest = explain_hash(7);
              DELETE FROM refresh_tokens WHERE organization_id = explain_id(1) AND digest = explain_hash(7);
              SELECT retention_batch(table_name, moment, condition, kept, 500) FROM retention_rules()
               WHERE table_name = 'sessions' AND moment = 'created_at'",
        answer: "1",
        indexes: &["sessions_unended", "access_tokens_by_session", "refresh_tokens_by_session"],
    },
    Row {
        name: "retention_batch of idempotency keys",
        sql: "UPDATE idempotency_keys SET created_at = '-infinity'
               WHERE organization_id = explain_id(1) AND actor_id = explain_id(1) AND key = 'key-7';
              SELECT retention_batch(table_name, moment, condition, kept, 500) FROM retention_rules()
               WHERE table_name = 'idempotency_keys'",
        answer: "1",
        indexes: &["idempotency_keys_by_age"],
    },
    Row {
        name: "retention_batch of counts of guesses",
        sql: "UPDATE login_attempts SET last_failed = '-infinity'
               WHERE subject = guess_subject('user-7@example.com', '192.0.2.1');
              SELECT retention_batch(table_name, moment, condition, kept, 500) FROM retention_rules()
               WHERE table_name = 'login_attempts'",
        answer: "1",
        indexes: &["login_attempts_by_age"],
    },
    Row {
        name: "retention_batch of links",
        sql: "UPDATE email_tokens SET expires_at = '-infinity'
               WHERE digest = explain_hash(7);
              SELECT retention_batch(table_name, moment, condition, kept, 500) FROM retention_rules()
               WHERE table_name = 'email_tokens'",
        answer: "1",
        indexes: &["email_tokens_by_expiry"],
    },
    Row {
        name: "retention_batch of counts of mail",
        sql: "UPDATE mail_quota SET window_started = '-infinity'
               WHERE subject = 'email:verify_email:user-7@example.com';
              SELECT retention_batch(table_name, moment, condition, kept, 500) FROM retention_rules()
               WHERE table_name = 'mail_quota'",
        answer: "1",
        indexes: &["mail_quota_by_window"],
    },
    Row {
        name: "retention_batch of mail that was sent",
        sql: "UPDATE outbox_messages SET settled_at = '-infinity'
               WHERE organization_id = explain_id(1) AND id = explain_id(7);
              SELECT retention_batch(table_name, moment, condition, kept, 500) FROM retention_rules()
               WHERE table_name = 'outbox_messages'",
        answer: "1",
        indexes: &["outbox_messages_settled"],
    },
    Row {
        name: "retention_batch of keys of resets",
        sql: "UPDATE entitlement_resets SET reset_at = '-infinity'
               WHERE organization_id = explain_id(1) AND entitlement_id = explain_id(7) AND key = 'reset-7';
              SELECT retention_batch(table_name, moment, condition, kept, 500) FROM retention_rules()
               WHERE table_name = 'entitlement_resets'",
        answer: "1",
        indexes: &["entitlement_resets_by_age"],
    },
];
