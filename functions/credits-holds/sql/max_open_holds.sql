-- The most open holds of one account; max_due_grants has the arithmetic.
CREATE OR REPLACE FUNCTION max_open_holds() RETURNS bigint LANGUAGE sql IMMUTABLE RETURN 200;
