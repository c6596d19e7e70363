-- The id of something that an organization owns: the given one, with the organization's slot
-- in its last two bytes, by which the id leads to the organization's database.
CREATE OR REPLACE FUNCTION owned_id(p_organization_id uuid, p_id uuid) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (left(p_id::text, 32) || right(p_organization_id::text, 4))::uuid;
