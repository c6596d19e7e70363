-- The organization that the credential of whoever asks leads to, as audit_asker() was told; null
-- without a credential.
CREATE OR REPLACE FUNCTION audit_asker_organization() RETURNS uuid
LANGUAGE sql STABLE
RETURN nullif(current_setting('turnpike.organization_id', true), '')::uuid;
