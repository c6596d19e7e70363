-- Whether an invitation can still be accepted.
CREATE OR REPLACE FUNCTION invitation_is_live(p_invitation invitations) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (p_invitation).accepted_at IS NULL AND (p_invitation).revoked_at IS NULL AND (p_invitation).expires_at > now();
