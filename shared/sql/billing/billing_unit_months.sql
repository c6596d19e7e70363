-- The months of a unit of billing that has whole ones.
CREATE OR REPLACE FUNCTION billing_unit_months(p_unit text) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE p_unit WHEN 'month' THEN 1 WHEN 'quarter' THEN 3 WHEN 'half_year' THEN 6 WHEN 'year' THEN 12 END;
