//! What is to be true of a database after any test: no book contradicts another.

use turnpike_host::cli::audit_log;

use crate::host::TestHost;

/// What the types of events begin with that happen to people who need not have signed in.
const WITHOUT_CREDENTIAL: [&str; 6] = [
    "email.",
    "login.",
    "password.reset",
    "signing_key.published",
    "totp.removed",
    "user.registered",
];

impl TestHost {
    /// Fails if the ledger, the platform's figures, the alerts on usage, the audit log or the ids
    /// of what organizations own are not what they are kept to be.
    pub async fn assert_books_are_sound(&self) {
        self.assert_ledger_is_sound().await;
        self.assert_analytics_are_sound().await;
        self.assert_usage_alerts_are_sound().await;
        self.assert_audit_log_is_sound().await;
        self.assert_audit_events_say_who_asked().await;
        self.assert_ids_lead_to_owners().await;
    }

    /// Fails with every row of an organization whose id does not end with the organization's slot,
    /// which is what leads from the id to the organization's database.
    pub async fn assert_ids_lead_to_owners(&self) {
        let tables = self
            .query(
                "SELECT c.relname::text FROM pg_class c
                  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                    AND (SELECT count(*) FROM pg_attribute a
                          WHERE a.attrelid = c.oid AND a.atttypid = 'uuid'::regtype
                            AND a.attname IN ('organization_id', 'id')) = 2
                  ORDER BY c.relname",
            )
            .await;
        let tables = tables.iter().map(|row| row.get::<_, String>(0));
        let strays: Vec<String> = tables
            .map(|table| {
                format!(
                    "SELECT '{table} ' || id || ' of ' || organization_id FROM {table}
                      WHERE owned_id(organization_id, id) <> id"
                )
            })
            .collect();
        assert!(!strays.is_empty(), "no table has what organizations own");
        let rows = self.query(&strays.join(" UNION ALL ")).await;
        let strays: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        assert!(
            strays.is_empty(),
            "ids must end with the slot of their organization (`owned` in shared/src/ids.rs, owned_id() in \
             SQL):\n{}",
            strays.join("\n")
        );
    }

    /// Fails with every violation that a statement finds: whose it is, and what it is.
    async fn assert_none_violates(&self, sql: &str, what: &str) {
        let rows = self.query(sql).await;
        let violations: Vec<String> = rows
            .iter()
            .map(|row| format!("{}: {}", row.get::<_, &str>(0), row.get::<_, &str>(1)))
            .collect();
        assert!(
            violations.is_empty(),
            "{what} not sound:\n{}",
            violations.join("\n")
        );
    }

    /// Fails with every violation that the ledger's own check finds.
    pub async fn assert_ledger_is_sound(&self) {
        let sql = "SELECT 'account ' || account_id, violation FROM ledger_violations()
                   UNION ALL SELECT 'allocation of ' || user_id, violation FROM allocation_violations()";
        self.assert_none_violates(sql, "the ledger is").await;
    }

    /// Fails with everything in which the platform's figures differ from what they are of.
    pub async fn assert_analytics_are_sound(&self) {
        let sql = "SELECT subject, violation FROM analytics_violations()";
        self.assert_none_violates(sql, "the figures of the platform are")
            .await;
    }

    /// Fails with every total that is not what was counted, and every alert that should have fired.
    pub async fn assert_usage_alerts_are_sound(&self) {
        let sql = "SELECT organization_id::text, violation FROM usage_alert_violations()";
        self.assert_none_violates(sql, "the alerts on usage are")
            .await;
    }

    /// Fails with everything in which what meters counted contradicts itself. Tests that write
    /// rollups by hand do not call it.
    pub async fn assert_usage_is_sound(&self) {
        let sql = "SELECT organization_id::text, violation FROM usage_violations()";
        self.assert_none_violates(sql, "what meters counted is")
            .await;
    }

    /// Fails with the first broken link of each organization's audit log.
    pub async fn assert_audit_log_is_sound(&self) {
        let violations = self.audit_violations().await;
        assert!(
            violations.is_empty(),
            "the audit log is not sound: {violations:?}"
        );
    }

    /// Fails with every event of the audit log that does not say where its request came from, or
    /// with which session or API key, where somebody had signed in.
    pub async fn assert_audit_events_say_who_asked(&self) {
        let rows = self
            .query(
                "SELECT event_type, address IS NULL, session_id IS NULL AND api_key_id IS NULL
                   FROM audit_events ORDER BY organization_id, sequence",
            )
            .await;
        let silent: Vec<String> = rows
            .iter()
            .map(|row| {
                (
                    row.get::<_, String>(0),
                    row.get::<_, bool>(1),
                    row.get::<_, bool>(2),
                )
            })
            .filter(|(event, has_no_address, has_no_credential)| {
                let needs_none = WITHOUT_CREDENTIAL.iter().any(|one| event.starts_with(one));
                *has_no_address || (*has_no_credential && !needs_none)
            })
            .map(|(event, ..)| event)
            .collect();
        assert!(
            silent.is_empty(),
            "the operations that leave these events must be declared `.audited()`: {silent:?}"
        );
    }

    /// Fails if a lease on the hashing of passwords was kept. What a request takes that is answered
    /// 503, because the machine is busy, runs out by itself.
    pub async fn assert_leases_are_given_back(&self) {
        let rows = self.query("SELECT count(*) FROM hash_leases").await;
        let kept = usize::try_from(rows[0].get::<_, i64>(0)).unwrap_or(usize::MAX);
        let lines = self.log_lines();
        let is_cut_off = |line: &&String| line.contains("postgres is unavailable");
        assert!(
            kept <= lines.iter().filter(is_cut_off).count(),
            "every lease must be given back, and {kept} were not"
        );
    }

    /// The first broken link of each organization's audit log, as its number and what is wrong.
    pub async fn audit_violations(&self) -> Vec<(i64, String)> {
        let verification = audit_log::verify(self.db(), &[]).await;
        let verification = verification.expect("the audit log can be read");
        let broken = verification.broken_links.into_iter();
        broken.map(|link| (link.sequence, link.reason)).collect()
    }
}
