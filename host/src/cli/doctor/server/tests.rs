use super::*;

fn right() -> Server {
    let mut settings: BTreeMap<String, String> = SETTINGS
        .iter()
        .map(|setting| (setting.name.to_owned(), setting.right[0].to_owned()))
        .collect();
    for (name, value) in [
        ("max_connections", "500"),
        ("superuser_reserved_connections", "3"),
        ("pg_stat_statements.max", "5000"),
    ] {
        settings.insert(name.to_owned(), value.to_owned());
    }
    for (name, millis) in SESSION_TIMEOUTS {
        settings.insert(name.to_owned(), millis.to_string());
    }
    Server {
        version: 150_004,
        skew_millis: 0,
        settings,
        role: "app".to_owned(),
        is_superuser: false,
        database: "shop".to_owned(),
    }
}

fn check(server: &Server, purpose: Purpose, expected: Option<(Level, &str, &str)>) {
    let findings = judge(server, purpose, 56);
    let found: Vec<_> = findings
        .iter()
        .map(|found| (found.level, found.problem.as_str(), found.remedy.as_str()))
        .collect();
    match (&found[..], expected) {
        ([], None) => {}
        ([(level, problem, remedy)], Some((wanted, part, line))) => assert!(
            *level == wanted && problem.contains(part) && remedy.contains(line),
            "{wanted:?}, {part:?} and {line:?} are to be found in {found:?}"
        ),
        _ => panic!("{expected:?} was to be found, and not {found:#?}"),
    }
}

#[test]
fn each_setting_is_judged() {
    use Purpose::{Development, Production};
    check(&right(), Production, None);
    check(&right(), Development, None);
    for (name, value, expected) in [
        ("fsync", "off", Some((Wrong, "fsync is off", "fsync = on"))),
        (
            "full_page_writes",
            "off",
            Some((Wrong, "full_page_writes is off", "= on")),
        ),
        (
            "synchronous_commit",
            "off",
            Some((Wrong, "synchronous_commit is off", "DATABASE shop RESET")),
        ),
        ("synchronous_commit", "remote_write", None),
        (
            "autovacuum",
            "off",
            Some((Wrong, "autovacuum is off", "= on")),
        ),
        (
            "password_encryption",
            "md5",
            Some((Wrong, "password_encryption is md5", "scram")),
        ),
        (
            "TimeZone",
            "Asia/Tokyo",
            Some((Advice, "TimeZone is Asia/Tokyo", "DATABASE shop SET")),
        ),
        ("TimeZone", "Etc/UTC", None),
        (
            "statement_timeout",
            "0",
            Some((
                Wrong,
                "statement_timeout is 0 ms",
                "ALTER ROLE app IN DATABASE shop SET statement_timeout = '1500ms'",
            )),
        ),
        (
            "lock_timeout",
            "5000",
            Some((Wrong, "lock_timeout is 5000 ms", "'1000ms'")),
        ),
        (
            "max_connections",
            "39",
            Some((Wrong, "one host's pool takes 32", "500")),
        ),
        (
            "max_connections",
            "",
            Some((Wrong, "one host's pool takes 32", "500")),
        ),
    ] {
        let mut server = right();
        server.settings.insert(name.to_owned(), value.to_owned());
        check(&server, Development, expected);
        check(&server, Production, expected);
    }
    // What a developer may have.
    for (name, value, expected) in [
        (
            "max_connections",
            Some("100"),
            (Advice, "max_connections is 100", "500"),
        ),
        (
            "pg_stat_statements.max",
            None,
            (Advice, "pg_stat_statements", "shared_preload_libraries"),
        ),
    ] {
        let mut server = right();
        match value {
            Some(value) => server.settings.insert(name.to_owned(), value.to_owned()),
            None => server.settings.remove(name),
        };
        check(&server, Development, None);
        check(&server, Production, Some(expected));
    }
    let superuser = Server {
        is_superuser: true,
        ..right()
    };
    check(&superuser, Development, None);
    check(
        &superuser,
        Production,
        Some((Advice, "app is a superuser", "role of their own")),
    );
    for (skew_millis, expected) in [
        (2_000, None),
        (-2_000, None),
        (2_001, Some((Wrong, "2001 ms ahead of", "ntp"))),
        (-90_000, Some((Wrong, "90000 ms behind", "ntp"))),
    ] {
        check(
            &Server {
                skew_millis,
                ..right()
            },
            Development,
            expected,
        );
    }
    for (version, expected) in [
        (140_000, None),
        (180_001, None),
        (130_014, Some((Wrong, "version 13", "pg_upgrade"))),
    ] {
        check(&Server { version, ..right() }, Production, expected);
    }
}
