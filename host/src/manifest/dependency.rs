//! `[component.<id>.dependencies]`: whose exports stand for a component's imports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use super::Component;

/// What the forms that need a download are answered with.
const ONLY_LOCAL: &str = "only a component of this file or a local one can be linked: write \
     `{ component = \"<id>\" }` or `{ path = \"<file>.wasm\" }`";

/// One entry of `[component.<id>.dependencies]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The entry's key: the imports it is for.
    pub name: DependencyName,
    /// Where the `.wasm` is.
    pub source: DependencySource,
    /// The export that stands for the import, unless it is the one of the same name.
    pub export: Option<String>,
}

/// Where a dependency's `.wasm` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DependencySource {
    /// It is that of another component.
    Component(String),
    /// It is a file, absolute.
    File(PathBuf),
}

/// Names imports: one, or all of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DependencyName {
    /// An import without a package, `pricing-model`.
    Plain(String),
    /// `package:name`, each with or without `/interface` and `@version`.
    Package {
        /// The package, without its version.
        package: String,
        /// One interface of it; otherwise all.
        interface: Option<String>,
        /// One version; otherwise any.
        version: Option<String>,
    },
}

impl DependencyName {
    fn parse(text: &str) -> Result<Self> {
        let is_word = |word: &str| {
            !word.is_empty()
                && word
                    .split('-')
                    .all(|part| part.chars().all(|c| c.is_ascii_alphanumeric()))
        };
        if !text.contains([':', '/']) {
            ensure!(is_word(text), "it is neither a plain name nor a package's");
            return Ok(Self::Plain(text.to_owned()));
        }
        let (path, version) = split_once(text, '@');
        let (package, interface) = split_once(path, '/');
        let words = package.split(':').chain(interface);
        ensure!(
            package.contains(':')
                && words.clone().all(is_word)
                && version.is_none_or(|version| !version.is_empty()),
            "write `namespace:package/interface@version`; interface and version may be left out"
        );
        Ok(Self::Package {
            package: package.to_owned(),
            interface: interface.map(str::to_owned),
            version: version.map(str::to_owned),
        })
    }

    /// Whether this name means the import `import`.
    pub fn matches(&self, import: &str) -> bool {
        match self {
            Self::Plain(name) => name == import,
            Self::Package {
                package,
                interface,
                version,
            } => {
                let (path, import_version) = split_once(import, '@');
                let (import_package, import_interface) = split_once(path, '/');
                // An import always has an interface; a name without a slash is a plain one.
                import_interface.is_some()
                    && package == import_package
                    && interface
                        .as_deref()
                        .is_none_or(|own| Some(own) == import_interface)
                    && version
                        .as_deref()
                        .is_none_or(|own| Some(own) == import_version)
            }
        }
    }
}

impl std::fmt::Display for DependencyName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(name) => f.write_str(name),
            Self::Package {
                package,
                interface,
                version,
            } => {
                f.write_str(package)?;
                if let Some(interface) = interface {
                    write!(f, "/{interface}")?;
                }
                if let Some(version) = version {
                    write!(f, "@{version}")?;
                }
                Ok(())
            }
        }
    }
}

fn split_once(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.split_once(separator) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

impl Dependency {
    pub(super) fn check(name: &str, value: toml::Value, root: &Path) -> Result<Self> {
        let parsed = DependencyName::parse(name)?;
        let toml::Value::Table(mut entry) = value else {
            bail!("{ONLY_LOCAL}");
        };
        if ["version", "registry", "package", "url", "digest"]
            .iter()
            .any(|key| entry.contains_key(*key))
        {
            bail!("{ONLY_LOCAL}");
        }
        let mut text = |key: &str| match entry.remove(key) {
            None => Ok(None),
            Some(toml::Value::String(text)) => Ok(Some(text)),
            Some(_) => bail!("`{key}` must be a text in quotes"),
        };
        let source = match (text("component")?, text("path")?) {
            (Some(component), None) => DependencySource::Component(component),
            (None, Some(path)) => DependencySource::File(root.join(path)),
            (Some(_), Some(_)) => bail!("`component` and `path` exclude each other"),
            (None, None) => bail!("{ONLY_LOCAL}"),
        };
        let export = text("export")?;
        let whole_package = matches!(
            parsed,
            DependencyName::Package {
                interface: None,
                ..
            }
        );
        ensure!(
            export.is_none() || !whole_package,
            "one `export` cannot stand for all interfaces of a package: name an interface"
        );
        if let Some(inherited) = entry.remove("inherit_configuration") {
            let nothing = match &inherited {
                toml::Value::Boolean(all) => !all,
                toml::Value::Array(keys) => keys.is_empty(),
                _ => false,
            };
            ensure!(
                nothing,
                "a dependency is given nothing here, whatever its component has: remove \
                 `inherit_configuration`"
            );
        }
        if let Some(key) = entry.keys().next() {
            bail!("there is no `{key}`: write `component` or `path`, and `export` if need be");
        }
        Ok(Self {
            name: parsed,
            source,
            export,
        })
    }

    /// Checks that another component can be linked: it is there, and asks for nothing that a
    /// dependency is not given.
    pub(super) fn check_source(
        &self,
        dependent: &str,
        components: &BTreeMap<String, Component>,
    ) -> Result<()> {
        let DependencySource::Component(id) = &self.source else {
            return Ok(());
        };
        let Some(component) = components.get(id) else {
            bail!("there is no [component.{id}]: add that stanza with `source = \"<file>.wasm\"`");
        };
        ensure!(id != dependent, "a component cannot be its own dependency");
        let given = [
            (
                "allowed_outbound_hosts",
                !component.allowed_outbound_hosts.is_empty(),
            ),
            ("dependencies", !component.dependencies.is_empty()),
            ("environment", !component.environment.is_empty()),
            ("files", !component.files.is_empty()),
            ("key_value_stores", !component.key_value_stores.is_empty()),
            ("variables", !component.variables.is_empty()),
        ];
        if let Some((key, _)) = given.iter().find(|(_, is_given)| *is_given) {
            bail!("a dependency is given nothing: remove `{key}` from [component.{id}]");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    fn check_match(name: &str, import: &str, expected: bool) {
        let parsed = DependencyName::parse(name)
            .unwrap_or_else(|error| panic!("{name:?} must parse: {error:#}"));
        assert_eq!(parsed.to_string(), name);
        assert_eq!(parsed.matches(import), expected, "{name:?} and {import:?}");
    }

    #[test]
    fn names_match_as_in_spin() {
        check_match("a:b/c@0.1.0", "a:b/c@0.1.0", true);
        check_match("a:b/c@0.1.0", "a:b/c@0.2.0", false);
        check_match("a:b/c@0.1.0", "a:b/c", false);
        check_match("a:b/c", "a:b/c@0.1.0", true);
        check_match("a:b/c", "a:b/c", true);
        check_match("a:b/c", "a:b/d", false);
        check_match("a:b/c", "a:b/c-d", false);
        check_match("a:b", "a:b/c@0.1.0", true);
        check_match("a:b", "a:b/d", true);
        check_match("a:b", "a:x/c", false);
        check_match("a:b@0.1.0", "a:b/c@0.1.0", true);
        check_match("a:b@0.1.0", "a:b/c", false);
        check_match("a:b", "b", false);
        check_match("c-d", "c-d", true);
        check_match("c-d", "a:b/c-d", false);
    }

    #[test]
    fn malformed_names_are_refused() {
        for name in ["", "a b", "a:", ":b", "a:b/", "a:b@", "a/b", "a:b/c/d"] {
            assert!(
                DependencyName::parse(name).is_err(),
                "{name:?} must be refused"
            );
        }
    }

    #[test]
    fn only_local_forms_are_read() -> Result<()> {
        let component = || DependencySource::Component("y".into());
        let file = || DependencySource::File("/app/p/y.wasm".into());
        for (name, entry, expected) in [
            ("a:b/c", "{ component = 'y' }", Ok((component(), None))),
            ("a:b", "{ component = 'y' }", Ok((component(), None))),
            (
                "a:b/c",
                "{ component = 'y', export = 'd:e/f', inherit_configuration = false }",
                Ok((component(), Some("d:e/f"))),
            ),
            (
                "a:b/c",
                "{ path = 'p/y.wasm', inherit_configuration = [] }",
                Ok((file(), None)),
            ),
            ("a:b/c", "'>= 0.1.0'", Err("only a component of this file")),
            (
                "a:b/c",
                "{ version = '0.1.0', registry = 'r.example' }",
                Err("only a component of this file"),
            ),
            (
                "a:b/c",
                "{ url = 'https://r.example/y.wasm', digest = 'sha256:0' }",
                Err("only a component of this file"),
            ),
            ("a:b/c", "{ }", Err("only a component of this file")),
            (
                "a:b/c",
                "{ component = 'y', path = 'y.wasm' }",
                Err("exclude each other"),
            ),
            ("a:b/c", "{ path = 1 }", Err("`path` must be a text")),
            (
                "a:b/c",
                "{ component = 'y', exports = 'z' }",
                Err("there is no `exports`"),
            ),
            (
                "a:b",
                "{ component = 'y', export = 'd:e/f' }",
                Err("name an interface"),
            ),
            (
                "a:b/c",
                "{ component = 'y', inherit_configuration = true }",
                Err("is given nothing"),
            ),
            (
                "a:b/c",
                "{ component = 'y', inherit_configuration = ['files'] }",
                Err("is given nothing"),
            ),
        ] {
            let mut table: toml::Table = toml::from_str(&format!("x = {entry}"))?;
            let value = table.remove("x").context("the table has the entry")?;
            match (Dependency::check(name, value, Path::new("/app")), expected) {
                (Ok(read), Ok((source, export))) => {
                    assert_eq!(read.source, source, "{entry}");
                    assert_eq!(read.export.as_deref(), export, "{entry}");
                }
                (Err(error), Err(part)) => {
                    let message = error.to_string();
                    assert!(message.contains(part), "{message:?} must say {part:?}");
                }
                (read, expected) => panic!("{name} = {entry} gave {read:?}, not {expected:?}"),
            }
        }
        Ok(())
    }
}
