-- What a key is at a moment.
--   next       published, and signs later
--   signing    signs new tokens; there is one at most
--   published  signs no more, and what it signed is still good
--   retired    is gone
CREATE OR REPLACE FUNCTION signing_key_state(p_key signing_keys, p_time timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN (p_key).retired_at <= p_time THEN 'retired'
    WHEN (p_key).signs_from > p_time THEN 'next'
    WHEN (p_key).retired_at IS NULL OR (p_key).retired_at - signing_key_tail_interval() > p_time THEN 'signing'
    ELSE 'published'
END;
