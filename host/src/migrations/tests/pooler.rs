//! Migrating behind PgBouncer, which lends a server connection for one transaction at a time.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::*;

/// How many migrate at once: more than there are server connections.
const PROCESSES: usize = 6;

/// Connections that PgBouncer keeps to the server.
const POOL_SIZE: usize = 2;

/// How long PgBouncer may take to open its port on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running PgBouncer, which ends with the value.
struct Pooler {
    process: Child,
    port: u16,
    _folder: ScratchDirectory,
}

impl Pooler {
    /// `None` where PgBouncer is not installed.
    async fn start(cluster: &Cluster) -> Option<Self> {
        let program = ["/usr/sbin/pgbouncer", "pgbouncer"]
            .into_iter()
            .find(|program| {
                let version = Command::new(program).arg("--version").output();
                version.is_ok_and(|version| version.status.success())
            });
        let Some(program) = program else {
            assert!(
                std::env::var_os("CI").is_none(),
                "pgbouncer is not installed, and CI must run every test: install it"
            );
            println!("PgBouncer: NOT TESTED, because pgbouncer is not installed");
            return None;
        };

        let server: tokio_postgres::Config =
            cluster.url("any").parse().expect("the address is right");
        let password = String::from_utf8_lossy(server.get_password().unwrap_or_default());
        let port = free_port();
        let folder = ScratchDirectory::new();
        let settings = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n\
             * = host=127.0.0.1 port={} user={} password='{password}'\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = any\n\
             pool_mode = transaction\n\
             default_pool_size = {POOL_SIZE}\n",
            cluster.port(),
            server.get_user().unwrap_or_default(),
        );
        std::fs::write(&settings, text).expect("the scratch directory can be written");

        let mut command = Command::new(program);
        // It refuses to be root, and becomes another user once it has read its settings.
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        command.arg(&settings).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("pgbouncer starts");
        let pooler = Self {
            process,
            port,
            _folder: folder,
        };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(
                Instant::now() < deadline,
                "pgbouncer does not open port {port}"
            );
            sleep(Duration::from_millis(20)).await;
        }
        Some(pooler)
    }

    /// The case, whose database is reached by the pooler from now on.
    fn lead(&self, cluster: &Cluster, case: Case) -> Case {
        let direct = format!(":{}/", cluster.port());
        assert!(case.url.contains(&direct), "the address names the port");
        Case {
            url: case.url.replace(&direct, &format!(":{}/", self.port)),
            folder: case.folder,
        }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}

#[tokio::test]
async fn several_migrate_behind_a_pooler() {
    let directory = ScratchDirectory::new();
    let cluster = Cluster::start(directory.path(), Durability::Test)
        .await
        .expect("the private cluster starts");
    if let Some(pooler) = Pooler::start(&cluster).await {
        let case = pooler.lead(&cluster, Case::new(&cluster).await.with(&[FIRST]));
        for (file, name) in [(FIRST, "customers"), (SECOND, "names")] {
            std::fs::write(case.path(file.0), file.1)
                .expect("the scratch directory can be written");
            let runs = (0..PROCESSES).map(|_| case.migrate());
            let reports = futures::future::join_all(runs).await;
            let mut applied = Vec::new();
            for report in reports {
                let report = report.expect("each migrates, or finds that another did");
                applied.extend(report.migrations.into_iter().map(|one| one.name));
            }
            assert_eq!(applied, [name], "one of them applies what is new");
        }
        migrate_and_prune(&case.url, case.folder.path())
            .await
            .expect("pruning needs one transaction too");
    }
    cluster.stop().await.expect("the private cluster stops");
}
