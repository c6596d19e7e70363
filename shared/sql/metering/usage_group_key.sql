-- The group of an event, for up to four paths, as the text of a JSON array. Made
-- of texts, because jsonb_build_array takes three times as long. Equal values have
-- equal texts: whoever stores events writes each number in one way.
CREATE OR REPLACE FUNCTION usage_group_key(
    p_properties jsonb, p_count integer, p_1 text[], p_2 text[], p_3 text[], p_4 text[]
) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE p_count
    WHEN 0 THEN ''
    WHEN 1 THEN '[' || coalesce(usage_property(p_properties, p_1)::text, 'null') || ']'
    ELSE '[' || coalesce(usage_property(p_properties, p_1)::text, 'null')
         || ',' || coalesce(usage_property(p_properties, p_2)::text, 'null')
         || CASE WHEN p_count > 2 THEN ',' || coalesce(usage_property(p_properties, p_3)::text, 'null') ELSE '' END
         || CASE WHEN p_count > 3 THEN ',' || coalesce(usage_property(p_properties, p_4)::text, 'null') ELSE '' END || ']'
END;
