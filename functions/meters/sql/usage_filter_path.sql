-- Filters as one predicate of SQL/JSON: it takes a third of the time that looking at a list of
-- them does. What is not there is equal to nothing, and a list is equal to whatever is in it,
-- but not to what is in a list within it.
--
-- A name in a path is that of a member of an object, as in usage_property. So the mode is
-- strict: to name a member of anything else is an error, of which a test is unknown, and no
-- element of a list is looked at that is not asked for. What is not equal is what is unknown too.
CREATE OR REPLACE FUNCTION usage_filter_path(p_filters jsonb) RETURNS jsonpath
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT ('strict ' || string_agg(
               format(CASE WHEN f ->> 'op' = 'ne' THEN '(!(%1$s) || (%1$s) is unknown)' ELSE '%1$s' END, test),
               ' && '))::jsonpath
      FROM jsonb_array_elements(p_filters) f,
           format('exists($."%s" ? (%s))',
                  array_to_string(string_to_array(f ->> 'property', '.'), '"."'),
                  coalesce((SELECT string_agg(format('@ == %1$s || exists(@[*] ? (@ == %1$s))', value), ' || ')
                              FROM jsonb_array_elements(CASE WHEN f ->> 'op' = 'in' THEN f -> 'value'
                                                             ELSE jsonb_build_array(f -> 'value') END) value),
                           '1 == 2')) test);
