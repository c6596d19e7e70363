//! `spin.toml`, manifest version 2: the part of it that serving HTTP needs.
//!
//! Keys this host does not use are accepted, because the same file is read by Spin. What is
//! missing or malformed is reported with the stanza it belongs to and the line to write there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde::Deserialize;

pub(crate) mod allowed_hosts;
mod dependency;
pub mod routes;
pub(crate) mod variables;

use routes::Routes;

pub use dependency::{Dependency, DependencyName, DependencySource};

/// The only manifest version there is a reader for.
const MANIFEST_VERSION: i64 = 2;

/// A parsed and checked `spin.toml`.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The directory of `spin.toml`: every relative path in it starts here.
    pub root: PathBuf,
    /// `[application]`.
    pub application: Application,
    /// `[variables]`, by name.
    pub variables: BTreeMap<String, Variable>,
    /// `[[trigger.http]]`, in the order of the file.
    pub triggers: Vec<HttpTrigger>,
    /// `[component.<id>]`, by id.
    pub components: BTreeMap<String, Component>,
}

/// `[application]`.
#[derive(Debug, Clone, Deserialize)]
pub struct Application {
    /// The application's name.
    pub name: String,
    /// Its version, empty when the file has none.
    #[serde(default)]
    pub version: String,
    /// What it is, for people.
    #[serde(default)]
    pub description: String,
}

/// One entry of `[variables]`.
#[derive(Debug, Clone, Default, Deserialize, PartialEq, Eq)]
pub struct Variable {
    /// The value when nobody supplies another.
    pub default: Option<String>,
    /// Whether somebody has to supply a value.
    #[serde(default)]
    pub required: bool,
    /// Whether the value has to be kept out of logs.
    #[serde(default)]
    pub secret: bool,
}

/// One `[[trigger.http]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTrigger {
    /// The route pattern, or `None` for `{ private = true }`.
    pub route: Option<String>,
    /// The component that answers.
    pub component: String,
}

/// One `[component.<id>]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// The component's id.
    pub id: String,
    /// The `.wasm` file, absolute.
    pub source: PathBuf,
    /// Patterns of addresses it may connect to, templates not yet expanded.
    pub allowed_outbound_hosts: Vec<String>,
    /// Labels of the key-value stores it may open.
    pub key_value_stores: Vec<String>,
    /// Its environment variables.
    pub environment: BTreeMap<String, String>,
    /// Directories it can read.
    pub files: Vec<FileMount>,
    /// Its variables, templates not yet expanded.
    pub variables: BTreeMap<String, String>,
    /// Components whose exports stand for its imports.
    pub dependencies: Vec<Dependency>,
    /// How it is built, when the file says so.
    pub build: Option<Build>,
}

/// A directory a component can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMount {
    /// The host's directory, absolute.
    pub source: PathBuf,
    /// Where the component sees it.
    pub destination: String,
}

/// `[component.<id>.build]`.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
pub struct Build {
    /// The command, run in the manifest's directory.
    pub command: String,
    /// Globs of the files whose change makes a rebuild necessary.
    #[serde(default)]
    pub watch: Vec<String>,
}

#[derive(Deserialize)]
struct RawManifest {
    spin_manifest_version: Option<i64>,
    application: Option<Application>,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    #[serde(default)]
    trigger: RawTriggers,
    #[serde(default)]
    component: BTreeMap<String, RawComponent>,
}

#[derive(Default, Deserialize)]
struct RawTriggers {
    #[serde(default)]
    http: Vec<RawHttpTrigger>,
}

#[derive(Deserialize)]
struct RawHttpTrigger {
    route: Option<RawRoute>,
    component: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawRoute {
    Pattern(String),
    Private { private: bool },
}

#[derive(Deserialize)]
struct RawComponent {
    source: Option<toml::Value>,
    #[serde(default)]
    allowed_outbound_hosts: Vec<String>,
    #[serde(default)]
    key_value_stores: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    files: Vec<toml::Value>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default)]
    dependencies: BTreeMap<String, toml::Value>,
    #[serde(default)]
    dependencies_inherit_configuration: bool,
    build: Option<Build>,
}

impl Manifest {
    /// Reads and checks the manifest at `path`.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, or lacks something; the message names the stanza.
    pub fn read(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path)
            .with_context(|| format!("cannot resolve the path {}", path.display()))?;
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read the manifest {}", path.display()))?;
        let root = path.parent().unwrap_or(Path::new("/"));
        Self::parse(&text, root).with_context(|| format!("in {}", path.display()))
    }

    /// Parses and checks a manifest whose relative paths start at `root`.
    ///
    /// # Errors
    /// As [`Manifest::read`].
    pub fn parse(text: &str, root: &Path) -> Result<Self> {
        let raw: RawManifest = toml::from_str(text).context("not a valid spin.toml")?;
        match raw.spin_manifest_version {
            Some(MANIFEST_VERSION) => {}
            Some(other) => bail!(
                "spin_manifest_version is {other}, and only {MANIFEST_VERSION} is supported: \
                 write `spin_manifest_version = {MANIFEST_VERSION}`"
            ),
            None => bail!("write `spin_manifest_version = {MANIFEST_VERSION}` at the top"),
        }
        let application = raw
            .application
            .context("[application] is missing: add it with `name = \"...\"`")?;
        for name in raw.variables.keys() {
            check_variable_name(name).with_context(|| format!("in [variables] {name}"))?;
        }
        let components = raw
            .component
            .into_iter()
            .map(|(id, raw)| {
                let component = Component::check(&id, raw, root)
                    .with_context(|| format!("[component.{id}]"))?;
                Ok((id, component))
            })
            .collect::<Result<BTreeMap<_, _>>>()?;
        for component in components.values() {
            for dependency in &component.dependencies {
                dependency
                    .check_source(&component.id, &components)
                    .with_context(|| {
                        format!(
                            "[component.{}.dependencies] {}",
                            component.id, dependency.name
                        )
                    })?;
            }
        }
        let triggers = raw
            .trigger
            .http
            .into_iter()
            .enumerate()
            .map(|(index, raw)| HttpTrigger::check(index, raw, &components))
            .collect::<Result<Vec<_>>>()?;
        let manifest = Self {
            root: root.to_owned(),
            application,
            variables: raw.variables,
            triggers,
            components,
        };
        // Building the table finds malformed and duplicate routes now rather than at the start.
        manifest.routes()?;
        Ok(manifest)
    }

    /// The routing table of the public triggers; a route's index is that of its trigger.
    ///
    /// # Errors
    /// Two triggers share a route, or a route is malformed.
    pub fn routes(&self) -> Result<Routes> {
        Routes::build(
            self.triggers
                .iter()
                .enumerate()
                .filter_map(|(index, trigger)| {
                    let route = trigger.route.as_deref()?;
                    Some((route, trigger.component.as_str(), index))
                }),
        )
    }

    /// Ids of the components that a trigger leads to, in the order of the triggers.
    pub fn triggered_components(&self) -> Vec<&Component> {
        let mut seen = BTreeSet::new();
        self.triggers
            .iter()
            .filter(|trigger| seen.insert(trigger.component.as_str()))
            .filter_map(|trigger| self.components.get(&trigger.component))
            .collect()
    }

    /// The `.wasm` of a dependency, and how messages call it.
    ///
    /// # Errors
    /// It is a component that the manifest no longer has.
    pub fn dependency_source<'a>(
        &'a self,
        dependency: &'a Dependency,
    ) -> Result<(&'a Path, String)> {
        match &dependency.source {
            DependencySource::File(path) => Ok((path, dependency.name.to_string())),
            DependencySource::Component(id) => {
                let component = self
                    .components
                    .get(id)
                    .with_context(|| format!("there is no [component.{id}]"))?;
                Ok((&component.source, id.clone()))
            }
        }
    }
}

impl HttpTrigger {
    fn check(
        index: usize,
        raw: RawHttpTrigger,
        components: &BTreeMap<String, Component>,
    ) -> Result<Self> {
        let nth = index + 1;
        let component = raw.component.with_context(|| {
            format!("[[trigger.http]] number {nth}: add `component = \"<id of a component>\"`")
        })?;
        ensure!(
            components.contains_key(&component),
            "[[trigger.http]] number {nth}: there is no [component.{component}]: add that stanza \
             with `source = \"<file>.wasm\"`"
        );
        let route = match raw.route {
            Some(RawRoute::Pattern(pattern)) => Some(pattern),
            Some(RawRoute::Private { private: true }) => None,
            Some(RawRoute::Private { private: false }) | None => bail!(
                "[[trigger.http]] number {nth} ({component}): add `route = \"/...\"` or \
                 `route = {{ private = true }}`"
            ),
        };
        Ok(Self { route, component })
    }
}

impl Component {
    fn check(id: &str, raw: RawComponent, root: &Path) -> Result<Self> {
        let source = match raw.source {
            Some(toml::Value::String(source)) => root.join(source),
            Some(_) => bail!(
                "only a local file can be loaded: write `source = \"target/wasm32-wasip2/function/\
                 {}.wasm\"`",
                id.replace('-', "_")
            ),
            None => bail!(
                "add `source = \"target/wasm32-wasip2/function/{}.wasm\"`",
                id.replace('-', "_")
            ),
        };
        let files = raw
            .files
            .into_iter()
            .map(|value| FileMount::check(value, root))
            .collect::<Result<Vec<_>>>()?;
        for name in raw.variables.keys() {
            check_variable_name(name).with_context(|| format!("in variables: {name}"))?;
        }
        ensure!(
            !raw.dependencies_inherit_configuration,
            "a dependency is given nothing here: remove `dependencies_inherit_configuration`"
        );
        let dependencies = raw
            .dependencies
            .into_iter()
            .map(|(name, value)| {
                Dependency::check(&name, value, root)
                    .with_context(|| format!("in dependencies: {name:?}"))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            id: id.to_owned(),
            source,
            allowed_outbound_hosts: raw.allowed_outbound_hosts,
            key_value_stores: raw.key_value_stores,
            environment: raw.environment,
            files,
            variables: raw.variables,
            dependencies,
            build: raw.build,
        })
    }
}

impl FileMount {
    fn check(value: toml::Value, root: &Path) -> Result<Self> {
        let table = value.as_table().ok_or_else(|| {
            anyhow!(
                "files: patterns are not supported here: write `files = [{{ source = \
                 \"<directory>\", destination = \"/\" }}]`"
            )
        })?;
        let text = |key: &str| {
            table
                .get(key)
                .and_then(toml::Value::as_str)
                .with_context(|| format!("files: an entry lacks `{key} = \"...\"`"))
        };
        Ok(Self {
            source: root.join(text("source")?),
            destination: text("destination")?.to_owned(),
        })
    }
}

/// Checks a variable's name by Spin's rule, which lets every name become an environment variable.
///
/// # Errors
/// The reason, in words.
pub(crate) fn check_variable_name(name: &str) -> Result<()> {
    ensure!(!name.is_empty(), "a variable's name must not be empty");
    if let Some(wrong) = name
        .chars()
        .find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_'))
    {
        bail!("{wrong:?} is not allowed: use lower-case letters, digits and underscores");
    }
    ensure!(
        name.starts_with(|c: char| c.is_ascii_lowercase()),
        "the name must start with a letter"
    );
    ensure!(
        !name.ends_with('_'),
        "the name must end with a letter or digit"
    );
    ensure!(
        !name.contains("__"),
        "the name must not have two underscores in a row"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "spin_manifest_version = 2\n[application]\nname = \"t\"\n";

    fn check(body: &str, expected: Result<(), &str>) {
        let text = format!("{HEAD}{body}");
        let outcome = Manifest::parse(&text, Path::new("/app"));
        match (outcome, expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(part)) => {
                let message = format!("{error:#}");
                assert!(
                    message.contains(part),
                    "the error for\n{body}\nwas {message:?}; make it say {part:?}"
                );
            }
            (Ok(_), Err(part)) => {
                panic!("accepted, but must be refused with {part:?}:\n{body}")
            }
            (Err(error), Ok(())) => panic!("must be accepted, but: {error:#}\n{body}"),
        }
    }

    #[test]
    fn accepts_what_spin_accepts_and_names_what_is_missing() {
        let component = "[component.a]\nsource = \"a.wasm\"\n";
        check("", Ok(()));
        check("unknown_key = 1\n[whatever]\nx = 2\n", Ok(()));
        check(
            &format!("[[trigger.http]]\nroute = \"/a\"\ncomponent = \"a\"\n{component}"),
            Ok(()),
        );
        check(
            &format!(
                "[[trigger.http]]\nroute = {{ private = true }}\ncomponent = \"a\"\n{component}"
            ),
            Ok(()),
        );
        check(
            &format!(
                "[[trigger.http]]\nroute = {{ private = false }}\ncomponent = \"a\"\n{component}"
            ),
            Err("private = true"),
        );
        check(
            &format!("[[trigger.http]]\nroute = \"/a\"\n{component}"),
            Err("number 1: add `component"),
        );
        check(
            "[[trigger.http]]\nroute = \"/a\"\ncomponent = \"a\"\n",
            Err("there is no [component.a]"),
        );
        check("[component.credits-balance]\n", Err("credits_balance.wasm"));
        check(
            "[component.a]\nsource = { url = \"https://example.com\" }\n",
            Err("[component.a]: only a local file"),
        );
        check(
            "[component.a]\nsource = \"a.wasm\"\nfiles = [\"*.html\"]\n",
            Err("patterns are not supported"),
        );
        check(
            "[variables]\nDB = { default = \"x\" }\n",
            Err("'D' is not allowed"),
        );
        check(
            "[variables]\na__b = { default = \"x\" }\n",
            Err("two underscores"),
        );
        check(
            &format!(
                "[[trigger.http]]\nroute = \"/a\"\ncomponent = \"a\"\n\
                 [[trigger.http]]\nroute = \"/a\"\ncomponent = \"a\"\n{component}"
            ),
            Err("both have the route \"/a\""),
        );
    }

    #[test]
    fn refuses_another_version_or_no_application() {
        for (text, part) in [
            ("", "write `spin_manifest_version = 2`"),
            ("spin_manifest_version = 1\n", "only 2 is supported"),
            ("spin_manifest_version = 2\n", "[application] is missing"),
            ("not toml at all", "not a valid spin.toml"),
        ] {
            let error = Manifest::parse(text, Path::new("/app"))
                .err()
                .unwrap_or_else(|| panic!("{text:?} must be refused"));
            let message = format!("{error:#}");
            assert!(message.contains(part), "{message:?} must say {part:?}");
        }
    }

    #[test]
    fn dependencies_are_components_that_ask_for_nothing() {
        let with = |dependency: &str| {
            format!(
                "[component.a]\nsource = \"a.wasm\"\n\
                 [component.a.dependencies]\n\"p:q/r@0.1.0\" = {{ component = \"b\" }}\n\
                 {dependency}"
            )
        };
        check(&with("[component.b]\nsource = \"b.wasm\"\n"), Ok(()));
        check(
            &with("[component.b]\nsource = \"b.wasm\"\n[component.b.build]\ncommand = \"make\"\n"),
            Ok(()),
        );
        check(
            &with(""),
            Err("[component.a.dependencies] p:q/r@0.1.0: there is no [component.b]"),
        );
        for given in [
            "allowed_outbound_hosts = [\"http://x.example\"]",
            "key_value_stores = [\"default\"]",
            "files = [{ source = \"web\", destination = \"/\" }]",
            "environment = { A = \"1\" }",
            "variables = { a = \"1\" }",
            "dependencies = { \"x:y/z\" = { path = \"z.wasm\" } }",
        ] {
            let key = given.split(' ').next().unwrap_or_default();
            check(
                &with(&format!("[component.b]\nsource = \"b.wasm\"\n{given}\n")),
                Err(&format!("remove `{key}` from [component.b]")),
            );
        }
        check(
            "[component.a]\nsource = \"a.wasm\"\n\
             dependencies = { \"p:q/r\" = { component = \"a\" } }\n",
            Err("cannot be its own dependency"),
        );
        check(
            "[component.a]\nsource = \"a.wasm\"\ndependencies_inherit_configuration = true\n",
            Err("remove `dependencies_inherit_configuration`"),
        );
        check(
            "[component.a]\nsource = \"a.wasm\"\ndependencies = { \"p:\" = \"1.0\" }\n",
            Err("[component.a]: in dependencies: \"p:\""),
        );
    }

    #[test]
    fn reads_a_whole_component_stanza() -> Result<()> {
        let manifest = Manifest::parse(
            &format!(
                "{HEAD}[variables]\ndb_url = {{ required = true, secret = true }}\n\
                 [[trigger.http]]\nroute = \"/a\"\ncomponent = \"a\"\n\
                 [component.a]\nsource = \"t/a.wasm\"\nallowed_outbound_hosts = [\"postgres://*:*\"]\n\
                 key_value_stores = [\"default\"]\n\
                 files = [{{ source = \"web\", destination = \"/\" }}]\n\
                 [component.a.variables]\ndb_url = \"{{{{ db_url }}}}\"\n\
                 [component.a.build]\ncommand = \"make\"\nwatch = [\"src/**\"]\n"
            ),
            Path::new("/app"),
        )?;
        let component = &manifest.components["a"];
        assert_eq!(component.source, Path::new("/app/t/a.wasm"));
        assert_eq!(component.key_value_stores, ["default"]);
        assert_eq!(component.variables["db_url"], "{{ db_url }}");
        assert_eq!(component.files[0].source, Path::new("/app/web"));
        assert_eq!(
            component.build.as_ref().map(|b| b.command.as_str()),
            Some("make")
        );
        assert!(manifest.variables["db_url"].required && manifest.variables["db_url"].secret);
        assert_eq!(manifest.triggered_components().len(), 1);
        Ok(())
    }
}
