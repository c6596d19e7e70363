-- The nil UUID, in place of the organization of what belongs to none: sessions of somebody who is
-- in no organization, and mail to people about their own accounts.
CREATE OR REPLACE FUNCTION no_organization() RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN '00000000-0000-0000-0000-000000000000'::uuid;
