-- A hash with the same parameters and salt, of no password that anybody knows.
CREATE OR REPLACE FUNCTION password_void(p_hash text) RETURNS text
LANGUAGE sql VOLATILE
RETURN regexp_replace(p_hash, '[^$]+$', '') || rtrim(encode(
    uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64'), '=');
