-- A property of an event by its path, which has up to four names: each is that of a member
-- of an object. So nothing in a list has a path, whereas the operator #> would take the
-- name 0 for a place in one.
CREATE OR REPLACE FUNCTION usage_property(p_properties jsonb, p_path text[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN p_path[2] IS NULL THEN p_properties -> p_path[1]
    WHEN p_path[3] IS NULL THEN p_properties -> p_path[1] -> p_path[2]
    WHEN p_path[4] IS NULL THEN p_properties -> p_path[1] -> p_path[2] -> p_path[3]
    ELSE p_properties -> p_path[1] -> p_path[2] -> p_path[3] -> p_path[4]
END;
