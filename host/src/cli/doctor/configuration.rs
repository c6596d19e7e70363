//! `spin.toml` and the variables that it declares.

use std::collections::HashMap;
use std::net::IpAddr;

use super::{Finding, Purpose};
use crate::cli::Project;
use crate::manifest::Manifest;
use crate::manifest::variables::Variables;

const AREA: &str = "configuration";

/// A secret that is shorter can be guessed.
const MIN_SECRET_CHARS: usize = 16;

/// What `turnpike` itself supplies from the address of the database.
const FROM_DATABASE: [&str; 3] = ["db_url", "db_host", "db_port"];

/// Secrets that are nothing to draw at random, because somebody else gives them.
const GIVEN_SECRETS: [&str; 2] = ["db_url", "mail_token"];

/// Reads the manifest, and judges the values that its variables have.
pub fn check(
    project: &Project,
    purpose: Purpose,
    environment: impl Fn(&str) -> Option<String>,
) -> Vec<Finding> {
    match project.manifest() {
        Ok(manifest) => judge(&manifest, purpose, environment),
        Err(error) => vec![Finding::wrong(
            AREA,
            format!("spin.toml cannot be read: {error:#}"),
            "neither host starts without it",
            "git diff spin.toml",
        )],
    }
}

fn judge(
    manifest: &Manifest,
    purpose: Purpose,
    environment: impl Fn(&str) -> Option<String>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let supplied = FROM_DATABASE.map(|name| (name.to_owned(), "x".to_owned()));
    let resolved = Variables::resolve(&manifest.variables, &HashMap::from(supplied), &environment);
    match &resolved {
        Ok(variables) => findings.extend(templates_that_fail(manifest, variables)),
        Err(error) => findings.push(Finding::wrong(
            AREA,
            format!("{error:#}"),
            "the application does not start",
            "export the variable that is named",
        )),
    }
    let value = |name: &str| {
        let given = environment(&environment_name(name));
        let declared = manifest.variables.get(name);
        given
            .or_else(|| declared?.default.clone())
            .unwrap_or_default()
    };
    let max_hashes = value("max_hashes_in_flight");
    if manifest.variables.contains_key("max_hashes_in_flight")
        && !max_hashes.parse::<i32>().is_ok_and(|count| count > 0)
    {
        findings.push(Finding::wrong(
            AREA,
            format!("max_hashes_in_flight is {max_hashes:?} and no number above zero"),
            "every login, sign-up and change of a password is a 500",
            "export SPIN_VARIABLE_MAX_HASHES_IN_FLIGHT=64",
        ));
    }
    if purpose == Purpose::Production {
        findings.extend(weak_secrets(manifest, &value));
        findings.extend(public_address(&value("public_url")));
        findings.extend(mail(&value));
    }
    findings
}

fn environment_name(variable: &str) -> String {
    format!("SPIN_VARIABLE_{}", variable.to_ascii_uppercase())
}

fn templates_that_fail(manifest: &Manifest, variables: &Variables) -> Vec<Finding> {
    let templates = manifest.components.values().flat_map(|component| {
        let hosts = component.allowed_outbound_hosts.iter();
        let all = hosts.chain(component.variables.values());
        all.map(|template| (&component.id, template))
    });
    templates
        .filter_map(|(id, template)| {
            let error = variables.expand(template).err()?;
            Some(Finding::wrong(
                AREA,
                format!("[component.{id}] of spin.toml: {error:#}"),
                "the application does not start",
                format!("correct [component.{id}] of spin.toml"),
            ))
        })
        .collect()
}

/// Secrets that are what the repository says, or that are short.
fn weak_secrets(manifest: &Manifest, value: &impl Fn(&str) -> String) -> Vec<Finding> {
    let drawn = manifest
        .variables
        .iter()
        .filter(|(name, variable)| variable.secret && !GIVEN_SECRETS.contains(&name.as_str()));
    drawn
        .filter_map(|(name, variable)| {
            let value = value(name);
            let problem = if variable.default.as_deref() == Some(value.as_str()) {
                format!("the secret {name} is the default of spin.toml")
            } else if value.chars().count() < MIN_SECRET_CHARS {
                format!("the secret {name} has fewer than {MIN_SECRET_CHARS} characters")
            } else {
                return None;
            };
            let reason = match name.as_str() {
                "password_pepper" => {
                    "whoever has a copy of the database can guess its passwords; it cannot be \
                     changed after the first sign-up"
                }
                "master_secret" => {
                    "whoever has a copy of the database can sign tokens and make one-time codes"
                }
                _ => "whoever reads the repository knows it",
            };
            Some(Finding::wrong(
                AREA,
                problem,
                reason,
                format!(
                    "export {}=\"$(openssl rand -base64 32)\"   # once, and keep it",
                    environment_name(name)
                ),
            ))
        })
        .collect()
}

fn public_address(url: &str) -> Option<Finding> {
    let remedy = "export SPIN_VARIABLE_PUBLIC_URL=https://billing.example.com";
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split('/').next().unwrap_or_default();
    if is_this_machine(authority) {
        return Some(Finding::wrong(
            AREA,
            format!("public_url is {url}, which clients elsewhere cannot reach"),
            "links in mail lead nowhere, and it is the issuer of every JWT",
            remedy,
        ));
    }
    (scheme != "https").then(|| {
        Finding::wrong(
            AREA,
            format!("public_url is {url:?} and does not begin with https://"),
            "tokens and passwords can be read on their way",
            remedy,
        )
    })
}

fn is_this_machine(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn mail(value: &impl Fn(&str) -> String) -> Vec<Finding> {
    let mut findings = Vec::new();
    if value("development") == "true" {
        findings.push(Finding::wrong(
            AREA,
            "development is true",
            "anybody can read all mail, with the tokens in it, at /api/v1/dev/outbox",
            "unset SPIN_VARIABLE_DEVELOPMENT",
        ));
    }
    let (url, origin) = (value("mail_url"), value("mail_origin"));
    if url.is_empty() {
        findings.push(Finding::wrong(
            AREA,
            "mail_url is not set",
            "nobody can verify an email, reset a password or accept an invitation",
            "export SPIN_VARIABLE_MAIL_URL=https://mail.example/send \
             SPIN_VARIABLE_MAIL_ORIGIN=https://mail.example:443 SPIN_VARIABLE_MAIL_TOKEN=...",
        ));
        return findings;
    }
    if origin_of(&url) != origin_of(&origin) {
        findings.push(Finding::wrong(
            AREA,
            format!("mail_origin is {origin}, and mail_url is elsewhere"),
            "the component may connect to mail_origin alone, so no mail leaves",
            format!("export SPIN_VARIABLE_MAIL_ORIGIN={}", origin_of(&url)),
        ));
    }
    if value("mail_token").is_empty() {
        findings.push(Finding::advice(
            AREA,
            "mail_token is not set",
            "the adapter cannot tell Turnpike from anybody else",
            "export SPIN_VARIABLE_MAIL_TOKEN=...",
        ));
    }
    findings
}

/// Scheme, host and port of an address.
fn origin_of(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    match scheme {
        "https" if !has_port => format!("https://{authority}:443"),
        "http" if !has_port => format!("http://{authority}:80"),
        _ => format!("{scheme}://{authority}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const MANIFEST: &str = r#"
        spin_manifest_version = 2
        [application]
        name = "shop"
        [variables]
        db_url = { required = true, secret = true }
        password_pepper = { default = "", secret = true }
        master_secret = { default = "", secret = true }
        public_url = { default = "http://127.0.0.1:3000" }
        max_hashes_in_flight = { default = "64" }
        mail_url = { default = "" }
        mail_origin = { default = "https://localhost:1" }
        mail_token = { default = "", secret = true }
        development = { default = "" }
        must = { required = true }
        [component.a]
        source = "a.wasm"
        allowed_outbound_hosts = ["postgres://{{ must }}:5432"]
        [component.a.variables]
        db_url = "{{ db_url }}"
    "#;

    /// What is right.
    const RIGHT: [(&str, &str); 7] = [
        ("MUST", "db"),
        ("PASSWORD_PEPPER", "0123456789abcdef"),
        ("MASTER_SECRET", "fedcba9876543210"),
        ("PUBLIC_URL", "https://billing.example.com"),
        ("MAIL_URL", "https://mail.example/send"),
        ("MAIL_ORIGIN", "https://mail.example:443"),
        ("MAIL_TOKEN", "t"),
    ];

    /// Judges what is right but for one change of the manifest and one variable.
    fn check(
        purpose: Purpose,
        edit: (&str, &str),
        change: (&str, Option<&str>),
        expected: &[&str],
    ) {
        let manifest = Manifest::parse(&MANIFEST.replace(edit.0, edit.1), Path::new("/shop"))
            .unwrap_or_else(|error| panic!("{edit:?}: {error:#}"));
        let environment = |name: &str| {
            let name = name.strip_prefix("SPIN_VARIABLE_")?;
            if name == change.0 {
                return change.1.map(str::to_owned);
            }
            let (_, value) = RIGHT.iter().find(|(variable, _)| *variable == name)?;
            Some((*value).to_owned())
        };
        let findings = judge(&manifest, purpose, environment);
        let problems: Vec<_> = findings
            .iter()
            .map(|found| found.problem.as_str())
            .collect();
        assert_eq!(
            problems.len(),
            expected.len(),
            "{edit:?} and {change:?} as {purpose:?}: {problems:#?}"
        );
        for (problem, part) in problems.iter().zip(expected) {
            assert!(
                problem.contains(part),
                "{change:?}: say {part:?}: {problem}"
            );
        }
        for finding in &findings {
            assert!(
                !finding.reason.is_empty() && !finding.remedy.is_empty(),
                "say why, and what to type: {finding:?}"
            );
        }
    }

    #[test]
    fn each_mistake_is_found() {
        use Purpose::{Development, Production};
        let as_is = ("", "");
        for (change, expected) in [
            (("", None), &[][..]),
            (("MUST", None), &["variable must (set SPIN_VARIABLE_MUST)"]),
            (
                ("PASSWORD_PEPPER", None),
                &["password_pepper is the default"],
            ),
            (
                ("PASSWORD_PEPPER", Some("")),
                &["password_pepper is the default"],
            ),
            (("MASTER_SECRET", None), &["master_secret is the default"]),
            (
                ("MASTER_SECRET", Some("secret")),
                &["fewer than 16 characters"],
            ),
            (("PUBLIC_URL", None), &["clients elsewhere cannot reach"]),
            (
                ("PUBLIC_URL", Some("https://localhost")),
                &["clients elsewhere cannot reach"],
            ),
            (
                ("PUBLIC_URL", Some("https://[::1]:3000/x")),
                &["clients elsewhere cannot reach"],
            ),
            (
                ("PUBLIC_URL", Some("http://billing.example.com")),
                &["does not begin with https"],
            ),
            (("PUBLIC_URL", Some("")), &["does not begin with https"]),
            (
                ("MAX_HASHES_IN_FLIGHT", Some("0")),
                &["no number above zero"],
            ),
            (
                ("MAX_HASHES_IN_FLIGHT", Some("many")),
                &["no number above zero"],
            ),
            (("MAX_HASHES_IN_FLIGHT", Some("1")), &[]),
            (("DEVELOPMENT", Some("true")), &["development is true"]),
            (("MAIL_URL", None), &["mail_url is not set"]),
            (
                ("MAIL_URL", Some("https://other.example/send")),
                &["mail_url is elsewhere"],
            ),
            (("MAIL_URL", Some("https://mail.example:443?x=1")), &[]),
            (("MAIL_ORIGIN", None), &["mail_url is elsewhere"]),
            (("MAIL_TOKEN", None), &["mail_token is not set"]),
        ] {
            check(Production, as_is, change, expected);
        }
        // On a developer's machine only what keeps the application from running.
        for (change, expected) in [
            (("PASSWORD_PEPPER", None), &[][..]),
            (("PUBLIC_URL", None), &[]),
            (("MAIL_URL", None), &[]),
            (("DEVELOPMENT", Some("true")), &[]),
            (("MUST", None), &["variable must"]),
            (
                ("MAX_HASHES_IN_FLIGHT", Some("")),
                &["no number above zero"],
            ),
        ] {
            check(Development, as_is, change, expected);
        }
        let misspelt = ("{{ must }}", "{{ mist }}");
        check(
            Development,
            misspelt,
            ("", None),
            &["[component.a] of spin.toml"],
        );
        let other_secret = (
            "[variables]",
            "[variables]\nother = { default = \"x\", secret = true }",
        );
        check(
            Production,
            other_secret,
            ("", None),
            &["secret other is the default"],
        );
    }
}
