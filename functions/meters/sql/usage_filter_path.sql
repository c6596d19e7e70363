-- Filters as one predicate of SQL/JSON: it takes a third of the time that looking
-- at a list of them does. What is not there is equal to nothing, and a list is
-- equal to whatever is in it.
--
-- A name in a path is that of a member of an object, as in usage_property: a path of
-- SQL/JSON alone would also look into the objects of a list.
CREATE OR REPLACE FUNCTION usage_filter_path(p_filters jsonb) RETURNS jsonpath
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT string_agg(CASE WHEN f ->> 'op' = 'ne' THEN '!' ELSE '' END || '('
                      || (SELECT coalesce(string_agg(format('$%s.type() == "object" && ',
                                                            (SELECT string_agg('."' || name || '"', '' ORDER BY place)
                                                               FROM unnest(names[:parent]) WITH ORDINALITY n (name, place))),
                                                     '' ORDER BY parent), '')
                            FROM generate_series(1, cardinality(names) - 1) parent)
                      || 'exists($."' || array_to_string(names, '"."') || '" ? ('
                      || CASE WHEN f ->> 'op' <> 'in' THEN '@ == ' || (f -> 'value')::text
                              WHEN f -> 'value' = '[]' THEN '1 == 2'
                              ELSE (SELECT string_agg('@ == ' || value::text, ' || ')
                                      FROM jsonb_array_elements(f -> 'value') value) END
                      || ')))', ' && ')::jsonpath
      FROM jsonb_array_elements(p_filters) f, string_to_array(f ->> 'property', '.') names);
