-- Most periods after the current one that facts have: how far one decision can catch up.
CREATE OR REPLACE FUNCTION max_facts_periods() RETURNS integer LANGUAGE sql IMMUTABLE RETURN 13;
