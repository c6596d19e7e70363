//! Application variables and the `{{ name }}` templates that use them.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result, bail};

use crate::manifest::Variable;

/// What an environment variable that supplies an application variable begins with, as in Spin.
const ENVIRONMENT_PREFIX: &str = "SPIN_VARIABLE_";

/// The application's variables with their values.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    values: BTreeMap<String, String>,
}

impl Variables {
    /// Finds a value for each declared variable: `explicit` first, then the environment
    /// (`SPIN_VARIABLE_<NAME>`), then the default.
    ///
    /// # Errors
    /// Names every variable that has no value.
    pub fn resolve(
        declared: &BTreeMap<String, Variable>,
        explicit: &HashMap<String, String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let mut values = BTreeMap::new();
        let mut missing = Vec::new();
        for (name, variable) in declared {
            let from_environment = || {
                environment(&format!(
                    "{ENVIRONMENT_PREFIX}{}",
                    name.to_ascii_uppercase()
                ))
            };
            let value = explicit
                .get(name)
                .cloned()
                .or_else(from_environment)
                .or_else(|| variable.default.clone());
            match value {
                Some(value) => {
                    values.insert(name.clone(), value);
                }
                None => missing.push(format!(
                    "{name} (set {ENVIRONMENT_PREFIX}{})",
                    name.to_ascii_uppercase()
                )),
            }
        }
        if !missing.is_empty() {
            bail!(
                "no value for the application's variable {}, and it has no default in [variables]",
                missing.join(", ")
            );
        }
        Ok(Self { values })
    }

    /// The value of a variable, if the application has it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Replaces each `{{ name }}` of `template` by the variable's value.
    ///
    /// # Errors
    /// A `{{` without its `}}`, or a name that `[variables]` does not declare.
    pub fn expand(&self, template: &str) -> Result<String> {
        let mut expanded = String::with_capacity(template.len());
        let mut rest = template;
        while let Some(start) = rest.find("{{") {
            expanded.push_str(&rest[..start]);
            let after = &rest[start + 2..];
            let end = after.find("}}").with_context(|| {
                format!("the template {template:?} has a {{{{ without its }}}}")
            })?;
            let name = after[..end].trim();
            let value = self.values.get(name).with_context(|| {
                format!("the template {template:?} uses {name:?}: declare it in [variables]")
            })?;
            expanded.push_str(value);
            rest = &after[end + 2..];
        }
        expanded.push_str(rest);
        Ok(expanded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> BTreeMap<String, Variable> {
        [
            ("required_one", None),
            ("with_default", Some("d")),
            ("from_env", Some("d")),
        ]
        .into_iter()
        .map(|(name, default)| {
            let variable = Variable {
                default: default.map(str::to_owned),
                required: default.is_none(),
                secret: false,
            };
            (name.to_owned(), variable)
        })
        .collect()
    }

    fn environment(name: &str) -> Option<String> {
        (name == "SPIN_VARIABLE_FROM_ENV").then(|| "e".to_owned())
    }

    #[test]
    fn explicit_beats_environment_beats_default() -> Result<()> {
        let explicit = HashMap::from([("required_one".to_owned(), "x".to_owned())]);
        let variables = Variables::resolve(&declared(), &explicit, environment)?;
        for (template, expected) in [
            ("", Ok("")),
            ("plain", Ok("plain")),
            ("{{ required_one }}", Ok("x")),
            ("a{{required_one}}b{{ with_default }}c", Ok("axbdc")),
            ("{{ from_env }}", Ok("e")),
            ("postgres://{{ with_default }}:*", Ok("postgres://d:*")),
            ("{ single }", Ok("{ single }")),
            ("{{ open", Err("without its }}")),
            ("{{ nobody }}", Err("declare it in [variables]")),
        ] {
            match (variables.expand(template), expected) {
                (Ok(value), Ok(expected)) => assert_eq!(value, expected, "for {template:?}"),
                (Err(error), Err(part)) => assert!(
                    format!("{error:#}").contains(part),
                    "for {template:?}: {error:#} must say {part:?}"
                ),
                (outcome, _) => panic!("for {template:?} got {outcome:?}, expected {expected:?}"),
            }
        }
        Ok(())
    }

    #[test]
    fn a_variable_without_a_value_is_named() {
        let error = Variables::resolve(&declared(), &HashMap::new(), environment)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(
            error.contains("required_one (set SPIN_VARIABLE_REQUIRED_ONE)"),
            "the message must say how to supply it: {error:?}"
        );
    }
}
