-- The number that a JSON value is, or null: a number, or a string that is one in
-- plain decimal notation, for clients whose numbers are floats.
CREATE OR REPLACE FUNCTION usage_number(p_value jsonb) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE jsonb_typeof(p_value)
    WHEN 'number' THEN p_value::numeric
    WHEN 'string' THEN CASE WHEN p_value #>> '{}' ~ '^-?[0-9]{1,20}(\.[0-9]{1,20})?$' THEN (p_value #>> '{}')::numeric END
END;
