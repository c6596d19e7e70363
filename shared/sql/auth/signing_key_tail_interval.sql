-- How long a key is published after it signed its last token: until that one has
-- expired everywhere. 300 s + 60 s = 360 s.
CREATE OR REPLACE FUNCTION signing_key_tail_interval() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN jwt_lifetime_interval() + jwt_leeway_interval();
