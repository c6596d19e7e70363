//! Which release a set of functions belongs to, so that a process that starts late does not put
//! the functions of an older one back.

use std::fmt::{self, Display, Formatter};

use anyhow::{Context, Result};

use super::schema::Migration;

/// A release: the version of the program, and its newest migration. The later one is greater.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    version: [u64; 3],
    schema: i64,
}

impl Release {
    /// The release of this program with these migrations.
    pub(super) fn of(migrations: &[Migration]) -> Self {
        let number = |text: &str| text.parse().unwrap_or(0);
        Self {
            version: [
                number(env!("CARGO_PKG_VERSION_MAJOR")),
                number(env!("CARGO_PKG_VERSION_MINOR")),
                number(env!("CARGO_PKG_VERSION_PATCH")),
            ],
            schema: migrations.last().map_or(0, |newest| newest.version),
        }
    }

    /// Reads what [`Release::version`] and [`Release::schema`] gave.
    pub(super) fn parse(version: &str, schema: &str) -> Result<Self> {
        let numbers = version
            .split('.')
            .map(str::parse)
            .collect::<Result<Vec<u64>, _>>()
            .with_context(|| format!("{version} is no version"))?;
        let version = numbers
            .try_into()
            .map_err(|_| anyhow::anyhow!("{version} is no version of three numbers"))?;
        let schema = schema
            .parse()
            .with_context(|| format!("{schema} is no version of a migration"))?;
        Ok(Self { version, schema })
    }

    /// The version of the program, as `1.2.3`.
    #[must_use]
    pub fn version(&self) -> String {
        let [major, minor, patch] = self.version;
        format!("{major}.{minor}.{patch}")
    }

    /// The version of the newest migration, as `YYYYMMDDHHMMSS`.
    #[must_use]
    pub fn schema(&self) -> i64 {
        self.schema
    }
}

impl Display for Release {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} with migration {}",
            self.version(),
            self.schema
        )
    }
}

/// The database has the functions of a newer release, and keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OlderRelease {
    /// The release that was to be applied.
    pub own: Release,
    /// The release that was applied before.
    pub applied: Release,
}

impl Display for OlderRelease {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { own, applied } = self;
        write!(
            formatter,
            "this is an older release ({own}) than the one that was applied to the database \
             ({applied}), and nothing was changed. Migrate with the newer release; to go back to \
             the code of this one, release it under a higher version"
        )
    }
}

impl std::error::Error for OlderRelease {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_release_is_greater() {
        let releases = [
            ("0.1.0", "20260101000000"),
            ("0.1.0", "20260201000000"),
            ("0.1.1", "20260101000000"),
            ("0.2.0", "20260101000000"),
            ("0.10.0", "20260101000000"),
            ("1.0.0", "0"),
        ]
        .map(|(version, schema)| Release::parse(version, schema).expect("a release is read"));
        assert!(releases.is_sorted(), "{releases:?} are in order");
        for release in releases {
            let again = Release::parse(&release.version(), &release.schema().to_string());
            assert_eq!(again.expect("it is read again"), release);
        }
    }

    #[test]
    fn what_is_no_release_is_refused() {
        for (version, schema) in [
            ("1.2", "1"),
            ("1.2.3.4", "1"),
            ("1.2.x", "1"),
            ("1.2.3", ""),
        ] {
            assert!(
                Release::parse(version, schema).is_err(),
                "{version:?} with {schema:?} was read"
            );
        }
    }
}
