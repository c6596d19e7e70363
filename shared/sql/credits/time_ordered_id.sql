-- The id of something that the organization owns, for what no component drew an id for: a UUID
-- of version 7, which has 48 bits of time in milliseconds before the random ones, and the
-- version in their first 4.
CREATE OR REPLACE FUNCTION time_ordered_id(p_organization_id uuid) RETURNS uuid
LANGUAGE sql VOLATILE
RETURN owned_id(p_organization_id, encode(
    set_bit(set_bit(overlay(
        uuid_send(gen_random_uuid()) PLACING substring(int8send(unix_millis(clock_timestamp())) FROM 3) FROM 1 FOR 6),
        52, 1), 53, 1), 'hex')::uuid);
