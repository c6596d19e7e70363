-- How finely "last used" is kept. A key that is used a thousand times a second
-- still writes its row once a minute.
CREATE OR REPLACE FUNCTION api_key_use_granularity() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN interval '1 minute';
