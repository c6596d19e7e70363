-- A transaction of whichever organization, for the platform; null if there is none. The id has the
-- slot of its organization, which few organizations share.
CREATE OR REPLACE FUNCTION ledger_transfer_by_id(p_id uuid) RETURNS ledger_transfers
LANGUAGE sql STABLE AS $$
    SELECT t.* FROM organizations o JOIN ledger_transfers t ON t.organization_id = o.id
     WHERE id_slot(o.id) = id_slot(p_id) AND t.id = p_id
$$;
