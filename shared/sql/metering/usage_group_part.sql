-- The part of a group that is asked for.
CREATE OR REPLACE FUNCTION usage_group_part(p_group_key text, p_positions integer[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce((SELECT jsonb_agg(p_group_key::jsonb -> (position - 1) ORDER BY n)
                   FROM unnest(p_positions) WITH ORDINALITY u (position, n)), '[]');
