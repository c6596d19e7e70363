//! Where a component may connect to: its `allowed_outbound_hosts`, with Spin's pattern language.

use std::net::IpAddr;

use anyhow::{Context as _, Result, bail, ensure};

/// Hosts below this name are the application's own components.
pub(crate) const CHAINING_SUFFIX: &str = ".spin.internal";

/// The hosts a component may connect to.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts(Vec<Pattern>);

#[derive(Debug, Clone)]
struct Pattern {
    /// `None` stands for every scheme.
    scheme: Option<String>,
    host: HostPattern,
    port: PortPattern,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    Any,
    /// The application itself, which no absolute address matches.
    ToSelf,
    /// A domain's subdomains, kept with the leading dot.
    Subdomains(String),
    Domain(String),
    Network {
        address: IpAddr,
        prefix_bits: u8,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum PortPattern {
    Any,
    One(u16),
    /// From the first to just before the second.
    Range(u16, u16),
}

impl AllowedHosts {
    /// Parses the patterns, whose templates are expanded already. Empty ones are skipped, so that
    /// an empty variable switches its host off.
    ///
    /// # Errors
    /// Names the first malformed pattern.
    pub fn parse<S: AsRef<str>>(patterns: &[S]) -> Result<Self> {
        patterns
            .iter()
            .map(|pattern| pattern.as_ref().trim())
            .filter(|pattern| !matches!(*pattern, "" | "http://" | "https://"))
            .map(|pattern| {
                Pattern::parse(pattern).with_context(|| {
                    format!(
                        "allowed_outbound_hosts has {pattern:?}: write `scheme://host:port`, with \
                         `*` for any scheme, host or port"
                    )
                })
            })
            .collect::<Result<_>>()
            .map(Self)
    }

    /// Whether a request to another component of the application may be allowed.
    pub(crate) fn may_chain(&self) -> bool {
        self.0.iter().any(Pattern::may_chain)
    }

    /// Whether a connection to `host` is allowed; without `port` the scheme's own is meant.
    pub fn allows(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        let Some(port) = port.or_else(|| well_known_port(scheme)) else {
            return self.0.iter().any(|pattern| {
                pattern.port == PortPattern::Any
                    && pattern.allows_scheme(scheme)
                    && pattern.host.allows(host)
            });
        };
        self.0.iter().any(|pattern| {
            pattern.allows_scheme(scheme) && pattern.port.allows(port) && pattern.host.allows(host)
        })
    }
}

impl Pattern {
    /// Whether a component of the application may be meant, as [`crate::runtime::chaining`] has it.
    fn may_chain(&self) -> bool {
        (self.allows_scheme("http") || self.allows_scheme("https"))
            && match &self.host {
                HostPattern::Any => true,
                HostPattern::Subdomains(suffix) => CHAINING_SUFFIX.ends_with(suffix.as_str()),
                HostPattern::Domain(domain) => domain.ends_with(CHAINING_SUFFIX),
                HostPattern::ToSelf | HostPattern::Network { .. } => false,
            }
    }

    fn parse(pattern: &str) -> Result<Self> {
        let (scheme, rest) = pattern
            .split_once("://")
            .context("there is no scheme before ://")?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        // An address block has its slash inside the host, so the host is tried whole first.
        let (host, port) = match HostPattern::parse(authority) {
            Ok(host) => (host, ""),
            Err(whole) => match authority.rsplit_once(':') {
                Some((host, port)) => (HostPattern::parse(host)?, port),
                None => return Err(whole),
            },
        };
        ensure!(
            scheme == "*" || (!scheme.is_empty() && scheme.chars().all(char::is_alphabetic)),
            "the scheme may have letters only"
        );
        Ok(Self {
            port: PortPattern::parse(port, scheme)?,
            scheme: (scheme != "*").then(|| scheme.to_owned()),
            host,
        })
    }

    fn allows_scheme(&self, scheme: &str) -> bool {
        self.scheme.as_deref().is_none_or(|own| own == scheme)
    }
}

impl HostPattern {
    fn parse(host: &str) -> Result<Self> {
        match host {
            "*" => return Ok(Self::Any),
            "self" | "self.alt" => return Ok(Self::ToSelf),
            "" => bail!("the host is empty"),
            _ => {}
        }
        if let Some(network) = parse_network(host) {
            return Ok(network);
        }
        let (domain, subdomains) = match host.strip_prefix("*.") {
            Some(domain) => (domain, true),
            None => (host, false),
        };
        ensure!(
            !domain.is_empty()
                && domain
                    .chars()
                    .all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_')),
            "{host:?} is not a host name; `*` may only stand alone or before the first dot"
        );
        let domain = domain.to_lowercase();
        Ok(if subdomains {
            Self::Subdomains(format!(".{domain}"))
        } else {
            Self::Domain(domain)
        })
    }

    fn allows(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match self {
            Self::Any => true,
            Self::ToSelf => false,
            Self::Domain(domain) => domain.eq_ignore_ascii_case(host),
            Self::Subdomains(suffix) => {
                host.parse::<IpAddr>().is_err() && host.to_ascii_lowercase().ends_with(suffix)
            }
            Self::Network {
                address,
                prefix_bits,
            } => host
                .parse::<IpAddr>()
                .is_ok_and(|candidate| same_network(*address, candidate, *prefix_bits)),
        }
    }
}

fn parse_network(host: &str) -> Option<HostPattern> {
    let (address, bits) = match host.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (host, None),
    };
    let address: IpAddr = address
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix_bits = match bits {
        Some(bits) => bits.parse().ok().filter(|bits| *bits <= longest)?,
        None => longest,
    };
    Some(HostPattern::Network {
        address,
        prefix_bits,
    })
}

fn same_network(network: IpAddr, candidate: IpAddr, prefix_bits: u8) -> bool {
    // Shifting by the whole width is not defined, and a prefix of no bits matches everything.
    match (network, candidate) {
        (IpAddr::V4(network), IpAddr::V4(candidate)) => {
            let differing = network.to_bits() ^ candidate.to_bits();
            prefix_bits == 0 || differing >> (32 - u32::from(prefix_bits)) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(candidate)) => {
            let differing = network.to_bits() ^ candidate.to_bits();
            prefix_bits == 0 || differing >> (128 - u32::from(prefix_bits)) == 0
        }
        _ => false,
    }
}

impl PortPattern {
    fn parse(port: &str, scheme: &str) -> Result<Self> {
        match port {
            "" => well_known_port(scheme).map(Self::One).with_context(|| {
                format!("there is no port, and the scheme {scheme:?} has no usual one")
            }),
            "*" => Ok(Self::Any),
            port => {
                let number = |text: &str| {
                    text.parse::<u16>()
                        .with_context(|| format!("the port {text:?} is not a number below 65536"))
                };
                match port.split_once("..") {
                    Some((from, to)) => Ok(Self::Range(number(from)?, number(to)?)),
                    None => Ok(Self::One(number(port)?)),
                }
            }
        }
    }

    fn allows(&self, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::One(own) => *own == port,
            Self::Range(from, to) => (*from..*to).contains(&port),
        }
    }
}

fn well_known_port(scheme: &str) -> Option<u16> {
    match scheme {
        "postgres" => Some(5432),
        "mysql" => Some(3306),
        "redis" => Some(6379),
        "mqtt" => Some(1883),
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, scheme: &str, host: &str, port: Option<u16>, expected: bool) {
        let allowed = AllowedHosts::parse(&[pattern])
            .unwrap_or_else(|error| panic!("{pattern:?} must parse: {error:#}"));
        assert_eq!(
            allowed.allows(scheme, host, port),
            expected,
            "{pattern:?} and {scheme}://{host}:{port:?}"
        );
    }

    #[test]
    fn patterns_allow_what_they_say() {
        check("postgres://db:5432", "postgres", "db", Some(5432), true);
        check("postgres://db:5432", "postgres", "db", None, true);
        check("postgres://db", "postgres", "db", Some(5432), true);
        check("postgres://db", "postgres", "db", Some(5433), false);
        check("postgres://DB:5432", "postgres", "db", Some(5432), true);
        check("postgres://db:5432", "postgres", "other", Some(5432), false);
        check("postgres://db:5432", "redis", "db", Some(5432), false);
        check("postgres://db:*", "postgres", "db", Some(1), true);
        check("postgres://*:5432", "postgres", "anything", None, true);
        check("*://*:*", "https", "example.com", Some(8443), true);
        check(
            "postgres://db:5000..6000",
            "postgres",
            "db",
            Some(5999),
            true,
        );
        check(
            "postgres://db:5000..6000",
            "postgres",
            "db",
            Some(6000),
            false,
        );
        check(
            "https://*.example.com",
            "https",
            "a.example.com",
            None,
            true,
        );
        check("https://*.example.com", "https", "example.com", None, false);
        check(
            "https://*.example.com",
            "https",
            "badexample.com",
            None,
            false,
        );
        check(
            "https://example.com/",
            "https",
            "example.com",
            Some(443),
            true,
        );
        check(
            "postgres://127.0.0.1:*",
            "postgres",
            "127.0.0.1",
            Some(5),
            true,
        );
        check(
            "postgres://127.0.0.1:*",
            "postgres",
            "127.0.0.2",
            Some(5),
            false,
        );
        check(
            "postgres://10.0.0.0/8:5432",
            "postgres",
            "10.9.8.7",
            None,
            true,
        );
        check(
            "postgres://10.0.0.0/8:5432",
            "postgres",
            "11.0.0.1",
            None,
            false,
        );
        check("postgres://0.0.0.0/0:*", "postgres", "9.9.9.9", None, true);
        check(
            "postgres://[::1]:5432",
            "postgres",
            "[::1]",
            Some(5432),
            true,
        );
        check("http://self", "http", "localhost", Some(80), false);
    }

    #[test]
    fn patterns_for_components_are_known() -> Result<()> {
        for (pattern, expected) in [
            ("http://a.spin.internal", true),
            ("https://a.spin.internal", true),
            ("http://*.spin.internal", true),
            ("http://*.internal", true),
            ("*://*:*", true),
            ("http://example.com", false),
            ("http://*.example.com", false),
            ("http://127.0.0.1", false),
            ("http://self", false),
            ("postgres://*:5432", false),
        ] {
            let allowed = AllowedHosts::parse(&[pattern])?;
            assert_eq!(allowed.may_chain(), expected, "{pattern}");
        }
        check(
            "http://a.spin.internal",
            "http",
            "a.spin.internal",
            None,
            true,
        );
        check(
            "http://a.spin.internal",
            "http",
            "b.spin.internal",
            None,
            false,
        );
        check(
            "http://*.spin.internal",
            "http",
            "b.spin.internal",
            None,
            true,
        );
        check(
            "https://a.spin.internal",
            "http",
            "a.spin.internal",
            None,
            false,
        );
        Ok(())
    }

    #[test]
    fn malformed_patterns_are_named() {
        for (pattern, part) in [
            ("*", "no scheme"),
            ("db:5432", "no scheme"),
            ("postgres://", "host is empty"),
            ("p0stgres://db:1", "letters only"),
            ("postgres://db:x", "not a number"),
            ("postgres://db:70000", "not a number"),
            ("postgres://a*b:1", "may only stand alone"),
            ("gopher://db", "no usual one"),
            ("https://example.com/path", "is not a host name"),
        ] {
            let message = AllowedHosts::parse(&[pattern])
                .err()
                .map(|error| format!("{error:#}"))
                .unwrap_or_default();
            assert!(
                message.contains(part) && message.contains(pattern),
                "{pattern:?}: {message:?} must say {part:?}"
            );
        }
    }

    #[test]
    fn an_empty_pattern_switches_its_host_off() -> Result<()> {
        let allowed = AllowedHosts::parse(&["", "https://"])?;
        assert!(!allowed.allows("https", "example.com", None));
        Ok(())
    }
}
