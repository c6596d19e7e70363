-- Ends the session that took the place of one that moved, unless it was refreshed, which shows that
-- somebody received its tokens, or the time for a retry is over. The caller holds the user and the
-- session that moved.
CREATE OR REPLACE FUNCTION session_successor_end(p_moved sessions, p_event text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM sessions
     WHERE organization_id = (p_moved).successor_organization_id AND id = (p_moved).successor_id
       -- A refresh is the only later use that is noted.
       AND last_used_at = (p_moved).revoked_at
       AND (p_moved).revoked_at > now() - session_move_retry_interval()
       FOR NO KEY UPDATE;
    RETURN FOUND AND sessions_end((p_moved).user_id, p_event, (p_moved).successor_organization_id,
                                  (p_moved).successor_id) > 0;
END;
$$;
