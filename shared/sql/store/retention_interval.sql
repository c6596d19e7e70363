-- For how long rows of a table are kept that has one rule.
CREATE OR REPLACE FUNCTION retention_interval(p_table_name text) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT kept FROM retention_rules() WHERE table_name = p_table_name);
