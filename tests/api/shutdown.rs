//! A host that is told to stop first finishes what it has begun.

use std::time::Duration;

use tokio::net::TcpStream;
use turnpike_tests::database::connect_without_timeouts;
use turnpike_tests::host::block_on;
use turnpike_tests::personas::sql_id;
use turnpike_tests::{Reuse, Settings, TestHost};

async fn check(reuse: Reuse) {
    let settings = match reuse {
        Reuse::Pooled => Settings::pooled(),
        Reuse::Fresh => Settings::fresh(),
    };
    let mut host = TestHost::start(settings).await;
    let (user, _) = host.user_with("10.00").await;
    let address = host.address();

    // Somebody else holds the account's row, so the spend is under way until they let go.
    let other = connect_without_timeouts(host.database_url()).await;
    let other = other.expect("the database can be reached");
    let take = format!(
        "BEGIN; SELECT 1 FROM credit_accounts WHERE user_id = {} FOR UPDATE",
        sql_id(user.id)
    );
    other.batch_execute(&take).await.expect("the row is free");
    let call = host.consume_call(&user, "1");
    let spend = tokio::spawn(async move { call.send().await });
    host.until_blocked().await;
    let release = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        other
            .batch_execute("COMMIT")
            .await
            .expect("the row is let go");
    };
    tokio::join!(host.shut_down(), release);
    let response = spend.await.expect("the request does not panic").expect(201);
    assert_eq!(
        response.text_at("/transaction/available_after/amount"),
        "9.00"
    );
    assert!(
        TcpStream::connect(address).await.is_err(),
        "a host that was shut down must accept nobody"
    );

    let again = TestHost::start(Settings::pooled().with_database_url(host.database_url())).await;
    assert_eq!(again.balance(&user).await.to_string(), "9.00");
    again.finish().await;
}

#[test]
fn finishes_the_requests_of_pooled_instances() {
    block_on(check(Reuse::Pooled));
}

#[test]
fn finishes_the_requests_of_fresh_instances() {
    block_on(check(Reuse::Fresh));
}
