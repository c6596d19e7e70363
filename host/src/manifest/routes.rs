//! Which component answers a path: Spin's matching rules.
//!
//! A route is a list of segments, each exact, a parameter (`:name`) or, last only, the wildcard
//! `...`. Segment by segment from the left an exact one beats a parameter and a parameter beats
//! the wildcard; so an entirely exact route beats all others and a longer prefix beats a shorter.
//! A trailing slash of the path is not significant.

use std::collections::HashMap;

use anyhow::{Result, bail, ensure};

/// Paths under this prefix belong to the host.
pub const WELL_KNOWN_PREFIX: &str = "/.well-known/spin/";

/// The routing table.
#[derive(Debug, Default)]
pub struct Routes {
    routes: Vec<Route>,
    /// Entirely exact routes, keyed without slashes at either end.
    exact: HashMap<Box<str>, usize>,
    /// Indices of all other routes, most specific first.
    patterns: Vec<usize>,
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
    segments: Vec<Segment>,
}

#[derive(Debug, PartialEq, Eq, Hash, Clone)]
enum Segment {
    Exact(String),
    Parameter(String),
    Wildcard,
}

/// A route and what the path had in place of its parameters.
#[derive(Debug)]
pub struct RouteMatch<'r, 'p> {
    /// The route.
    pub route: &'r Route,
    /// Values of the parameters, in the order of [`Route::parameters`].
    pub captures: Vec<&'p str>,
    /// What stands for the wildcard, with its leading slash; empty without one.
    pub path_info: &'p str,
}

impl Routes {
    /// Builds the table from (pattern, component for messages, index to return).
    ///
    /// # Errors
    /// Two entries have the same route, a parameter has no name, or a wildcard is not last.
    pub fn build<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str, usize)>) -> Result<Self> {
        let mut table = Self::default();
        let mut seen: HashMap<Vec<Segment>, String> = HashMap::new();
        for (raw, component, index) in entries {
            let route = Route::parse(raw, index)?;
            // Routes that differ only in a parameter's name match the same paths.
            let shape = route
                .segments
                .iter()
                .map(|segment| match segment {
                    Segment::Parameter(_) => Segment::Parameter(String::new()),
                    other => other.clone(),
                })
                .collect();
            if let Some(other) = seen.insert(shape, component.to_owned()) {
                bail!(
                    "the components {other} and {component} both have the route {raw:?}: give one \
                     of their [[trigger.http]] another route"
                );
            }
            let position = table.routes.len();
            match route.exact_key() {
                Some(key) => {
                    table.exact.insert(key.into(), position);
                }
                None => table.patterns.push(position),
            }
            table.routes.push(route);
        }
        let routes = &table.routes;
        table
            .patterns
            .sort_by(|a, b| routes[*a].specificity().cmp(&routes[*b].specificity()));
        Ok(table)
    }

    /// The best route for `path`, which begins with a slash and has no query.
    pub fn find<'p>(&self, path: &'p str) -> Option<RouteMatch<'_, 'p>> {
        let trimmed = path.trim_matches('/');
        if let Some(position) = self.exact.get(trimmed) {
            return Some(RouteMatch {
                route: &self.routes[*position],
                captures: Vec::new(),
                path_info: "",
            });
        }
        self.patterns
            .iter()
            .find_map(|position| self.routes[*position].matches(path, trimmed))
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
        let mut segments = Vec::new();
        let trimmed = matched.trim_matches('/');
        let parts: Vec<&str> = if trimmed.is_empty() {
            Vec::new()
        } else {
            trimmed.split('/').collect()
        };
        for (position, part) in parts.iter().enumerate() {
            let segment = match *part {
                "..." | "*" => {
                    ensure!(
                        position + 1 == parts.len(),
                        "the route {raw:?} has a wildcard before its end: move it to the end"
                    );
                    Segment::Wildcard
                }
                ":" => bail!("the route {raw:?} has a parameter without a name: write `:name`"),
                part => match part.strip_prefix(':') {
                    Some(name) => Segment::Parameter(name.to_owned()),
                    None => Segment::Exact(part.to_owned()),
                },
            };
            segments.push(segment);
        }
        Ok(Self {
            raw: raw.to_owned(),
            matched,
            index,
            segments,
        })
    }

    /// Names of the parameters, from left to right.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Parameter(name) => Some(name.as_str()),
            Segment::Exact(_) | Segment::Wildcard => None,
        })
    }

    /// The route as in the manifest without its wildcard.
    pub fn raw_or_prefix(&self) -> &str {
        self.raw.strip_suffix("/...").unwrap_or(&self.raw)
    }

    fn exact_key(&self) -> Option<String> {
        let parts: Option<Vec<&str>> = self
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Exact(part) => Some(part.as_str()),
                Segment::Parameter(_) | Segment::Wildcard => None,
            })
            .collect();
        parts.map(|parts| parts.join("/"))
    }

    /// Sorts before the less specific: per segment exact, parameter, wildcard or nothing.
    fn specificity(&self) -> Vec<u8> {
        let mut ranks: Vec<u8> = self
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Exact(_) => 0,
                Segment::Parameter(_) => 1,
                Segment::Wildcard => 2,
            })
            .collect();
        ranks.push(3);
        ranks
    }

    fn matches<'p>(&self, path: &'p str, trimmed: &'p str) -> Option<RouteMatch<'_, 'p>> {
        let mut captures = Vec::new();
        // What is left of the path, always starting with a slash unless it is used up.
        let mut rest = if trimmed.is_empty() {
            ""
        } else {
            // Leading slashes beyond the first were trimmed; keep exactly one.
            let leading = path.len() - path.trim_start_matches('/').len();
            &path[leading.saturating_sub(1)..leading + trimmed.len()]
        };
        for segment in &self.segments {
            if matches!(segment, Segment::Wildcard) {
                let start = path.len() - path.trim_end_matches('/').len();
                let consumed_to = path.len() - start - rest.len();
                // Spin keeps one trailing slash of the path in what the wildcard stands for.
                let end = (path.len() - start + 1).min(path.len());
                return Some(RouteMatch {
                    route: self,
                    captures,
                    path_info: &path[consumed_to..end],
                });
            }
            let after_slash = rest.strip_prefix('/')?;
            let end = after_slash.find('/').unwrap_or(after_slash.len());
            let part = &after_slash[..end];
            match segment {
                Segment::Exact(exact) if exact == part => {}
                Segment::Parameter(_) if !part.is_empty() => captures.push(part),
                Segment::Exact(_) | Segment::Parameter(_) | Segment::Wildcard => return None,
            }
            rest = &after_slash[end..];
        }
        rest.is_empty().then_some(RouteMatch {
            route: self,
            captures,
            path_info: "",
        })
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
                    .zip(found.captures.iter().copied())
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
        check("/a//c", None)?;
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
            assert_eq!(found, Some((index, path_info)), "for {path:?}");
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
