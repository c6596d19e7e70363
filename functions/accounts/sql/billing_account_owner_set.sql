-- Makes a user the owner of an organization that came with its account and has no member yet. The
-- platform decides whose it is, and so a person does, who has just proved who they are.
CREATE OR REPLACE FUNCTION billing_account_owner_set(
    p_digest bytea, p_id uuid, p_user_id uuid, p_max_owned integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'accounts:manage');
    v_account billing_accounts;
    v_verified_at timestamptz;
BEGIN
    v_refusal := coalesce(v_refusal, recent_login_refusal(v_principal));
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_account := billing_account_by_id(p_id);
    IF v_account.id IS NULL OR v_account.user_id IS NOT NULL THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    -- Of several at once the first makes an owner, and the others find one.
    PERFORM 1 FROM organizations WHERE id = v_account.organization_id FOR NO KEY UPDATE;
    -- Held, so that requests side by side do not exceed the limit.
    SELECT email_verified_at INTO v_verified_at FROM users
     WHERE id = p_user_id AND disabled_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'owner_unknown');
    END IF;
    -- Sent twice, the first made them one.
    IF NOT EXISTS (SELECT 1 FROM memberships WHERE organization_id = v_account.organization_id
                      AND user_id = p_user_id AND role = 'owner') THEN
        IF EXISTS (SELECT 1 FROM memberships WHERE organization_id = v_account.organization_id) THEN
            RETURN json_build_object('refusal', 'owner_present');
        END IF;
        IF (SELECT count(*) FROM memberships WHERE user_id = p_user_id AND role = 'owner') >= p_max_owned THEN
            RETURN json_build_object('refusal', 'organization_limit');
        END IF;
        -- Whoever registered with somebody else's email is given nothing that is meant for them.
        IF v_verified_at IS NULL THEN
            RETURN json_build_object('refusal', 'owner_unverified');
        END IF;
        INSERT INTO memberships (organization_id, user_id, role) VALUES (v_account.organization_id, p_user_id, 'owner');
        PERFORM audit_append(v_account.organization_id, 'account.owner_set', v_principal.user_id,
                             prefixed_id('usr_', p_user_id),
                             jsonb_build_object('account_id', prefixed_id('acc_', p_id)));
    END IF;
    RETURN json_build_object('account_id', prefixed_id('acc_', p_id),
                             'organization_id', prefixed_id('org_', v_account.organization_id),
                             'user_id', prefixed_id('usr_', p_user_id));
END;
$$;
