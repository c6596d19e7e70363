-- So many times a quantity, to a billionth, halves away from zero, as the rating engine reads it.
CREATE OR REPLACE FUNCTION usage_quantity_text(p_quantity numeric, p_factor numeric) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN trim_scale(round(p_quantity * p_factor, 9))::text;
END;
$$;
