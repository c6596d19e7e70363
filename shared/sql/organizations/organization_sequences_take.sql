-- The first of so many next numbers of a table's rows of an organization: as
-- organization_sequence_next, for rows that are written together. Called for each of a thousand
-- rows, that one would look through as many versions of its own row.
CREATE OR REPLACE FUNCTION organization_sequences_take(p_organization_id uuid, p_table text, p_count bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_last bigint;
BEGIN
    INSERT INTO organization_sequences AS s (organization_id, table_name, last)
    VALUES (p_organization_id, p_table, p_count)
    ON CONFLICT (organization_id, table_name) DO UPDATE SET last = s.last + p_count
    RETURNING s.last INTO v_last;
    RETURN v_last - p_count + 1;
END;
$$;
