-- Small functions that every later migration and query relies on.

-- RFC 3339 in UTC with microseconds: the one form in which a time leaves the API.
CREATE FUNCTION rfc3339(p_time timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN to_char(p_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

-- An id as clients see it: the kind's prefix and the UUID without hyphens.
CREATE FUNCTION prefixed_id(p_prefix text, p_id uuid) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN p_prefix || replace(p_id::text, '-', '');

-- Milliseconds since 1970, for expiries that travel inside cached values.
CREATE FUNCTION unix_millis(p_time timestamptz) RETURNS bigint
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN floor(extract(epoch FROM p_time) * 1000)::bigint;

-- Refuses to change rows of an append-only table.
CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'TP002';
END;
$$;
