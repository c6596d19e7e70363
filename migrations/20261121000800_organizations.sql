-- Organizations at work: their names, members, own roles and invitations, and
-- the users that the platform disables.
--
-- Whatever changes who belongs to an organization, or which roles it has, holds
-- the organization's row for the length of its transaction. So the rules that
-- look at more than one row, such as that an owner is left, are exact, and a
-- change knows everybody that it concerns.

INSERT INTO permissions (name, description, is_platform) VALUES
    ('organization:manage', 'Change the organization''s name', false);
UPDATE roles SET permissions = permissions || ARRAY['organization:manage']
 WHERE organization_id IS NULL AND name IN ('owner', 'admin');

-- Orders the members of an organization by when they joined.
ALTER TABLE memberships ADD COLUMN sequence bigint GENERATED ALWAYS AS IDENTITY;
-- Serves the list of members, newest first.
CREATE UNIQUE INDEX memberships_by_sequence ON memberships (organization_id, sequence DESC);
-- Serves the holders of a role, and the owners.
CREATE INDEX memberships_by_role ON memberships (organization_id, role);

CREATE TABLE invitations (
    id              uuid PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organizations (id),
    -- Lower case, as users have theirs.
    email           text NOT NULL,
    role            text NOT NULL,
    invited_by      uuid NOT NULL REFERENCES users (id),
    -- SHA-256 of the token in the mail.
    digest          bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL,
    accepted_at     timestamptz,
    accepted_by     uuid REFERENCES users (id),
    revoked_at      timestamptz
);

-- One pending invitation for each email. An expired one counts until the next
-- invitation of the organization settles it.
CREATE UNIQUE INDEX invitations_pending ON invitations (organization_id, email)
 WHERE accepted_at IS NULL AND revoked_at IS NULL;

-- Whether an invitation can still be accepted.
CREATE FUNCTION invitation_is_live(p_invitation invitations) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (p_invitation).accepted_at IS NULL AND (p_invitation).revoked_at IS NULL AND (p_invitation).expires_at > now();

-- ---------------------------------------------------------------------------
-- What the functions below share.
-- ---------------------------------------------------------------------------

-- The role of that name that members of an organization can hold, its own or a
-- built-in one; null if there is none. A platform's role is for no membership.
CREATE FUNCTION organization_role(p_organization_id uuid, p_name text) RETURNS roles
LANGUAGE sql STABLE AS $$
    SELECT r FROM roles r
     WHERE r.name = p_name AND (r.organization_id = p_organization_id OR r.organization_id IS NULL)
       AND NOT EXISTS (SELECT 1 FROM permissions p WHERE p.is_platform AND p.name = ANY (r.permissions))
     ORDER BY r.organization_id NULLS LAST LIMIT 1
$$;

-- What a caller is told about an organization that is not their token's, or
-- who lacks a permission in it; null to go on. Without a permission named,
-- being a member is enough.
CREATE FUNCTION organization_refusal(p_principal principal, p_organization_id uuid, p_permission text) RETURNS json
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN (p_principal).user_id IS NULL THEN '{"outcome":"unauthenticated"}'::json
    WHEN (p_principal).organization_id <> p_organization_id THEN '{"outcome":"not_found"}'::json
    WHEN p_permission IS NOT NULL THEN refusal(p_principal, p_permission)
END;

-- Holds the organization's row and says who asks, as of then: whoever lost a
-- permission while they waited for the row has lost it.
CREATE FUNCTION organization_hold(
    p_digest bytea, p_organization_id uuid, p_permission text, OUT caller principal, OUT refusal json
)
LANGUAGE plpgsql AS $$
BEGIN
    caller := authenticate(p_digest);
    refusal := organization_refusal(caller, p_organization_id, p_permission);
    IF refusal IS NULL THEN
        PERFORM 1 FROM organizations WHERE id = p_organization_id FOR NO KEY UPDATE;
        caller := authenticate(p_digest);
        refusal := organization_refusal(caller, p_organization_id, p_permission);
    END IF;
END;
$$;

-- An organization as one of its members sees it.
CREATE FUNCTION organization_json(p_organization_id uuid, p_user_id uuid) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object('id', prefixed_id('org_', o.id), 'name', o.name, 'role', m.role,
                             'created_at', rfc3339(o.created_at))
      FROM organizations o JOIN memberships m ON m.organization_id = o.id
     WHERE o.id = p_organization_id AND m.user_id = p_user_id
$$;

-- ---------------------------------------------------------------------------
-- Organizations.
-- ---------------------------------------------------------------------------

-- The organizations that the token's user belongs to, newest membership first.
CREATE FUNCTION organizations_list(p_digest bytea, p_limit integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('outcome', 'listed', 'organizations', (
        SELECT coalesce(json_agg(organization_json(m.organization_id, m.user_id) ORDER BY m.created_at DESC), '[]'::json)
          FROM (SELECT * FROM memberships WHERE user_id = v_principal.user_id
                 ORDER BY created_at DESC LIMIT p_limit) m));
END;
$$;

-- Makes an organization that the token's user owns.
CREATE FUNCTION organization_create(p_digest bytea, p_id uuid, p_name text, p_max_owned integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- Holds the user's row, so that requests side by side do not exceed the limit.
    PERFORM 1 FROM users WHERE id = v_principal.user_id FOR NO KEY UPDATE;
    -- Sent twice, it was made by the first.
    IF NOT EXISTS (SELECT 1 FROM memberships WHERE organization_id = p_id AND user_id = v_principal.user_id) THEN
        IF (SELECT count(*) FROM memberships
             WHERE user_id = v_principal.user_id AND role = 'owner') >= p_max_owned THEN
            RETURN json_build_object('outcome', 'organization_limit');
        END IF;
        INSERT INTO organizations (id, name) VALUES (p_id, p_name);
        INSERT INTO memberships (organization_id, user_id, role) VALUES (p_id, v_principal.user_id, 'owner');
        PERFORM audit_append(p_id, 'organization.created', v_principal.user_id, prefixed_id('org_', p_id),
                             jsonb_build_object('name', p_name));
    END IF;
    RETURN json_build_object('outcome', 'created', 'organization', organization_json(p_id, v_principal.user_id));
END;
$$;

CREATE FUNCTION organization_read(p_digest bytea, p_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_id, 'organization:read');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('outcome', 'found', 'organization', organization_json(p_id, v_principal.user_id));
END;
$$;

-- Gives the organization another name. Answers with its members too, because
-- each of them may have the old name cached; who joins later waits for the row,
-- and sees the new one.
CREATE FUNCTION organization_rename(p_digest bytea, p_id uuid, p_name text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
    v_caller principal;
    v_old_name text;
BEGIN
    v_hold := organization_hold(p_digest, p_id, 'organization:manage');
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    SELECT name INTO v_old_name FROM organizations WHERE id = p_id;
    IF v_old_name <> p_name THEN
        UPDATE organizations SET name = p_name WHERE id = p_id;
        PERFORM audit_append(p_id, 'organization.renamed', v_caller.user_id, prefixed_id('org_', p_id),
                             jsonb_build_object('name', p_name, 'previous_name', v_old_name));
    END IF;
    RETURN json_build_object(
        'outcome', 'renamed',
        'organization', organization_json(p_id, v_caller.user_id),
        'member_ids', (SELECT json_agg(prefixed_id('usr_', user_id)) FROM memberships WHERE organization_id = p_id));
END;
$$;

-- Lets the token's session act in another organization of its user.
CREATE FUNCTION auth_organization_change(p_digest bytea, p_organization_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- Held, so that a removal, which ends the sessions of the organization,
    -- finds this one there or leaves no membership for it.
    PERFORM 1 FROM memberships
     WHERE organization_id = p_organization_id AND user_id = v_principal.user_id
       FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    IF v_principal.organization_id <> p_organization_id THEN
        UPDATE sessions SET organization_id = p_organization_id WHERE id = v_principal.session_id;
        PERFORM audit_append(p_organization_id, 'session.organization_changed', v_principal.user_id,
                             prefixed_id('ses_', v_principal.session_id));
    END IF;
    RETURN json_build_object(
        'outcome', 'changed',
        'session_id', prefixed_id('ses_', v_principal.session_id),
        'user_id', prefixed_id('usr_', v_principal.user_id),
        'organization_id', prefixed_id('org_', p_organization_id));
END;
$$;

-- ---------------------------------------------------------------------------
-- Members.
-- ---------------------------------------------------------------------------

CREATE FUNCTION member_json(p_membership memberships) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object('user_id', prefixed_id('usr_', u.id), 'email', u.email, 'role', (p_membership).role,
                             'is_disabled', u.disabled_at IS NOT NULL, 'joined_at', rfc3339((p_membership).created_at),
                             'sequence', (p_membership).sequence)
      FROM users u WHERE u.id = (p_membership).user_id
$$;

-- The members, newest first: one more than the page holds if there is one.
CREATE FUNCTION organization_members(
    p_digest bytea, p_organization_id uuid, p_limit integer, p_before bigint
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'organization:read');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('outcome', 'listed', 'members', (
        SELECT coalesce(json_agg(member_json(m) ORDER BY m.sequence DESC), '[]'::json)
          FROM (SELECT * FROM memberships
                 WHERE organization_id = p_organization_id AND sequence < p_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) m));
END;
$$;

-- Whether the organization would be left without an owner who can sign in.
CREATE FUNCTION is_last_owner(p_membership memberships) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT (p_membership).role = 'owner' AND NOT EXISTS (
        SELECT 1 FROM memberships m JOIN users u ON u.id = m.user_id
         WHERE m.organization_id = (p_membership).organization_id AND m.role = 'owner'
           AND m.user_id <> (p_membership).user_id AND u.disabled_at IS NULL)
$$;

-- Gives a member another role. Nobody gives a role that holds more than they do
-- themselves, nor changes a member who has one.
CREATE FUNCTION organization_member_change(
    p_digest bytea, p_organization_id uuid, p_user_id uuid, p_role text
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
    v_caller principal;
    v_membership memberships;
    v_role roles;
BEGIN
    v_hold := organization_hold(p_digest, p_organization_id, 'members:manage');
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    SELECT * INTO v_membership FROM memberships
     WHERE organization_id = p_organization_id AND user_id = p_user_id;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    v_role := organization_role(p_organization_id, p_role);
    IF v_role.id IS NULL THEN
        RETURN json_build_object('outcome', 'role_unknown');
    END IF;
    IF NOT v_role.permissions <@ v_caller.permissions
       OR NOT role_permissions(p_organization_id, v_membership.role) <@ v_caller.permissions THEN
        RETURN json_build_object('outcome', 'role_exceeds_own');
    END IF;
    IF v_membership.role <> p_role THEN
        IF is_last_owner(v_membership) THEN
            RETURN json_build_object('outcome', 'last_owner');
        END IF;
        UPDATE memberships SET role = p_role
         WHERE organization_id = p_organization_id AND user_id = p_user_id;
        PERFORM audit_append(p_organization_id, 'member.role_changed', v_caller.user_id,
                             prefixed_id('usr_', p_user_id),
                             jsonb_build_object('role', p_role, 'previous_role', v_membership.role));
        v_membership.role := p_role;
    END IF;
    RETURN json_build_object('outcome', 'changed', 'member', member_json(v_membership));
END;
$$;

-- Ends a membership, with the member's sessions and API keys in the
-- organization. Whoever signed in may leave; anyone else is removed by a member
-- with the permission, under the rule for roles.
CREATE FUNCTION organization_member_remove(p_digest bytea, p_organization_id uuid, p_user_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
    v_caller principal := authenticate(p_digest);
    v_leaves boolean := v_caller.user_id = p_user_id AND v_caller.session_id IS NOT NULL;
    v_membership memberships;
BEGIN
    v_hold := organization_hold(p_digest, p_organization_id, CASE WHEN v_leaves THEN NULL ELSE 'members:manage' END);
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    SELECT * INTO v_membership FROM memberships
     WHERE organization_id = p_organization_id AND user_id = p_user_id;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    IF NOT v_leaves AND NOT role_permissions(p_organization_id, v_membership.role) <@ v_caller.permissions THEN
        RETURN json_build_object('outcome', 'role_exceeds_own');
    END IF;
    IF is_last_owner(v_membership) THEN
        RETURN json_build_object('outcome', 'last_owner');
    END IF;
    -- Before the sessions: a session that is just moving here holds this row.
    DELETE FROM memberships WHERE organization_id = p_organization_id AND user_id = p_user_id;
    UPDATE sessions SET revoked_at = now()
     WHERE user_id = p_user_id AND organization_id = p_organization_id AND revoked_at IS NULL;
    UPDATE api_keys SET revoked_at = now()
     WHERE user_id = p_user_id AND organization_id = p_organization_id AND revoked_at IS NULL;
    PERFORM audit_append(p_organization_id, 'member.removed', v_caller.user_id, prefixed_id('usr_', p_user_id),
                         jsonb_build_object('role', v_membership.role));
    RETURN json_build_object('outcome', 'removed');
END;
$$;

-- ---------------------------------------------------------------------------
-- Roles.
-- ---------------------------------------------------------------------------

CREATE FUNCTION role_json(p_role roles) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object('name', (p_role).name, 'is_built_in', (p_role).organization_id IS NULL,
                             'permissions', (SELECT coalesce(json_agg(DISTINCT p ORDER BY p), '[]'::json)
                                               FROM unnest((p_role).permissions) p))
$$;

-- The roles that a member can hold: the built-in ones first, then by name.
CREATE FUNCTION organization_roles(p_digest bytea, p_organization_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'organization:read');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('outcome', 'listed', 'roles', (
        SELECT coalesce(json_agg(role_json(r) ORDER BY r.organization_id NULLS FIRST, r.name), '[]'::json)
          FROM roles r
         WHERE (r.organization_id = p_organization_id OR r.organization_id IS NULL)
           AND NOT EXISTS (SELECT 1 FROM permissions p WHERE p.is_platform AND p.name = ANY (r.permissions))));
END;
$$;

-- Who holds one of the organization's own roles, so that what is cached of them
-- can be marked before the role changes.
CREATE FUNCTION organization_role_holders(
    p_digest bytea, p_organization_id uuid, p_name text, p_max_holders integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'roles:manage');
    v_holders uuid[];
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF EXISTS (SELECT 1 FROM roles WHERE organization_id IS NULL AND name = p_name) THEN
        RETURN json_build_object('outcome', 'role_is_built_in');
    END IF;
    v_holders := ARRAY(SELECT user_id FROM memberships
                        WHERE organization_id = p_organization_id AND role = p_name LIMIT p_max_holders + 1);
    IF cardinality(v_holders) > p_max_holders THEN
        RETURN json_build_object('outcome', 'role_widely_held');
    END IF;
    RETURN json_build_object('outcome', 'held', 'holder_ids', (
        SELECT coalesce(json_agg(prefixed_id('usr_', h)), '[]'::json) FROM unnest(v_holders) h));
END;
$$;

-- Makes one of the organization's own roles, or replaces its permissions. Who
-- holds it must be among those that the caller knows of.
CREATE FUNCTION organization_role_put(
    p_digest bytea, p_organization_id uuid, p_name text, p_permissions text[], p_known_holders uuid[],
    p_max_roles integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
    v_caller principal;
    v_old roles;
    v_role roles;
BEGIN
    v_hold := organization_hold(p_digest, p_organization_id, 'roles:manage');
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    IF EXISTS (SELECT 1 FROM roles WHERE organization_id IS NULL AND name = p_name) THEN
        RETURN json_build_object('outcome', 'role_is_built_in');
    END IF;
    IF NOT p_permissions <@ ARRAY(SELECT name FROM permissions WHERE NOT is_platform) THEN
        RETURN json_build_object('outcome', 'permission_unknown');
    END IF;
    SELECT * INTO v_old FROM roles WHERE organization_id = p_organization_id AND name = p_name;
    IF NOT p_permissions <@ v_caller.permissions OR NOT coalesce(v_old.permissions, '{}') <@ v_caller.permissions THEN
        RETURN json_build_object('outcome', 'role_exceeds_own');
    END IF;
    IF EXISTS (SELECT 1 FROM memberships
                WHERE organization_id = p_organization_id AND role = p_name
                  AND user_id <> ALL (p_known_holders)) THEN
        RETURN json_build_object('outcome', 'holders_changed');
    END IF;
    IF v_old.id IS NULL AND
       (SELECT count(*) FROM roles WHERE organization_id = p_organization_id) >= p_max_roles THEN
        RETURN json_build_object('outcome', 'role_limit');
    END IF;
    INSERT INTO roles (organization_id, name, permissions) VALUES (p_organization_id, p_name, p_permissions)
    ON CONFLICT (organization_id, name) DO UPDATE SET permissions = p_permissions
    RETURNING * INTO v_role;
    IF v_old.id IS NULL OR v_old.permissions <> p_permissions THEN
        PERFORM audit_append(p_organization_id, CASE WHEN v_old.id IS NULL THEN 'role.created' ELSE 'role.changed' END,
                             v_caller.user_id, p_name,
                             jsonb_build_object('permissions', p_permissions,
                                                'previous_permissions', coalesce(v_old.permissions, '{}')));
    END IF;
    RETURN json_build_object('outcome', 'saved', 'role', role_json(v_role));
END;
$$;

-- Removes one of the organization's own roles that nobody holds or was invited to.
CREATE FUNCTION organization_role_delete(p_digest bytea, p_organization_id uuid, p_name text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
    v_caller principal;
    v_role roles;
BEGIN
    v_hold := organization_hold(p_digest, p_organization_id, 'roles:manage');
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    IF EXISTS (SELECT 1 FROM roles WHERE organization_id IS NULL AND name = p_name) THEN
        RETURN json_build_object('outcome', 'role_is_built_in');
    END IF;
    SELECT * INTO v_role FROM roles WHERE organization_id = p_organization_id AND name = p_name;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    IF NOT v_role.permissions <@ v_caller.permissions THEN
        RETURN json_build_object('outcome', 'role_exceeds_own');
    END IF;
    IF EXISTS (SELECT 1 FROM memberships WHERE organization_id = p_organization_id AND role = p_name)
       OR EXISTS (SELECT 1 FROM invitations i
                   WHERE i.organization_id = p_organization_id AND i.role = p_name AND invitation_is_live(i)) THEN
        RETURN json_build_object('outcome', 'role_in_use');
    END IF;
    DELETE FROM roles WHERE id = v_role.id;
    PERFORM audit_append(p_organization_id, 'role.deleted', v_caller.user_id, p_name,
                         jsonb_build_object('previous_permissions', v_role.permissions));
    RETURN json_build_object('outcome', 'deleted');
END;
$$;

-- ---------------------------------------------------------------------------
-- Invitations.
-- ---------------------------------------------------------------------------

CREATE FUNCTION invitation_json(p_invitation invitations) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', prefixed_id('ivt_', (p_invitation).id), 'email', (p_invitation).email, 'role', (p_invitation).role,
    'invited_by', prefixed_id('usr_', (p_invitation).invited_by),
    'created_at', rfc3339((p_invitation).created_at), 'expires_at', rfc3339((p_invitation).expires_at));

-- The invitations that can be accepted, newest first.
CREATE FUNCTION organization_invitations(p_digest bytea, p_organization_id uuid, p_limit integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'members:manage');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('outcome', 'listed', 'invitations', (
        SELECT coalesce(json_agg(invitation_json(i::invitations) ORDER BY i.created_at DESC, i.id DESC), '[]'::json)
          FROM (SELECT v.* FROM invitations v
                 WHERE v.organization_id = p_organization_id AND invitation_is_live(v)
                 ORDER BY v.created_at DESC, v.id DESC LIMIT p_limit) i));
END;
$$;

-- Invites an email, and writes the mail. A pending invitation of the email gets
-- the new token, role and expiry, and its old token is dead.
CREATE FUNCTION organization_invitation_create(
    p_digest bytea, p_organization_id uuid, p_id uuid, p_email text, p_role text,
    p_token text, p_token_digest bytea, p_message_id uuid, p_ttl_secs integer, p_max_pending integer,
    p_max_per_email integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
    v_caller principal;
    v_role roles;
    v_old invitations;
    v_invitation invitations;
    v_wait interval;
BEGIN
    v_hold := organization_hold(p_digest, p_organization_id, 'members:manage');
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    -- Sent twice, it was made by the first.
    SELECT * INTO v_invitation FROM invitations
     WHERE digest = p_token_digest AND organization_id = p_organization_id;
    IF FOUND THEN
        RETURN json_build_object('outcome', 'created', 'invitation', invitation_json(v_invitation));
    END IF;
    v_role := organization_role(p_organization_id, p_role);
    IF v_role.id IS NULL THEN
        RETURN json_build_object('outcome', 'role_unknown');
    END IF;
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
        RETURN json_build_object('outcome', 'role_exceeds_own');
    END IF;
    IF EXISTS (SELECT 1 FROM memberships m JOIN users u ON u.id = m.user_id
                WHERE m.organization_id = p_organization_id AND u.email = p_email) THEN
        RETURN json_build_object('outcome', 'already_member');
    END IF;
    IF (SELECT count(*) FROM invitations i
         WHERE i.organization_id = p_organization_id AND i.email <> p_email AND invitation_is_live(i)) >= p_max_pending THEN
        RETURN json_build_object('outcome', 'invitation_limit');
    END IF;
    -- Nobody is flooded with mail, by however many organizations.
    v_wait := mail_quota_take('email:' || p_email, p_max_per_email);
    IF v_wait IS NOT NULL THEN
        RETURN json_build_object('outcome', 'too_many_mails',
                                 'retry_after_secs', greatest(1, ceil(extract(epoch FROM v_wait)))::integer);
    END IF;
    INSERT INTO invitations (id, organization_id, email, role, invited_by, digest, expires_at)
    VALUES (p_id, p_organization_id, p_email, p_role, v_caller.user_id, p_token_digest,
            now() + make_interval(secs => p_ttl_secs))
    ON CONFLICT (organization_id, email) WHERE accepted_at IS NULL AND revoked_at IS NULL
    DO UPDATE SET role = excluded.role, invited_by = excluded.invited_by, digest = excluded.digest,
                  created_at = now(), expires_at = excluded.expires_at
    RETURNING * INTO v_invitation;
    PERFORM outbox_add(p_message_id, 'invitation', p_email, p_token, (
        SELECT jsonb_build_object('organization_name', o.name, 'inviter_email', u.email, 'role', p_role)
          FROM organizations o, users u WHERE o.id = p_organization_id AND u.id = v_caller.user_id));
    PERFORM audit_append(p_organization_id, 'invitation.created', v_caller.user_id,
                         prefixed_id('ivt_', v_invitation.id), jsonb_build_object('email', p_email, 'role', p_role));
    RETURN json_build_object('outcome', 'created', 'invitation', invitation_json(v_invitation));
END;
$$;

CREATE FUNCTION organization_invitation_revoke(p_digest bytea, p_organization_id uuid, p_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
    v_caller principal;
    v_invitation invitations;
BEGIN
    v_hold := organization_hold(p_digest, p_organization_id, 'members:manage');
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    SELECT * INTO v_invitation FROM invitations
     WHERE id = p_id AND organization_id = p_organization_id AND accepted_at IS NULL;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    -- One that was revoked before is as revoked as the caller wants it.
    IF v_invitation.revoked_at IS NULL THEN
        IF NOT role_permissions(p_organization_id, v_invitation.role) <@ v_caller.permissions THEN
            RETURN json_build_object('outcome', 'role_exceeds_own');
        END IF;
        UPDATE invitations SET revoked_at = now() WHERE id = p_id;
        PERFORM audit_append(p_organization_id, 'invitation.revoked', v_caller.user_id, prefixed_id('ivt_', p_id),
                             jsonb_build_object('email', v_invitation.email, 'role', v_invitation.role));
    END IF;
    RETURN json_build_object('outcome', 'revoked');
END;
$$;

-- Makes the token's user a member. Only the user of the invited email can, and
-- the mail that brought the token has shown that the email is theirs.
CREATE FUNCTION invitation_accept(p_digest bytea, p_token_digest bytea) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
    v_organization_id uuid;
    v_invitation invitations;
    v_role roles;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT organization_id INTO v_organization_id FROM invitations WHERE digest = p_token_digest;
    -- Of N at once the first gets the row; the others find the invitation accepted.
    PERFORM 1 FROM organizations WHERE id = v_organization_id FOR NO KEY UPDATE;
    SELECT * INTO v_invitation FROM invitations WHERE digest = p_token_digest AND revoked_at IS NULL;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    IF v_invitation.accepted_by IS DISTINCT FROM v_principal.user_id
       AND v_invitation.email <> (SELECT email FROM users WHERE id = v_principal.user_id) THEN
        RETURN json_build_object('outcome', 'wrong_recipient');
    END IF;
    IF v_invitation.accepted_at IS NULL THEN
        IF v_invitation.expires_at <= now() THEN
            RETURN json_build_object('outcome', 'not_found');
        END IF;
        v_role := organization_role(v_organization_id, v_invitation.role);
        IF v_role.id IS NULL THEN
            RETURN json_build_object('outcome', 'role_gone');
        END IF;
        UPDATE invitations SET accepted_at = now(), accepted_by = v_principal.user_id WHERE id = v_invitation.id;
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
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    RETURN json_build_object('outcome', 'accepted',
                             'organization', organization_json(v_organization_id, v_principal.user_id));
END;
$$;

-- ---------------------------------------------------------------------------
-- Permissions and users.
-- ---------------------------------------------------------------------------

CREATE FUNCTION permissions_list(p_digest bytea) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
BEGIN
    IF v_principal.user_id IS NULL THEN
        RETURN json_build_object('outcome', 'unauthenticated');
    END IF;
    RETURN json_build_object('outcome', 'listed', 'permissions', (
        SELECT json_agg(json_build_object('name', name, 'description', description, 'is_platform', is_platform)
                        ORDER BY name)
          FROM permissions));
END;
$$;

CREATE FUNCTION user_json(p_user users) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', prefixed_id('usr_', (p_user).id), 'email', (p_user).email, 'platform_role', (p_user).platform_role,
    'created_at', rfc3339((p_user).created_at), 'disabled_at', rfc3339((p_user).disabled_at));

CREATE FUNCTION user_read(p_digest bytea, p_user_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'users:manage');
    v_user users;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_user FROM users WHERE id = p_user_id;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    RETURN json_build_object('outcome', 'found', 'user', user_json(v_user));
END;
$$;

-- Disables a user, which ends their sessions, or enables them again, which
-- brings none back.
CREATE FUNCTION user_change(p_digest bytea, p_user_id uuid, p_disabled boolean) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'users:manage');
    v_user users;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF p_disabled AND p_user_id = v_principal.user_id THEN
        RETURN json_build_object('outcome', 'own_user');
    END IF;
    SELECT * INTO v_user FROM users WHERE id = p_user_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    IF p_disabled <> (v_user.disabled_at IS NOT NULL) THEN
        UPDATE users SET disabled_at = CASE WHEN p_disabled THEN now() END WHERE id = p_user_id
        RETURNING * INTO v_user;
        IF p_disabled THEN
            UPDATE sessions SET revoked_at = now() WHERE user_id = p_user_id AND revoked_at IS NULL;
        END IF;
        PERFORM audit_append(v_principal.organization_id,
                             CASE WHEN p_disabled THEN 'user.disabled' ELSE 'user.enabled' END,
                             v_principal.user_id, prefixed_id('usr_', p_user_id));
    END IF;
    RETURN json_build_object('outcome', 'changed', 'user', user_json(v_user));
END;
$$;
