-- Stores a batch as usage_batch_store does, for whoever has no use for the deltas.
CREATE OR REPLACE FUNCTION usage_store(
    p_organization_id uuid, p_keys integer[], p_sources text[], p_ids text[], p_subjects text[], p_types text[],
    p_times bigint[], p_properties text[], p_is_atomic boolean
) RETURNS json
LANGUAGE sql AS $$
    SELECT answer FROM usage_batch_store(
        p_organization_id, p_keys, p_sources, p_ids, p_subjects, p_types, p_times, p_properties, p_is_atomic)
$$;
