-- The database's own secret.
CREATE OR REPLACE FUNCTION deployment_secret() RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (SELECT secret FROM deployment_secrets);
