-- Invites an email, and writes the mail. A pending invitation of the email gets
-- the new token, role and expiry, and its old token is dead.
CREATE OR REPLACE FUNCTION organization_invitation_create(
    p_digest bytea, p_organization_id uuid, p_id uuid, p_email text, p_role text,
    p_token text, p_token_digest bytea, p_message_id uuid, p_ttl_secs integer, p_max_pending integer,
    p_max_per_email integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
    v_caller principal;
    v_refusal json;
    v_role roles;
    v_old invitations;
    v_invitation invitations;
    v_wait interval;
BEGIN
    v_hold := organization_hold(p_digest, p_organization_id, 'members:manage');
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    -- Who invites may have ended their sessions meanwhile, and what those left pending.
    v_caller := principal_hold(p_digest);
    v_refusal := organization_refusal(v_caller, p_organization_id, 'members:manage');
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- Whoever signed up with an email that is not theirs brings nobody in, so that the owner of the
    -- email finds nobody there.
    IF NOT EXISTS (SELECT 1 FROM users WHERE id = v_caller.user_id AND email_verified_at IS NOT NULL) THEN
        RETURN json_build_object('refusal', 'email_not_verified');
    END IF;
    -- Sent twice, it was made by the first.
    SELECT * INTO v_invitation FROM invitations
     WHERE organization_id = p_organization_id AND digest = token_hash(p_token_digest);
    IF FOUND THEN
        RETURN invitation_json(v_invitation);
    END IF;
    v_role := organization_role(p_organization_id, p_role);
    IF v_role.name IS NULL THEN
        RETURN json_build_object('refusal', 'role_unknown');
    END IF;
    -- In the order in which whatever ends sessions of an inviter holds them.
    PERFORM 1 FROM invitations
      WHERE organization_id = p_organization_id AND accepted_at IS NULL AND revoked_at IS NULL
        AND (expires_at <= now() OR email = p_email)
      ORDER BY id FOR NO KEY UPDATE;
    -- What has expired is pending no more, so that the pending ones stay few.
    UPDATE invitations SET revoked_at = now()
     WHERE organization_id = p_organization_id AND accepted_at IS NULL AND revoked_at IS NULL
       AND expires_at <= now();
    SELECT * INTO v_old FROM invitations
     WHERE organization_id = p_organization_id AND email = p_email
       AND accepted_at IS NULL AND revoked_at IS NULL;
    IF NOT v_role.permissions <@ v_caller.permissions
       -- Replacing an invitation takes it back, which is a change of its role too.
       OR (v_old.id IS NOT NULL AND NOT role_permissions(p_organization_id, v_old.role) <@ v_caller.permissions) THEN
        RETURN json_build_object('refusal', 'role_exceeds_own');
    END IF;
    -- An owner can take everything from whoever invited them.
    v_refusal := CASE WHEN permissions_are_owners(v_role.permissions) THEN recent_login_refusal(v_caller) END;
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF EXISTS (SELECT 1 FROM memberships m JOIN users u ON u.id = m.user_id
                WHERE m.organization_id = p_organization_id AND u.email = p_email) THEN
        RETURN json_build_object('refusal', 'already_member');
    END IF;
    IF (SELECT count(*) FROM invitations i
         WHERE i.organization_id = p_organization_id AND i.email <> p_email AND invitation_is_live(i)) >= p_max_pending THEN
        RETURN json_build_object('refusal', 'invitation_limit');
    END IF;
    -- Nobody is flooded with mail, by however many organizations.
    v_wait := mail_quota_take('email:invitation:' || p_email, p_max_per_email);
    IF v_wait IS NOT NULL THEN
        RETURN json_build_object('refusal', 'too_many_requests',
                                 'retry_after_secs', greatest(1, ceil(extract(epoch FROM v_wait)))::integer);
    END IF;
    INSERT INTO invitations (organization_id, id, email, role, invited_by, sign_in_id, digest, expires_at)
    VALUES (p_organization_id, p_id, p_email, p_role, v_caller.user_id, principal_sign_in(v_caller),
            token_hash(p_token_digest), now() + make_interval(secs => p_ttl_secs))
    ON CONFLICT (organization_id, email) WHERE accepted_at IS NULL AND revoked_at IS NULL
    DO UPDATE SET role = excluded.role, invited_by = excluded.invited_by, sign_in_id = excluded.sign_in_id,
                  digest = excluded.digest,
                  created_at = now(), expires_at = excluded.expires_at
    RETURNING * INTO v_invitation;
    PERFORM outbox_add(p_organization_id, p_message_id, 'invitation', p_email, p_token, (
        SELECT jsonb_build_object('organization_name', o.name, 'inviter_email', u.email, 'role', p_role)
          FROM organizations o, users u WHERE o.id = p_organization_id AND u.id = v_caller.user_id));
    PERFORM audit_append(p_organization_id, 'invitation.created', v_caller.user_id,
                         prefixed_id('ivt_', v_invitation.id), jsonb_build_object('email', p_email, 'role', p_role));
    RETURN invitation_json(v_invitation);
END;
$$;
