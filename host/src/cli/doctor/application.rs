//! What Turnpike keeps in the database: its schema, mail that waits, and the keys that sign.

use anyhow::{Context, Result};
use tokio_postgres::Client;

use super::Finding;
use crate::cli::Project;
use crate::migrations::{self, Difference};

/// Mail that is due for longer than this was forgotten by the scheduler, which comes every minute.
const MAX_MAIL_AGE: &str = "15 minutes";

/// What lapsed longer ago than this was forgotten by the scheduler, which comes every hour.
const MAX_LAPSED_AGE: &str = "24 hours";

/// Compares the schema with the project's files, and looks at the tables if they are there. What was
/// found before something fails is among the findings.
///
/// # Errors
/// Something could not be looked at.
pub async fn check(client: &Client, project: &Project, findings: &mut Vec<Finding>) -> Result<()> {
    let differences = migrations::compare(client, project.root())
        .await
        .context("cannot compare the schema with the project's files")?;
    let is_migrated = !differences.contains(&Difference::NeverMigrated);
    findings.extend(differences.into_iter().map(schema));
    if is_migrated && has_table(client, "outbox_messages").await? {
        findings.extend(mail(client).await.context("cannot look at the mail")?);
    }
    // Another release may not have it, which was said already.
    if has_function(client, "retention_due(interval, integer)").await? {
        let found = retention(client).await;
        findings.extend(found.context("cannot look at what has lapsed")?);
    }
    if is_migrated && has_table(client, "signing_keys").await? {
        findings.extend(
            signing_keys(client)
                .await
                .context("cannot look at the keys")?,
        );
    }
    Ok(())
}

async fn has_table(client: &Client, name: &str) -> Result<bool> {
    let row = client
        .query_one("SELECT to_regclass($1) IS NOT NULL", &[&name])
        .await?;
    Ok(row.try_get(0)?)
}

async fn has_function(client: &Client, signature: &str) -> Result<bool> {
    let row = client
        .query_one("SELECT to_regprocedure($1) IS NOT NULL", &[&signature])
        .await?;
    Ok(row.try_get(0)?)
}

/// Rows that a purge should have deleted long ago.
async fn retention(client: &Client) -> Result<Option<Finding>> {
    let row = client
        .query_one(
            &format!(
                "SELECT string_agg(DISTINCT due ->> 'table', ', ')
                   FROM json_array_elements(retention_due(interval '{MAX_LAPSED_AGE}', 1)) due
                  WHERE due ->> 'lapsed_rows' <> '0'"
            ),
            &[],
        )
        .await?;
    let tables: Option<String> = row.try_get(0)?;
    Ok(tables.map(|tables| {
        Finding::advice(
            "retention",
            format!("rows lapsed more than a day ago and are still there: {tables}"),
            "tables grow, and what is deleted for good should not be in them",
            "curl -X POST \"$PUBLIC_URL/api/v1/retention/purges\" -H \"authorization: Bearer $KEY\"   \
             # each hour, by a scheduler, with a key that has the scope retention:purge",
        )
    }))
}

fn schema(difference: Difference) -> Finding {
    const AREA: &str = "migrations";
    const MIGRATE: &str = "turnpike migrate";
    match difference {
        Difference::NeverMigrated => Finding::wrong(
            AREA,
            "the database was never migrated",
            "there are no tables, so every request is a 503",
            MIGRATE,
        ),
        Difference::MigrationsLack(names) => Finding::wrong(
            AREA,
            format!(
                "the database lacks {}: {}",
                count(names.len(), "migration"),
                names.join(", ")
            ),
            "requests that need them are 500",
            MIGRATE,
        ),
        Difference::Contradiction(text) => Finding::wrong(
            AREA,
            text,
            "`turnpike migrate` refuses to go on",
            "git status migrations; git log --oneline -- migrations",
        ),
        Difference::OtherFunctions => Finding::wrong(
            AREA,
            "the SQL functions are not those of this release",
            "components call functions that are missing or do something else",
            MIGRATE,
        ),
        Difference::NewerRelease(newer) => Finding::wrong(
            AREA,
            newer.to_string(),
            "this release may call functions that the newer one replaced",
            "git fetch --tags   # and use the release that the database has",
        ),
        Difference::Leftovers(names) => Finding::advice(
            AREA,
            format!(
                "{} of earlier releases: {}",
                count(names.len(), "SQL function"),
                names.join(", ")
            ),
            "nothing of this release calls them, and they keep columns and tables from going",
            "turnpike migrate --prune   # once no instance of the release before runs any more",
        ),
    }
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

async fn mail(client: &Client) -> Result<Vec<Finding>> {
    let row = client
        .query_one(
            &format!(
                "SELECT count(*) FILTER (WHERE is_late),
                        coalesce(max(age_minutes) FILTER (WHERE is_late), 0),
                        coalesce(string_agg(DISTINCT last_error, '; ') FILTER (WHERE is_late), ''),
                        count(*) FILTER (WHERE is_given_up),
                        coalesce(string_agg(DISTINCT last_error, '; ') FILTER (WHERE is_given_up), '')
                   FROM (SELECT settled_at IS NULL AND next_attempt_at < now() - interval '{MAX_MAIL_AGE}' AS is_late,
                                settled_at > now() - interval '1 day' AND NOT is_sent
                                    AND last_error IS NOT NULL AS is_given_up,
                                floor(extract(epoch FROM now() - next_attempt_at) / 60)::bigint AS age_minutes,
                                left(last_error, 200) AS last_error
                           FROM outbox_messages
                          WHERE settled_at IS NULL OR settled_at > now() - interval '1 day') found"
            ),
            &[],
        )
        .await?;
    let mut findings = Vec::new();
    let (late, minutes): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let with = |error: &str| match error {
        "" => String::new(),
        error => format!("; the last error was: {error}"),
    };
    if late > 0 {
        findings.push(Finding::wrong(
            "mail",
            format!(
                "{} waited for too long, the oldest for {minutes} minutes{}",
                count(usize::try_from(late)?, "message"),
                with(row.try_get(2)?)
            ),
            "people wait for links to verify an email or to reset a password",
            "curl -X POST \"$PUBLIC_URL/api/v1/outbox/deliveries\" -H \"authorization: Bearer $KEY\"   \
             # each minute, by a scheduler, with a key that has the scope outbox:deliver",
        ));
    }
    let given_up: i64 = row.try_get(3)?;
    if given_up > 0 {
        findings.push(Finding::wrong(
            "mail",
            format!(
                "{} given up since yesterday{}",
                count(usize::try_from(given_up)?, "message"),
                with(row.try_get(4)?)
            ),
            "they are not tried again",
            "curl -i \"$SPIN_VARIABLE_MAIL_URL\"   # see what the adapter answers",
        ));
    }
    Ok(findings)
}

async fn signing_keys(client: &Client) -> Result<Option<Finding>> {
    let row = client
        .query_one(
            "SELECT EXISTS (SELECT 1 FROM signing_keys
                             WHERE signs_from <= now() AND (retired_at IS NULL OR retired_at > now()))",
            &[],
        )
        .await?;
    let one_signs: bool = row.try_get(0)?;
    Ok((!one_signs).then(|| {
        Finding::wrong(
            "keys",
            "no key signs JWTs now",
            "verifiers know no key that the next token can be signed with, and refuse it",
            "curl -X POST \"$PUBLIC_URL/api/v1/auth/signing-keys\" -H \"authorization: Bearer $TOKEN\"   \
             # by a holder of signing_keys:manage",
        )
    }))
}
