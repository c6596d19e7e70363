-- What is deleted once it has lapsed, and for how long it is kept: the only place that says so, and
-- the table of docs/operations.md.
--
-- A row of table_name, which the condition calls r, has lapsed when r.moment is longer ago than
-- `kept`. Each moment has an index. Tokens come before the sessions that they refer to. Deleting what
-- has lapsed changes two answers and no other: a request with an idempotency key that is gone is a
-- new one, and a session that is gone is not found. In hours: a day would be one of the session's
-- zone.
CREATE OR REPLACE FUNCTION retention_rules() RETURNS TABLE (table_name text, moment text, condition text, kept interval)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    VALUES
        ('access_tokens',      'expires_at',     'true', interval '24 hours'),
        -- A spent one is kept for as long, so that its reuse is known while it could be used.
        ('refresh_tokens',     'expires_at',     'true', interval '24 hours'),
        -- While a token refers to it, a session is needed to tell what the token was. After 60 days none
        -- does, because a refresh token lives for 30: so that no session is passed over again and again.
        ('sessions',           'revoked_at',
            'NOT EXISTS (SELECT 1 FROM access_tokens t WHERE t.organization_id = r.organization_id AND t.session_id = r.id)
             AND NOT EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.organization_id = r.organization_id AND t.session_id = r.id)',
            interval '1440 hours'),
        ('sessions',           'created_at',
            'r.revoked_at IS NULL
             AND NOT EXISTS (SELECT 1 FROM access_tokens t WHERE t.organization_id = r.organization_id AND t.session_id = r.id)
             AND NOT EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.organization_id = r.organization_id AND t.session_id = r.id)',
            session_lifetime_interval() + interval '1440 hours'),
        ('email_tokens',       'expires_at',     'true', interval '24 hours'),
        ('login_attempts',     'last_failed',    'true', guess_count_interval()),
        -- A window that has ended counts nothing.
        ('mail_quota',         'window_started', 'true', 2 * mail_quota_window()),
        ('outbox_messages',    'settled_at',     'true', interval '720 hours'),
        ('idempotency_keys',   'created_at',     'true', interval '720 hours'),
        ('entitlement_resets', 'reset_at',       'true', interval '720 hours')
$$;
