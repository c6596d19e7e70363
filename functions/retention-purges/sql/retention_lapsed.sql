-- The rest of a statement on the rows that a rule of retention_rules() says have lapsed, oldest
-- first: $1 is the moment before which they have, $2 how many rows to take at most.
CREATE OR REPLACE FUNCTION retention_lapsed(p_table_name text, p_moment text, p_condition text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN format('FROM %1$I r WHERE r.%2$I < $1 AND %3$s ORDER BY r.%2$I LIMIT $2', p_table_name, p_moment, p_condition);
