-- How much lapsed longer than p_since ago, by each rule: of each up to p_max_rows rows are counted, and
-- none is changed.
CREATE OR REPLACE FUNCTION retention_due(p_since interval, p_max_rows integer) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_rule record;
    v_rows bigint;
    v_due json[] := ARRAY[]::json[];
BEGIN
    FOR v_rule IN SELECT * FROM retention_rules() LOOP
        EXECUTE format('SELECT count(*) FROM (SELECT 1 %s) lapsed',
                       retention_lapsed(v_rule.table_name, v_rule.moment, v_rule.condition))
           INTO v_rows USING now() - v_rule.kept - p_since, p_max_rows;
        v_due := v_due || json_build_object(
            'table', v_rule.table_name, 'kept_hours', extract(epoch FROM v_rule.kept)::bigint / 3600,
            'after', v_rule.moment, 'lapsed_rows', v_rows);
    END LOOP;
    RETURN array_to_json(v_due);
END;
$$;
