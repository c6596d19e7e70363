//! Finds a Postgres server installed on this machine.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

/// The oldest major version whose SQL and `initdb` options Turnpike relies on.
pub const OLDEST_MAJOR_VERSION: u32 = 14;

/// One installation: a folder that holds `postgres` and `initdb`.
#[derive(Clone, Debug)]
pub(super) struct Binaries {
    pub postgres: PathBuf,
    pub initdb: PathBuf,
    pub major_version: u32,
}

/// Picks the installation to use. `data_version` is the major version that an existing data
/// directory was created by: only that version can open it.
pub(super) async fn find(data_version: Option<u32>) -> Result<Binaries> {
    let mut seen = Vec::new();
    for folder in candidate_folders().await {
        let Some(found) = inspect(&folder).await else {
            continue;
        };
        let fits = match data_version {
            Some(version) => found.major_version == version,
            None => found.major_version >= OLDEST_MAJOR_VERSION,
        };
        if fits {
            return Ok(found);
        }
        seen.push(format!("{} ({})", found.major_version, folder.display()));
    }
    let seen = if seen.is_empty() {
        "none was found".to_owned()
    } else {
        format!("found only {}", seen.join(", "))
    };
    match data_version {
        Some(version) => bail!(
            "the private Postgres cluster was created by PostgreSQL {version}, and {seen}. \
             Install PostgreSQL {version}, or delete the cluster directory to start afresh, \
             or set DATABASE_URL to a Postgres of your own"
        ),
        None => bail!("{}", missing_text(&seen)),
    }
}

fn missing_text(seen: &str) -> String {
    format!(
        "Turnpike needs a PostgreSQL server, version {OLDEST_MAJOR_VERSION} or later, and {seen}. Install one:\n  \
         Debian, Ubuntu:  sudo apt-get install postgresql\n  \
         Fedora, RHEL:    sudo dnf install postgresql-server\n  \
         Arch:            sudo pacman -S postgresql\n  \
         Alpine:          sudo apk add postgresql\n  \
         macOS:           brew install postgresql@17\n\
         (no service has to run: Turnpike starts a private one), or set DATABASE_URL=postgres://user:password@host:port/database"
    )
}

async fn candidate_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path).filter(|folder| folder.is_absolute()));
    if let Some(bindir) = pg_config_bindir().await {
        folders.push(bindir);
    }
    for (parent, suffix) in [
        ("/usr/lib/postgresql", "bin"),
        ("/usr", "bin"),
        ("/usr/local", "bin"),
        ("/usr/local/opt", "bin"),
        ("/opt/homebrew/opt", "bin"),
        ("/home/linuxbrew/.linuxbrew/opt", "bin"),
        ("/Library/PostgreSQL", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "bin"),
    ] {
        folders.extend(
            versioned_folders(Path::new(parent))
                .into_iter()
                .map(|folder| folder.join(suffix)),
        );
    }
    folders.push("/usr/local/pgsql/bin".into());

    // A link such as /usr/local/bin/postgres stands for the folder of the real program, where
    // its companions are.
    let mut real = Vec::new();
    for folder in folders {
        if let Ok(program) = folder.join("postgres").canonicalize()
            && let Some(parent) = program.parent()
            && !real.iter().any(|known| known == parent)
        {
            real.push(parent.to_owned());
        }
    }
    real
}

async fn pg_config_bindir() -> Option<PathBuf> {
    let output = Command::new("pg_config")
        .arg("--bindir")
        .stdin(Stdio::null())
        .output()
        .await
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(text.trim()))
}

/// The entries of `parent` named after a version (`15`, `postgresql@17`, `pgsql-16`), newest
/// first.
fn versioned_folders(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut found: Vec<(Vec<u32>, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| Some((folder_version(entry.file_name().to_str()?)?, entry.path())))
        .collect();
    found.sort_by(|left, right| right.0.cmp(&left.0));
    found.into_iter().map(|(_, path)| path).collect()
}

/// The version in a folder name; a plain `postgresql` is older than any numbered one.
fn folder_version(name: &str) -> Option<Vec<u32>> {
    if name == "postgresql" {
        return Some(Vec::new());
    }
    let digits = ["postgresql@", "postgresql-", "pgsql-", "pgsql"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name);
    digits.split('.').map(|part| part.parse().ok()).collect()
}

async fn inspect(folder: &Path) -> Option<Binaries> {
    let postgres = folder.join("postgres");
    let initdb = folder.join("initdb");
    if !initdb.is_file() {
        return None;
    }
    let output = Command::new(&postgres)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .await
        .ok()?;
    let major_version = parse_server_version(std::str::from_utf8(&output.stdout).ok()?)?;
    Some(Binaries {
        postgres,
        initdb,
        major_version,
    })
}

/// Reads `postgres (PostgreSQL) 15.8 (Debian 15.8-0)` or `postgres (PostgreSQL) 18beta1`.
fn parse_server_version(text: &str) -> Option<u32> {
    let version = text.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The major version that created a data directory, from its `PG_VERSION` file.
pub(super) fn data_version(data: &Path) -> Result<Option<u32>> {
    let path = data.join("PG_VERSION");
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let version = text
                .trim()
                .parse()
                .with_context(|| format!("{} does not hold a version: {text:?}", path.display()))?;
            Ok(Some(version))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_versions() {
        for (text, expected) in [
            (
                "postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)\n",
                Some(15),
            ),
            ("postgres (PostgreSQL) 18beta1\n", Some(18)),
            ("postgres (PostgreSQL) 9.6.24", Some(9)),
            ("postgres (PostgreSQL) devel", None),
            ("mysqld 8", None),
            ("", None),
        ] {
            assert_eq!(
                parse_server_version(text),
                expected,
                "the version in {text:?} was misread"
            );
        }
    }

    #[test]
    fn folder_versions_sort_by_number() {
        let mut names = [
            "9.6",
            "15",
            "postgresql@17",
            "8",
            "postgresql",
            "pgsql-16",
            "common",
            "10",
            "16.2",
        ]
        .into_iter()
        .filter_map(|name| Some((folder_version(name)?, name)))
        .collect::<Vec<_>>();
        names.sort_by(|left, right| right.0.cmp(&left.0));
        let order: Vec<_> = names.into_iter().map(|(_, name)| name).collect();
        assert_eq!(
            order,
            [
                "postgresql@17",
                "16.2",
                "pgsql-16",
                "15",
                "10",
                "9.6",
                "8",
                "postgresql"
            ],
            "folders must be tried from the highest version down, and `common` is no version"
        );
    }

    #[test]
    fn missing_server_names_the_way_out() {
        let text = missing_text("none was found");
        for needed in [
            "apt-get install",
            "brew install",
            "dnf install",
            "DATABASE_URL",
        ] {
            assert!(
                text.contains(needed),
                "tell the reader about {needed}: {text}"
            );
        }
    }
}
