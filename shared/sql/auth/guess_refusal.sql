-- What a client is told who has to wait before the next guess; null for no wait.
CREATE OR REPLACE FUNCTION guess_refusal(p_wait interval) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN p_wait IS NOT NULL THEN
    json_build_object('refusal', 'too_many_attempts',
                      'retry_after_secs', greatest(1, ceil(extract(epoch FROM p_wait)))::integer) END;
