-- Functions that tables, views and triggers of several domains rely on.

-- Refuses to change rows of an append-only table.
CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'TP002';
END;
$$;

-- The day of UTC on which a moment lies.
CREATE FUNCTION utc_day(p_time timestamptz) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (p_time AT TIME ZONE 'UTC')::date;
