//! Sets of functions: applied once, replaced, left over, pruned and refused.

use super::*;

/// The function `greet` with these arguments and this body.
fn greet(arguments: &str, body: &str) -> (&'static str, String) {
    let sql = format!(
        "-- Greets.\nCREATE OR REPLACE FUNCTION greet({arguments}) RETURNS text\nLANGUAGE sql RETURN {body};\n"
    );
    ("functions/greetings/sql/greet.sql", sql)
}

impl Case {
    fn with_file(self, file: &(&str, String)) -> Self {
        self.with(&[(file.0, &file.1)])
    }

    async fn expect_functions(self, applied: Option<usize>, leftovers: &[&str]) -> Self {
        let report = self.migrate().await.expect("this should be applied");
        let expected = FunctionChanges {
            applied,
            leftovers: leftovers.iter().map(ToString::to_string).collect(),
            pruned: Vec::new(),
        };
        assert_eq!(report.functions, expected);
        self
    }

    async fn expect_pruned(self, pruned: &[&str]) -> Self {
        let report = migrate_and_prune(&self.url, self.folder.path())
            .await
            .expect("this should be pruned");
        assert_eq!(report.functions.pruned, pruned);
        assert_eq!(report.functions.leftovers, Vec::<String>::new());
        self
    }

    /// What a statement answers, or the code of its refusal.
    pub async fn ask(&self, sql: &str) -> Result<String, String> {
        let client = connect(&self.url).await.expect("the database answers");
        match client.query_one(sql, &[]).await {
            Ok(row) => Ok(row.get(0)),
            Err(error) => Err(error
                .code()
                .expect("a refusal has a code")
                .code()
                .to_owned()),
        }
    }
}

#[tokio::test]
async fn sets_of_functions_on_a_real_server() {
    let directory = ScratchDirectory::new();
    let cluster = Cluster::start(directory.path(), Durability::Test)
        .await
        .expect("the private cluster starts");

    // Applied once, and again when a file changed. The order of files is nobody's work.
    let caller = (
        "functions/greetings/sql/a_caller.sql",
        "-- Greets aloud.\nCREATE OR REPLACE FUNCTION a_caller() RETURNS text\nLANGUAGE sql RETURN shout(greet('you'));\n",
    );
    let case = Case::new(&cluster)
        .await
        .with(&[FIRST, caller])
        .with_file(&greet("p_name text", "'hello ' || p_name"))
        .expect_functions(Some(3), &[])
        .await
        .expect_functions(None, &[])
        .await;
    assert_eq!(
        case.ask("SELECT a_caller()").await.as_deref(),
        Ok("HELLO YOU")
    );
    let case = case
        .with_file(&greet("p_name text", "'hi ' || p_name"))
        .expect_functions(Some(3), &[])
        .await;
    assert_eq!(case.ask("SELECT a_caller()").await.as_deref(), Ok("HI YOU"));

    // The old signature stays until it is pruned.
    let caller = (
        caller.0,
        "CREATE OR REPLACE FUNCTION a_caller() RETURNS text\nLANGUAGE sql RETURN shout(greet('you', '!'));\n",
    );
    let case = case
        .with(&[caller])
        .with_file(&greet(
            "p_name text, p_mark text",
            "'hey ' || p_name || p_mark",
        ))
        .expect_functions(Some(3), &["greet(text)"])
        .await;
    assert_eq!(
        case.ask("SELECT greet('you')").await.as_deref(),
        Ok("hi you")
    );
    assert_eq!(
        case.ask("SELECT greet('you', '?')").await.as_deref(),
        Ok("hey you?")
    );
    let case = case.expect_functions(None, &["greet(text)"]).await;
    let case = case.expect_pruned(&["greet(text)"]).await;
    assert_eq!(
        case.ask("SELECT greet('you')").await,
        Err("42883".to_owned())
    );
    assert_eq!(
        case.ask("SELECT a_caller()").await.as_deref(),
        Ok("HEY YOU!")
    );

    // A function that left the tree stays too. What was never one of ours is not touched.
    let client = connect(&case.url).await.expect("the database answers");
    client
        .batch_execute("CREATE FUNCTION theirs() RETURNS text LANGUAGE sql RETURN 'theirs'")
        .await
        .expect("the function is made");
    let case = case
        .without(caller.0)
        .expect_functions(Some(2), &["a_caller()"])
        .await
        .expect_pruned(&["a_caller()"])
        .await;
    assert_eq!(case.ask("SELECT a_caller()").await, Err("42883".to_owned()));
    assert_eq!(case.ask("SELECT theirs()").await.as_deref(), Ok("theirs"));

    // Somebody else's view on a leftover is said, and nothing is dropped.
    let case = case
        .with_file(&greet("p_name text, p_mark text, p_end text", "p_name"))
        .expect_functions(Some(2), &["greet(text, text)"])
        .await;
    client
        .batch_execute("CREATE VIEW greeting AS SELECT greet('you', '.') AS text")
        .await
        .expect("the view is made");
    let refusal = migrate_and_prune(&case.url, case.folder.path())
        .await
        .expect_err("the view needs the function");
    let text = format!("{refusal:#}");
    assert!(
        text.contains("greet(text, text)") && text.contains("view greeting"),
        "name both: {text}"
    );
    assert_eq!(
        case.ask("SELECT greet('you', '.')").await.as_deref(),
        Ok("hey you.")
    );

    refusals(&cluster).await;
    older_releases(&cluster).await;
    cluster.stop().await.expect("the private cluster stops");
}

async fn refusals(cluster: &Cluster) {
    for (before, after, part) in [
        // What an argument is called, and what comes back, are part of what callers rely on.
        (
            greet("p_name text", "p_name"),
            greet("p_other text", "p_other"),
            "Give the new one another name",
        ),
        (
            greet("p_name text", "p_name"),
            (
                "functions/greetings/sql/greet.sql",
                "CREATE OR REPLACE FUNCTION greet(p_name text) RETURNS json\nLANGUAGE sql RETURN to_json(p_name);".to_owned(),
            ),
            "Give the new one another name",
        ),
        (
            greet("p_name text DEFAULT ''", "p_name"),
            greet("p_name text", "p_name"),
            "Give the new one another name",
        ),
        // An untyped parameter could be either.
        (
            greet("p_name text", "p_name"),
            greet("p_name uuid", "p_name::text"),
            "greet(uuid) cannot stand beside greet(text)",
        ),
        (
            greet("p_name text, p_mark text DEFAULT ''", "p_name"),
            greet("p_name uuid", "p_name::text"),
            "a call with 1 arguments could mean both",
        ),
        // Not even if the types are the same.
        (
            greet("p_name text", "p_name"),
            greet("p_name text, p_mark text DEFAULT ''", "p_name"),
            "greet(text, text) cannot stand beside greet(text)",
        ),
    ] {
        Case::new(cluster)
            .await
            .with(&[FIRST])
            .with_file(&before)
            .expect_functions(Some(2), &[])
            .await
            .with_file(&after)
            .expect(Err(part))
            .await
            .with_file(&before)
            .expect_functions(None, &[])
            .await;
    }

    let misplaced = "shared/sql/text/other.sql";
    for (file, sql, part) in [
        (
            misplaced,
            FUNCTION.1,
            "must begin with CREATE OR REPLACE FUNCTION other(",
        ),
        (
            "shared/sql/text/two words.sql",
            FUNCTION.1,
            "name it after its function",
        ),
        (
            "functions/greetings/sql/shout.sql",
            FUNCTION.1,
            "Remove one",
        ),
        (
            misplaced,
            "CREATE OR REPLACE FUNCTION other() RETURNS text RETURN 1 +;",
            "other.sql failed, and nothing was kept: syntax error",
        ),
        (
            misplaced,
            "CREATE OR REPLACE FUNCTION other() RETURNS text RETURN '';\nCREATE FUNCTION more() RETURNS text RETURN '';",
            "more(), which is not its own function",
        ),
        (
            misplaced,
            "CREATE OR REPLACE FUNCTION other() RETURNS text RETURN '';\nCREATE FUNCTION other(p_a text) RETURNS text RETURN '';",
            "other.sql makes two functions",
        ),
    ] {
        let case = Case::new(cluster)
            .await
            .with(&[FIRST, (file, sql)])
            .expect(Err(part))
            .await;
        assert!(
            !case.has_table("customers").await,
            "nothing is kept when a function is refused"
        );
    }
    Case::new(cluster)
        .await
        .with(&[FIRST])
        .without(FUNCTION.0)
        .expect(Err("there are no SQL functions in"))
        .await;
}

async fn older_releases(cluster: &Cluster) {
    let older = greet("p_name text", "'old ' || p_name");
    let newer = greet("p_name text", "'new ' || p_name");
    let case = Case::new(cluster)
        .await
        .with(&[FIRST])
        .with_file(&older)
        .expect_functions(Some(2), &[])
        .await
        .with(&[SECOND])
        .with_file(&newer)
        .expect_functions(Some(2), &[])
        .await;

    // The older release, started late.
    let case = case.without(SECOND.0).with_file(&older);
    for result in [
        case.migrate().await,
        migrate_and_prune(&case.url, case.folder.path()).await,
    ] {
        let error = result.expect_err("an older release is refused");
        let text = format!("{error:#}");
        let older = error
            .downcast::<OlderRelease>()
            .expect("the caller can tell why");
        assert!(older.own < older.applied, "{older:?} has both");
        assert!(
            text.contains("20260101000000") && text.contains("20260102000000"),
            "name both releases: {text}"
        );
    }
    assert_eq!(
        case.ask("SELECT greet('you')").await.as_deref(),
        Ok("new you")
    );

    // With the same functions it has nothing to put back. Of one release, what comes last counts.
    let case = case.with_file(&newer).expect_functions(None, &[]).await;
    case.with(&[SECOND])
        .with_file(&older)
        .expect_functions(Some(2), &[])
        .await;
}
