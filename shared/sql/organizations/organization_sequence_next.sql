-- The next number of a table's rows of an organization. Its row is held until the
-- transaction ends, so this comes after whatever else a statement waits for.
CREATE OR REPLACE FUNCTION organization_sequence_next(p_organization_id uuid, p_table text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_last bigint;
BEGIN
    INSERT INTO organization_sequences AS s (organization_id, table_name, last)
    VALUES (p_organization_id, p_table, 1)
    ON CONFLICT (organization_id, table_name) DO UPDATE SET last = s.last + 1
    RETURNING s.last INTO v_last;
    RETURN v_last;
END;
$$;
