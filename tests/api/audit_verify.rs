//! What `turnpike audit verify` says: the check behind the command, on a log that was tampered
//! with, with and without a checkpoint.

use shared::auth::checkpoint_key::CheckpointKey;
use shared::ids::OrganizationId;
use turnpike_host::cli::audit_log::{self, ChainEnd, Checkpoint};
use turnpike_tests::personas::sql_id;
use turnpike_tests::{TestHost, User, api_tests};

/// Makes the chain of an organization anew from event 2 on, as whoever can write to the database
/// can: every link is right.
const RECOMPUTE: &str = "
    DO $$
    DECLARE v_event audit_events;
    BEGIN
        FOR v_event IN SELECT * FROM audit_events WHERE sequence > 1 ORDER BY organization_id, sequence LOOP
            SELECT hash INTO v_event.previous_hash FROM audit_events
             WHERE organization_id = v_event.organization_id AND sequence = v_event.sequence - 1;
            UPDATE audit_events SET previous_hash = v_event.previous_hash, hash = audit_hash(v_event)
             WHERE organization_id = v_event.organization_id AND sequence = v_event.sequence;
        END LOOP;
        UPDATE audit_heads h SET (sequence, hash) = (
            SELECT sequence, hash FROM audit_events e
             WHERE e.organization_id = h.organization_id ORDER BY sequence DESC LIMIT 1);
    END $$;";

/// Moves the heads to the newest events that are left.
const MOVE_HEADS: &str = "
    UPDATE audit_heads h SET (sequence, hash) = (
        SELECT sequence, hash FROM audit_events e
         WHERE e.organization_id = h.organization_id ORDER BY sequence DESC LIMIT 1);";

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
async fn verified_after(host: &TestHost, statement: &str, ends: &[ChainEnd]) -> Vec<String> {
    host.execute(&format!(
        "BEGIN; ALTER TABLE audit_events DISABLE TRIGGER USER; {statement}"
    ))
    .await;
    let verification = audit_log::verify(host.db(), ends).await;
    host.execute("ROLLBACK").await;
    let verification = verification.expect("the log can be read");
    let links = verification.broken_links.iter();
    links.map(ToString::to_string).collect()
}

/// Two organizations with three events each, in the order of their ids.
async fn two_organizations(host: &TestHost) -> Vec<OrganizationId> {
    let mut organizations = Vec::new();
    for name in ["ada", "eve"] {
        let user = host.new_user(name).await;
        host.issue_session(&user).await;
        organizations.push(organization_of(host, &user).await);
    }
    organizations.sort();
    organizations
}

api_tests![
    the_first_broken_link_of_each_organization_is_named,
    a_checkpoint_finds_what_was_computed_anew,
];

async fn the_first_broken_link_of_each_organization_is_named(host: &TestHost) {
    let empty = audit_log::verify(host.db(), &[]).await;
    let empty = empty.expect("it is readable");
    assert_eq!((empty.events, empty.organizations), (0, 0));
    assert_eq!(empty.broken_links, []);

    let organizations = two_organizations(host).await;
    let sound = audit_log::verify(host.db(), &[]).await;
    let sound = sound.expect("it is readable");
    assert_eq!((sound.events, sound.organizations), (6, 2));
    assert_eq!(sound.broken_links, []);

    let all = |event: i64, reason: &str| -> Vec<String> {
        let each = organizations.iter();
        each.map(|id| format!("organization {id}: event {event}: {reason}"))
            .collect()
    };
    let changed = "the event was changed";
    let table = [
        (
            "UPDATE audit_events SET subject = 'nobody' WHERE sequence = 2",
            all(2, changed),
        ),
        (
            "UPDATE audit_events SET address = '192.0.2.99' WHERE sequence = 2",
            all(2, changed),
        ),
        (
            "UPDATE audit_events SET session_id = gen_random_uuid() WHERE sequence = 3",
            all(3, changed),
        ),
        (
            "UPDATE audit_events SET api_key_id = gen_random_uuid() WHERE sequence = 3",
            all(3, changed),
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
            "DELETE FROM audit_events",
            all(3, "the newest events are missing"),
        ),
        (
            "DELETE FROM audit_heads",
            all(3, "the head of the chain does not know of this event"),
        ),
        (
            "UPDATE audit_heads SET sequence = 2",
            all(2, "the head of the chain does not know of this event"),
        ),
        (
            "UPDATE audit_heads SET hash = sha256('x')",
            all(3, "the head of the chain has another hash"),
        ),
        (
            "UPDATE audit_events SET previous_hash = sha256('x') WHERE sequence = 3",
            all(3, "the link to the previous event is broken"),
        ),
        // Two rows that change places: in their numbers, and in what they say.
        (
            "UPDATE audit_events SET sequence = -sequence WHERE sequence IN (2, 3);
             UPDATE audit_events SET sequence = 5 + sequence WHERE sequence < 0",
            all(2, "the link to the previous event is broken"),
        ),
        (
            "UPDATE audit_events e SET (event_type, subject, detail) = (
                 SELECT event_type, subject, detail FROM audit_events o
                  WHERE o.organization_id = e.organization_id AND o.sequence = 3 - e.sequence)
              WHERE sequence IN (1, 2)",
            all(1, changed),
        ),
    ];
    for (statement, expected) in table {
        let found = verified_after(host, statement, &[]).await;
        assert_eq!(found, expected, "{statement}");
    }
    let one = format!(
        "UPDATE audit_events SET actor_id = NULL WHERE sequence = 1 AND organization_id = '{}'",
        organizations[0].as_uuid()
    );
    assert_eq!(verified_after(host, &one, &[]).await, all(1, changed)[..1]);
    // It does not believe the functions of the database that it checks.
    let lie = "UPDATE audit_events SET subject = 'nobody' WHERE sequence = 2;
               CREATE OR REPLACE FUNCTION audit_hash(p_event audit_events) RETURNS bytea
               LANGUAGE sql STABLE PARALLEL SAFE RETURN (p_event).hash";
    assert_eq!(verified_after(host, lie, &[]).await, all(2, changed));
    // Nor its operators, and a null is no equal.
    let lie = "UPDATE audit_events SET subject = 'nobody' WHERE sequence = 2;
               CREATE FUNCTION always(bytea, bytea) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN true;
               CREATE FUNCTION never(bytea, bytea) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN false;
               CREATE OPERATOR public.= (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = always);
               CREATE OPERATOR public.<> (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = never);
               SET LOCAL search_path = public, pg_catalog";
    assert_eq!(verified_after(host, lie, &[]).await, all(2, changed));
    let lie = "ALTER TABLE audit_events ALTER previous_hash DROP NOT NULL;
               UPDATE audit_events SET subject = 'nobody', previous_hash = NULL WHERE sequence = 2";
    let broken = all(2, "the link to the previous event is broken");
    assert_eq!(verified_after(host, lie, &[]).await, broken);
    assert_eq!(verified_after(host, "SELECT 1", &[]).await, [""; 0]);
}

async fn a_checkpoint_finds_what_was_computed_anew(host: &TestHost) {
    let organizations = two_organizations(host).await;
    let ends = audit_log::ends(host.db()).await.expect("it is readable");
    let taken: Vec<_> = ends
        .iter()
        .map(|end| (end.organization, end.sequence))
        .collect();
    assert_eq!(taken, [(organizations[0], 3), (organizations[1], 3)]);

    // As the command writes it, and reads it again.
    let key = CheckpointKey::derive(b"a secret that the database does not have");
    let taken_at = "2026-11-21T09:30:00Z".to_owned();
    let text = Checkpoint { taken_at, ends }
        .signed(&key)
        .expect("plain data");
    let ends = Checkpoint::read(&text, &key.public())
        .expect("it was just signed")
        .ends;

    // What was added since is no contradiction.
    let user = host.new_user("bob").await;
    for _ in 0..2 {
        host.issue_session(&user).await;
    }
    assert_eq!(verified_after(host, "SELECT 1", &ends).await, [""; 0]);

    let of_both = |event: i64, reason: &str| -> Vec<String> {
        let each = organizations.iter();
        each.map(|id| format!("organization {id}: event {event}: {reason}"))
            .collect()
    };
    let is_missing = "the event is missing, and the checkpoint has it";
    let is_another = "the checkpoint has another event here";
    let of_checkpoint = format!(
        "organization_id IN ('{}', '{}')",
        organizations[0].as_uuid(),
        organizations[1].as_uuid()
    );
    let table = [
        // The tail is cut and the head moved.
        (
            format!(
                "DELETE FROM audit_events WHERE sequence = 3 AND {of_checkpoint}; {MOVE_HEADS}"
            ),
            of_both(3, is_missing),
        ),
        // The whole chain is gone, as if there had been none.
        (
            format!(
                "DELETE FROM audit_events WHERE {of_checkpoint};
                 DELETE FROM audit_heads WHERE {of_checkpoint}"
            ),
            of_both(3, is_missing),
        ),
        // An event says something else, and every hash after it is right.
        (
            format!(
                "UPDATE audit_events SET address = '192.0.2.99' WHERE sequence = 2; {RECOMPUTE}"
            ),
            of_both(3, is_another),
        ),
        // An event is taken out, and those after it move up.
        (
            format!(
                "DELETE FROM audit_events WHERE sequence = 2;
                 UPDATE audit_events SET sequence = sequence - 1 WHERE sequence > 2; {RECOMPUTE}"
            ),
            of_both(3, is_missing),
        ),
        // Two events change places, and every hash after them is right.
        (
            format!(
                "UPDATE audit_events SET sequence = -sequence WHERE sequence IN (2, 3);
                 UPDATE audit_events SET sequence = 5 + sequence WHERE sequence < 0; {RECOMPUTE}"
            ),
            of_both(3, is_another),
        ),
    ];
    for (statement, expected) in table {
        let without = verified_after(host, &statement, &[]).await;
        assert_eq!(
            without, [""; 0],
            "the chain alone shows nothing: {statement}"
        );
        assert_eq!(
            verified_after(host, &statement, &ends).await,
            expected,
            "{statement}"
        );
    }
}
