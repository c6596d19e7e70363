-- An answer that says that it was given before, by its last member: whoever reads it begins at
-- the first one, by which a refusal is known.
CREATE OR REPLACE FUNCTION as_replayed(p_answer json) RETURNS json
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (left(rtrim(p_answer::text), -1) || ', "replayed": true}')::json;
