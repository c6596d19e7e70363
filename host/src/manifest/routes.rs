//! Which component answers a path: Spin's matching rules, by the crate that Spin uses.
//!
//! A route is a list of segments, each exact, a parameter (`:name`) or, last only, the wildcard
//! `...`. Segment by segment from the left an exact one beats a parameter and a parameter beats
//! the wildcard; so an entirely exact route beats all others and a longer prefix beats a shorter.
//! A trailing slash of the path is not significant.

use std::collections::HashMap;

use anyhow::{Result, anyhow, bail, ensure};
use routefinder::{RouteSpec, Router, Segment};

/// Paths under this prefix belong to the host.
pub const WELL_KNOWN_PREFIX: &str = "/.well-known/spin/";

/// The routing table.
#[derive(Debug, Default)]
pub struct Routes {
    routes: Vec<Route>,
    /// The routes without parameters and wildcards, by their path. Most requests are for one,
    /// and need no search.
    exact: HashMap<Box<str>, usize>,
    router: Router<usize>,
}

/// One route.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    /// The route as the manifest has it.
    pub raw: String,
    /// The route with a leading and without a trailing slash, which Spin calls matched.
    pub matched: String,
    /// The caller's number for what the route leads to.
    pub index: usize,
    spec: RouteSpec,
}

/// A route and what the path had in place of its parameters.
#[derive(Debug)]
pub struct RouteMatch<'r> {
    /// The route.
    pub route: &'r Route,
    /// Values of the parameters, in the order of [`Route::parameters`].
    pub captures: Vec<String>,
    /// What stands for the wildcard, with its leading slash; empty without one.
    pub path_info: String,
}

impl Routes {
    /// Builds the table from (pattern, component for messages, index to return).
    ///
    /// # Errors
    /// Two entries have the same route, a parameter has no name, or a wildcard is not last.
    pub fn build<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str, usize)>) -> Result<Self> {
        let mut table = Self::default();
        let mut seen: HashMap<String, String> = HashMap::new();
        for (raw, component, index) in entries {
            let route = Route::parse(raw, index)?;
            if let Some(other) = seen.insert(route.shape(), component.to_owned()) {
                bail!(
                    "the components {other} and {component} both have the route {raw:?}: give one \
                     of their [[trigger.http]] another route"
                );
            }
            // A parsed route is always added: only text can be refused.
            let _ = table.router.add(route.spec.clone(), table.routes.len());
            table.routes.push(route);
        }
        for (position, route) in table.routes.iter().enumerate() {
            // A path is answered without a search only as a search would answer it.
            let is_exact = route
                .spec
                .segments()
                .iter()
                .all(|segment| !matches!(segment, Segment::Param(_) | Segment::Wildcard));
            let found = table.router.best_match(&route.matched);
            if is_exact && found.is_some_and(|found| *found == position) {
                table.exact.insert(route.matched.as_str().into(), position);
            }
        }
        Ok(table)
    }

    /// The best route for `path`, which begins with a slash and has no query.
    pub fn find(&self, path: &str) -> Option<RouteMatch<'_>> {
        if let Some(position) = self.exact.get(path) {
            return Some(RouteMatch {
                route: &self.routes[*position],
                captures: Vec::new(),
                path_info: String::new(),
            });
        }
        let found = self.router.best_match(path)?;
        let captures = found.captures();
        // A trailing slash belongs to what the wildcard stands for, which routefinder drops.
        let path_info = match (captures.wildcard(), path.ends_with('/')) {
            (None, _) | (Some(""), false) => String::new(),
            (Some(""), true) => "/".to_owned(),
            (Some(rest), false) => format!("/{rest}"),
            (Some(rest), true) => format!("/{rest}/"),
        };
        Some(RouteMatch {
            route: &self.routes[*found],
            captures: captures
                .params()
                .iter()
                .map(|capture| capture.value().to_owned())
                .collect(),
            path_info,
        })
    }

    /// All routes, in the order they were given.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }
}

impl Route {
    fn parse(raw: &str, index: usize) -> Result<Self> {
        let absolute = if raw.starts_with('/') {
            raw.to_owned()
        } else {
            format!("/{raw}")
        };
        let matched = absolute.strip_suffix('/').unwrap_or(&absolute).to_owned();
        ensure!(
            !format!("{matched}/").starts_with(WELL_KNOWN_PREFIX),
            "the route {raw:?} is under {WELL_KNOWN_PREFIX}, which belongs to the host: choose \
             another route"
        );
        let prefix = matched
            .strip_suffix("/...")
            .or_else(|| matched.strip_suffix("/*"));
        for part in prefix.unwrap_or(&matched).split('/') {
            ensure!(
                !matches!(part, "..." | "*"),
                "the route {raw:?} has a wildcard before its end: move it to the end"
            );
            ensure!(
                part != ":",
                "the route {raw:?} has a parameter without a name: write `:name`"
            );
        }
        let pattern = prefix.map_or_else(|| matched.clone(), |prefix| format!("{prefix}/*"));
        let spec = pattern
            .parse()
            .map_err(|error| anyhow!("the route {raw:?} cannot be read: {error}"))?;
        Ok(Self {
            raw: raw.to_owned(),
            matched,
            index,
            spec,
        })
    }

    /// The route without the names of its parameters: routes of one shape match the same paths.
    fn shape(&self) -> String {
        let parts = self.matched.split('/').map(|part| match part {
            "*" => "...",
            part if part.starts_with(':') => ":",
            part => part,
        });
        parts.collect::<Vec<_>>().join("/")
    }

    /// Names of the parameters, from left to right.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.matched
            .split('/')
            .filter_map(|part| part.strip_prefix(':'))
    }

    /// The route as in the manifest without its wildcard.
    pub fn raw_or_prefix(&self) -> &str {
        self.raw.strip_suffix("/...").unwrap_or(&self.raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[&str] = &[
        "/",
        "/one",
        "/one/two/...",
        "/one/...",
        "/users/:id",
        "/users/me",
        "/users/:id/keys",
        "/users/:id/files/...",
        "/a/:b/:c",
        "/a/x/...",
        "bare",
        "/slash/",
    ];

    /// A route, its parameters' values, and what stands for the wildcard.
    type Expected<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

    fn check(path: &str, expected: Option<Expected<'_>>) -> Result<()> {
        let routes = Routes::build(TABLE.iter().enumerate().map(|(i, raw)| (*raw, *raw, i)))?;
        let found = routes.find(path);
        match (found, expected) {
            (None, None) => {}
            (Some(found), Some((raw, captures, path_info))) => {
                assert_eq!(found.route.raw, raw, "for {path:?}");
                assert_eq!(TABLE[found.route.index], raw, "for {path:?}");
                let pairs: Vec<(&str, &str)> = found
                    .route
                    .parameters()
                    .zip(found.captures.iter().map(String::as_str))
                    .collect();
                assert_eq!(pairs, captures, "for {path:?}");
                assert_eq!(found.path_info, path_info, "for {path:?}");
            }
            (found, expected) => panic!("for {path:?} found {found:?}, expected {expected:?}"),
        }
        Ok(())
    }

    #[test]
    fn the_most_specific_route_answers() -> Result<()> {
        check("/", Some(("/", &[], "")))?;
        check("/one", Some(("/one", &[], "")))?;
        check("/one/", Some(("/one", &[], "")))?;
        check("/one/three", Some(("/one/...", &[], "/three")))?;
        check("/one/two", Some(("/one/two/...", &[], "")))?;
        check("/one/two/", Some(("/one/two/...", &[], "/")))?;
        check("/one/two/x/y", Some(("/one/two/...", &[], "/x/y")))?;
        check("/one/two/x/y/", Some(("/one/two/...", &[], "/x/y/")))?;
        check("/users/me", Some(("/users/me", &[], "")))?;
        check("/users/42", Some(("/users/:id", &[("id", "42")], "")))?;
        check("/users/42/", Some(("/users/:id", &[("id", "42")], "")))?;
        check("/users/a%2Fb", Some(("/users/:id", &[("id", "a%2Fb")], "")))?;
        check(
            "/users/me/keys",
            Some(("/users/:id/keys", &[("id", "me")], "")),
        )?;
        check(
            "/users/7/files/a/b.txt",
            Some(("/users/:id/files/...", &[("id", "7")], "/a/b.txt")),
        )?;
        check("/a/x/1", Some(("/a/x/...", &[], "/1")))?;
        check("/a/y/1", Some(("/a/:b/:c", &[("b", "y"), ("c", "1")], "")))?;
        check("/bare", Some(("bare", &[], "")))?;
        check("/slash", Some(("/slash/", &[], "")))?;
        check("/users", None)?;
        check("/users/42/other", None)?;
        // As Spin has it: a component must refuse what is empty.
        check("/a//c", Some(("/a/:b/:c", &[("b", ""), ("c", "c")], "")))?;
        check("/ones", None)?;
        check("/nothing", None)
    }

    #[test]
    fn a_catch_all_takes_the_rest() -> Result<()> {
        let routes = Routes::build([("/...", "all", 0), ("/a", "a", 1)])?;
        for (path, index, path_info) in [
            ("/", 0, "/"),
            ("/a", 1, ""),
            ("/a/b", 0, "/a/b"),
            ("/x/", 0, "/x/"),
        ] {
            let found = routes.find(path).map(|m| (m.route.index, m.path_info));
            assert_eq!(found, Some((index, path_info.to_owned())), "for {path:?}");
        }
        Ok(())
    }

    #[test]
    fn unusable_tables_are_refused() {
        for (entries, part) in [
            (vec![("/a", "x", 0), ("/a", "y", 1)], "components x and y"),
            (vec![("/a", "x", 0), ("/a/", "y", 1)], "another route"),
            (vec![("/a/:b", "x", 0), ("/a/:c", "y", 1)], "another route"),
            (vec![("/a/.../b", "x", 0)], "before its end"),
            (vec![("/a/:", "x", 0)], "without a name"),
            (
                vec![("/.well-known/spin/health", "x", 0)],
                "belongs to the host",
            ),
        ] {
            let shown = format!("{entries:?}");
            let message = Routes::build(entries)
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default();
            assert!(
                message.contains(part),
                "{shown}: {message:?} must say {part:?}"
            );
        }
    }

    #[test]
    fn headers_get_the_names_spin_uses() -> Result<()> {
        let routes = Routes::build([("/foo/:userid/...", "a", 0)])?;
        let route = routes.iter().next();
        assert_eq!(route.map(Route::raw_or_prefix), Some("/foo/:userid"));
        assert_eq!(route.map(|r| r.matched.as_str()), Some("/foo/:userid/..."));
        Ok(())
    }
}
