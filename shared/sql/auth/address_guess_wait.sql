-- How long a stranger's guess waits because of others that its address has under way on
-- this host: no more of them may be than the address may still fail. The guess holds its
-- lease already. It is only the guesses of strangers that count once they failed, but
-- whatever else the address has hashed meanwhile is taken for one of them.
CREATE OR REPLACE FUNCTION address_guess_wait(p_address text, p_host_id text) RETURNS interval
LANGUAGE sql STABLE AS $$
    SELECT interval '1 second'
     WHERE (SELECT count(*) FROM hash_leases
             WHERE host_id = p_host_id AND expires_at > clock_timestamp() AND address = p_address)
           > greatest(1, address_free_failures() + 1 - coalesce((
                 SELECT failures FROM login_attempts
                  WHERE subject = 'address:' || p_address
                    AND last_failed >= clock_timestamp() - interval '1 hour'), 0))
$$;
