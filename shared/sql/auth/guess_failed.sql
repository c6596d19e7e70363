-- Gives the lease back of a guess that was wrong, and says so in the audit log. The guess was
-- counted before it was verified; a stranger's counts for their address too, now that it has
-- failed.
--
-- p_email is what was signed in with; null for a guess of a live session. Its user is named by the
-- subject, because the token that asked may have been replaced since. p_wrong is what was wrong of
-- it: password or second_factor. What happens to an email that nobody has is in the chain of the
-- platform. Both cost the same.
--
-- Sent twice, the event is there twice.
CREATE OR REPLACE FUNCTION guess_failed(
    p_lease_id uuid, p_subject text, p_address text, p_email text, p_wrong text
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_user_id uuid;
    v_organization_id uuid;
    v_who text;
    v_address_subject text := CASE WHEN guess_is_strangers(p_subject) THEN 'address:' || p_address END;
    v_subject text;
    v_locked login_attempts;
BEGIN
    PERFORM hash_lease_release(p_lease_id);
    IF v_address_subject IS NOT NULL THEN
        PERFORM guess_count(v_address_subject, p_lease_id, address_free_failures());
    END IF;
    IF p_email IS NOT NULL THEN
        SELECT id INTO v_user_id FROM users WHERE email = p_email AND disabled_at IS NULL;
        v_organization_id := user_home_organization(v_user_id);
    ELSE
        v_user_id := split_part(p_subject, ':', 2)::uuid;
        v_organization_id := audit_asker_organization();
    END IF;
    v_who := coalesce(prefixed_id('usr_', v_user_id), p_email, p_subject);
    PERFORM audit_append(v_organization_id, CASE WHEN p_email IS NULL THEN 'session.guess_failed' ELSE 'login.failed' END,
                         CASE WHEN p_email IS NULL THEN v_user_id END, v_who, jsonb_build_object('wrong', p_wrong));
    -- That of the account before that of the address: heads of chains are locked in one order.
    FOREACH v_subject IN ARRAY ARRAY[p_subject, v_address_subject] LOOP
        SELECT * INTO v_locked FROM login_attempts WHERE subject = v_subject AND locked_until > clock_timestamp();
        CONTINUE WHEN NOT FOUND;
        PERFORM audit_append(
            CASE WHEN v_subject = p_subject THEN v_organization_id END, 'login.locked_out', NULL,
            CASE WHEN v_subject = p_subject THEN v_who ELSE p_address END,
            jsonb_build_object('failures', v_locked.failures, 'locked_until', rfc3339(v_locked.locked_until),
                               'limit', split_part(v_subject, ':', 1)));
    END LOOP;
END;
$$;
