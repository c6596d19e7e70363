-- An id as clients see it: the kind's prefix and the UUID without hyphens.
CREATE OR REPLACE FUNCTION prefixed_id(p_prefix text, p_id uuid) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN p_prefix || replace(p_id::text, '-', '');
