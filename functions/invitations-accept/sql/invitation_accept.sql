-- Makes the token's user a member. Only the user of the invited email can, and
-- the mail that brought the token has shown that the email is theirs.
CREATE OR REPLACE FUNCTION invitation_accept(p_digest bytea, p_token_digest bytea) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal;
    v_refusal json;
    v_organization_id uuid := token_organization(p_token_digest);
    v_invitation invitations;
    v_role roles;
BEGIN
    -- Nobody holds an organization whose caller is nobody.
    v_refusal := session_refusal(authenticate(p_digest));
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- Of N at once the first gets the row; the others find the invitation accepted.
    PERFORM 1 FROM organizations WHERE id = v_organization_id FOR NO KEY UPDATE;
    v_principal := principal_hold(p_digest);
    v_refusal := session_refusal(v_principal);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- Held, because whoever invited may be ending it, without the organization's row.
    SELECT * INTO v_invitation FROM invitations
     WHERE organization_id = v_organization_id AND digest = token_hash(p_token_digest) AND revoked_at IS NULL
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'invalid_token');
    END IF;
    IF v_invitation.accepted_by IS DISTINCT FROM v_principal.user_id
       AND v_invitation.email <> (SELECT email FROM users WHERE id = v_principal.user_id) THEN
        RETURN json_build_object('refusal', 'wrong_recipient');
    END IF;
    IF v_invitation.accepted_at IS NULL THEN
        IF v_invitation.expires_at <= now() THEN
            RETURN json_build_object('refusal', 'invalid_token');
        END IF;
        v_role := organization_role(v_organization_id, v_invitation.role);
        IF v_role.name IS NULL THEN
            RETURN json_build_object('refusal', 'role_gone');
        END IF;
        UPDATE invitations SET accepted_at = now(), accepted_by = v_principal.user_id
         WHERE organization_id = v_organization_id AND id = v_invitation.id;
        UPDATE users SET email_verified_at = now() WHERE id = v_principal.user_id AND email_verified_at IS NULL;
        INSERT INTO memberships (organization_id, user_id, role)
        VALUES (v_organization_id, v_principal.user_id, v_invitation.role)
        ON CONFLICT DO NOTHING;
        IF FOUND THEN
            PERFORM audit_append(v_organization_id, 'member.joined', v_principal.user_id,
                                 prefixed_id('usr_', v_principal.user_id),
                                 jsonb_build_object('role', v_invitation.role,
                                                    'invitation_id', prefixed_id('ivt_', v_invitation.id)));
        END IF;
    END IF;
    -- An invitation makes a member once: it does not bring back who left.
    IF NOT EXISTS (SELECT 1 FROM memberships
                    WHERE organization_id = v_organization_id AND user_id = v_principal.user_id) THEN
        RETURN json_build_object('refusal', 'invalid_token');
    END IF;
    RETURN organization_json(v_organization_id, v_principal.user_id);
END;
$$;
