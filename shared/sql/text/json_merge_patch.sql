-- A document with a merge patch applied (RFC 7396): null takes a member away, an object is merged
-- into what is there, and anything else takes its place.
CREATE OR REPLACE FUNCTION json_merge_patch(p_target jsonb, p_patch jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    v_merged jsonb := CASE WHEN jsonb_typeof(p_target) = 'object' THEN p_target ELSE '{}' END;
    v_member record;
BEGIN
    IF jsonb_typeof(p_patch) <> 'object' THEN
        RETURN p_patch;
    END IF;
    FOR v_member IN SELECT e.key, e.value FROM jsonb_each(p_patch) e LOOP
        IF v_member.value = 'null' THEN
            v_merged := v_merged - v_member.key;
        ELSE
            v_merged := v_merged || jsonb_build_object(
                v_member.key, json_merge_patch(v_merged -> v_member.key, v_member.value));
        END IF;
    END LOOP;
    RETURN v_merged;
END;
$$;
