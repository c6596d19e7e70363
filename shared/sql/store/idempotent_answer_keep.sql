-- Remembers the answer to a key, for idempotent_answer to find, and returns it.
--
-- Of two requests that use a key at once, the second waits here for the first. If the first
-- commits, the second fails with a state that asks to try again: it is rolled back whole,
-- and finds the answer on its next attempt.
CREATE OR REPLACE FUNCTION idempotent_answer_keep(
    p_organization_id uuid, p_actor_id uuid, p_key text, p_request_digest bytea, p_answer json
) RETURNS json
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO idempotency_keys (organization_id, actor_id, key, request_digest, answer)
    VALUES (p_organization_id, p_actor_id, p_key, p_request_digest, p_answer)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'another request has used the idempotency key meanwhile' USING ERRCODE = '40001';
    END IF;
    RETURN p_answer;
END;
$$;
