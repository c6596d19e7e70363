use std::net::{Ipv4Addr, TcpListener};

use super::*;

/// A directory for one test, removed with the value.
#[derive(Debug)]
pub(crate) struct ScratchDirectory(PathBuf);

impl ScratchDirectory {
    pub(crate) fn new() -> Self {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("turnpike-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the temporary directory can be written");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn modes_that_verify_ask_for_tls() {
    for (url, expected) in [
        ("postgres://h/d", SslMode::Prefer),
        ("postgres://h/d?sslmode=disable", SslMode::Disable),
        ("postgres://h/d?sslmode=require", SslMode::Require),
        ("postgres://h/d?sslmode=verify-ca", SslMode::Require),
        (
            "postgres://h/d?sslmode=verify-full&connect_timeout=1",
            SslMode::Require,
        ),
    ] {
        let config = read_config(url).expect("the address can be read");
        assert_eq!(config.get_ssl_mode(), expected, "the mode of {url}");
    }
    assert!(read_config("postgres://h/d?sslmode=maybe").is_err());
}

#[test]
fn descriptions_keep_passwords_to_themselves() {
    for (url, expected) in [
        (
            "postgres://me:hunter2@db.example:6000/shop",
            "db.example:6000/shop",
        ),
        (
            "postgres://me:hunter2@db.example/shop",
            "db.example:5432/shop",
        ),
        (
            "host=db.example user=me password=hunter2",
            "db.example:5432/",
        ),
        (
            "postgres://me:hunter2@db.example:port/shop",
            "an address that cannot be read",
        ),
    ] {
        assert_eq!(describe(url), expected, "the description of {url}");
    }
}

async fn count(cluster: &Cluster) -> i64 {
    let client = connect(&cluster.url("shop"))
        .await
        .expect("the server answers");
    client
        .query_one("SELECT count(*) FROM kept", &[])
        .await
        .expect("the table is there")
        .get(0)
}

async fn insert(cluster: &Cluster) {
    let client = connect(&cluster.url("shop"))
        .await
        .expect("the server answers");
    client
        .batch_execute("CREATE TABLE IF NOT EXISTS kept (id INT); INSERT INTO kept VALUES (1)")
        .await
        .expect("the insert is right");
}

/// One long story, because each `initdb` takes seconds.
#[tokio::test]
async fn life_of_a_cluster() {
    let scratch = ScratchDirectory::new();
    let start = async || {
        Cluster::start(scratch.path(), Durability::Durable)
            .await
            .expect("the cluster starts")
    };
    let first = start().await;
    first
        .ensure_database("shop")
        .await
        .expect("a database can be created");
    first
        .ensure_database("shop")
        .await
        .expect("an existing database is no error");
    first
        .ensure_database("shop; DROP")
        .await
        .expect_err("a name that is none must be refused");
    insert(&first).await;
    let pid = first.pid().expect("the server runs");

    // A second user adopts the server, and the end of the first does not stop it.
    let second = start().await;
    assert_eq!(second.pid(), Some(pid), "a running server must be adopted");
    first.stop().await.expect("a user can leave");
    assert_eq!(
        second.pid(),
        Some(pid),
        "the server must outlive the first of two users"
    );
    assert_eq!(count(&second).await, 1);

    // Suspended, it accepts connections and says nothing.
    second.suspend();
    let silent =
        tokio::time::timeout(Duration::from_millis(300), connect(&second.url("shop"))).await;
    assert!(silent.is_err(), "a suspended server must not answer");
    second.resume();
    assert_eq!(count(&second).await, 1);

    // Killed, it is started again by whoever comes next, with what was committed.
    second.crash().await.expect("the server can be killed");
    assert_eq!(
        second.pid(),
        None,
        "a killed server must not count as running"
    );
    let third = start().await;
    assert_ne!(third.pid(), Some(pid), "a new server must run");
    assert_eq!(count(&third).await, 1, "a crash must not lose a commit");
    insert(&third).await;
    third.crash().await.expect("the server can be killed");
    third
        .restart()
        .await
        .expect("a crashed server can be restarted");
    third
        .restart()
        .await
        .expect("a running server can be restarted");
    assert_eq!(count(&third).await, 2);

    // A pid file left behind whose number now belongs to another process, here this one.
    third.crash().await.expect("the server can be killed");
    let pid_file = scratch.path().join("data/postmaster.pid");
    let text = std::fs::read_to_string(&pid_file).expect("a killed server leaves its pid file");
    let rest = text
        .split_once('\n')
        .expect("the pid file has several lines")
        .1;
    std::fs::write(&pid_file, format!("{}\n{rest}", std::process::id()))
        .expect("the pid file can be written");
    let fourth = start().await;
    assert_eq!(count(&fourth).await, 2);

    // The port is kept when it is free, and replaced when it is not.
    let port = fourth.port();
    drop(second);
    drop(third);
    fourth.stop().await.expect("the last user can leave");
    assert!(
        !pid_file.exists(),
        "the last user's end must stop the server"
    );
    let fifth = start().await;
    assert_eq!(fifth.port(), port, "a free port must be used again");
    fifth.stop().await.expect("the last user can leave");
    let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .expect("the port of a stopped server is free");
    let sixth = start().await;
    assert_ne!(sixth.port(), port, "a busy port must be replaced");
    assert_eq!(count(&sixth).await, 2);
    drop(busy);

    // Many at once share one server, and dropping them all stops it.
    let (a, b, c, d) = tokio::join!(start(), start(), start(), start());
    let pid = sixth.pid();
    assert!(
        [&a, &b, &c, &d].iter().all(|one| one.pid() == pid),
        "parallel users must share one server"
    );
    drop((a, b, c, d, sixth));
    let deadline = Instant::now() + STOP_PATIENCE;
    while pid_file.exists() {
        assert!(
            Instant::now() < deadline,
            "the watchdog must stop a server that nobody uses"
        );
        sleep(POLL_INTERVAL).await;
    }
}

/// A process that is killed cannot clean up: its watchdog must.
#[tokio::test]
async fn a_killed_user_does_not_leave_a_server_behind() {
    const ROLE: &str = "TURNPIKE_TEST_CLUSTER_USER";
    if let Ok(directory) = std::env::var(ROLE) {
        let _cluster = Cluster::start(Path::new(&directory), Durability::Test)
            .await
            .expect("the cluster starts");
        std::future::pending::<()>().await;
    }
    let scratch = ScratchDirectory::new();
    let mut user =
        std::process::Command::new(std::env::current_exe().expect("this test has a file"))
            .args([
                "--exact",
                "postgres_cluster::tests::a_killed_user_does_not_leave_a_server_behind",
            ])
            .env(ROLE, scratch.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("this test can run itself");
    let port_file = scratch.path().join("port");
    let deadline = Instant::now() + START_PATIENCE;
    while !port_file.exists() {
        assert!(
            Instant::now() < deadline,
            "the other process must start a server"
        );
        sleep(POLL_INTERVAL).await;
    }
    let server =
        ServerFile::read(&scratch.path().join("data")).expect("a running server has a pid file");
    user.kill().expect("the other process can be killed");
    user.wait().expect("the other process can be waited for");
    assert!(
        wait_until_gone(&[server.pid]).await,
        "the watchdog must stop the server of a killed process"
    );
}
