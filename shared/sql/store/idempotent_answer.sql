-- The answer to a key that the actor repeats in the organization of the effect: the first
-- one, or that the key was reused; null for a key not seen before.
CREATE OR REPLACE FUNCTION idempotent_answer(
    p_organization_id uuid, p_actor_id uuid, p_key text, p_request_digest bytea
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_answer json;
BEGIN
    SELECT CASE WHEN request_digest = p_request_digest THEN as_replayed(answer)
                ELSE '{"refusal":"idempotency_key_reused"}'::json END
      INTO v_answer
      FROM idempotency_keys
     WHERE organization_id = p_organization_id AND actor_id = p_actor_id AND key = p_key;
    RETURN v_answer;
END;
$$;
