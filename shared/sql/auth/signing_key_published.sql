-- Says in the audit log that a key was published: by somebody, or by itself when p_actor_id is
-- null. The keys are the platform's, and so is the chain.
CREATE OR REPLACE FUNCTION signing_key_published(p_key signing_keys, p_actor_id uuid) RETURNS void
LANGUAGE sql AS $$
    SELECT audit_append(no_organization(), 'signing_key.published', p_actor_id, (p_key).kid,
                        jsonb_build_object('signs_from', rfc3339((p_key).signs_from), 'is_automatic', p_actor_id IS NULL))
$$;
