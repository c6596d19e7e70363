-- Leases beyond the bound for addresses that hold none: one, and one more for each eight.
CREATE OR REPLACE FUNCTION hash_lease_reserve(p_max integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN greatest(1, p_max / 8);
