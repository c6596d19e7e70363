//! Meters, alerts and entitlements.

use super::Row;

pub const ROWS: [Row; 23] = [
    Row {
        name: "usage_summary",
        sql: "CALL explain_meter('calls', 'count');
              SELECT usage_summary(explain_digest(5), 'calls', '2026-01-05', '2026-01-12', true, true, 'day', 'UTC', NULL, '{}', 800, 10000, 100000, 10000)",
        answer: "672",
        indexes: &["usage_hour_rollups_pkey"],
    },
    Row {
        name: "usage_summary by hour",
        sql: "CALL explain_meter('calls', 'count');
              SELECT usage_summary(explain_digest(5), 'calls', '2026-01-05', '2026-01-12', true, true, 'hour', 'UTC', NULL, '{}', 800, 10000, 100000, 10000)",
        answer: "2026-01-11T23:00:00",
        indexes: &["usage_hour_rollups_pkey"],
    },
    Row {
        name: "usage_summary by hours that are not those of UTC",
        sql: "CALL explain_meter('calls', 'count');
              SELECT usage_summary(explain_digest(5), 'calls', '2026-01-05', '2026-01-12', true, true, 'hour', 'Asia/Kolkata', NULL, '{}', 800, 10000, 100000, 10000)",
        answer: "2026-01-11T17:30:00",
        indexes: &["usage_rollups_pkey"],
    },
    Row {
        name: "usage_summary of a subject",
        sql: "CALL explain_meter('calls', 'count');
              SELECT usage_summary(explain_digest(5), 'calls', '2026-01-05', '2026-01-12', true, true, 'day', 'UTC', 'cus_1', '{}', 800, 10000, 100000, 10000)",
        answer: "168",
        indexes: &["usage_subject_rollups_pkey"],
    },
    Row {
        name: "usage_summary of time",
        sql: "CALL explain_meter('seats', 'time_weighted_sum');
              SELECT usage_summary(explain_digest(5), 'seats', '2026-01-05', '2026-01-12', true, true, 'day', 'UTC', NULL, '{}', 800, 10000, 100000, 10000)",
        // Four levels of 1 for seven days.
        answer: "2419200",
        indexes: &["usage_levels_pkey", "usage_level_series_pkey"],
    },
    Row {
        name: "usage_summary of a subject's time",
        sql: "CALL explain_meter('seats', 'time_weighted_sum');
              SELECT usage_summary(explain_digest(5), 'seats', '2026-01-05', '2026-01-12', true, true, 'day', 'UTC', 'cus_1', '{}', 800, 10000, 100000, 10000)",
        answer: "604800",
        indexes: &["usage_levels_pkey", "usage_level_series_pkey"],
    },
    Row {
        name: "usage_ingest of levels",
        sql: "CALL explain_meter('seats', 'time_weighted_sum');
              SELECT usage_ingest(explain_digest(5), '{1}', '{\"\"}', '{event-new}', '{cus_1}', '{call}', ARRAY[unix_millis(now()) * 1000], '{\"{\\\"n\\\":1}\"}', false)",
        answer: "\"accepted\" : [1]",
        indexes: &[],
    },
    Row {
        name: "usage_ingest",
        sql: "SELECT usage_ingest(explain_digest(5), '{1}', '{\"\"}', '{event-new}', '{cus_1}', '{call}', ARRAY[unix_millis(now()) * 1000], '{\"{}\"}', false)",
        answer: "\"accepted\" : [1]",
        indexes: &["usage_closed_periods_pkey"],
    },
    Row {
        name: "usage_ingest_many",
        sql: "SELECT usage_ingest_many(ARRAY[explain_digest(5), explain_digest(5)], '{\"{1}\",\"{1}\"}', ARRAY['{\"\"}', '{\"\"}'],
                                       '{\"{event-new}\",\"{event-other}\"}', '{\"{cus_1}\",\"{cus_1}\"}', '{\"{call}\",\"{call}\"}',
                                       array_fill('{'::text || unix_millis(now()) * 1000 || '}', ARRAY[2]), ARRAY['{\"{}\"}', '{\"{}\"}'])",
        answer: "accepted",
        indexes: &["usage_closed_periods_pkey"],
    },
    Row {
        name: "usage_closed_period_put",
        sql: "CALL explain_administrator();
              SELECT usage_closed_period_put(explain_digest(5), explain_id(1), '2026-02-01Z')",
        answer: "2026-02-01T00:00:00",
        indexes: &["usage_closed_periods_pkey", "organizations_pkey", "audit_heads_pkey"],
    },
    Row {
        name: "usage_ingest with alerts",
        sql: "CALL explain_meter('calls', 'count');
              SELECT usage_ingest(explain_digest(5), '{1}', '{\"\"}', '{event-new}', '{cus_1}', '{call}', ARRAY[unix_millis(now()) * 1000], '{\"{}\"}', false)",
        answer: "\"accepted\" : [1]",
        indexes: &["usage_alerts_active", "usage_alert_totals_pkey", "usage_subject_rollups_pkey"],
    },
    Row {
        name: "usage_alert_create",
        sql: "CALL explain_meter('calls', 'count');
              SELECT usage_alert_create(explain_digest(5), gen_random_uuid(), 'Alert', 'calls', NULL, 'month', '{1}', NULL, 50, 5)",
        answer: "created",
        indexes: &["usage_alerts_active", "usage_rollups_pkey", "usage_alert_totals_pkey"],
    },
    Row {
        name: "usage_alerts_list",
        sql: "SELECT usage_alerts_list(explain_digest(5), 20, 100)",
        answer: "Alert",
        indexes: &["usage_alerts_by_sequence"],
    },
    Row {
        name: "usage_alert_firings_list",
        sql: "SELECT usage_alert_firings_list(explain_digest(5), NULL, 20, 100)",
        answer: "ual_",
        indexes: &["usage_alert_firings_by_sequence"],
    },
    Row {
        name: "usage_alert_firings_list of an alert",
        sql: "SELECT usage_alert_firings_list(explain_digest(5), explain_id(2), 20, 100)",
        answer: "ual_",
        indexes: &["usage_alert_firings_by_alert"],
    },
    Row {
        name: "entitlement_check",
        sql: "CALL explain_meter('calls', 'count');
              CALL explain_entitlement('cus_1', 1000, '2026-01-05Z', 'infinity');
              SELECT entitlement_check(explain_digest(5), 'calls', 'cus_1', 5)",
        answer: "\"used\" : \"400\"",
        indexes: &["entitlement_names_pkey", "entitlements_pkey", "usage_subject_rollups_pkey"],
    },
    Row {
        name: "entitlement_check of a meter with groups",
        sql: "CALL explain_meter('calls', 'count', '{model}');
              CALL explain_entitlement('cus_1', 1000000, '2026-01-05 05:00Z', '2028-01-05 05:00Z');
              SELECT entitlement_check(explain_digest(5), 'calls', 'cus_1', 5)",
        answer: "\"has_access\" : true",
        indexes: &["usage_day_totals_pkey", "usage_subject_rollups_pkey"],
    },
    Row {
        name: "entitlement_check of the organization",
        sql: "CALL explain_meter('calls', 'count');
              CALL explain_entitlement('', 1000, '2026-01-05Z', 'infinity');
              SELECT entitlement_check(explain_digest(5), 'calls', NULL, 5)",
        answer: "\"used\" : \"1613\"",
        indexes: &["entitlement_names_pkey", "entitlements_pkey", "usage_rollups_pkey"],
    },
    Row {
        name: "entitlements_list",
        sql: "SELECT entitlements_list(explain_digest(5), NULL, NULL, NULL, 20, 1000000)",
        answer: "ent_",
        indexes: &["entitlements_by_sequence"],
    },
    Row {
        name: "entitlements_list of a subject",
        sql: "SELECT entitlements_list(explain_digest(5), NULL, 'cus_1', NULL, 20, 1000000)",
        answer: "ent_",
        indexes: &["entitlements_by_subject"],
    },
    Row {
        name: "entitlements_list of a feature",
        sql: "SELECT entitlements_list(explain_digest(5), NULL, NULL, 'feature-7', 20, 1000000)",
        answer: "ent_",
        indexes: &["entitlements_by_feature"],
    },
    Row {
        name: "entitlements_list of a subject and a feature",
        sql: "SELECT entitlements_list(explain_digest(5), NULL, 'cus_1', 'feature-7', 20, 1000000)",
        answer: "ent_",
        indexes: &["entitlement_names_pkey", "entitlements_pkey"],
    },
    Row {
        name: "entitlement_create",
        sql: "SELECT entitlement_create(explain_digest(5), explain_id(5000000), NULL, 'cus_1', 'new', 'boolean', NULL, NULL,
                                        NULL, NULL, NULL, 100000)",
        answer: "created",
        indexes: &["entitlements_pkey", "entitlement_names_pkey"],
    },
];
