//! A deadlock is ended by Postgres, and the statement that it ended is sent again, so that no answer
//! tells of it. It is counted all the same, and fails the races that ask for that.

use futures::future::join;
use turnpike_tests::database::connect_without_timeouts;
use turnpike_tests::host::block_on;
use turnpike_tests::{Settings, TestHost};

/// Two sessions, each with a lock that the other comes to wait for.
async fn wait_for_each_other(host: &TestHost) {
    let session = async |lock: i32| {
        let session = connect_without_timeouts(host.database_url()).await;
        let session = session.expect("the database can be reached");
        let take = format!("BEGIN; SELECT pg_advisory_xact_lock({lock})");
        session.batch_execute(&take).await.expect("it is free");
        session
    };
    let (one, other) = (session(1).await, session(2).await);
    let (first, second) = join(
        one.batch_execute("SELECT pg_advisory_xact_lock(2)"),
        other.batch_execute("SELECT pg_advisory_xact_lock(1)"),
    )
    .await;
    assert!(first.is_err() != second.is_err(), "one of them is ended");
}

#[test]
fn a_deadlock_is_counted() {
    block_on(async {
        let mut host = TestHost::start(Settings::pooled()).await;
        host.fail_on_deadlock().await;
        wait_for_each_other(&host).await;
        host.shut_down().await;
        assert_eq!(host.deadlocks().await, 1);
    });
}
