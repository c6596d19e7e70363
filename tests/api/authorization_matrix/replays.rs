//! That a request with an `Idempotency-Key` is done once, and that its answer says when it is an
//! earlier one: tried with every operation that takes a key.

use turnpike_tests::description::{Description, template};
use turnpike_tests::{Response, TestHost, User};

use super::refusals::gzip;
use super::requests::prepare;
use super::row::Row;

const REPLAYED: &str = "idempotent-replayed";

/// Whether an operation takes an `Idempotency-Key`.
pub(super) fn takes_key(row: &Row, description: &Description) -> bool {
    let item = description.path_item(&template(row.route));
    let method = row.method.as_str().to_ascii_lowercase();
    let parameters = item.and_then(|item| item[method]["parameters"].as_array());
    parameters.is_some_and(|parameters| {
        let reference = "#/components/parameters/IdempotencyKey";
        parameters.iter().any(|p| p["$ref"] == reference)
    })
}

/// Sends an operation that takes a key, and sends it again: as it was, and with its body in gzip.
pub(super) async fn replays(host: &TestHost, row: &Row, description: &Description, holder: &User) {
    if !takes_key(row, description) {
        return;
    }
    let organization = host.organization_of(holder).await;
    let prepared = prepare(host, row, holder, organization).await;
    let token = host.issue_token(holder).await;
    let call = prepared.call().bearer(&token);
    let first = call.settle().await;
    assert!(
        matches!(first.status, 200 | 201),
        "the request of {} must be right\n{first}",
        row.route
    );
    // A machine that is so busy that a statement was sent twice has replayed it itself.
    if first.db_queries() == 1 {
        assert_eq!(first.header(REPLAYED), None, "{first}");
    }
    let money = host.money_state().await;
    let mut again = vec![call.clone(), call];
    again.extend(
        prepared
            .encoded("gzip", gzip)
            .map(|call| call.bearer(&token)),
    );
    for call in again {
        let second = call.settle().await;
        let answer = |response: &Response| (response.status, response.json());
        assert_eq!(answer(&second), answer(&first), "{second}");
        assert_eq!(second.header(REPLAYED), Some("true"), "{second}");
    }
    assert_eq!(host.money_state().await, money, "a replay changes nothing");
}
