-- Ends a membership, with the member's sessions and API keys in the organization, and the
-- invitations to it that they made and nobody has accepted. The caller holds the organization's
-- row.
--
-- The member's allocations end with the membership: what is not spent of them is
-- unallocated again. A spend that is under way holds the allocation, and one that comes
-- after finds none.
CREATE OR REPLACE FUNCTION membership_end(p_membership memberships, p_actor_id uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- As whoever signs in or moves here holds them.
    PERFORM 1 FROM users WHERE id = p_membership.user_id FOR NO KEY UPDATE;
    -- Before the membership: whoever spends from an allocation twice in one transaction holds it, and
    -- then asks for the membership, because Postgres checks the reference again of a row that was
    -- changed before.
    PERFORM 1 FROM credit_pool_allocations
      WHERE organization_id = p_membership.organization_id AND user_id = p_membership.user_id
      ORDER BY currency FOR UPDATE;
    PERFORM 1 FROM memberships
      WHERE organization_id = p_membership.organization_id AND user_id = p_membership.user_id FOR UPDATE;
    PERFORM sessions_end(p_membership.user_id, 'member_removed', p_membership.organization_id);
    -- From here on the audit log is held, after all else.
    PERFORM allocations_remove(p_membership.organization_id, p_membership.user_id, NULL, p_actor_id);
    DELETE FROM memberships
     WHERE organization_id = p_membership.organization_id AND user_id = p_membership.user_id;
    PERFORM audit_append(p_membership.organization_id, 'member.removed', p_actor_id,
                         prefixed_id('usr_', p_membership.user_id), jsonb_build_object('role', p_membership.role));
END;
$$;
