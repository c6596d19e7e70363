//! What `turnpike audit verify` says: the check behind the command, on a log that was tampered
//! with.

use shared::ids::OrganizationId;
use turnpike_host::cli::audit_log;
use turnpike_tests::personas::sql_id;
use turnpike_tests::{TestHost, User, api_tests};

async fn organization_of(host: &TestHost, user: &User) -> OrganizationId {
    let rows = host
        .query(&format!(
            "SELECT organization_id::text FROM memberships WHERE user_id = {}",
            sql_id(user.id)
        ))
        .await;
    let text: &str = rows[0].get(0);
    format!("org_{}", text.replace('-', ""))
        .parse()
        .expect("a stored id is an id")
}

/// What is broken, as it is printed, after a statement that is taken back.
async fn verified_after(host: &TestHost, statement: &str) -> Vec<String> {
    host.execute(&format!(
        "BEGIN; ALTER TABLE audit_events DISABLE TRIGGER USER; {statement}"
    ))
    .await;
    let verification = audit_log::verify(host.db()).await;
    host.execute("ROLLBACK").await;
    let verification = verification.expect("the log can be read");
    let links = verification.broken_links.iter();
    links.map(ToString::to_string).collect()
}

api_tests![the_first_broken_link_of_each_organization_is_named];

async fn the_first_broken_link_of_each_organization_is_named(host: &TestHost) {
    let empty = audit_log::verify(host.db()).await.expect("it is readable");
    assert_eq!((empty.events, empty.organizations), (0, 0));
    assert_eq!(empty.broken_links, []);

    let mut organizations = Vec::new();
    for name in ["ada", "eve"] {
        let user = host.new_user(name).await;
        host.issue_session(&user).await;
        organizations.push(organization_of(host, &user).await);
    }
    organizations.sort();
    let sound = audit_log::verify(host.db()).await.expect("it is readable");
    assert_eq!((sound.events, sound.organizations), (6, 2));
    assert_eq!(sound.broken_links, []);

    let all = |event: i64, reason: &str| -> Vec<String> {
        let each = organizations.iter();
        each.map(|id| format!("organization {id}: event {event}: {reason}"))
            .collect()
    };
    let table = [
        (
            "UPDATE audit_events SET subject = 'nobody' WHERE sequence = 2",
            all(2, "the event was changed"),
        ),
        (
            "DELETE FROM audit_events WHERE sequence = 2",
            all(3, "an event is missing before this one"),
        ),
        (
            "DELETE FROM audit_events WHERE sequence = 3",
            all(3, "the newest events are missing"),
        ),
        (
            "UPDATE audit_events SET previous_hash = sha256('x') WHERE sequence = 3",
            all(3, "the link to the previous event is broken"),
        ),
    ];
    for (statement, expected) in table {
        assert_eq!(
            verified_after(host, statement).await,
            expected,
            "{statement}"
        );
    }
    let one = format!(
        "UPDATE audit_events SET actor_id = NULL WHERE sequence = 1 AND organization_id = '{}'",
        organizations[0].as_uuid()
    );
    assert_eq!(
        verified_after(host, &one).await,
        all(1, "the event was changed")[..1]
    );
    assert_eq!(verified_after(host, "SELECT 1").await, [""; 0]);
}
