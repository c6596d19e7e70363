-- A UUID of version 7, for what no component drew an id for: 48 bits of time
-- in milliseconds before the random ones, and version 7 for their 4.
CREATE OR REPLACE FUNCTION time_ordered_id() RETURNS uuid
LANGUAGE sql VOLATILE
RETURN encode(
    set_bit(set_bit(overlay(
        uuid_send(gen_random_uuid()) PLACING substring(int8send(unix_millis(clock_timestamp())) FROM 3) FROM 1 FOR 6),
        52, 1), 53, 1), 'hex')::uuid;
