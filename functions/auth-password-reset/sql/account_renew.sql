-- Makes an account new, beside what sessions_end() ends for it: whoever had it before somebody
-- proved the email is a stranger to its owner. Their second factor goes, with its recovery codes; if
-- the platform had removed it, the log says so as it does at any other time.
--
-- In the account's own organizations it is the owner, whatever role it had, and everybody who
-- joined after it is removed, with all invitations. From an organization of somebody else it is
-- removed.
CREATE OR REPLACE FUNCTION account_renew(p_user_id uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_own memberships;
    v_guest memberships;
BEGIN
    -- Links that would give back an email are those of the one who had it.
    UPDATE email_tokens SET spent_at = now() WHERE user_id = p_user_id AND spent_at IS NULL;
    -- All people before the first line of an audit log, which is held after them.
    PERFORM 1 FROM users WHERE id = ANY (account_guests(p_user_id)) ORDER BY id FOR NO KEY UPDATE;
    FOR v_own IN SELECT * FROM memberships WHERE user_id = p_user_id ORDER BY organization_id LOOP
        IF NOT account_owns(v_own) THEN
            PERFORM membership_end(v_own, p_user_id, 'member.removed_by_renewal');
            CONTINUE;
        END IF;
        FOR v_guest IN
            SELECT * FROM memberships
             WHERE organization_id = v_own.organization_id AND sequence > v_own.sequence ORDER BY sequence
        LOOP
            PERFORM membership_end(v_guest, p_user_id, 'member.removed_by_renewal');
        END LOOP;
        UPDATE memberships SET role = 'owner'
         WHERE organization_id = v_own.organization_id AND user_id = p_user_id AND role <> 'owner';
        UPDATE invitations SET revoked_at = now()
         WHERE organization_id = v_own.organization_id AND accepted_at IS NULL AND revoked_at IS NULL;
    END LOOP;
    PERFORM second_factor_remove_due(p_user_id, user_home_organization(p_user_id));
    DELETE FROM totp_enrolments WHERE user_id = p_user_id;
    DELETE FROM recovery_codes WHERE user_id = p_user_id;
END;
$$;
