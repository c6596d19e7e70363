//! `turnpike new`: a function that passes the tests, to be made into what it is to be.
//!
//! It is a read that needs a permission. A new endpoint that writes begins as one too.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::arguments::NewArguments;

/// What the function is, as its files name it.
struct Function {
    id: String,
    route: String,
    permission: String,
}

/// The files of a function, by their place in its folder.
const FILES: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("new/Cargo.toml.template")),
    ("src/lib.rs", include_str!("new/lib.rs.template")),
    (
        "src/operations.rs",
        include_str!("new/operations.rs.template"),
    ),
    ("src/handler.rs", include_str!("new/handler.rs.template")),
    ("src/queries.rs", include_str!("new/queries.rs.template")),
    (
        "sql/{{module}}.sql",
        include_str!("new/function.sql.template"),
    ),
];
const TEST: &str = include_str!("new/test.rs.template");
const STANZA: &str = include_str!("new/stanza.toml.template");

/// The route before which new ones are declared: everything that no other serves.
const CATCH_ALL: &str = "[[trigger.http]]\nroute = \"/api/...\"\n";

/// Where the tests' modules are listed.
const TEST_MODULES: &str = "tests/api/main.rs";

/// Writes the function, its stanza and its test, and returns the paths of what was
/// written, relative to `root`.
///
/// # Errors
/// When the id is taken or is no id, or a file cannot be written. Nothing is overwritten.
pub fn create(root: &Path, arguments: &NewArguments) -> Result<Vec<String>> {
    let function = Function::of(arguments)?;
    let (id, module) = (&function.id, function.module());
    let manifest_path = root.join("spin.toml");
    let manifest = read(&manifest_path)?;
    ensure!(
        !root.join("functions").join(id).exists()
            && !manifest.contains(&format!("[component.{id}]")),
        "there is a function {id} already: choose another id"
    );
    ensure!(
        !manifest.contains(&format!("route = \"{}\"", function.route)),
        "another component serves {}: choose another with --route",
        function.route
    );
    let catch_all = manifest
        .find(CATCH_ALL)
        .with_context(|| format!("{} does not route /api/...", manifest_path.display()))?;
    let modules_path = root.join(TEST_MODULES);
    let modules = read(&modules_path)?;

    let mut written = Vec::new();
    for (place, template) in FILES {
        let place = format!("functions/{id}/{}", function.fill(place));
        write(&root.join(&place), &function.fill(template))?;
        written.push(place);
    }
    let (before, after) = manifest.split_at(catch_all);
    write(
        &manifest_path,
        &format!("{before}{}{after}", function.fill(STANZA)),
    )?;
    written.push("spin.toml".to_owned());
    let test = format!("tests/api/{module}.rs");
    write(&root.join(&test), &function.fill(TEST))?;
    written.push(test);
    write(&modules_path, &with_module(&modules, &module))?;
    written.push(TEST_MODULES.to_owned());
    Ok(written)
}

impl Function {
    fn of(arguments: &NewArguments) -> Result<Self> {
        let id = arguments.id.clone();
        let is_word = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_lowercase())
                && word
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        ensure!(
            id.split('-').all(is_word),
            "{id:?} is no id: write lower-case words with hyphens between, the domain first, as in \
             credits-forecast"
        );
        let route = arguments.route.clone().unwrap_or_else(|| {
            let (domain, rest) = id.split_once('-').unwrap_or((&id, ""));
            match rest {
                "" => format!("/api/v1/{domain}"),
                rest => format!("/api/v1/{domain}/{rest}"),
            }
        });
        ensure!(
            route.starts_with("/api/") && !route.contains([':', '{', '"', ' ']),
            "{route:?} is no route to begin with: write a path below /api/ without parameters"
        );
        let permission = arguments.permission.clone();
        Ok(Self {
            id,
            route,
            permission,
        })
    }

    /// The id as Rust and SQL write it.
    fn module(&self) -> String {
        self.id.replace('-', "_")
    }

    fn fill(&self, template: &str) -> String {
        let words: Vec<&str> = self.id.split('-').collect();
        let domain = words.first().copied().unwrap_or_default();
        let capital = |word: &str| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + rest
        };
        let type_name: String = words.iter().copied().map(capital).collect();
        let summary = format!("Read the {}", words.join(" "));
        [
            ("{{id}}", self.id.as_str()),
            ("{{module}}", &self.module()),
            ("{{route}}", &self.route),
            ("{{permission}}", &self.permission),
            ("{{type}}", &type_name),
            ("{{tag}}", domain),
            ("{{summary}}", &summary),
        ]
        .into_iter()
        .fold(template.to_owned(), |text, (name, value)| {
            text.replace(name, value)
        })
    }
}

/// The list of the tests' modules with one more, in its alphabetical place among those
/// of components.
fn with_module(modules: &str, module: &str) -> String {
    let line = format!("mod {module};");
    let first = modules.find("mod ").unwrap_or(modules.len());
    let (head, list) = modules.split_at(first);
    let end = list.find("\n\n").map_or(list.len(), |end| end + 1);
    let (list, tail) = list.split_at(end);
    let mut lines: Vec<&str> = list.lines().chain([line.as_str()]).collect();
    lines.sort_unstable();
    format!("{head}{}\n{tail}", lines.join("\n"))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().context("a file is in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(id: &str, route: Option<&str>) -> NewArguments {
        NewArguments {
            id: id.to_owned(),
            route: route.map(str::to_owned),
            permission: "organization:read".to_owned(),
        }
    }

    #[test]
    fn ids_and_routes() {
        let table = [
            ("credits-forecast", None, Some("/api/v1/credits/forecast")),
            (
                "credits-pool-forecast",
                None,
                Some("/api/v1/credits/pool-forecast"),
            ),
            ("accounts", None, Some("/api/v1/accounts")),
            (
                "accounts",
                Some("/api/v1/my/accounts"),
                Some("/api/v1/my/accounts"),
            ),
            ("accounts", Some("/accounts"), None),
            ("accounts", Some("/api/v1/accounts/:id"), None),
            ("Accounts", None, None),
            ("accounts_list", None, None),
            ("accounts-", None, None),
            ("", None, None),
        ];
        for (id, route, expected) in table {
            let got = Function::of(&arguments(id, route))
                .map(|function| function.route)
                .ok();
            assert_eq!(got.as_deref(), expected, "{id:?} at {route:?}");
        }
    }

    #[test]
    fn modules_stay_in_order() {
        let modules = "//! Tests.\n\nmod audit_log;\nmod users;\n\n// Others.\nmod wire;\n";
        assert_eq!(
            with_module(modules, "credits_forecast"),
            "//! Tests.\n\nmod audit_log;\nmod credits_forecast;\nmod users;\n\n// Others.\nmod wire;\n"
        );
    }

    #[test]
    fn a_function_is_written_once_and_whole() -> Result<()> {
        let root = std::env::temp_dir().join(format!("turnpike-new-{}", std::process::id()));
        fs::create_dir_all(root.join("tests/api"))?;
        fs::write(root.join("spin.toml"), format!("# Router.\n\n{CATCH_ALL}"))?;
        fs::write(root.join(TEST_MODULES), "mod users;\n")?;
        let arguments = arguments("credits-forecast", None);
        let written = create(&root, &arguments)?;
        for place in &written {
            let text = fs::read_to_string(root.join(place))?;
            let left = text.replace("{{ db_", "");
            assert!(
                !left.contains("{{"),
                "{place} has a gap that was not filled:\n{text}"
            );
        }
        assert!(
            written.contains(&"functions/credits-forecast/sql/credits_forecast.sql".to_owned())
        );
        let again = create(&root, &arguments)
            .err()
            .map(|error| error.to_string());
        fs::remove_dir_all(&root)?;
        assert!(again.is_some_and(|message| message.contains("already")));
        Ok(())
    }
}
