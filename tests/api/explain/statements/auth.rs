//! Who asks, sessions, keys, and the audit log.

use super::Row;

pub const ROWS: [Row; 19] = [
    Row {
        name: "authenticate, access token",
        sql: "SELECT authenticate(explain_digest(5))",
        answer: "credits:read",
        indexes: &[],
    },
    Row {
        name: "authenticate, API key",
        sql: "SELECT authenticate(explain_digest(1000005))",
        answer: "credits:read",
        indexes: &["api_keys_by_digest"],
    },
    Row {
        name: "authenticate, API key before its rotation",
        sql: "SELECT authenticate(explain_digest(2000005))",
        answer: "credits:read",
        indexes: &["api_keys_by_previous_digest"],
    },
    Row {
        name: "auth_me",
        sql: "SELECT auth_me(explain_digest(5))",
        answer: "user-1@example.com",
        indexes: &["organizations_pkey"],
    },
    Row {
        name: "auth_introspect",
        sql: "SELECT auth_introspect(explain_digest(1000005), explain_digest(5))",
        answer: "\"session_id\"",
        indexes: &[],
    },
    Row {
        name: "auth_refresh",
        sql: "SELECT auth_refresh(explain_digest(5), explain_digest(3000001), explain_digest(3000002), 900, 3600)",
        answer: "session_id",
        indexes: &[
            "refresh_tokens_pkey",
            "sessions_pkey",
            "access_tokens_by_session",
        ],
    },
    Row {
        name: "auth_refresh, reuse",
        sql: "UPDATE refresh_tokens SET successor = explain_hash(9) WHERE organization_id = explain_id(1) AND digest = explain_hash(5);
              SELECT auth_refresh(explain_digest(5), explain_digest(3000001), explain_digest(3000002), 900, 3600)",
        answer: "null",
        indexes: &["refresh_tokens_pkey", "sessions_pkey", "audit_heads_pkey"],
    },
    Row {
        name: "auth_sessions",
        sql: "SELECT auth_sessions(explain_digest(5), 20)",
        answer: "is_current",
        indexes: &["sessions_live_by_user", "refresh_tokens_by_session"],
    },
    Row {
        name: "auth_sessions_revoke, one",
        sql: "SELECT auth_sessions_revoke(explain_digest(5), explain_id(6))",
        answer: "revoked",
        indexes: &[],
    },
    Row {
        name: "auth_sessions_revoke, all",
        sql: "SELECT auth_sessions_revoke(explain_digest(5), NULL)",
        answer: "1999",
        indexes: &["sessions_live_by_user"],
    },
    Row {
        name: "auth_api_keys",
        sql: "SELECT auth_api_keys(explain_digest(5), 20)",
        answer: "key_",
        indexes: &["api_keys_by_user"],
    },
    Row {
        name: "audit_log",
        sql: "SELECT audit_log(explain_digest(5), NULL, NULL, NULL, 20, 1000000, false)",
        answer: "type-",
        indexes: &["audit_events_pkey"],
    },
    Row {
        name: "audit_log by type",
        sql: "SELECT audit_log(explain_digest(5), 'type-3', NULL, NULL, 20, 1000000, false)",
        answer: "type-3",
        indexes: &["audit_events_by_type"],
    },
    Row {
        name: "audit_log by time",
        sql: "SELECT audit_log(explain_digest(5), NULL, now(), now() + interval '20 minutes', 20, 1000000, false)",
        answer: "type-",
        indexes: &["audit_events_by_time", "audit_events_pkey"],
    },
    Row {
        name: "audit_log by type and time",
        sql: "SELECT audit_log(explain_digest(5), 'type-3', now(), now() + interval '20 minutes', 20, 1000000, false)",
        answer: "type-3",
        indexes: &["audit_events_by_time", "audit_events_by_type"],
    },
    Row {
        name: "auth_login_begin",
        sql: "SELECT auth_login_begin('user-7@example.com', gen_random_uuid(), 'host', 64, '192.0.2.1', NULL, NULL, NULL)",
        answer: "password_hash",
        indexes: &[
            "login_attempts_pkey",
            "users_email_key",
            "hash_leases_by_host",
        ],
    },
    Row {
        name: "auth_login",
        sql: "SELECT auth_login(explain_id(1), '-', '-', gen_random_uuid(), explain_digest(3000001),
                                explain_digest(3000002), 900, 3600, '', '',
                                p_subject => guess_subject('user-7@example.com', '192.0.2.1'))",
        answer: "session_id",
        indexes: &["users_pkey", "memberships_by_user", "login_attempts_pkey"],
    },
    Row {
        name: "guess_failed",
        sql: "SELECT guess_failed(gen_random_uuid(), guess_subject('user-7@example.com', '192.0.2.1'), '192.0.2.1',
                                  'user-7@example.com', 'password')",
        answer: "",
        indexes: &[
            "login_attempts_pkey",
            "login_attempts_by_age",
            "hash_leases_pkey",
            "users_email_key",
            "audit_heads_pkey",
        ],
    },
    Row {
        name: "audit_asker, API key",
        sql: "SELECT audit_asker('192.0.2.1', explain_digest(1000005))",
        answer: "",
        indexes: &["access_tokens_pkey", "api_keys_by_digest"],
    },
];
