-- What decides about a subscription that somebody wants an account to have: the facts of its draft.
-- With a key that was used before the answer of then. Without a key it is a preview. p_trial_days is
-- null for the trial of the plan, and p_unit for the period of its prices.
CREATE OR REPLACE FUNCTION subscription_create_begin(
    p_digest bytea, p_key text, p_request_digest bytea, p_id uuid, p_account_id uuid, p_plan text,
    p_plan_version integer, p_starts_at timestamptz, p_trial_days integer, p_unit text, p_count integer,
    p_alignment text, p_anchor_day integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'subscriptions:manage');
    v_account billing_accounts;
    v_answer json;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_account FROM billing_accounts WHERE id = p_account_id;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'account_not_found');
    END IF;
    v_answer := idempotent_answer(v_account.organization_id, v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    RETURN subscription_create_facts(v_account, p_id, p_plan, p_plan_version, p_starts_at, p_trial_days, p_unit,
                                     p_count, p_alignment, p_anchor_day);
END;
$$;
