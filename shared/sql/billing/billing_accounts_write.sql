-- Makes and changes accounts as a list of items says: one answer each, in the order of the list. An
-- item that is refused changes nothing, and spoils no other. See billing_account_apply.
--
-- What others may hold is taken in one order, so that lists at once wait for each other and do not
-- deadlock: accounts that are changed by their ids, then external ids by their text, then people, then the audit
-- logs by their organizations.
CREATE OR REPLACE FUNCTION billing_accounts_write(p_digest bytea, p_items jsonb) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'accounts:manage');
    v_item record;
    v_result record;
    v_account billing_accounts;
    v_answers json[] := ARRAY[]::json[];
    -- An array, because a document would be copied whole for each event.
    v_events jsonb[] := ARRAY[]::jsonb[];
    v_event record;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    FOR v_item IN
        SELECT DISTINCT i.id FROM jsonb_array_elements(p_items) e,
               LATERAL (VALUES ((CASE e.value ->> 'op' WHEN 'update' THEN e.value ->> 'id' END)::uuid),
                               ((e.value -> 'patch' ->> 'parent_id')::uuid)) i(id)
         WHERE i.id IS NOT NULL ORDER BY i.id
    LOOP
        PERFORM 1 FROM billing_accounts WHERE id = v_item.id FOR NO KEY UPDATE;
    END LOOP;
    FOR v_item IN
        SELECT e.value, e.ordinality AS place
          FROM jsonb_array_elements(p_items) WITH ORDINALITY e
         ORDER BY (e.value -> 'patch' ->> 'external_id') COLLATE "C" NULLS FIRST, e.value ->> 'organization_id' NULLS FIRST,
                  e.value ->> 'user_id' NULLS FIRST, e.ordinality
    LOOP
        v_result := billing_account_apply(v_principal, v_item.value, true);
        v_account := v_result.account;
        v_answers[v_item.place] := coalesce(
            v_result.refusal,
            json_build_object('is_new', v_item.value ->> 'op' = 'create',
                              'account', billing_account_json(v_account)));
        IF v_result.event IS NOT NULL THEN
            v_events[coalesce(array_length(v_events, 1), 0) + 1] := jsonb_build_object(
                'organization_id', v_account.organization_id, 'id', v_account.id,
                'event', v_result.event, 'detail', v_result.detail);
        END IF;
    END LOOP;
    FOR v_event IN
        SELECT (e.value ->> 'organization_id')::uuid AS organization_id, (e.value ->> 'id')::uuid AS id,
               e.value ->> 'event' AS event, e.value -> 'detail' AS detail
          FROM unnest(v_events) WITH ORDINALITY e(value, place)
         ORDER BY 1, e.place
    LOOP
        PERFORM audit_append(v_event.organization_id, v_event.event, v_principal.user_id,
                             prefixed_id('acc_', v_event.id), v_event.detail);
    END LOOP;
    RETURN json_build_object('items', array_to_json(v_answers));
END;
$$;
