//! Connections, open transactions, and who waits for whom.

use super::Question;

pub const QUESTIONS: [Question; 4] = [
    Question {
        name: "connections",
        about: "how many of max_connections are taken; above 80 %, raise it or put PgBouncer in front",
        columns: &["max", "reserved", "taken", "taken_percent"],
        sql: "
            SELECT current_setting('max_connections')::integer AS max,
                   current_setting('superuser_reserved_connections')::integer AS reserved,
                   count(*) AS taken,
                   round(100.0 * count(*) / current_setting('max_connections')::integer, 1) AS taken_percent
              FROM pg_stat_activity
             WHERE backend_type = 'client backend'",
    },
    Question {
        name: "sessions",
        about: "sessions by program, role and state, and for how long the oldest of them is in it",
        columns: &["program", "role", "state", "count", "longest_seconds"],
        sql: "
            SELECT coalesce(nullif(application_name, ''), '(no name)') AS program, usename AS role,
                   coalesce(state, '(hidden)') AS state, count(*) AS count,
                   round(extract(epoch FROM max(clock_timestamp() - state_change)), 1) AS longest_seconds
              FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()
             GROUP BY 1, 2, 3
             ORDER BY count DESC, program, role, state
             LIMIT {limit}",
    },
    Question {
        name: "open_transactions",
        about: "the oldest first; no component keeps one open for longer than a statement",
        columns: &["pid", "program", "state", "seconds", "statement", "advice"],
        sql: "
            SELECT pid, coalesce(nullif(application_name, ''), '(no name)') AS program, state,
                   round(extract(epoch FROM clock_timestamp() - xact_start), 1) AS seconds,
                   left(regexp_replace(query, '\\s+', ' ', 'g'), 120) AS statement,
                   CASE WHEN clock_timestamp() - xact_start > interval '5 seconds'
                        THEN format('SELECT pg_terminate_backend(%s);', pid) END AS advice
              FROM pg_stat_activity
             WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
                   AND backend_type = 'client backend'
             ORDER BY xact_start
             LIMIT {limit}",
    },
    Question {
        name: "waiting",
        about: "sessions that wait for a lock, and who holds it",
        columns: &["pid", "seconds", "statement", "blocked_by", "blocker_state", "blocker_statement", "advice"],
        sql: "
            SELECT w.pid, round(extract(epoch FROM clock_timestamp() - w.query_start), 1) AS seconds,
                   left(regexp_replace(w.query, '\\s+', ' ', 'g'), 80) AS statement,
                   b.pid AS blocked_by, b.state AS blocker_state,
                   left(regexp_replace(b.query, '\\s+', ' ', 'g'), 80) AS blocker_statement,
                   CASE WHEN b.state LIKE 'idle in transaction%'
                        THEN format('SELECT pg_terminate_backend(%s);', b.pid) END AS advice
              FROM pg_stat_activity w
             CROSS JOIN unnest(pg_blocking_pids(w.pid)) AS blocker(pid)
              JOIN pg_stat_activity b ON b.pid = blocker.pid
             WHERE w.wait_event_type = 'Lock' AND w.datname = current_database()
             ORDER BY seconds DESC, w.pid, b.pid
             LIMIT {limit}",
    },
];
