-- Ends the session that took the place of one that moved, unless it was refreshed, which shows that
-- somebody received its tokens, or the time for a retry is over. The caller holds the session that
-- moved.
CREATE OR REPLACE FUNCTION session_successor_revoke(p_moved sessions) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sessions SET revoked_at = now()
     WHERE organization_id = (p_moved).successor_organization_id AND id = (p_moved).successor_id
       AND revoked_at IS NULL
       -- A refresh is the only later use that is noted.
       AND last_used_at = (p_moved).revoked_at
       AND (p_moved).revoked_at > now() - session_move_retry_interval();
    RETURN FOUND;
END;
$$;
