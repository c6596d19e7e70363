-- The transfer of a spend, as the last one of an account that is as it will be after it.
CREATE OR REPLACE FUNCTION spend_transfer(p_account credit_accounts, p_spend credit_spend) RETURNS ledger_transfers
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_transfer ledger_transfers;
BEGIN
    v_transfer.organization_id := p_account.organization_id;
    v_transfer.id := owned_id(p_account.organization_id, p_spend.transfer_id);
    v_transfer.account_id := p_account.id;
    v_transfer.sequence := p_account.sequence;
    v_transfer.kind := 'consume';
    v_transfer.debited := 'available';
    v_transfer.credited := 'consumed';
    v_transfer.amount := p_spend.amount;
    v_transfer.available_after := p_account.available;
    v_transfer.description := p_spend.description;
    v_transfer.service := p_spend.service;
    v_transfer.model := p_spend.model;
    v_transfer.actor_id := p_spend.actor_id;
    v_transfer.occurred_at := p_account.last_occurred_at;
    v_transfer.created_at := clock_timestamp();
    v_transfer.written_at := v_transfer.created_at;
    RETURN v_transfer;
END;
$$;
