-- What of the account begins with a text in lower case: the name, or else the email, in lower case
-- and as far as they are indexed; null if neither does.
CREATE OR REPLACE FUNCTION billing_account_match(p_account billing_accounts, p_q text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN starts_with(left(lower((p_account).name), 100), p_q) THEN left(lower((p_account).name), 100)
    WHEN starts_with(left(lower((p_account).email), 100), p_q) THEN left(lower((p_account).email), 100)
END;
