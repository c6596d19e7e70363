-- How long a JWT lives. It cannot be revoked where it is validated offline.
CREATE OR REPLACE FUNCTION jwt_lifetime_interval() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN interval '300 seconds';
