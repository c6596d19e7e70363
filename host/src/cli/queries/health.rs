//! Dead rows, bloat, vacuum, locks, replication, and the buffer cache.

use super::Question;

pub const QUESTIONS: [Question; 4] = [
    Question {
        name: "measures",
        about: "figures of the whole database, with what to do about those that are out of range",
        columns: &["measure", "value", "unit", "advice"],
        sql: "
            WITH d AS (SELECT * FROM pg_stat_database WHERE datname = current_database())
            SELECT 'buffer cache hits' AS measure, '%' AS unit,
                   round(100.0 * blks_hit / nullif(blks_hit + blks_read, 0), 2) AS value,
                   CASE WHEN blks_read > 10000 AND blks_hit < 99 * blks_read
                        THEN 'raise shared_buffers: below 99 % reads wait for the disk' END AS advice FROM d
            UNION ALL
            SELECT 'transactions rolled back', '%',
                   round(100.0 * xact_rollback / nullif(xact_commit + xact_rollback, 0), 2), NULL FROM d
            UNION ALL
            SELECT 'deadlocks', 'in all', deadlocks, NULL FROM d
            UNION ALL
            SELECT 'temporary files', 'MiB', round(temp_bytes / 1048576.0, 1),
                   CASE WHEN temp_bytes > 1073741824 THEN 'raise work_mem: sorts go to the disk' END FROM d
            UNION ALL
            SELECT 'age of transaction ids', '%',
                   round(100.0 * age(datfrozenxid) / 2000000000, 2),
                   CASE WHEN age(datfrozenxid) > 500000000 THEN 'VACUUM (FREEZE); at 100 % Postgres stops writing' END
              FROM pg_database WHERE datname = current_database()
            UNION ALL
            SELECT 'locks waited for', 'now', count(*), CASE WHEN count(*) > 0 THEN 'turnpike queries pool' END
              FROM pg_locks WHERE NOT granted
            UNION ALL
            SELECT 'prepared transactions', 'now', count(*),
                   CASE WHEN count(*) > 0 THEN 'Turnpike makes none: ROLLBACK PREPARED' END
              FROM pg_prepared_xacts WHERE database = current_database()
            UNION ALL
            SELECT 'lag of this replica', 's', round(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 1), NULL
             WHERE pg_is_in_recovery()",
    },
    Question {
        name: "tables",
        about: "the largest; bloat is an estimate from the statistics of ANALYZE",
        columns: &["table", "size", "live_rows", "dead_rows", "dead_percent", "bloat_percent", "last_vacuum", "advice"],
        sql: "
            WITH widths AS (
                SELECT schemaname, tablename, sum((1 - null_frac) * avg_width) AS bytes
                  FROM pg_stats GROUP BY schemaname, tablename
            ), found AS (
                SELECT t.relname, pg_table_size(t.relid) AS bytes, t.n_live_tup, t.n_dead_tup,
                       round(100.0 * t.n_dead_tup / nullif(t.n_live_tup + t.n_dead_tup, 0), 1) AS dead_percent,
                       -- 28 bytes are the head of a row and its line pointer, 8168 what a page holds.
                       CASE WHEN c.relpages > 10 AND c.reltuples > 0 THEN
                           greatest(0, round((100 - 100 * ceil(c.reltuples * (28 + w.bytes) / 8168) / c.relpages)::numeric, 1))
                       END AS bloat_percent,
                       greatest(t.last_vacuum, t.last_autovacuum) AS last_vacuum
                  FROM pg_stat_user_tables t
                  JOIN pg_class c ON c.oid = t.relid
                  LEFT JOIN widths w ON w.schemaname = t.schemaname AND w.tablename = t.relname
                 WHERE t.schemaname = 'public'
            )
            SELECT relname AS table, pg_size_pretty(bytes) AS size, bytes, n_live_tup AS live_rows, n_dead_tup AS dead_rows,
                   dead_percent, bloat_percent, date_trunc('second', last_vacuum)::text AS last_vacuum,
                   CASE WHEN n_dead_tup > 1000 AND dead_percent > 20 THEN format('VACUUM (ANALYZE) %I;', relname)
                        WHEN bloat_percent > 50 AND bytes > 104857600
                             THEN format('VACUUM FULL %I;  -- takes the table from everybody meanwhile', relname) END AS advice
              FROM found
             ORDER BY bytes DESC, relname
             LIMIT {limit}",
    },
    Question {
        name: "locks",
        about: "locks on tables, by mode",
        columns: &["table", "mode", "granted", "count"],
        sql: "
            SELECT relation::regclass::text AS table, mode, granted, count(*) AS count
              FROM pg_locks l
              JOIN pg_class c ON c.oid = l.relation
              JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
             WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND c.relkind IN ('r', 'p') AND l.pid <> pg_backend_pid()
             GROUP BY 1, 2, 3
             ORDER BY granted, count DESC, 1, 2
             LIMIT {limit}",
    },
    Question {
        name: "replicas",
        about: "who follows this server, and how far behind",
        columns: &["replica", "address", "state", "behind_bytes", "lag_seconds"],
        sql: "
            SELECT application_name AS replica, client_addr::text AS address, state,
                   CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) END AS behind_bytes,
                   round(extract(epoch FROM replay_lag), 3) AS lag_seconds
              FROM pg_stat_replication
             ORDER BY lag_seconds DESC NULLS LAST
             LIMIT {limit}",
    },
];
