//! The plans that Postgres makes for the statements inside SQL functions, as `auto_explain` logs
//! them to the connection that runs them.

use anyhow::{Context as _, Result, ensure};
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::{StreamExt as _, stream};
use serde_json::Value;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use crate::database::timeouts_off;

/// What stands between a logged statement's duration and its plan.
const PLAN_MARK: &str = "plan:\n";

/// A connection that learns the plan of everything it runs.
pub struct Explainer {
    client: Client,
    logged: UnboundedReceiver<String>,
}

/// The plan of one statement.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The statement.
    pub text: String,
    root: Value,
}

/// One step of a plan.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a>(&'a Value);

impl Explainer {
    /// Connects and turns `auto_explain` on.
    ///
    /// # Errors
    /// When the server lacks `auto_explain`, or the user may not load it.
    pub async fn connect(url: &str) -> Result<Self> {
        let (client, mut connection) = tokio_postgres::connect(url, NoTls).await?;
        let (sender, logged) = unbounded();
        tokio::spawn(async move {
            let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notice(notice) = message {
                    // Nobody reads once the test is over.
                    let _ = sender.unbounded_send(notice.message().to_owned());
                }
            }
        });
        client.batch_execute("LOAD 'auto_explain'").await.context(
            "auto_explain cannot be loaded: install Postgres' contrib package (Debian before 10: \
             postgresql-contrib; Fedora, RHEL: postgresql-contrib; Alpine: postgresql-contrib), \
             and run the tests as a superuser",
        )?;
        client.batch_execute(&timeouts_off()).await?;
        client
            .batch_execute(
                "SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
                 SET auto_explain.log_format = json; SET auto_explain.log_analyze = off;
                 SET client_min_messages = log",
            )
            .await?;
        Ok(Self { client, logged })
    }

    /// The connection itself.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Runs a statement, takes it back, and returns what it gave in its first column, with the
    /// plans of all statements that ran inside it.
    ///
    /// # Errors
    /// When the statement fails, or a plan cannot be read.
    pub async fn explain(&mut self, sql: &str) -> Result<(String, Vec<Plan>)> {
        self.client.batch_execute("BEGIN").await?;
        let rows = self.client.simple_query(sql).await;
        self.client.batch_execute("ROLLBACK").await?;
        let answer = rows?
            .iter()
            .find_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
            .unwrap_or_default();
        // The server sends what it logs before it ends the statement.
        let mut plans = Vec::new();
        while let Ok(message) = self.logged.try_recv() {
            if let Some((_, json)) = message.split_once(PLAN_MARK) {
                plans.push(Plan::read(json)?);
            }
        }
        ensure!(!plans.is_empty(), "auto_explain has logged no plan");
        Ok((answer, plans))
    }
}

impl Plan {
    fn read(json: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(json)
            .with_context(|| format!("a plan that is no JSON: {json}"))?;
        Ok(Self {
            text: value["Query Text"].as_str().unwrap_or_default().to_owned(),
            root: value["Plan"].clone(),
        })
    }

    /// All steps, each before those it reads from.
    pub fn nodes(&self) -> Vec<Node<'_>> {
        Node(&self.root).with_children()
    }
}

impl<'a> Node<'a> {
    /// What it does, as in `Seq Scan`.
    pub fn kind(self) -> &'a str {
        self.member("Node Type")
    }

    /// The table it reads, or nothing.
    pub fn table(self) -> &'a str {
        self.member("Relation Name")
    }

    /// The index it reads, or nothing.
    pub fn index(self) -> &'a str {
        self.member("Index Name")
    }

    /// The rows that it read, those that it then left out included; nothing unless
    /// `auto_explain.log_analyze` is on.
    pub fn rows_read(self) -> u64 {
        // Since Postgres 18 an average over the loops, with two digits.
        let member = |name: &str| self.0[name].as_f64().unwrap_or_default().ceil() as u64;
        let of_a_loop = member("Actual Rows")
            + member("Rows Removed by Filter")
            + member("Rows Removed by Index Recheck");
        of_a_loop * member("Actual Loops")
    }

    /// This step and all that it reads from.
    pub fn with_children(self) -> Vec<Node<'a>> {
        let mut nodes = vec![self];
        let mut seen = 0;
        while let Some(Node(value)) = nodes.get(seen).copied() {
            seen += 1;
            nodes.extend(value["Plans"].as_array().into_iter().flatten().map(Node));
        }
        nodes
    }

    fn member(self, name: &str) -> &'a str {
        self.0[name].as_str().unwrap_or_default()
    }
}
