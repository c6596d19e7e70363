//! `turnpike up`: everything from source files to a served application.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::seed::Demo;
use crate::function_build::{self, BuiltFunction};
use crate::imports::key_value::store::KeyValueOptions;
use crate::log_sink::LogSink;
use crate::migrations::{OlderRelease, Report};
use crate::runtime::app::{DEFAULT_CACHE_DIR, LoadedApp};
use crate::runtime::host::{Host, HostOptions};
use anyhow::{Context, Result, anyhow, bail};
use indicatif::ProgressBar;
use tokio::time::Instant;

use super::arguments::{LogFormat, MetricsListen, UpArguments, WarmArguments};
use super::cache;
use super::compile::compile_in_child;
use super::database::Database;
use super::project::Project;
use super::{EXIT_INTERRUPTED, Signals};

/// Set, it says itself whether mail is shown to whoever asks.
const DEVELOPMENT_VARIABLE: &str = "SPIN_VARIABLE_DEVELOPMENT";

/// The port that exporters of OpenTelemetry show metrics at for Prometheus.
const METRICS_PORT: u16 = 9464;

/// Serves until a signal comes, then lets the requests in flight end.
pub async fn run(
    project: &Project,
    arguments: UpArguments,
    signals: &mut Signals,
) -> Result<ExitCode> {
    let began = Instant::now();
    // Before minutes of building, not after them.
    check_listen_address(arguments.listen, "--listen")?;
    choose_metrics_listen(arguments.metrics_listen)?;
    let warms = arguments.warm;
    let started = tokio::select! {
        started = start(project, arguments) => started?,
        () = signals.next() => return Ok(ExitCode::from(EXIT_INTERRUPTED)),
    };
    started.introduce(project, began.elapsed());

    tokio::select! {
        () = signals.next() => {}
        () = warm_then_wait(project, &started, warms) => {}
    }
    project.say(format_args!(
        "\nfinishing the requests in flight; once more to give them up"
    ));
    let Started { host, database, .. } = started;
    tokio::select! {
        result = host.shutdown() => result?,
        () = signals.next() => {}
    }
    database.close().await?;
    Ok(ExitCode::SUCCESS)
}

/// Warms the cache if that was asked for, and goes on for ever. That it cannot be warmed is no
/// reason not to serve.
async fn warm_then_wait(project: &Project, started: &Started, warms: bool) {
    if warms {
        let warmed = async {
            let client = started.database.client().await?;
            let wanted = WarmArguments::at_start();
            cache::warm(
                started.host.key_value(),
                &client,
                &wanted,
                &ProgressBar::hidden(),
            )
            .await
        };
        match warmed.await {
            Ok(warmed) => cache::say_warmed(project, warmed),
            Err(error) => tracing::warn!("the cache was not warmed: {error:#}"),
        }
    }
    std::future::pending().await
}

/// Everything there is to say about a running application.
struct Started {
    host: Host,
    database: Database,
    functions: Vec<BuiltFunction>,
    migrated: Migrated,
    demo: Option<Demo>,
    key_value: String,
    /// Whether whoever reaches the application can read its mail.
    shows_mail: bool,
}

/// What was done to the database, or that a newer release has been there.
type Migrated = Result<Report, OlderRelease>;

/// Migrates. An instance that starts late, while a newer release is rolled out, serves with what
/// that one applied.
async fn migrate(project: &Project, database: &Database) -> Result<Migrated> {
    match database.migrate(project).await {
        Ok(report) => Ok(Ok(report)),
        Err(error) => error.downcast::<OlderRelease>().map(Err),
    }
}

async fn start(project: &Project, arguments: UpArguments) -> Result<Started> {
    let UpArguments {
        listen, database, ..
    } = arguments;
    let (key_value, key_value_description) =
        choose_key_value(project, arguments.key_value_dir, arguments.redis_url)?;

    // The database and the functions need nothing of each other.
    let prepare_database = async {
        let database = Database::open(project, database).await?;
        let migrated = migrate(project, &database).await?;
        let demo = if database.is_private() {
            Some(database.load_demo().await?)
        } else {
            None
        };
        Ok::<_, anyhow::Error>((database, migrated, demo))
    };
    let prepare_functions = async {
        let functions =
            function_build::build_with(&project.manifest()?, None, project.progress()).await?;
        let app = load(project).await?;
        Ok((functions, app))
    };
    let ((database, migrated, demo), (functions, app)) =
        tokio::try_join!(prepare_database, prepare_functions)?;

    let mut variables = HashMap::from(database.variables()?);
    // A cluster of this machine's own, that nobody else's requests reach.
    let shows_mail = database.is_private()
        && listen.ip().is_loopback()
        && std::env::var_os(DEVELOPMENT_VARIABLE).is_none();
    if shows_mail {
        variables.insert("development".into(), "true".into());
    }

    let mut options = HostOptions {
        listen,
        variables,
        key_value,
        export: arguments.handler_export,
        // Another host may have taken the port while this one was built.
        metrics_listen: choose_metrics_listen(arguments.metrics_listen)?,
        otlp_endpoint: arguments.otlp_endpoint.filter(|url| !url.is_empty()),
        ..HostOptions::default()
    };
    if arguments.log_format == LogFormat::Json {
        options.log = LogSink::json();
        options.logs_requests = true;
    }
    if let Some(count) = arguments.max_instance_reuse_count {
        options.reuse.max_requests = usize::try_from(count)?;
    }
    if let Some(count) = arguments.max_instance_concurrent_reuse_count {
        options.reuse.max_concurrent = usize::try_from(count)?;
    }
    if let Some(timeout) = arguments.idle_instance_timeout {
        options.reuse.idle_timeout = timeout;
    }
    let host = Host::start(app, options).await?;
    Ok(Started {
        host,
        database,
        functions,
        migrated,
        demo,
        key_value: key_value_description,
        shows_mail,
    })
}

/// Loads the components, with a bar while the first start compiles them.
async fn load(project: &Project) -> Result<Arc<LoadedApp>> {
    let bar = project.bar("{spinner} components: [{bar:30}] {pos}/{len}  {wide_msg}");
    let shown = bar.clone();
    let progress = move |done: usize, total: usize, id: &str| {
        shown.set_length(total as u64);
        shown.set_position(done as u64);
        shown.set_message(id.to_owned());
    };
    compile_in_child(project, &progress).await;
    let app = LoadedApp::load(project.manifest_path(), None, progress).await;
    bar.finish_and_clear();
    app
}

/// The store to use, and how to describe it.
pub fn choose_key_value(
    project: &Project,
    directory: Option<PathBuf>,
    redis_url: Option<String>,
) -> Result<(KeyValueOptions, String)> {
    Ok(match (directory, redis_url.filter(|url| !url.is_empty())) {
        (Some(directory), _) => {
            std::fs::create_dir_all(&directory)
                .with_context(|| format!("cannot create {}", directory.display()))?;
            let path = directory.join("key-value.redb");
            let description = project.relative(&path).to_string();
            (KeyValueOptions::Disk { path }, description)
        }
        (None, Some(url)) => {
            let description = format!("Redis at {}", without_credentials(&url));
            (KeyValueOptions::Redis { url }, description)
        }
        (None, None) => (KeyValueOptions::default(), "in memory".to_owned()),
    })
}

/// `redis://host:6379/1` from a URL that may hold a user and a password.
fn without_credentials(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, address))) => format!("{scheme}://{address}"),
        _ => url.to_owned(),
    }
}

/// Where to show metrics. Unless an address was asked for, one that is taken is left alone: another
/// host of this machine shows its own there, which is no reason not to serve.
fn choose_metrics_listen(wanted: Option<MetricsListen>) -> Result<Option<SocketAddr>> {
    match wanted {
        Some(MetricsListen::Off) => Ok(None),
        Some(MetricsListen::At(address)) => {
            check_listen_address(address, "--metrics-listen")?;
            Ok(Some(address))
        }
        None => {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, METRICS_PORT));
            Ok(TcpListener::bind(address).is_ok().then_some(address))
        }
    }
}

/// `option` is what the address was given by.
fn check_listen_address(address: SocketAddr, option: &str) -> Result<()> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
            "port {} of {} is in use by another program: stop that, or choose another port with {option} {}",
            address.port(),
            address.ip(),
            SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(0))
        ),
        Err(error) => Err(anyhow!(error).context(format!(
            "cannot listen on {address}: choose another address with {option}"
        ))),
    }
}

impl Started {
    fn introduce(&self, project: &Project, elapsed: Duration) {
        project.say_built(&self.functions, false);
        match &self.migrated {
            Ok(report) => project.say_migrated(report),
            Err(older) => project.say(format_args!(
                "migrations  none: the database is ahead, at release {}, and this is {}",
                older.applied, older.own
            )),
        }
        let kind = match self.database.directory() {
            Some(directory) => format!("private, in {}", project.relative(&directory)),
            None => "from DATABASE_URL".to_owned(),
        };
        project.say(format_args!(
            "postgres    {} ({kind})",
            self.database.description()
        ));
        project.say(format_args!("key-value   {}", self.key_value));
        project.say(format_args!(
            "cache       {DEFAULT_CACHE_DIR} (compiled components)"
        ));
        let base = base_url(self.host.address());
        project.say(format_args!(
            "serving     {base}, ready in {:.2} s",
            elapsed.as_secs_f32()
        ));
        match self.host.metrics_address() {
            Some(address) => project.say(format_args!("metrics     {}/metrics", base_url(address))),
            None => project.say(format_args!(
                "metrics     nowhere; --metrics-listen ADDRESS shows them"
            )),
        }
        if self.shows_mail {
            project.say(format_args!("mail        {base}/api/v1/dev/outbox"));
        }
        match &self.demo {
            Some(demo) => project.say(format_args!("\ntry it, as the demo tenant:\n\n{}", curl_lines(&base, demo))),
            None => project.say(format_args!(
                "\nthe demo tenant is not loaded into a database of your own: `turnpike seed` does that"
            )),
        }
    }
}

/// An address to connect to; nobody can connect to `0.0.0.0`.
fn base_url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// Three commands for bash and zsh.
fn curl_lines(base: &str, demo: &Demo) -> String {
    let Demo {
        email, password, ..
    } = demo;
    let login = serde_json::json!({ "email": email, "password": password })
        .to_string()
        .replace('\'', r"'\''");
    format!(
        r#"TOKEN=$(curl -s {base}/api/v1/auth/login -H 'content-type: application/json' -d '{login}' | sed -n 's/.*"access_token":"\([^"]*\)".*/\1/p')
curl -s {base}/api/v1/credits/consume -H "authorization: Bearer $TOKEN" -H "idempotency-key: $(date +%s%N)" -H 'content-type: application/json' -d '{{"amount":"1.25","currency":"USD","description":"first call"}}'
curl -s {base}/api/v1/credits/balance -H "authorization: Bearer $TOKEN"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::{Common, DatabaseArguments};
    use crate::postgres_cluster::{Cluster, Durability, ScratchDirectory};

    /// A project with these migrations, and a function with this body.
    fn project(migrations: &[&str], body: &str) -> (ScratchDirectory, Project) {
        let root = ScratchDirectory::new();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            let folder = path.parent().expect("a file has a folder");
            std::fs::create_dir_all(folder)
                .and_then(|()| std::fs::write(&path, text))
                .expect("the scratch directory can be written");
        };
        for version in migrations {
            write(&format!("migrations/{version}_nothing.sql"), "SELECT 1;");
        }
        write(
            "shared/sql/one.sql",
            &format!(
                "CREATE OR REPLACE FUNCTION one() RETURNS integer LANGUAGE sql RETURN {body};"
            ),
        );
        write("spin.toml", "");
        let common = Common {
            manifest: Some(root.path().join("spin.toml")),
            quiet: true,
        };
        let project = Project::find(common).expect("the project is found");
        (root, project)
    }

    #[tokio::test]
    async fn an_older_release_serves_with_what_is_there() {
        let directory = ScratchDirectory::new();
        let cluster = Cluster::start(directory.path(), Durability::Test)
            .await
            .expect("the private cluster starts");
        let arguments = DatabaseArguments {
            database_url: Some(cluster.url("postgres")),
        };
        let (_newer, newer) = project(&["20260101000000", "20260102000000"], "2");
        let (_older, older) = project(&["20260101000000"], "1");
        let database = Database::open(&newer, arguments)
            .await
            .expect("the address is taken as it is");
        let applied = migrate(&newer, &database).await;
        let applied = applied.expect("the database answers").expect("it is new");
        assert_eq!(applied.functions.applied, Some(1));
        let refused = migrate(&older, &database).await;
        let refused = refused.expect("this is no reason not to serve");
        assert!(refused.is_err(), "the older release changed something");
        cluster.stop().await.expect("the private cluster stops");
    }

    #[test]
    fn urls_to_show() {
        for (address, expected) in [
            ("127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:3000", "http://[::1]:3000"),
            ("192.0.2.7:3000", "http://192.0.2.7:3000"),
        ] {
            let address = address.parse().expect("the address is one");
            assert_eq!(base_url(address), expected, "where to reach {address}");
        }
        for (url, expected) in [
            ("redis://host:6379/1", "redis://host:6379/1"),
            ("redis://me:secret@host:6379/1", "redis://host:6379/1"),
            ("redis://:se@cret@host", "redis://host"),
        ] {
            assert_eq!(
                without_credentials(url),
                expected,
                "no credentials from {url}"
            );
        }
    }

    #[test]
    fn a_busy_port_is_named() {
        let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = busy.local_addr().expect("a bound socket has an address");
        let text = check_listen_address(address, "--listen")
            .expect_err("a busy port must be refused")
            .to_string();
        assert!(
            text.contains(&address.port().to_string()) && text.contains("--listen"),
            "name the port and the way out: {text}"
        );
        let at = Some(MetricsListen::At(address));
        let text = choose_metrics_listen(at).expect_err("it was asked for");
        assert!(text.to_string().contains("--metrics-listen"), "{text}");
        drop(busy);
        check_listen_address(address, "--listen").expect("a free port is fine");
        let chosen = choose_metrics_listen(at).expect("a free port is fine");
        assert_eq!(chosen, Some(address));
        let off = choose_metrics_listen(Some(MetricsListen::Off));
        assert_eq!(off.expect("nothing can be taken"), None);
    }

    #[test]
    fn curl_lines_survive_a_quote() {
        let demo = Demo {
            email: "demo@example.com".into(),
            admin_email: "admin@example.com".into(),
            password: "it's \"fine\"".into(),
        };
        let lines = curl_lines("http://127.0.0.1:3000", &demo);
        assert!(
            lines.contains(r#"'{"email":"demo@example.com","password":"it'\''s \"fine\""}'"#),
            "quote for the shell: {lines}"
        );
        assert_eq!(lines.lines().count(), 3, "three lines to copy: {lines}");
    }
}
