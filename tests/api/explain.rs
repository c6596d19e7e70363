//! The statements that every request or every user waits for read what they need by an index, and
//! nothing else: no scan of a large table, and no sort of rows that an index has in order.

mod statements;
mod tables;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use turnpike_tests::environment;
use turnpike_tests::explain::{Explainer, Node, Plan};
use turnpike_tests::host::block_on;

use statements::Row;
use tables::{fill, large_tables};

/// What authenticating an access token reads.
const BY_ACCESS_TOKEN: [&str; 3] = ["access_tokens_pkey", "sessions_pkey", "users_pkey"];

/// How many rows some statements may read by an index: those of the range that they ask for, of
/// the many that the organization has.
const ROWS_READ: [(&str, &str, u64); 40] = [
    (
        "billing_accounts_list by name",
        "billing_accounts_by_name",
        21,
    ),
    (
        "billing_accounts_list by email",
        "billing_accounts_by_email",
        21,
    ),
    (
        "billing_accounts_list by currency",
        "billing_accounts_by_currency",
        21,
    ),
    (
        "billing_accounts_list by metadata",
        "billing_account_metadata_by_value",
        21,
    ),
    // Of all currencies a page is read of each account, of which there are two, and to begin
    // elsewhere the one is halved: 1 + 11 of 2,000 for the moment.
    (
        "credits_transactions of all currencies",
        "ledger_transfers_by_account",
        2 * 21,
    ),
    (
        "credits_transactions of all currencies, by kind",
        "ledger_transfers_by_kind",
        2 * 21,
    ),
    (
        "credits_transactions of all currencies, a further page",
        "ledger_transfers_by_account",
        2 * 21 + 12,
    ),
    (
        "credits_transactions of all currencies, a further page",
        "credit_accounts_by_owner",
        2,
    ),
    (
        "credit_pool_transactions of all currencies",
        "ledger_transfers_by_account",
        21,
    ),
    (
        "credits_transactions_export of all currencies",
        "ledger_transfers_by_account",
        2 * 101,
    ),
    (
        "credits_grants_list of all currencies, a further page",
        "credit_grants_by_account",
        2 * 21,
    ),
    (
        "credit_pool_allocations_list of all currencies",
        "credit_pool_allocations_by_sequence",
        21,
    ),
    // What is due of an account with a lapsed hold and an expired grant: the grants that it is
    // about, and not all of the organization's.
    ("credits_balance, due", "credit_grants_pkey", 12),
    ("credits_balance, due", "credit_hold_parts_pkey", 6),
    ("credits_transactions, due", "credit_grants_pkey", 12),
    ("credits_transactions, due", "credit_hold_parts_pkey", 6),
    ("credits_grants_list, due", "credit_grants_pkey", 12),
    ("credits_grants_list, due", "credit_hold_parts_pkey", 6),
    ("credits_consume, due", "credit_grants_pkey", 24),
    ("credits_consume, due", "credit_hold_parts_pkey", 12),
    ("credits_lapsed, due", "credit_grants_pkey", 12),
    ("credits_lapsed, due", "credit_hold_parts_pkey", 6),
    ("credits_hold_settle", "credit_grants_pkey", 12),
    ("credits_hold_settle", "credit_hold_parts_pkey", 12),
    ("credits_refund", "credit_grants_pkey", 12),
    ("credits_consume, due", "credit_holds_pkey", 6),
    ("credits_due_are_too_many, due", "credit_hold_parts_pkey", 6),
    ("credits_refund", "credit_movements_pkey", 6),
    // From the fifth of January on, of every fourth quarter of an hour, and of each.
    (
        "entitlement_check",
        "usage_subject_rollups_pkey",
        (2_000 - 384) / 4,
    ),
    (
        "entitlement_check of the organization",
        "usage_rollups_pkey",
        2_000 - 383,
    ),
    ("usage_summary", "usage_hour_rollups_pkey", 7 * 24),
    ("usage_summary by hour", "usage_hour_rollups_pkey", 7 * 24),
    (
        "usage_summary by hours that are not those of UTC",
        "usage_rollups_pkey",
        7 * 96,
    ),
    // One in four is the subject's; and two days at both ends by quarters.
    (
        "entitlement_check of a meter with groups",
        "usage_day_totals_pkey",
        2_000 / 4,
    ),
    (
        "entitlement_check of a meter with groups",
        "usage_subject_rollups_pkey",
        2 * 96 / 4,
    ),
    (
        "usage_summary of a subject",
        "usage_subject_rollups_pkey",
        7 * 96 / 4,
    ),
    // Of four series the levels of the range, and for each the last one before.
    (
        "usage_summary of time",
        "usage_levels_pkey",
        (7 * 96 / 4 + 1) * 4,
    ),
    ("usage_summary of time", "usage_level_series_pkey", 4),
    (
        "usage_summary of a subject's time",
        "usage_levels_pkey",
        7 * 96 / 4 + 1,
    ),
    (
        "usage_summary of a subject's time",
        "usage_level_series_pkey",
        1,
    ),
];

/// How many rows of large tables some statements may sort: the parts of one hold, the grants of one
/// spend, and what is due. They were read by an index, and no index has them in that order.
const ROWS_SORTED: [(&str, u64); 12] = [
    // The beginnings of names and of emails, which two indexes have in order.
    ("billing_accounts_list by name", 2 * 21),
    ("billing_accounts_list by email", 2 * 21),
    ("credits_balance, due", 4),
    ("credits_grants_list, due", 4),
    ("credits_consume, due", 4),
    ("credits_hold_settle", 4),
    ("credits_refund", 4),
    // The allocations of those who spend, so that they are locked in one order.
    ("credit_pool_consume", 1),
    ("credit_pool_consume_many", 1),
    // What was billed of one period.
    ("account_spend_read", 1),
    ("subscription_begin", 1),
    ("subscriptions_due", 1),
];

#[test]
fn every_bound_is_of_a_statement() {
    let names: BTreeSet<_> = statements::all().map(|row| row.name).collect();
    let read = ROWS_READ.iter().map(|(name, ..)| name);
    for name in read.chain(ROWS_SORTED.iter().map(|(name, _)| name)) {
        assert!(names.contains(name), "no statement has the name {name:?}");
    }
}

#[test]
fn hot_statements_read_by_index() {
    block_on(async {
        let database = match environment().databases.create().await {
            Ok(database) => database,
            Err(error) => panic!("{error:#}"),
        };
        let faults = check(&database.url).await;
        if let Err(error) = database.remove().await {
            eprintln!("{error:#}; the next run drops it");
        }
        match faults {
            Ok(faults) => assert!(faults.is_empty(), "{}", faults.join("\n\n")),
            Err(error) => panic!("{error:#}"),
        }
    });
}

/// Everything that is wrong with any plan.
async fn check(url: &str) -> Result<Vec<String>> {
    fill(url).await.context("the tables cannot be filled")?;
    let mut explainer = Explainer::connect(url).await?;
    let large = large_tables(&explainer).await?;
    let mut faults = Vec::new();
    for mode in ["force_custom_plan", "force_generic_plan"] {
        let set = format!("SET plan_cache_mode = {mode}");
        explainer.client().batch_execute(&set).await?;
        for row in statements::all() {
            let is_counted = ROWS_READ.iter().any(|(name, ..)| *name == row.name);
            let set = format!("SET auto_explain.log_analyze = {is_counted}");
            explainer.client().batch_execute(&set).await?;
            let (answer, plans) = explainer
                .explain(row.sql)
                .await
                .with_context(|| row.name.to_owned())?;
            faults.extend(
                faults_of(row, &answer, &plans, &large)
                    .into_iter()
                    .map(|fault| format!("{} ({mode}): {fault}", row.name)),
            );
        }
    }
    Ok(faults)
}

fn faults_of(row: &Row, answer: &str, plans: &[Plan], large: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    if !answer.contains(row.answer) {
        faults.push(format!(
            "answered {answer}, which has no {:?} in it",
            row.answer
        ));
    }
    let is_large = |node: &Node<'_>| large.contains(node.table());
    let mut read = BTreeSet::new();
    for plan in plans {
        for node in plan.nodes() {
            read.insert(node.index());
            if node.kind() == "Seq Scan" && is_large(&node) {
                faults.push(format!("scans {}:\n{}", node.table(), plan.text));
            }
            let may_be_sorted = ROWS_SORTED.iter().any(|(name, most)| {
                let mut read = node.with_children().into_iter().map(Node::rows_read);
                *name == row.name && read.all(|rows| rows <= *most)
            });
            if node.kind().ends_with("Sort")
                && !may_be_sorted
                && node.with_children().iter().any(is_large)
            {
                faults.push(format!("sorts:\n{}", plan.text));
            }
        }
    }
    for (_, index, most) in ROWS_READ.iter().filter(|(name, ..)| *name == row.name) {
        let nodes = plans.iter().flat_map(Plan::nodes);
        let read: u64 = nodes
            .filter(|node| node.index() == *index)
            .map(Node::rows_read)
            .sum();
        // None at all is a plan that was not counted.
        if !(1..=*most).contains(&read) {
            faults.push(format!("reads {read} rows of {index}, and not 1 to {most}"));
        }
    }
    let by_token: &[&str] = if row.sql.contains("explain_digest(5)") && !row.sql.contains("refresh")
    {
        &BY_ACCESS_TOKEN
    } else {
        &[]
    };
    for index in row.indexes.iter().chain(by_token) {
        if !read.contains(index) {
            faults.push(format!("does not read {index}, but {read:?}"));
        }
    }
    faults
}
