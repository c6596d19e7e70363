use super::*;
use crate::cli::arguments::DatabaseArguments;
use crate::postgres_cluster::{Cluster, Durability, ScratchDirectory, connect};

async fn database(url: &str) -> Database {
    let arguments = DatabaseArguments {
        database_url: Some(url.to_owned()),
    };
    Database::open(&Project::of_this_program(), arguments)
        .await
        .expect("the address is taken as it is")
}

/// One thing that is done to a database that was well, and what is found then.
struct Case {
    sql: &'static str,
    level: Level,
    area: &'static str,
    problem: &'static str,
    remedy: &'static str,
}

const fn wrong(
    area: &'static str,
    sql: &'static str,
    problem: &'static str,
    remedy: &'static str,
) -> Case {
    Case {
        sql,
        level: Level::Wrong,
        area,
        problem,
        remedy,
    }
}

const CASES: [Case; 16] = [
    Case {
        sql: "ALTER DATABASE {case} SET timezone = 'America/New_York'",
        level: Level::Advice,
        area: "settings",
        problem: "TimeZone is America/New_York",
        remedy: "SET timezone = 'UTC'",
    },
    wrong(
        "settings",
        "ALTER DATABASE {case} SET synchronous_commit = off",
        "synchronous_commit is off",
        "synchronous_commit = on",
    ),
    wrong(
        "settings",
        "ALTER DATABASE {case} SET password_encryption = 'md5'",
        "password_encryption is md5",
        "scram-sha-256",
    ),
    wrong(
        "settings",
        "ALTER ROLE CURRENT_USER IN DATABASE {case} RESET statement_timeout",
        "statement_timeout is 0 ms",
        "SET statement_timeout = '1500ms'",
    ),
    wrong(
        "migrations",
        "DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)",
        "lacks 1 migration: 2026",
        "turnpike migrate",
    ),
    wrong(
        "migrations",
        "UPDATE schema_migrations SET checksum = 'x' WHERE version = (SELECT max(version) FROM schema_migrations)",
        "was edited after it was applied",
        "git status",
    ),
    wrong(
        "migrations",
        "DROP TABLE schema_migrations",
        "was never migrated",
        "turnpike migrate",
    ),
    wrong(
        "migrations",
        "UPDATE function_sets SET digest = 'x'",
        "are not those of this release",
        "turnpike migrate",
    ),
    wrong(
        "migrations",
        "UPDATE function_sets SET digest = 'x', version = '99.0.0'",
        "older release",
        "use the release that the database has",
    ),
    Case {
        sql: "INSERT INTO function_sets (number, digest, version, schema_version)
              SELECT 0, 'x', version, schema_version FROM function_sets;
              UPDATE installed_functions SET set_number = 0 WHERE name = 'credits_balance'",
        level: Level::Advice,
        area: "migrations",
        problem: "1 SQL function of earlier releases: credits_balance(bytea, text)",
        remedy: "--prune",
    },
    wrong(
        "mail",
        "INSERT INTO outbox_messages (organization_id, id, kind, recipient, next_attempt_at, last_error)
         SELECT no_organization(), gen_random_uuid(), 'x', 'a@example.com', now() - interval '40 minutes', 'refused by the adapter'
           FROM generate_series(1, 2)",
        "2 messages waited for too long, the oldest for 40 minutes; the last error was: refused by the adapter",
        "outbox/deliveries",
    ),
    wrong(
        "mail",
        "INSERT INTO outbox_messages (organization_id, id, kind, recipient, settled_at, last_error)
         VALUES (no_organization(), gen_random_uuid(), 'x', 'a@example.com', now(), 'gone')",
        "1 message given up since yesterday; the last error was: gone",
        "SPIN_VARIABLE_MAIL_URL",
    ),
    wrong(
        "database",
        "ALTER TABLE outbox_messages RENAME COLUMN is_sent TO was_sent",
        "cannot look at the mail",
        "doctor again",
    ),
    Case {
        sql: "INSERT INTO mail_quota (subject, window_started, sent)
              SELECT 'email:' || n, now() - n * interval '1 hour', 1 FROM generate_series(1, 27) n",
        level: Level::Advice,
        area: "retention",
        problem: "more than a day ago and are still there: mail_quota",
        remedy: "retention/purges",
    },
    wrong("keys", "DELETE FROM signing_keys", "no key signs", "signing-keys"),
    wrong(
        "keys",
        "UPDATE signing_keys SET signs_from = now() + interval '1 day'",
        "no key signs",
        "signing-keys",
    ),
];

/// The only finding must be the expected one; without one, everything must be well.
fn check(findings: &[Finding], case: Option<&Case>) {
    match (findings, case) {
        ([], None) => {}
        ([found], Some(case)) => {
            assert_eq!(
                (found.level, found.area),
                (case.level, case.area),
                "{found} after {}",
                case.sql
            );
            assert!(
                found.problem.contains(case.problem),
                "say {:?}: {found}",
                case.problem
            );
            assert!(
                found.remedy.contains(case.remedy),
                "type {:?}: {found}",
                case.remedy
            );
            assert!(!found.reason.is_empty(), "say why: {found}");
            let json = serde_json::to_value(found).expect("a finding is JSON");
            let level = if case.level == Level::Wrong {
                "wrong"
            } else {
                "advice"
            };
            assert_eq!(json["level"], level);
            for (member, text) in [
                ("area", found.area),
                ("problem", &found.problem),
                ("reason", &found.reason),
                ("remedy", &found.remedy),
            ] {
                assert_eq!(json[member], text, "the member {member}");
            }
        }
        (found, case) => panic!("{found:#?} after {:?}", case.map(|case| case.sql)),
    }
}

#[tokio::test]
async fn each_fault_of_a_database_is_found() {
    let directory = ScratchDirectory::new();
    let cluster = Cluster::start(directory.path(), Durability::Durable)
        .await
        .expect("the private cluster starts");
    cluster
        .ensure_database("whole")
        .await
        .expect("the cluster creates databases");
    let whole = cluster.url("whole");
    let report = crate::migrations::migrate(&whole, Project::of_this_program().root()).await;
    report.expect("the project's files are applied");
    let look = async |url: &str| {
        check_database(
            &Project::of_this_program(),
            &database(url).await,
            Purpose::Development,
        )
        .await
    };
    check(&look(&whole).await, None);

    let server = connect(&cluster.url("postgres"))
        .await
        .expect("the server answers");
    for (number, case) in CASES.iter().enumerate() {
        let name = format!("case_{number}");
        server
            .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE whole"))
            .await
            .expect("nobody uses the database that is copied");
        // A copy does not have the timeouts of the role.
        server
            .batch_execute(&crate::migrations::role_timeouts(&name))
            .await
            .expect("a superuser sets them");
        let url = cluster.url(&name);
        let client = connect(&url).await.expect("the database answers");
        client
            .batch_execute(&case.sql.replace("{case}", &name))
            .await
            .unwrap_or_else(|error| panic!("{}: {error:?}", case.sql));
        drop(client);
        check(&look(&url).await, Some(case));
    }

    // It takes connections and does not answer, and then it is gone.
    cluster.suspend();
    let began = tokio::time::Instant::now();
    let silent = look(&whole).await;
    let elapsed = began.elapsed();
    cluster.resume();
    let gone = cluster.url("whole");
    cluster.stop().await.expect("the private cluster stops");
    assert!(elapsed < CONNECT_TIMEOUT * 2, "it took {elapsed:?}");
    for findings in [silent, look(&gone).await] {
        let away = wrong("database", "nothing", "does not answer", "start Postgres");
        check(&findings, Some(&away));
        assert!(
            !findings[0].problem.contains(&password_in(&gone)),
            "no password is shown"
        );
    }
}

fn password_in(url: &str) -> String {
    let rest = url.split_once("turnpike:").map(|(_, rest)| rest);
    let password = rest.and_then(|rest| rest.split_once('@'));
    password.expect("the address has a password").0.to_owned()
}

#[tokio::test]
async fn a_cache_that_is_away_is_found() {
    assert!(check_cache(None).await.is_none(), "there is none to ask");
    assert!(check_cache(Some(String::new())).await.is_none());
    for url in ["redis://:hunter2@127.0.0.1:1", "no address, hunter2"] {
        let finding = check_cache(Some(url.to_owned())).await;
        let finding = finding.unwrap_or_else(|| panic!("{url} does not answer"));
        assert_eq!((finding.level, finding.area), (Level::Wrong, "cache"));
        assert!(!finding.to_string().contains("hunter2"), "{finding}");
    }
}

#[test]
fn the_exit_status_tells() {
    let advice = Finding::advice("mail", "p", "r", "do");
    let wrong = Finding::wrong("mail", "p", "r", "do");
    for (findings, status) in [
        (vec![], 0),
        (vec![advice.clone()], 0),
        (vec![advice, wrong], 1),
    ] {
        assert_eq!(exit_code(&findings), ExitCode::from(status), "{findings:?}");
    }
}

#[test]
fn findings_are_written_for_people() {
    let finding = Finding::advice("mail", "p", "r", "one\ntwo");
    let expected = "advice  mail          p\n        why r\n        do  one\n            two\n";
    assert_eq!(finding.to_string(), expected);
}
