-- Stores the batches of several requests of one organization, as usage_ingest does for each that
-- is not atomic: the same place of each array is one request, with its token and its arrays, as
-- texts. Answers in the order of the requests, which is that of their effects: of events with one
-- key that of the first request counts. A request that is refused keeps no other out.
--
-- They are one batch, unless the organization has an alert: what one request reaches is fired with
-- the value of that moment, and the next one may take it back.
CREATE OR REPLACE FUNCTION usage_ingest_many(
    p_digests bytea[], p_keys text[], p_sources text[], p_ids text[], p_subjects text[], p_types text[],
    p_times text[], p_properties text[]
) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal;
    v_organization_id uuid;
    v_refusals json[] := '{}'::json[];
    v_first integer;
    v_sent record;
    v_stored record;
    -- The request that each event is of, and its place in it.
    v_requests integer[];
    v_places bigint[];
    v_answers text[] := '{}'::text[];
BEGIN
    FOR n IN 1 .. cardinality(p_digests) LOOP
        v_first := array_position(p_digests, p_digests[n]);
        IF v_first < n THEN
            v_refusals[n] := v_refusals[v_first];
            CONTINUE;
        END IF;
        v_principal := authenticate(p_digests[n]);
        v_refusals[n] := refusal(v_principal, 'usage:write');
        IF v_refusals[n] IS NULL THEN
            v_organization_id := coalesce(v_organization_id, v_principal.organization_id);
            IF v_principal.organization_id <> v_organization_id THEN
                RAISE EXCEPTION 'the requests are of several organizations' USING ERRCODE = 'TP004';
            END IF;
        END IF;
    END LOOP;
    IF v_organization_id IS NULL THEN
        RETURN v_refusals::text[];
    END IF;
    IF EXISTS (SELECT 1 FROM usage_alerts WHERE organization_id = v_organization_id AND archived_at IS NULL) THEN
        -- Alone, because what one request holds is held while the next one takes its keys. Statements
        -- side by side would wait for each other in a circle.
        PERFORM usage_alerts_hold_alone(v_organization_id);
        FOR n IN 1 .. cardinality(p_digests) LOOP
            v_answers[n] := v_refusals[n];
            CONTINUE WHEN v_refusals[n] IS NOT NULL;
            v_stored := usage_batch_store(
                v_organization_id, p_keys[n]::integer[], p_sources[n]::text[], p_ids[n]::text[], p_subjects[n]::text[],
                p_types[n]::text[], p_times[n]::bigint[], p_properties[n]::text[], false);
            PERFORM usage_alerts_count(v_organization_id, v_stored.deltas);
            v_answers[n] := v_stored.answer;
        END LOOP;
        RETURN v_answers;
    END IF;
    PERFORM usage_alerts_hold_together(v_organization_id);
    -- All in the order of source, id and arrival. Their keys are numbered anew, because two
    -- requests may have one.
    SELECT array_agg(e.key ORDER BY e.n) AS keys, array_agg(e.source ORDER BY e.n) AS sources,
           array_agg(e.id ORDER BY e.n) AS ids, array_agg(e.subject ORDER BY e.n) AS subjects,
           array_agg(e.type ORDER BY e.n) AS types, array_agg(e.micros ORDER BY e.n) AS times,
           array_agg(e.properties ORDER BY e.n) AS properties,
           array_agg(e.request ORDER BY e.n) AS requests, array_agg(e.place ORDER BY e.n) AS places
      INTO v_sent
      FROM (SELECT e.*,
                   dense_rank() OVER (ORDER BY e.source COLLATE "C", e.id COLLATE "C")::integer AS key,
                   row_number() OVER (ORDER BY e.source COLLATE "C", e.id COLLATE "C", r.request, e.place) AS n, r.request
              FROM generate_subscripts(p_digests, 1) r (request)
             CROSS JOIN LATERAL unnest(p_keys[r.request]::integer[], p_sources[r.request]::text[],
                                       p_ids[r.request]::text[], p_subjects[r.request]::text[],
                                       p_types[r.request]::text[], p_times[r.request]::bigint[],
                                       p_properties[r.request]::text[])
                        WITH ORDINALITY AS e (own_key, source, id, subject, type, micros, properties, place)
             WHERE v_refusals[r.request] IS NULL) e;
    v_stored := usage_batch_store(v_organization_id, coalesce(v_sent.keys, '{}'), coalesce(v_sent.sources, '{}'),
                                  coalesce(v_sent.ids, '{}'), coalesce(v_sent.subjects, '{}'),
                                  coalesce(v_sent.types, '{}'), coalesce(v_sent.times, '{}'),
                                  coalesce(v_sent.properties, '{}'), false);
    -- An alert may have been made since it was looked for.
    PERFORM usage_alerts_count(v_organization_id, v_stored.deltas);
    v_requests := v_sent.requests;
    v_places := v_sent.places;
    WITH accepted AS (
        SELECT v_requests[a.n::integer] AS request, json_agg(v_places[a.n::integer]) AS places
          FROM json_array_elements_text(v_stored.answer -> 'accepted') a (n)
         GROUP BY 1
    ), adjustments AS (
        SELECT v_requests[a.n::integer] AS request, json_agg(v_places[a.n::integer]) AS places
          FROM json_array_elements_text(v_stored.answer -> 'adjustments') a (n)
         GROUP BY 1
    ), problems AS (
        SELECT v_requests[p.n] AS request,
               json_agg(json_build_object('n', v_places[p.n], 'field', p.field, 'code', p.code)) AS found
          FROM json_to_recordset(v_stored.answer -> 'problems') p (n integer, field text, code text)
         GROUP BY 1
    )
    SELECT array_agg(coalesce(v_refusals[r.request], json_build_object(
                         'organization_id', v_stored.answer ->> 'organization_id',
                         'accepted', coalesce(a.places, '[]'), 'adjustments', coalesce(j.places, '[]'),
                         'problems', coalesce(p.found, '[]')))::text
                     ORDER BY r.request)
      INTO v_answers
      FROM generate_subscripts(p_digests, 1) r (request)
      LEFT JOIN accepted a ON a.request = r.request
      LEFT JOIN adjustments j ON j.request = r.request
      LEFT JOIN problems p ON p.request = r.request;
    RETURN v_answers;
END;
$$;
