-- What ends when sessions of a person end: a row for each event, and the table of docs/auth.md.
--
-- sessions: all of the person's, all others than those of a sign-in, those of the sign-in, those in
-- an organization, or one session. The rest is what becomes of each kind of thing that is pending:
-- it is kept; it ends if one of the ended sessions' sign-ins made it ('made'); if it is the
-- organization's ('organization'); or in any case ('all'). No row for an event that does not exist.
CREATE OR REPLACE FUNCTION session_end_rule(
    p_event text, OUT sessions text, OUT verify_links text, OUT change_links text, OUT reset_links text,
    OUT invitations text, OUT api_keys text, OUT enrolments text
) RETURNS record
LANGUAGE sql IMMUTABLE AS $$
    SELECT r.sessions, r.verify_links, r.change_links, r.reset_links, r.invitations, r.api_keys, r.enrolments
      FROM (VALUES
        ('password_changed', 'others',       'made', 'all',  'all',  'made',         'made',         'made'),
        ('password_reset',   'all',          'all',  'all',  'all',  'made',         'made',         'all'),
        ('account_renewed',  'all',          'all',  'all',  'all',  'all',          'all',          'all'),
        ('others_ended',     'others',       'made', 'made', 'keep', 'made',         'made',         'made'),
        ('session_ended',    'sign_in',      'made', 'made', 'keep', 'made',         'made',         'made'),
        ('refresh_reused',   'sign_in',      'made', 'made', 'keep', 'made',         'made',         'made'),
        ('logged_out',       'session',      'made', 'made', 'keep', 'keep',         'keep',         'made'),
        ('moved',            'session',      'keep', 'keep', 'keep', 'keep',         'keep',         'keep'),
        ('user_disabled',    'all',          'all',  'all',  'all',  'all',          'all',          'all'),
        ('member_removed',   'organization', 'keep', 'keep', 'keep', 'organization', 'organization', 'keep'),
        ('email_changed',    'others',       'all',  'all',  'all',  'made',         'made',         'made'),
        ('email_undone',     'all',          'all',  'all',  'all',  'all',          'all',          'all')
      ) AS r (event, sessions, verify_links, change_links, reset_links, invitations, api_keys, enrolments)
     WHERE r.event = p_event
$$;
