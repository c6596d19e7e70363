-- The id of the transfer that something comes to when it falls due. It follows from what falls
-- due, and when: so a read shows the id that the posting will give, and that is final once no
-- write is open that began earlier. A UUID of version 8: 48
-- bits of the moment in milliseconds, as in version 7, then bits of a hash, then the slot of
-- the organization. One expression, so that it is taken into the statement that asks.
CREATE OR REPLACE FUNCTION due_transfer_id(p_organization_id uuid, p_due_at timestamptz, p_what text) RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
RETURN owned_id(p_organization_id, encode(
    -- The version, 1000, and the variant, 10.
    set_bit(set_bit(set_bit(set_bit(set_bit(set_bit(overlay(
        decode(md5(p_organization_id || ' ' || p_what || ' ' || rfc3339(p_due_at)), 'hex')
        PLACING substring(int8send((extract(epoch FROM p_due_at) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
        55, 1), 54, 0), 53, 0), 52, 0), 71, 1), 70, 0), 'hex')::uuid);
