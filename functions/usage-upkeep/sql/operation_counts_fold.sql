-- Adds the hours of operation_counts that are older than five weeks up, so that the table stays
-- small and its sums stay what they are.
CREATE OR REPLACE FUNCTION operation_counts_fold() RETURNS void
LANGUAGE sql AS $$
    WITH old AS (
        DELETE FROM operation_counts
         WHERE hour > '-infinity' AND hour < now() - interval '840 hours'
        RETURNING name, component, label, count
    )
    INSERT INTO operation_counts AS o (name, component, label, hour, count)
    SELECT name, component, label, '-infinity', sum(count) FROM old GROUP BY name, component, label
    ON CONFLICT (name, component, label, hour) DO UPDATE SET count = o.count + excluded.count
$$;
