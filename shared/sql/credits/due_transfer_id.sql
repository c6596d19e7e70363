-- The id of the transfer that something comes to when it falls due. It follows from what falls
-- due, and when: so a read shows the id that the posting will give. A UUID of version 8: 48
-- bits of the moment in milliseconds, as in version 7, then bits of a hash, then the slot of
-- the organization.
CREATE OR REPLACE FUNCTION due_transfer_id(p_organization_id uuid, p_due_at timestamptz, p_what text) RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT owned_id(p_organization_id, (
               left(hex, 12) || '8' || substr(hex, 14, 3) || translate(substr(hex, 17, 1), '01234567cdef', '89ab89ab89ab')
               || substr(hex, 18))::uuid)
      FROM (SELECT lpad(to_hex(greatest(unix_millis(p_due_at), 0)), 12, '0')
                   || right(md5(p_organization_id || ' ' || p_what || ' ' || rfc3339(p_due_at)), 20) AS hex) drawn
$$;
