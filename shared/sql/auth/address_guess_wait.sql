-- How long a stranger's guess waits because of its address, which may have failed since the
-- first look, or has others under way on this host: no more of them may be than the address
-- may still fail. The guess holds its lease already. Only strangers' guesses count once they
-- failed, but whatever else the address has hashed meanwhile is taken for one of them.
CREATE OR REPLACE FUNCTION address_guess_wait(p_address text, p_host_id text) RETURNS interval
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_count login_attempts;
    v_may_fail integer := address_free_failures() + 1;
BEGIN
    SELECT * INTO v_count FROM login_attempts
     WHERE subject = 'address:' || p_address AND last_failed >= clock_timestamp() - guess_count_interval();
    IF v_count.locked_until > clock_timestamp() THEN
        RETURN v_count.locked_until - clock_timestamp();
    END IF;
    v_may_fail := greatest(1, v_may_fail - coalesce(v_count.failures, 0));
    IF v_may_fail < (SELECT count(*) FROM hash_leases
                      WHERE host_id = p_host_id AND expires_at > clock_timestamp() AND address = p_address) THEN
        RETURN interval '1 second';
    END IF;
    RETURN NULL;
END;
$$;
