//! Lists of credits without a currency have all of them, in one order and in pages of any size,
//! whatever is added, falls due or is posted between two pages.

use serde_json::{Value, json};
use shared::ids::OrganizationId;
use tokio_postgres::Client;
use turnpike_tests::database::connect_without_timeouts;
use turnpike_tests::personas::{CONSUME, GRANTS, HOLDS, TRANSACTIONS, fresh_key, sql_digest};
use turnpike_tests::pools::billing_path;
use turnpike_tests::{Call, TestHost, User, api_tests};

api_tests![
    have_all_currencies_in_one_order,
    go_on_while_entries_are_added_and_posted,
    leave_out_nothing_that_was_decided_before_what_fell_due,
];

const CURRENCIES: [&str; 3] = ["EUR", "JPY", "USD"];

/// Somebody with credits in several currencies, the pool of their organization with as much, and
/// who gave them.
struct Owner {
    user: User,
    admin: User,
    organization: OrganizationId,
}

/// A list of the owner's, its member that has the entries, and the time by which they are in order.
struct List {
    path: String,
    entries: &'static str,
    time: &'static str,
}

impl List {
    fn call(&self, host: &TestHost, owner: &Owner, query: &str) -> Call {
        let call = host.get(format!("{}?{query}", self.path));
        call.bearer(&owner.user.token)
    }

    /// A page, and where the next one begins.
    async fn page(&self, host: &TestHost, owner: &Owner, query: &str) -> (Vec<Value>, String) {
        let answer = self.call(host, owner, query).settle().await;
        let answer = answer.expect(200).json();
        let entries = answer[self.entries].as_array().cloned();
        let next = answer["next_cursor"].as_str().unwrap_or_default();
        (entries.expect("a page has entries"), next.to_owned())
    }

    /// Everything, in one page.
    async fn whole(&self, host: &TestHost, owner: &Owner, filter: &str) -> Vec<Value> {
        let (entries, next) = self.page(host, owner, &format!("limit=100&{filter}")).await;
        assert_eq!(next, "", "{} is longer than a page", self.path);
        entries
    }

    /// Everything, in pages of `limit`.
    async fn in_pages(
        &self,
        host: &TestHost,
        owner: &Owner,
        limit: usize,
        filter: &str,
    ) -> Vec<Value> {
        let mut walk = Walk::new(self, limit);
        while walk.step(host, owner, filter).await {}
        walk.seen
    }

    /// The lists of each currency, put together by the rule of the order.
    async fn by_currency(&self, host: &TestHost, owner: &Owner, filter: &str) -> Vec<Value> {
        let mut all = Vec::new();
        for currency in CURRENCIES {
            let filter = format!("{filter}&currency={currency}");
            let entries = self.whole(host, owner, &filter).await;
            assert!(entries.iter().all(|e| currency_of(e) == currency));
            all.extend(entries);
        }
        // Stable: of one time and currency they stay as the list of the currency has them.
        let time = |entry: &Value| entry[self.time].as_str().unwrap_or_default().to_owned();
        all.sort_by_key(|entry| std::cmp::Reverse(time(entry)));
        all
    }
}

fn currency_of(entry: &Value) -> &str {
    let currency = entry["amount"]["currency"].as_str();
    currency.expect("an entry has an amount")
}

fn ids(entries: &[Value]) -> Vec<&str> {
    entries.iter().filter_map(|e| e["id"].as_str()).collect()
}

/// A way through the pages of a list.
struct Walk<'a> {
    list: &'a List,
    limit: usize,
    next: Option<String>,
    seen: Vec<Value>,
}

impl<'a> Walk<'a> {
    fn new(list: &'a List, limit: usize) -> Self {
        Self {
            list,
            limit,
            next: Some(String::new()),
            seen: Vec::new(),
        }
    }

    /// Reads the next page; whether another follows.
    async fn step(&mut self, host: &TestHost, owner: &Owner, filter: &str) -> bool {
        let Some(cursor) = self.next.take() else {
            return false;
        };
        let mut query = format!("limit={}&{filter}", self.limit);
        if !cursor.is_empty() {
            query = format!("{query}&cursor={cursor}");
        }
        let (entries, next) = self.list.page(host, owner, &query).await;
        assert!(
            next.is_empty() || entries.len() == self.limit,
            "only the last page may be short: {query}"
        );
        self.seen.extend(entries);
        self.next = (!next.is_empty()).then_some(next);
        self.next.is_some()
    }
}

impl Owner {
    async fn new(host: &TestHost) -> Self {
        let user = host.new_user("ada").await;
        Self {
            admin: host.platform_admin().await,
            organization: host.organization_of(&user).await,
            user,
        }
    }

    fn lists(&self) -> [List; 3] {
        let pool = billing_path(self.organization, "credit-pool/transactions");
        [
            (TRANSACTIONS.to_owned(), "transactions", "occurred_at"),
            (pool, "transactions", "occurred_at"),
            (GRANTS.to_owned(), "grants", "created_at"),
        ]
        .map(|(path, entries, time)| List {
            path,
            entries,
            time,
        })
    }

    async fn post(&self, host: &TestHost, path: &str, currency: &str, more: Value) {
        let mut body = json!({"amount": "1", "currency": currency});
        let fields = more.as_object().cloned().unwrap_or_default();
        body.as_object_mut().expect("it is one").extend(fields);
        let call = host.post(path).idempotency_key(&fresh_key()).json(&body);
        call.bearer(&self.user.token).settle().await.expect(201);
    }

    /// Grants, spends and a hold in each currency, of the person and of the pool, mixed.
    async fn fill(&self, host: &TestHost) {
        let tomorrow = host.time_in("1 day").await;
        let allocations = format!("credit-pool/allocations/{}", self.user.id);
        let allocations = billing_path(self.organization, &allocations);
        let pool = billing_path(self.organization, "credit-pool/consume");
        for currency in CURRENCIES {
            let limit = json!({"limit": {"amount": "100", "currency": currency}, "reset": "never"});
            let call = host.put(&allocations).bearer(&self.user.token);
            call.json(&limit).settle().await.expect(200);
        }
        for terms in [
            json!({}),
            json!({"expires_at": tomorrow}),
            json!({"expires_at": tomorrow, "priority": 90}),
            json!({"effective_at": tomorrow}),
        ] {
            for currency in CURRENCIES {
                let mut terms = terms.clone();
                terms["currency"] = json!(currency);
                host.grant_with(&self.admin, &self.user, "5", terms.clone())
                    .await;
                host.pool_grant(&self.admin, self.organization, "5", terms)
                    .await;
                self.post(host, CONSUME, currency, json!({})).await;
                self.post(host, &pool, currency, json!({})).await;
            }
        }
        for currency in CURRENCIES {
            self.post(host, HOLDS, currency, json!({"ttl_secs": 900}))
                .await;
        }
    }

    /// Lets all that is to begin or end do so, at two moments that all accounts share.
    async fn let_fall_due(&self, host: &TestHost) {
        let moment = host.time_in("0 seconds").await;
        host.execute(&format!(
            "UPDATE credit_grants SET effective_at = '{moment}'::timestamptz - interval '1 microsecond'
              WHERE state = 'pending';
             UPDATE credit_grants SET expires_at = '{moment}' WHERE expires_at < 'infinity';
             UPDATE credit_holds SET expires_at = '{moment}'::timestamptz - interval '1 microsecond'
              WHERE state = 'open';
             UPDATE credit_accounts SET next_due_at = '{moment}'"
        ))
        .await;
    }
}

async fn have_all_currencies_in_one_order(host: &TestHost) {
    let owner = Owner::new(host).await;
    // Before anything was given, there is no account in any currency.
    for list in owner.lists() {
        assert_eq!(list.whole(host, &owner, "").await, Vec::<Value>::new());
    }
    owner.fill(host).await;
    owner.let_fall_due(host).await;
    for list in owner.lists() {
        let whole = list.whole(host, &owner, "").await;
        assert_eq!(whole, list.by_currency(host, &owner, "").await);
        assert!(whole.len() >= 12, "{} has {}", list.path, whole.len());
        for limit in 1..=whole.len() + 1 {
            let seen = list.in_pages(host, &owner, limit, "").await;
            assert_eq!(seen, whole, "{} in pages of {limit}", list.path);
        }
        let time = |index: usize| whole[index][list.time].as_str().unwrap_or_default();
        let (middle, last) = (whole.len() / 2, whole.len() - 1);
        let mut filters = vec!["currency=JPY".to_owned(), "currency=GBP".to_owned()];
        if list.entries == "transactions" {
            filters.extend([
                "kind=expire".to_owned(),
                "kind=consume".to_owned(),
                "kind=refund".to_owned(),
                format!("since={}", time(middle)),
                format!("until={}", time(middle)),
                format!("since={}&until={}", time(last - 3), time(0)),
                format!("kind=grant&since={}", time(last)),
                format!("kind=expire&until={}", time(0)),
            ]);
        }
        for filter in filters {
            let narrowed = list.whole(host, &owner, &filter).await;
            let is_there = |entry: &Value| {
                let at = entry[list.time].as_str().unwrap_or_default();
                filter.split('&').all(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or_default();
                    match name {
                        "kind" => entry["kind"] == value,
                        "since" => at >= value,
                        "until" => at < value,
                        _ => currency_of(entry) == value,
                    }
                })
            };
            let expected: Vec<_> = whole.iter().filter(|e| is_there(e)).cloned().collect();
            assert_eq!(narrowed, expected, "{} by {filter}", list.path);
            for limit in [1, 2, 5] {
                let seen = list.in_pages(host, &owner, limit, &filter).await;
                assert_eq!(seen, expected, "{} by {filter} of {limit}", list.path);
            }
        }
    }
}

/// Each account has something added in turn, which posts what is due of it first, or is settled.
async fn go_on_while_entries_are_added_and_posted(host: &TestHost) {
    let owner = Owner::new(host).await;
    owner.fill(host).await;
    owner.let_fall_due(host).await;
    let lists = owner.lists();
    let mut expected = Vec::new();
    for list in &lists {
        expected.push(list.whole(host, &owner, "").await);
    }
    for limit in [1, 2, 7] {
        let mut walks = lists.each_ref().map(|list| Walk::new(list, limit));
        for step in 0_usize.. {
            let mut is_over = true;
            for walk in &mut walks {
                is_over &= !walk.step(host, &owner, "").await;
            }
            if is_over {
                break;
            }
            let currency = CURRENCIES[step % 3];
            if step % 2 == 0 {
                host.grant(&owner.admin, &owner.user, "1", currency).await;
                let terms = json!({"currency": currency});
                host.pool_grant(&owner.admin, owner.organization, "1", terms)
                    .await;
            } else {
                host.execute(&format!(
                    "SELECT account_settle(a, clock_timestamp()) FROM credit_accounts a
                      WHERE currency = '{currency}'"
                ))
                .await;
            }
        }
        for (walk, expected) in walks.iter().zip(&expected) {
            assert_eq!(
                ids(&walk.seen),
                ids(expected),
                "{} in pages of {limit}",
                walk.list.path
            );
        }
        // What was added is there from the first page on.
        expected.clear();
        for list in &lists {
            expected.push(list.by_currency(host, &owner, "").await);
            assert_eq!(expected.last(), Some(&list.whole(host, &owner, "").await));
        }
    }
}

/// A spend is under way when grants end, so that the end is shown with the number that the spend
/// will have.
async fn leave_out_nothing_that_was_decided_before_what_fell_due(host: &TestHost) {
    let owner = Owner::new(host).await;
    let tomorrow = host.time_in("1 day").await;
    for currency in CURRENCIES {
        host.grant(&owner.admin, &owner.user, "5", currency).await;
        for _ in 0..2 {
            let terms = json!({"expires_at": tomorrow, "currency": currency, "priority": 90});
            host.grant_with(&owner.admin, &owner.user, "5", terms).await;
        }
    }
    let [transactions, ..] = owner.lists();
    let before = transactions.whole(host, &owner, "").await;
    let spender = connect_without_timeouts(host.database_url()).await;
    let spender = spender.expect("Postgres has room for one more");
    begin_to_spend_before_grants_end(host, &spender, &owner.user).await;
    host.wait_until_due("credit_grants", "expires_at").await;
    // Of the two ends in euros the later one is the first entry of the list.
    let mut walk = Walk::new(&transactions, 1);
    assert!(walk.step(host, &owner, "").await);
    let first = walk.seen[0].clone();
    assert_eq!(
        (&first["kind"], currency_of(&first)),
        (&json!("expire"), "EUR")
    );
    spender.batch_execute("COMMIT").await.expect("it commits");
    while walk.step(host, &owner, "").await {}
    let after = transactions.whole(host, &owner, "").await;
    // One spend, and two ends in each currency.
    assert_eq!(after.len(), before.len() + 1 + 2 * CURRENCIES.len());
    assert_eq!(ids(&walk.seen), ids(&after));
}

/// Spends euros and does not commit, before all grants end that are to.
async fn begin_to_spend_before_grants_end(host: &TestHost, spender: &Client, user: &User) {
    let digest = sql_digest(&user.token);
    for millis in [1_500, 6_000, 24_000, 96_000] {
        let end = host.time_in(&format!("{millis} milliseconds")).await;
        host.execute(&format!(
            "UPDATE credit_grants SET expires_at = '{end}' WHERE expires_at < 'infinity';
             UPDATE credit_accounts SET next_due_at = '{end}'"
        ))
        .await;
        let spend = format!(
            "BEGIN;
             SELECT credits_consume({digest}, 'under way', token_hash({digest}), gen_random_uuid(), 'EUR', 1, '')"
        );
        spender
            .batch_execute(&spend)
            .await
            .expect("there is enough");
        let is_in_time = format!("SELECT clock_timestamp() < '{end}'");
        let rows = spender
            .query(&is_in_time, &[])
            .await
            .expect("it is a query");
        if rows[0].get(0) {
            return;
        }
        spender.batch_execute("ROLLBACK").await.expect("it ends");
    }
    panic!("no spend was made before the grants ended");
}
