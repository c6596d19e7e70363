//! Indexes that are missing, unused, or there twice.

use super::Question;

/// The table of references whose columns have no index.
pub const REFERENCES: &str = "references_without_index";

pub const QUESTIONS: [Question; 4] = [
    Question {
        name: "unused_indexes",
        about: "no statement read them since the statistics began; look at replicas too before dropping one",
        columns: &["table", "index", "size", "since", "advice"],
        // An index of a partitioned table is used when that of a partition is.
        sql: "
            WITH used AS (
                SELECT i.indexrelid, i.indrelid,
                       coalesce((SELECT sum(s.idx_scan)::bigint
                                   FROM pg_partition_tree(i.indexrelid) t
                                   JOIN pg_stat_user_indexes s ON s.indexrelid = t.relid),
                                (SELECT s.idx_scan FROM pg_stat_user_indexes s WHERE s.indexrelid = i.indexrelid),
                                0) AS scans,
                       coalesce((SELECT sum(pg_relation_size(t.relid)) FROM pg_partition_tree(i.indexrelid) t),
                                pg_relation_size(i.indexrelid)) AS bytes
                  FROM pg_index i
                  JOIN pg_class c ON c.oid = i.indexrelid AND NOT c.relispartition
                  JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
                 WHERE NOT i.indisunique AND NOT i.indisexclusion
            )
            SELECT indrelid::regclass::text AS table, indexrelid::regclass::text AS index,
                   pg_size_pretty(bytes) AS size, bytes,
                   (SELECT coalesce(stats_reset::text, 'the first start') FROM pg_stat_database
                     WHERE datname = current_database()) AS since,
                   format('DROP INDEX %s;', indexrelid::regclass) AS advice
              FROM used
             WHERE scans = 0
             ORDER BY bytes DESC, index
             LIMIT {limit}",
    },
    Question {
        name: "duplicate_indexes",
        about: "another index of the table begins with the same columns and serves the same statements",
        columns: &["table", "index", "covered_by", "size", "advice"],
        sql: "
            WITH indexes AS (
                SELECT i.indexrelid, i.indrelid, i.indisunique, i.indnkeyatts, c.relam,
                       (SELECT array_agg(pg_get_indexdef(i.indexrelid, k, true) || ' ' || i.indclass[k - 1]
                                         || ' ' || i.indcollation[k - 1] || ' ' || i.indoption[k - 1] ORDER BY k)
                          FROM generate_series(1, i.indnkeyatts) k) AS keys,
                       i.indnatts - i.indnkeyatts AS included,
                       coalesce(pg_get_expr(i.indpred, i.indrelid), '') AS predicate,
                       pg_relation_size(i.indexrelid) AS bytes
                  FROM pg_index i
                  JOIN pg_class c ON c.oid = i.indexrelid AND NOT c.relispartition
                  JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
                 WHERE NOT i.indisexclusion
            )
            SELECT DISTINCT ON (a.indexrelid) a.indrelid::regclass::text AS table,
                   a.indexrelid::regclass::text AS index, b.indexrelid::regclass::text AS covered_by,
                   pg_size_pretty(a.bytes) AS size, a.bytes,
                   format('DROP INDEX %s;', a.indexrelid::regclass) AS advice
              FROM indexes a
              JOIN indexes b ON b.indrelid = a.indrelid AND b.indexrelid <> a.indexrelid AND b.relam = a.relam
                            AND b.predicate = a.predicate AND b.keys[1:a.indnkeyatts] = a.keys
             WHERE NOT a.indisunique AND a.included = 0
               -- Of two that are the same one is listed: the younger.
               AND (b.indisunique OR b.included > 0 OR b.indnkeyatts > a.indnkeyatts OR b.indexrelid < a.indexrelid)
             ORDER BY a.indexrelid, b.indexrelid
             LIMIT {limit}",
    },
    Question {
        name: REFERENCES,
        about: "deleting or changing a referenced row reads the whole table; worth an index if that happens. \
                Costs are Postgres' estimates for finding the rows of one, now and with the index",
        columns: &["table", "reference", "rows", "cost", "cost_with_index", "index_size", "advice"],
        sql: "
            SELECT k.conrelid::regclass::text AS table, k.conname AS reference, c.reltuples::bigint AS rows,
                   l.columns, NULL AS cost, NULL AS cost_with_index, NULL AS index_size,
                   format('CREATE INDEX CONCURRENTLY ON %s (%s);', k.conrelid::regclass, l.columns) AS advice
              FROM pg_constraint k
              JOIN pg_class c ON c.oid = k.conrelid AND NOT c.relispartition
              JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
             CROSS JOIN LATERAL (
                   SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY u.place) AS columns
                     FROM unnest(k.conkey) WITH ORDINALITY u(attnum, place)
                     JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum) l
             WHERE k.contype = 'f'
               AND NOT EXISTS (SELECT 1 FROM pg_index i
                                WHERE i.indrelid = k.conrelid AND i.indpred IS NULL
                                  AND (i.indkey::smallint[])[0:cardinality(k.conkey) - 1] @> k.conkey)
             ORDER BY c.reltuples DESC, 1, 2
             LIMIT {limit}",
    },
    Question {
        name: "tables_read_whole",
        about: "read from beginning to end, with many rows each time; `turnpike queries slow` may name the statement",
        columns: &["table", "whole_reads", "rows_each_time", "index_reads", "rows"],
        sql: "
            SELECT relname AS table, seq_scan AS whole_reads, seq_tup_read / seq_scan AS rows_each_time,
                   idx_scan AS index_reads, n_live_tup AS rows
              FROM pg_stat_user_tables
             WHERE schemaname = 'public' AND seq_scan >= 10 AND seq_tup_read / seq_scan >= 1000
             ORDER BY seq_tup_read DESC
             LIMIT {limit}",
    },
];
