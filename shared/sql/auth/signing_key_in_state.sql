-- The key in a state at a moment, or a null one. The moment is always the clock's
-- and not the transaction's start: a key that another transaction made while this
-- one waited for it must count.
CREATE OR REPLACE FUNCTION signing_key_in_state(p_state text, p_time timestamptz) RETURNS signing_keys
LANGUAGE sql STABLE
AS $$
    SELECT k FROM signing_keys k
     WHERE (retired_at IS NULL OR retired_at > p_time) AND signing_key_state(k, p_time) = p_state
     ORDER BY signs_from DESC LIMIT 1
$$;
