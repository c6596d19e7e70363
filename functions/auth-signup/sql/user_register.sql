-- Creates a user with an organization of their own; false when the email is
-- taken, or kept for whoever had it until lately. Safe to send twice: the ids are the caller's.
CREATE OR REPLACE FUNCTION user_register(
    p_user_id uuid, p_organization_id uuid, p_email text, p_password_hash text
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO users (id, email, password_hash) VALUES (p_user_id, p_email, p_password_hash)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF email_is_kept(p_email, p_user_id) THEN
        DELETE FROM users WHERE id = p_user_id;
        RETURN false;
    END IF;
    INSERT INTO organizations (id, name) VALUES (p_organization_id, p_email);
    INSERT INTO memberships (organization_id, user_id, role)
    VALUES (p_organization_id, p_user_id, 'owner');
    PERFORM audit_append(p_organization_id, 'user.registered', p_user_id, prefixed_id('usr_', p_user_id));
    RETURN true;
END;
$$;
