-- The monthly recurring revenue of some terms: a twelfth of a yearly price,
-- brought to a billionth half to even, and nothing unless they are paid for.
CREATE OR REPLACE FUNCTION subscription_mrr(
    p_seats integer, p_seat_price numeric, p_billing_period text, p_status text
) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    v_billionths numeric := p_seats * p_seat_price * 1000000000;
    v_quotient numeric := div(v_billionths, 12);
    v_remainder numeric := v_billionths - v_quotient * 12;
BEGIN
    IF p_status NOT IN ('active', 'past_due') THEN
        RETURN 0;
    END IF;
    IF p_billing_period = 'month' THEN
        RETURN p_seats * p_seat_price;
    END IF;
    IF v_remainder > 6 OR (v_remainder = 6 AND v_quotient % 2 = 1) THEN
        v_quotient := v_quotient + 1;
    END IF;
    RETURN v_quotient * 0.000000001;
END;
$$;
