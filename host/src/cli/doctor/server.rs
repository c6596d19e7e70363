//! The Postgres server: its clock, its version, its settings, and room for connections.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use chrono::Utc;
use shared::store::timeouts::SESSION_TIMEOUTS;
use tokio_postgres::Client;

use super::Level::{self, Advice, Wrong};
use super::{Finding, Purpose};
use crate::cli::Project;
use crate::cli::queries::INSTALL_STATISTICS;
use crate::imports::postgres::PostgresOptions;
use crate::postgres_cluster::OLDEST_MAJOR_VERSION;

/// How far apart the clocks of this machine and of the database may be. Tokens, leases and what is
/// cached have lifetimes in seconds.
const MAX_SKEW_MILLIS: i64 = 2_000;

/// What the other tools of an operator need beside the host, such as this command.
const SPARE_CONNECTIONS: usize = 5;

/// Room for a pool of each component under Spin, as docs/operations.md says.
const CONNECTIONS_UNDER_SPIN: usize = 500;

/// A setting that must have one of some values.
struct Setting {
    name: &'static str,
    right: &'static [&'static str],
    level: Level,
    reason: &'static str,
    remedy: &'static str,
}

const SETTINGS: [Setting; 6] = [
    Setting {
        name: "fsync",
        right: &["on"],
        level: Wrong,
        reason: "a crash of the machine can destroy the database",
        remedy: "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();",
    },
    Setting {
        name: "full_page_writes",
        right: &["on"],
        level: Wrong,
        reason: "a crash of the machine can leave pages that are half written",
        remedy: "ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf();",
    },
    Setting {
        name: "synchronous_commit",
        right: &["on", "local", "remote_write", "remote_apply"],
        level: Wrong,
        reason: "a crash can lose spends that were acknowledged",
        remedy: "ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();\n\
                 -- and where it is set on the database: ALTER DATABASE ... RESET synchronous_commit;",
    },
    Setting {
        name: "autovacuum",
        right: &["on"],
        level: Wrong,
        reason: "tables grow with every change, and their statistics become false",
        remedy: "ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf();",
    },
    Setting {
        name: "password_encryption",
        right: &["scram-sha-256"],
        level: Wrong,
        reason: "passwords of roles that are set from now on can be guessed fast from their hashes",
        remedy: "ALTER SYSTEM SET password_encryption = 'scram-sha-256'; SELECT pg_reload_conf();\n\
                 -- then set the role's password anew: \\password",
    },
    Setting {
        name: "TimeZone",
        right: &[
            "UTC",
            "Etc/UTC",
            "UCT",
            "Etc/UCT",
            "Zulu",
            "Universal",
            "GMT",
            "Etc/GMT",
        ],
        level: Advice,
        reason: "days and times in queries by hand and in exports are those of that zone, and not \
                 those of Turnpike's answers",
        remedy: "ALTER DATABASE ... SET timezone = 'UTC';",
    },
];

/// What the server says of itself.
#[derive(Debug, Clone)]
struct Server {
    /// As 150004.
    version: i32,
    /// How much the server's clock is ahead of ours.
    skew_millis: i64,
    settings: BTreeMap<String, String>,
    /// As SQL writes it, like the database's name.
    role: String,
    is_superuser: bool,
    database: String,
}

/// Asks the server, and judges what it says.
pub async fn check(client: &Client, project: &Project, purpose: Purpose) -> Result<Vec<Finding>> {
    let server = read(client).await.context("cannot read the settings")?;
    let pools = project.manifest().map_or(0, |manifest| {
        let uses_postgres = manifest
            .components
            .values()
            .filter(|component| component.variables.contains_key("db_url"));
        uses_postgres.count()
    });
    Ok(judge(&server, purpose, pools))
}

async fn read(client: &Client) -> Result<Server> {
    let before = Utc::now();
    let row = client
        .query_one(
            "SELECT clock_timestamp(), current_setting('server_version_num')::integer,
                    quote_ident(current_user), quote_ident(current_database()),
                    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)",
            &[],
        )
        .await?;
    let after = Utc::now();
    let theirs: chrono::DateTime<Utc> = row.try_get(0)?;
    // The server looked at its clock between our two looks: so much is sure.
    let skew_millis = if theirs > after {
        (theirs - after).num_milliseconds()
    } else if theirs < before {
        (theirs - before).num_milliseconds()
    } else {
        0
    };
    let settings = client
        .query("SELECT name, setting FROM pg_settings", &[])
        .await?;
    Ok(Server {
        version: row.try_get(1)?,
        skew_millis,
        settings: settings
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect::<Result<_, tokio_postgres::Error>>()?,
        role: row.try_get(2)?,
        is_superuser: row.try_get(4)?,
        database: row.try_get(3)?,
    })
}

fn judge(server: &Server, purpose: Purpose, pools: usize) -> Vec<Finding> {
    let mut findings = Vec::new();
    if server.skew_millis.abs() > MAX_SKEW_MILLIS {
        let direction = if server.skew_millis > 0 {
            "ahead of"
        } else {
            "behind"
        };
        findings.push(Finding::wrong(
            "clock",
            format!(
                "the database's clock is {} ms {direction} this machine's",
                server.skew_millis.abs()
            ),
            "tokens end early or late, and what is cached is kept for too long",
            "timedatectl set-ntp true   # on both machines",
        ));
    }
    let major_version = server.version / 10_000;
    if i64::from(major_version) < i64::from(OLDEST_MAJOR_VERSION) {
        findings.push(Finding::wrong(
            "settings",
            format!("Postgres is version {major_version}"),
            format!("Turnpike needs version {OLDEST_MAJOR_VERSION} or later"),
            "upgrade it with pg_upgrade",
        ));
    }
    let value = |name: &str| server.settings.get(name).map_or("", String::as_str);
    for setting in &SETTINGS {
        let found = value(setting.name);
        if !setting.right.contains(&found) {
            findings.push(Finding {
                level: setting.level,
                area: "settings",
                problem: format!("{} is {found}", setting.name),
                reason: setting.reason.to_owned(),
                remedy: setting
                    .remedy
                    .replace("DATABASE ...", &format!("DATABASE {}", server.database)),
            });
        }
    }
    findings.extend(timeouts(server, &value));
    findings.extend(connections(&value, pools, purpose));
    if purpose == Purpose::Production {
        // The list of libraries is for superusers to see; a setting of one that is loaded is for all.
        if !server.settings.contains_key("pg_stat_statements.max") {
            findings.push(Finding::advice(
                "settings",
                "pg_stat_statements is not loaded",
                "`turnpike queries slow` has nothing to show",
                INSTALL_STATISTICS,
            ));
        }
        if server.is_superuser {
            findings.push(Finding::advice(
                "settings",
                format!("the role {} is a superuser", server.role),
                "the triggers that keep the ledger and the audit log append-only do not bind it",
                "give components a role of their own: docs/operations.md, \"Your own\"",
            ));
        }
    }
    findings
}

/// The timeouts that `turnpike migrate` gives to its role.
fn timeouts<'a>(server: &Server, value: &impl Fn(&str) -> &'a str) -> Option<Finding> {
    let others: Vec<_> = SESSION_TIMEOUTS
        .iter()
        .filter(|(name, millis)| value(name) != millis.to_string())
        .collect();
    if others.is_empty() {
        return None;
    }
    let found = others
        .iter()
        .map(|(name, _)| format!("{name} is {} ms", value(name)))
        .collect::<Vec<_>>();
    let remedy = others
        .iter()
        .map(|(name, millis)| {
            format!(
                "ALTER ROLE {} IN DATABASE {} SET {name} = '{millis}ms';",
                server.role, server.database
            )
        })
        .collect::<Vec<_>>();
    Some(Finding::wrong(
        "settings",
        format!("the role {}: {}", server.role, found.join(", ")),
        "a statement can commit after its client was told 503, and be missing from what is cached",
        remedy.join("\n"),
    ))
}

fn connections<'a>(
    value: &impl Fn(&str) -> &'a str,
    pools: usize,
    purpose: Purpose,
) -> Option<Finding> {
    let number = |name: &str| value(name).parse::<usize>().unwrap_or_default();
    let max = number("max_connections");
    let room = max.saturating_sub(number("superuser_reserved_connections"));
    let pool = PostgresOptions::default().pool_size;
    let raise = |wanted: usize| {
        format!("ALTER SYSTEM SET max_connections = {wanted};   -- then restart Postgres")
    };
    if room < pool + SPARE_CONNECTIONS {
        return Some(Finding::wrong(
            "settings",
            format!("max_connections is {max}, and one host's pool takes {pool}"),
            "requests are 503 when all connections are taken",
            raise(CONNECTIONS_UNDER_SPIN),
        ));
    }
    (purpose == Purpose::Production && max < CONNECTIONS_UNDER_SPIN).then(|| {
        Finding::advice(
            "settings",
            format!("max_connections is {max}"),
            format!(
                "under Spin each of {pools} components has a pool of its own; with the host of \
                 this project, or behind PgBouncer, {max} are enough for {} hosts",
                room / pool
            ),
            raise(CONNECTIONS_UNDER_SPIN),
        )
    })
}

#[cfg(test)]
mod tests;
