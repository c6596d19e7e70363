-- Takes credits that the tokens' user has in their organization, for several requests at once:
-- the same place of each array is one request. All of them are of one user, organization and
-- currency. Answers in their order, which is that of their effects.
CREATE OR REPLACE FUNCTION credits_consume_many(
    p_digests bytea[], p_keys text[], p_request_digests bytea[], p_transfer_ids uuid[],
    p_currencies text[], p_amounts numeric[], p_descriptions text[], p_services text[], p_models text[]
) RETURNS json[]
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal;
    v_refusal json;
    v_organization_id uuid;
    v_user_id uuid;
    v_spends credit_spend[] := ARRAY[]::credit_spend[];
    v_first integer;
BEGIN
    FOR n IN 1 .. cardinality(p_digests) LOOP
        v_first := array_position(p_digests, p_digests[n]);
        IF v_first = n THEN
            v_principal := authenticate(p_digests[n]);
            v_refusal := refusal(v_principal, 'credits:consume');
        ELSE
            v_principal.user_id := v_spends[v_first].actor_id;
            v_refusal := v_spends[v_first].refusal;
        END IF;
        IF v_refusal IS NULL AND v_user_id IS NULL THEN
            v_organization_id := v_principal.organization_id;
            v_user_id := v_principal.user_id;
        END IF;
        v_spends := v_spends || ROW(
            v_refusal, v_principal.user_id, p_keys[n], p_request_digests[n], p_transfer_ids[n], p_amounts[n],
            p_descriptions[n], p_services[n], p_models[n])::credit_spend;
        IF p_currencies[n] <> p_currencies[1] OR (v_refusal IS NULL AND v_principal.user_id <> v_user_id)
           OR (v_refusal IS NULL AND v_first = n AND v_principal.organization_id <> v_organization_id) THEN
            RAISE EXCEPTION 'the requests are of several accounts' USING ERRCODE = 'TP004';
        END IF;
    END LOOP;
    IF v_user_id IS NULL THEN
        RETURN ARRAY(SELECT s.refusal FROM unnest(v_spends) WITH ORDINALITY s ORDER BY s.ordinality);
    END IF;
    RETURN account_consume(v_organization_id, v_user_id, p_currencies[1], v_spends);
END;
$$;
