//! The operating-system user and the directory that a cluster runs in.
//!
//! `initdb` and `postgres` refuse to run as root. There, the server runs as another user, who
//! must be able to reach the cluster directory.

use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

/// Another user to run the server as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// Makes the file or folder belong to this user.
    pub(super) fn own(self, path: &Path) -> Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("cannot give {} to user {}", path.display(), self.uid))
    }
}

/// A command that runs as `account` (or as ourselves), in a folder everybody can enter, and
/// free of settings meant for another Postgres.
pub(super) fn command(program: &Path, account: Option<Account>) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir("/")
        .stdin(Stdio::null())
        .env("LC_ALL", "C");
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("PG")) {
            command.env_remove(name);
        }
    }
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    command
}

/// Creates the cluster directory, and decides who runs the server. Root gets a directory that
/// the other user can reach, which may be another than the one asked for.
pub(super) fn prepare_directory(wanted: &Path) -> Result<(PathBuf, Option<Account>)> {
    let existed = wanted.exists();
    std::fs::create_dir_all(wanted)
        .with_context(|| format!("cannot create {}", wanted.display()))?;
    let directory = wanted
        .canonicalize()
        .with_context(|| format!("cannot resolve {}", wanted.display()))?;
    let own_uid = rustix::process::geteuid().as_raw();
    if own_uid != 0 {
        if let Some((uid, _)) = owner(&directory)?
            && uid != own_uid
        {
            bail!(
                "the Postgres cluster in {} belongs to user {uid}, and you are user {own_uid}: \
                 run as that user, or delete that directory",
                directory.display()
            );
        }
        restrict(&directory)?;
        return Ok((directory, None));
    }

    let account = match owner(&directory.join("data"))? {
        Some((uid, gid)) if uid != 0 => Account { uid, gid },
        _ => unprivileged_account()?,
    };
    account.own(&directory)?;
    restrict(&directory)?;
    if can_reach(account, &directory) {
        return Ok((directory, Some(account)));
    }
    ensure!(
        !directory.join("data").exists(),
        "user {} can no longer reach the Postgres cluster in {}: let that user enter the folders above it",
        account.uid,
        directory.display()
    );
    if !existed {
        let _ = std::fs::remove_dir(&directory);
    }
    let fallback = fallback_directory(&directory, account)?;
    super::note(format_args!(
        "user {} cannot reach {}, so the cluster is in {}",
        account.uid,
        directory.display(),
        fallback.display()
    ));
    Ok((fallback, Some(account)))
}

fn owner(path: &Path) -> Result<Option<(u32, u32)>> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some((metadata.uid(), metadata.gid()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot look at {}", path.display())),
    }
}

fn restrict(path: &Path) -> Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
        .with_context(|| format!("cannot restrict {} to its owner", path.display()))
}

fn unprivileged_account() -> Result<Account> {
    ["postgres", "nobody"].into_iter().find_map(lookup).context(
        "Postgres refuses to run as root, and neither user `postgres` nor `nobody` exists: \
         run as an ordinary user, or set DATABASE_URL to a Postgres of your own",
    )
}

fn lookup(name: &str) -> Option<Account> {
    let id = |flag: &str| -> Option<u32> {
        let output = Command::new("id")
            .args([flag, name])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        std::str::from_utf8(&output.stdout)
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    let (uid, gid) = (id("-u")?, id("-g")?);
    (uid != 0).then_some(Account { uid, gid })
}

/// Asks the system rather than computing it: modes, ACLs and mounts all have a say.
fn can_reach(account: Account, directory: &Path) -> bool {
    command(Path::new("/bin/sh"), Some(account))
        .args([
            "-c",
            r#"cd "$1" && : > ".reach.$$" && rm ".reach.$$""#,
            "sh",
        ])
        .arg(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn fallback_directory(wanted: &Path, account: Account) -> Result<PathBuf> {
    let digest = Sha256::digest(wanted.as_os_str().as_encoded_bytes());
    let directory = std::env::temp_dir().join(format!("turnpike-{}", super::hex(&digest[..8])));
    match std::fs::create_dir(&directory) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // The name can be guessed and the folder is open to all, so whoever made it decides.
            let metadata = std::fs::symlink_metadata(&directory)
                .with_context(|| format!("cannot look at {}", directory.display()))?;
            ensure!(
                metadata.is_dir() && [0, account.uid].contains(&metadata.uid()),
                "{} was created by another user: delete it",
                directory.display()
            );
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot create {}", directory.display()));
        }
    }
    let directory = directory
        .canonicalize()
        .with_context(|| format!("cannot resolve {}", directory.display()))?;
    account.own(&directory)?;
    restrict(&directory)?;
    ensure!(
        can_reach(account, &directory),
        "user {} can reach neither {} nor {}: set DATABASE_URL to a Postgres of your own",
        account.uid,
        wanted.display(),
        directory.display()
    );
    Ok(directory)
}
