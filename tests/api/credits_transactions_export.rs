use std::ops::RangeInclusive;

use serde_json::{Value, json};
use turnpike_tests::personas::{
    CONSUME, TRANSACTIONS, TRANSACTIONS_EXPORT, fresh_key, sql_digest, sql_id,
};
use turnpike_tests::{Call, Response, TestHost, User, api_tests};

use crate::refusals::{check_currency_parameter, refuse};

/// Rows that are sent with their length.
const PAGE_ROWS: usize = 1_000;

/// Rows of two pages and a half.
const LONG_ROWS: usize = 2_500;

const COLUMNS: [&str; 12] = [
    "id",
    "kind",
    "amount",
    "currency",
    "available_after",
    "debited",
    "credited",
    "service",
    "model",
    "description",
    "occurred_at",
    "created_at",
];

api_tests![
    quotes_texts_and_disarms_formulas,
    narrows_as_the_list_does,
    belongs_to_its_user,
    refuses,
];

api_tests![fresh_too: is_whole_or_does_not_end];

fn export_call(host: &TestHost, user: &User, query: &str) -> Call {
    host.get(format!("{TRANSACTIONS_EXPORT}{query}"))
        .bearer(&user.token)
}

async fn export(host: &TestHost, user: &User, query: &str) -> Response {
    export_call(host, user, query).settle().await.expect(200)
}

/// The records of a file of RFC 4180, which ends each with CR and LF.
fn records(response: &Response) -> Vec<Vec<String>> {
    let text = String::from_utf8(response.body.clone()).expect("the file is UTF-8");
    let mut records = vec![];
    let mut record = vec![];
    let mut field = String::new();
    let mut is_quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if is_quoted => is_quoted = false,
            '"' if field.is_empty() => is_quoted = true,
            c if is_quoted => field.push(c),
            ',' => record.push(std::mem::take(&mut field)),
            '\r' => {
                assert_eq!(chars.next(), Some('\n'), "a bare CR outside of quotes");
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            '\n' | '"' => panic!("{c:?} outside of quotes"),
            c => field.push(c),
        }
    }
    assert!(
        record.is_empty() && field.is_empty() && !is_quoted,
        "the file must end with the end of a record"
    );
    records
}

/// The rows without the header, which must be right.
fn rows(response: &Response) -> Vec<Vec<String>> {
    let mut records = records(response);
    assert!(!records.is_empty(), "there must be a header\n{response}");
    assert_eq!(records.remove(0), COLUMNS, "{response}");
    for row in &records {
        assert_eq!(row.len(), COLUMNS.len(), "{row:?}");
    }
    records
}

/// A transaction of the list, as a row must have it.
fn row_of(transaction: &Value) -> Vec<String> {
    let text = |pointer: &str| {
        let value = transaction.pointer(pointer).cloned().unwrap_or_default();
        value.as_str().unwrap_or_default().to_owned()
    };
    let pointers = [
        "/id",
        "/kind",
        "/amount/amount",
        "/amount/currency",
        "/available_after/amount",
        "/debited",
        "/credited",
        "/service",
        "/model",
        "/description",
        "/occurred_at",
        "/created_at",
    ];
    pointers.map(text).to_vec()
}

/// What the list shows, page by page.
async fn listed(host: &TestHost, user: &User, narrowing: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let call = host.get(format!("{TRANSACTIONS}?limit=100{narrowing}{cursor}"));
        let body = call.bearer(&user.token).settle().await.expect(200).json();
        let transactions = body["transactions"].as_array().cloned().unwrap_or_default();
        all.extend(transactions.iter().map(row_of));
        match body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// Books spends of a hundredth, so that the ledger has rows up to the last of these numbers.
async fn spend(host: &TestHost, user: &User, rows: RangeInclusive<usize>) {
    let (first, last) = rows.into_inner();
    let digest = sql_digest(&user.token);
    let sql = format!(
        "SELECT count(credits_consume({digest}, 'bulk-' || n, token_hash({digest}), gen_random_uuid(), 'USD', 0.01,
                                      'number ' || n, 'chat', 'model-' || n % 7))
           FROM generate_series({first}, {last}) n"
    );
    host.query(&sql).await;
}

/// Makes the third page of every export do something before it is read.
async fn before_the_third_page(host: &TestHost, statement: &str) {
    host.execute(&format!(
        "ALTER FUNCTION transfers_page RENAME TO transfers_page_of_old;
         CREATE FUNCTION transfers_page(
             p_organization_id uuid, p_user_id uuid, p_parts jsonb, p_kind text, p_limit integer
         ) RETURNS json LANGUAGE plpgsql AS $$
         BEGIN
             IF (p_parts -> 0 ->> 'before')::bigint <= 600 THEN
                 {statement};
             END IF;
             RETURN transfers_page_of_old(p_organization_id, p_user_id, p_parts, p_kind, p_limit);
         END;
         $$"
    ))
    .await;
}

/// Takes that back.
async fn as_before(host: &TestHost) {
    host.execute(
        "DROP FUNCTION transfers_page; ALTER FUNCTION transfers_page_of_old RENAME TO transfers_page",
    )
    .await;
}

/// Of a ledger that is longer than a page, and than two: to book it takes longer than all that is
/// asked of it.
async fn is_whole_or_does_not_end(host: &TestHost) {
    let (user, _) = host.user_with("100.00").await;
    has_a_length_up_to_a_page(host, &user).await;
    spend(host, &user, PAGE_ROWS + 2..=LONG_ROWS).await;
    exports_what_the_list_shows(host, &user).await;
    breaks_off_when_postgres_fails(host, &user).await;
    shows_one_moment_to_whoever_began(host, &user).await;
}

async fn has_a_length_up_to_a_page(host: &TestHost, user: &User) {
    let empty = export(host, user, "?currency=EUR").await;
    assert_eq!(rows(&empty), Vec::<Vec<String>>::new());
    let nobody = host.new_user("nobody").await;
    assert_eq!(
        rows(&export(host, &nobody, "").await),
        Vec::<Vec<String>>::new()
    );
    spend(host, user, 2..=PAGE_ROWS).await;
    let whole = export(host, user, "").await;
    assert_eq!(rows(&whole).len(), PAGE_ROWS);
    let length = whole.header("content-length").map(str::parse);
    assert_eq!(length, Some(Ok(whole.body.len())), "{whole}");
    assert_eq!(whole.header("transfer-encoding"), None, "{whole}");
    host.consume(user, "1").await;
    let longer = export(host, user, "").await;
    assert_eq!(rows(&longer).len(), PAGE_ROWS + 1);
    assert_eq!(longer.header("content-length"), None, "{longer}");
}

async fn exports_what_the_list_shows(host: &TestHost, user: &User) {
    let response = export(host, user, "").await;
    assert_eq!(rows(&response), listed(host, user, "").await);
    assert_eq!(rows(&response).len(), LONG_ROWS);
    let expected = [
        ("content-type", "text/csv; charset=utf-8"),
        (
            "content-disposition",
            "attachment; filename=\"transactions.csv\"",
        ),
        ("cache-control", "no-store"),
        ("transfer-encoding", "chunked"),
    ];
    for (name, value) in expected {
        assert_eq!(response.header(name), Some(value), "{response}");
    }
    assert_eq!(
        response.db_queries(),
        1,
        "the head leaves with the first page\n{response}"
    );
}

/// A client must not take for the whole file what is not.
async fn breaks_off_when_postgres_fails(host: &TestHost, user: &User) {
    before_the_third_page(host, "RAISE EXCEPTION 'the disk is gone'").await;
    let outcome = export_call(host, user, "").try_send().await;
    assert!(
        outcome.is_err(),
        "a file that lacks its end must not end well: {outcome:?}"
    );
    let lines = host.log_lines();
    assert!(
        lines.iter().any(|line| line.contains("broken off")),
        "the log must say so: {lines:?}"
    );
    as_before(host).await;
    // Nothing else has come to harm.
    assert_eq!(listed(host, user, "").await.len(), LONG_ROWS);
    let newest = export(host, user, "?kind=grant").await;
    assert_eq!(rows(&newest).len(), 1);
}

/// While the file is under way, the user spends, and all their sessions end.
async fn shows_one_moment_to_whoever_began(host: &TestHost, user: &User) {
    let expected = listed(host, user, "").await;
    let digest = sql_digest(&user.token);
    let meanwhile = format!(
        "PERFORM credits_consume({digest}, 'meanwhile', token_hash({digest}), gen_random_uuid(), 'USD', 1, 'meanwhile');
         UPDATE sessions SET revoked_at = now() WHERE user_id = {}",
        sql_id(user.id)
    );
    before_the_third_page(host, &meanwhile).await;
    let response = export(host, user, "").await;
    assert_eq!(rows(&response), expected);
    assert_eq!(host.count_transfers(user, "consume").await, 2_500);
    export_call(host, user, "")
        .send()
        .await
        .expect_problem(401, "unauthenticated");
}

async fn quotes_texts_and_disarms_formulas(host: &TestHost) {
    let (user, _) = host.user_with("100.00").await;
    let table = [
        ("1,250 tokens", "1,250 tokens"),
        ("say \"hi\"", "say \"hi\""),
        ("two\nlines", "two\nlines"),
        ("two\r\nlines\r\n", "two\r\nlines\r\n"),
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("=1,\"2\"", "'=1,\"2\""),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\ty", "'\ty"),
        ("\rz", "'\rz"),
        ("\nz", "'\nz"),
        ("'=1", "''=1"),
        (" =1", "' =1"),
        ("\u{ff1d}1", "'\u{ff1d}1"),
        ("\u{ff0b}1", "'\u{ff0b}1"),
        ("\u{feff}=1", "'\u{feff}=1"),
        ("日本 \u{1f600}", "日本 \u{1f600}"),
        ("", ""),
        ("'", "''"),
        (",", ","),
        ("\"", "\""),
    ];
    for (description, _) in table {
        let body = json!({
            "amount": "1", "currency": "USD", "description": description,
            "service": "=a,b", "model": "m\"n",
        });
        let call = host.post(CONSUME).bearer(&user.token);
        let call = call.idempotency_key(&fresh_key()).json(&body);
        call.send().await.expect(201);
    }
    let response = export(host, &user, "?kind=consume").await;
    let mut rows = rows(&response);
    rows.reverse();
    assert_eq!(rows.len(), table.len(), "{response}");
    for (row, (description, expected)) in rows.iter().zip(table) {
        assert_eq!(row[9], expected, "{description:?}");
        let undone = row[9].strip_prefix('\'').unwrap_or(&row[9]);
        assert_eq!(
            undone, description,
            "one apostrophe off gives the text back"
        );
        assert_eq!(row[7], "'=a,b");
        assert_eq!(row[8], "m\"n");
        assert_eq!(row[2], "-1.00", "an amount is a number, and has no guard");
    }
}

async fn narrows_as_the_list_does(host: &TestHost) {
    let (user, admin) = host.user_with("100.00").await;
    host.grant(&admin, &user, "2", "JPY").await;
    spend(host, &user, 2..=601).await;
    host.grant(&admin, &user, "3", "JPY").await;
    spend(host, &user, 602..=1_201).await;
    host.grant(&admin, &user, "1", "USD").await;
    host.grant(&admin, &user, "2", "JPY").await;
    host.hold(&user, "1", 900).await;
    let all = listed(host, &user, "").await;
    let time = |index: usize| all[index][10].clone();
    let table = [
        "kind=consume".to_owned(),
        "kind=grant".to_owned(),
        "kind=expire".to_owned(),
        "currency=JPY".to_owned(),
        "currency=USD".to_owned(),
        "currency=EUR&kind=grant".to_owned(),
        String::new(),
        format!("since={}", time(1_100)),
        format!("until={}", time(100)),
        format!("kind=consume&since={}&until={}", time(1_150), time(10)),
        format!("since={}&until={}", time(10), time(10)),
        "since=9999-12-31T23:59:59Z".to_owned(),
        "until=0001-01-01T00:00:00Z".to_owned(),
    ];
    for narrowing in table {
        let response = export(host, &user, &format!("?{narrowing}")).await;
        let expected = listed(host, &user, &format!("&{narrowing}")).await;
        assert_eq!(rows(&response), expected, "{narrowing}");
    }
    let response = export(host, &user, "?currency=JPY").await;
    assert_eq!(
        response.header("content-disposition"),
        Some("attachment; filename=\"transactions-JPY.csv\""),
        "{response}"
    );
}

async fn belongs_to_its_user(host: &TestHost) {
    let (ada, admin) = host.user_with("10.00").await;
    let eve = host.new_user("eve").await;
    host.grant(&admin, &eve, "3", "USD").await;
    host.consume(&ada, "1").await;
    let query = format!("?user_id={}", ada.id);
    let rows = rows(&export(host, &eve, &query).await);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0][2], "3.00", "{rows:?}");
}

async fn refuses(host: &TestHost) {
    let (user, _) = host.user_with("5.00").await;
    let with_query = |query: &str| export_call(host, &user, &format!("?{query}"));
    check_currency_parameter(host, with_query).await;
    let table = [
        ("kind=", "kind"),
        ("kind=Grant", "kind"),
        ("kind=grant&kind=grant", "kind"),
        ("kind=%00", "kind"),
        ("since=", "since"),
        ("since=2026-01-01", "since"),
        ("since=%FF", "since"),
        ("until=2026-13-01T00:00:00Z", "until"),
        ("until=0000-01-01T00:00:00%2B01:00", "until"),
        ("since=9999-12-31T23:59:59-01:00", "since"),
        (
            "until=2026-01-01T00:00:00Z&until=2026-01-01T00:00:00Z",
            "until",
        ),
    ];
    for (query, field) in table {
        refuse(host, with_query(query), 400, "invalid_parameter", &[field]).await;
    }
}
