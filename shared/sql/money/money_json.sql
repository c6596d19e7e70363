-- An amount with its currency as answers hold it. The amount is a text, because a JSON
-- parser on the way would turn a number into a float.
CREATE OR REPLACE FUNCTION money_json(p_amount numeric, p_currency text) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object('amount', p_amount::text, 'currency', p_currency);
