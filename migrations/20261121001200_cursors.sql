-- The key under which the cursors of lists have their codes. It is drawn here, where every list
-- can have it with its rows, and is no secret of a component's. Whoever has it can make cursors,
-- which say where in a list of one's own a page begins, and nothing else.
CREATE TABLE cursor_secrets (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    secret  bytea NOT NULL CHECK (octet_length(secret) = 32)
);

-- A UUID has 122 random bits.
INSERT INTO cursor_secrets (secret)
VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));
