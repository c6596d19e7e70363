use super::*;

fn set(functions: &[(&str, &str)]) -> FunctionSet {
    let functions = functions
        .iter()
        .map(|(name, sql)| {
            let function = Function {
                path: PathBuf::from(format!("{name}.sql")),
                sql: (*sql).to_owned(),
            };
            ((*name).to_owned(), function)
        })
        .collect();
    FunctionSet {
        functions,
        digest: String::new(),
    }
}

#[test]
fn what_must_exist_comes_first() {
    for (functions, expected) in [
        // Standard SQL holds on to what it calls, through several steps.
        (
            &[
                (
                    "a",
                    "CREATE OR REPLACE FUNCTION a() RETURNS text RETURN b (c())",
                ),
                (
                    "b",
                    "CREATE OR REPLACE FUNCTION b(p text) RETURNS text RETURN d(p)",
                ),
                (
                    "c",
                    "CREATE OR REPLACE FUNCTION c() RETURNS text RETURN 'c'",
                ),
                (
                    "d",
                    "CREATE OR REPLACE FUNCTION d(p text) RETURNS text RETURN p",
                ),
            ][..],
            &["d", "b", "c", "a"][..],
        ),
        // So does a default, and not a body that is a text, nor a comment.
        (
            &[
                (
                    "a",
                    "-- As z() does.\nCREATE OR REPLACE FUNCTION a(p text DEFAULT y()) RETURNS text AS $$ SELECT z() $$",
                ),
                (
                    "y",
                    "CREATE OR REPLACE FUNCTION y() RETURNS text RETURN 'y'",
                ),
                (
                    "z",
                    "CREATE OR REPLACE FUNCTION z() RETURNS text RETURN a('')",
                ),
            ],
            &["y", "a", "z"],
        ),
    ] {
        assert_eq!(set(functions).in_order(), expected);
    }
}

#[test]
fn calls_are_names_before_parentheses() {
    let sql = "SELECT a(b ( 1 ), (2), é(3)), count(*) FROM c WHERE d IN (1)";
    let found: Vec<_> = calls(sql).into_iter().collect();
    assert_eq!(found, ["IN", "a", "b", "count"]);
}
