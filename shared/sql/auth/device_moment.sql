-- The moment at which a device becomes known, in microseconds since 1970. Whoever asks
-- holds the user's row, so that it is after every end of devices that was there before.
CREATE OR REPLACE FUNCTION device_moment() RETURNS bigint
LANGUAGE sql VOLATILE
RETURN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
