-- Spends from the pool of an organization, each within the allocation of its token's user, for
-- several requests at once: the same place of each array is one request. All of them are of one
-- organization and currency. Answers in their order, which is that of their effects.
CREATE OR REPLACE FUNCTION credit_pool_consume_many(
    p_digests bytea[], p_keys text[], p_request_digests bytea[], p_transfer_ids uuid[],
    p_organization_ids uuid[], p_currencies text[], p_amounts numeric[], p_descriptions text[],
    p_services text[], p_models text[]
) RETURNS json[]
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal;
    v_refusal json;
    v_spends credit_spend[] := ARRAY[]::credit_spend[];
    v_first integer;
    v_is_anybody boolean := false;
BEGIN
    FOR n IN 1 .. cardinality(p_digests) LOOP
        IF p_organization_ids[n] <> p_organization_ids[1] OR p_currencies[n] <> p_currencies[1] THEN
            RAISE EXCEPTION 'the requests are of several accounts' USING ERRCODE = 'TP004';
        END IF;
        v_first := array_position(p_digests, p_digests[n]);
        IF v_first = n THEN
            v_principal := authenticate(p_digests[n]);
            v_refusal := organization_refusal(v_principal, p_organization_ids[n], 'pool:consume');
        ELSE
            v_principal.user_id := v_spends[v_first].actor_id;
            v_refusal := v_spends[v_first].refusal;
        END IF;
        v_is_anybody := v_is_anybody OR v_refusal IS NULL;
        v_spends := v_spends || ROW(
            v_refusal, v_principal.user_id, p_keys[n], p_request_digests[n], p_transfer_ids[n], p_amounts[n],
            p_descriptions[n], p_services[n], p_models[n])::credit_spend;
    END LOOP;
    IF NOT v_is_anybody THEN
        RETURN ARRAY(SELECT s.refusal FROM unnest(v_spends) WITH ORDINALITY s ORDER BY s.ordinality);
    END IF;
    RETURN account_consume(p_organization_ids[1], NULL, p_currencies[1], v_spends);
END;
$$;
