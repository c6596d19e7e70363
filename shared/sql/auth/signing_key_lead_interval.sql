-- How long a key is published before it signs: until every list without it has run
-- out. 300 s + 60 s = 360 s.
CREATE OR REPLACE FUNCTION signing_key_lead_interval() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN jwks_max_age_interval() + jwt_leeway_interval();
