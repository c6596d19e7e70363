//! Which component sends a statement. The statements are in the components' sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};

use crate::component_statements;

/// The statements of all components.
pub struct Callers {
    /// By the normalised text, those who send it.
    by_statement: BTreeMap<String, BTreeSet<String>>,
    /// The statements of each component, in the order of its sources.
    by_component: BTreeMap<String, Vec<String>>,
}

impl Callers {
    /// Reads the sources of the project at `root`. Code that components share is named by its path.
    ///
    /// # Errors
    /// When a source cannot be read, or has a statement that cannot be found in it.
    pub fn read(root: &Path) -> Result<Self> {
        let mut callers = Self {
            by_statement: BTreeMap::new(),
            by_component: BTreeMap::new(),
        };
        let functions = root.join("functions");
        let folders = fs::read_dir(&functions)
            .with_context(|| format!("cannot read the folder {}", functions.display()))?;
        for folder in folders {
            let folder = folder?;
            let id = folder.file_name().to_string_lossy().into_owned();
            callers.collect(&folder.path().join("src"), &|_| id.clone())?;
        }
        let shared = root.join("shared").join("src");
        callers.collect(&shared, &|path| {
            let path = path.strip_prefix(root).unwrap_or(path);
            path.to_string_lossy().into_owned()
        })?;
        Ok(callers)
    }

    fn collect(&mut self, folder: &Path, name: &impl Fn(&Path) -> String) -> Result<()> {
        if !folder.is_dir() {
            return Ok(());
        }
        let entries = fs::read_dir(folder)
            .with_context(|| format!("cannot read the folder {}", folder.display()))?;
        let mut paths = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<Vec<_>>>()?;
        paths.sort();
        for path in paths {
            if path.is_dir() {
                self.collect(&path, name)?;
            } else if path.extension().is_some_and(|end| end == "rs") {
                let source = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                let statements = component_statements::of(&source)
                    .map_err(|fault| anyhow!("{}: {fault}", path.display()))?;
                for statement in statements {
                    let name = name(&path);
                    let senders = self.by_statement.entry(normalised(&statement)).or_default();
                    senders.insert(name.clone());
                    self.by_component.entry(name).or_default().push(statement);
                }
            }
        }
        Ok(())
    }

    /// Who sends a statement, as `pg_stat_statements` has it; nobody for one of an operator.
    pub fn of(&self, statement: &str) -> Vec<&str> {
        let senders = self.by_statement.get(&normalised(statement));
        senders.into_iter().flatten().map(String::as_str).collect()
    }

    /// The statements of a component.
    pub fn statements(&self, component: &str) -> Option<&[String]> {
        self.by_component.get(component).map(Vec::as_slice)
    }
}

/// A statement with one space between words, and with `?` for each constant and parameter.
/// `pg_stat_statements` puts parameters in place of constants.
fn normalised(statement: &str) -> String {
    let mut text = String::new();
    let mut characters = statement.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\'' => {
                // A quote within is two, which makes two texts of one; so one of two is made.
                while characters.next_if(|next| *next != '\'').is_some() {}
                characters.next();
                if !text.ends_with('?') {
                    text.push('?');
                }
            }
            '$' if characters.peek().is_some_and(char::is_ascii_digit) => {
                while characters.next_if(char::is_ascii_digit).is_some() {}
                text.push('?');
            }
            first if first.is_alphanumeric() || first == '_' => {
                let mut word = String::from(first);
                let is_of_word = |next: &char| next.is_alphanumeric() || *next == '_';
                while let Some(next) = characters.next_if(is_of_word) {
                    word.push(next);
                }
                let word = word.to_lowercase();
                let is_constant =
                    first.is_ascii_digit() || ["true", "false", "null"].contains(&word.as_str());
                text.push_str(if is_constant { "?" } else { &word });
            }
            space if space.is_whitespace() => {
                if !text.ends_with(' ') {
                    text.push(' ');
                }
            }
            other => text.push(other),
        }
    }
    // A number with a point is two numbers, and on the other side one parameter.
    text.replace("?.?", "?")
        .trim()
        .trim_end_matches(';')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_compared_without_their_constants() {
        for (sent, seen, are_equal) in [
            ("SELECT a($1, $2)::text", "SELECT a($1, $2)::text", true),
            ("SELECT a($1,\n   60)", "SELECT a($1, $2)", true),
            (
                "SELECT a('it''s', 1.5, true, NULL)",
                "select a($1, $2, $3, $4)",
                true,
            ),
            ("SELECT a1($1)", "SELECT a2($1)", false),
            ("SELECT a($1)", "SELECT a($1, $2)", false),
            ("SELECT a($1);", "SELECT a($1)", true),
            ("SELECT a($1)", "SELECT b($1)", false),
        ] {
            assert_eq!(
                normalised(sent) == normalised(seen),
                are_equal,
                "{sent:?} and {seen:?}"
            );
        }
    }

    #[test]
    fn every_statement_of_the_project_has_a_caller() {
        let project = crate::cli::Project::of_this_program();
        let callers = Callers::read(project.root()).expect("the sources can be read");
        assert_eq!(
            callers.of("SELECT credits_balance($1, $2)::text"),
            ["credits-balance"]
        );
        assert!(
            callers.of("SELECT nobody($1)").is_empty(),
            "nobody sends this"
        );
        let count: usize = callers.by_component.values().map(Vec::len).sum();
        assert!(count > 100, "{count} statements are too few");
    }
}
