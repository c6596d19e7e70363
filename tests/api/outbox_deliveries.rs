use std::net::TcpListener as StdListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use turnpike_tests::personas::DELIVERIES;
use turnpike_tests::{Settings, TestHost, User, api_tests, run};

use crate::refusals::refuse;

/// Messages that one call takes at most.
const MAX_CLAIMED: usize = 20;

/// Messages that the mail service never answers.
const HANGING: u64 = 8;

/// A message as the mail service received it.
#[derive(Debug, Clone)]
struct Received {
    head: String,
    body: Value,
}

/// A mail service of the test's own. What it does is told by the recipient: `fail@` is refused
/// with a 500, `hang@` is never answered, and everything else is taken.
#[derive(Clone, Default)]
struct MailService(Arc<Mutex<Vec<Received>>>);

impl MailService {
    fn received(&self) -> Vec<Received> {
        match self.0.lock() {
            Ok(received) => received.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        }
    }

    fn recipients(&self) -> Vec<String> {
        let mut recipients: Vec<String> = self
            .received()
            .iter()
            .map(|r| r.body["to"].as_str().unwrap_or_default().to_owned())
            .collect();
        recipients.sort();
        recipients
    }

    async fn serve(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let service = self.clone();
            tokio::spawn(async move { service.answer(stream).await });
        }
    }

    async fn answer(&self, mut stream: TcpStream) -> Option<()> {
        let mut bytes = Vec::new();
        let (head, body) = loop {
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            if let Ok(body) = serde_json::from_str::<Value>(body) {
                break (head.to_ascii_lowercase(), body);
            }
        };
        let to = body["to"].as_str().unwrap_or_default().to_owned();
        if let Ok(mut received) = self.0.lock() {
            received.push(Received { head, body });
        }
        if to.starts_with("hang@") {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        let status = if to.starts_with("fail@") {
            "500 Internal Server Error"
        } else {
            "202 Accepted"
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.ok()
    }
}

/// Runs a test on a host that sends its mail to a service of the test's own.
fn run_with_mail(settings: Settings, test: impl AsyncFnOnce(&TestHost, &MailService)) {
    let listener = StdListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener
        .set_nonblocking(true)
        .expect("a socket can be made non-blocking");
    let origin = format!(
        "http://{}",
        listener
            .local_addr()
            .expect("a bound socket has an address")
    );
    let settings = settings
        .with_variable("mail_url", format!("{origin}/send"))
        .with_variable("mail_origin", origin)
        .with_variable("mail_token", "a secret of the mail service")
        .with_variable("public_url", "https://pay.example");
    run(settings, async |host| {
        let listener = TcpListener::from_std(listener).expect("the socket fits the runtime");
        let service = MailService::default();
        let serving = tokio::spawn(service.clone().serve(listener));
        test(host, &service).await;
        serving.abort();
    });
}

macro_rules! mail_tests {
    [$($name:ident),+ $(,)?] => {
        $(mod $name {
            use turnpike_tests::Settings;

            #[test]
            fn pooled() {
                super::run_with_mail(Settings::pooled(), super::$name);
            }

            #[test]
            fn fresh() {
                super::run_with_mail(Settings::fresh(), super::$name);
            }
        })+
    };
}

mail_tests![
    hands_each_message_over_once,
    parallel_callers_send_each_message_once,
    a_failure_is_tried_again_later,
    a_service_that_hangs_holds_nobody_up,
    a_message_is_given_up_in_the_end,
    mail_is_part_of_the_trace,
];

api_tests![without_a_mail_service_nothing_is_taken, refuses];

/// The mail service is told which trace the request is part of that sends the mail.
async fn mail_is_part_of_the_trace(host: &TestHost, service: &MailService) {
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let admin = host.platform_admin().await;
    for header in [Some(traceparent), None] {
        host.signed_up_user("ada").await;
        let mut call = host.post(DELIVERIES).bearer(&admin.token);
        if let Some(value) = header {
            call = call.header("traceparent", value);
        }
        call.send().await.expect(200);
        let received = service.received();
        let head = &received.last().expect("the mail was sent").head;
        let line = head
            .lines()
            .find_map(|line| line.strip_prefix("traceparent: "));
        assert_eq!(line, header, "{head}");
    }
}

async fn add(host: &TestHost, to: &str) {
    host.execute(&format!(
        "SELECT outbox_add(no_organization(), owned_id(no_organization(), gen_random_uuid()), 'verify_email', '{to}', 'tpe_of_{to}')"
    ))
    .await;
}

/// An administrator, and nothing waiting.
async fn admin(host: &TestHost) -> User {
    let admin = host.platform_admin().await;
    host.execute("DELETE FROM outbox_messages").await;
    admin
}

async fn deliver(host: &TestHost, admin: &User) -> (u64, u64, u64) {
    let response = host.post(DELIVERIES).bearer(&admin.token).send().await;
    let answer = response.expect(200).json();
    let count = |name: &str| answer[name].as_u64().unwrap_or(u64::MAX);
    (count("claimed"), count("sent"), count("failed"))
}

async fn waiting(host: &TestHost) -> i64 {
    let sql = "SELECT count(*) FROM outbox_messages WHERE settled_at IS NULL";
    host.query(sql).await[0].get(0)
}

async fn hands_each_message_over_once(host: &TestHost, service: &MailService) {
    let admin = admin(host).await;
    assert_eq!(deliver(host, &admin).await, (0, 0, 0));
    for to in ["ada@example.com", "eve@example.com", ""] {
        add(host, to).await;
    }
    assert_eq!(deliver(host, &admin).await, (2, 2, 0));
    assert_eq!(deliver(host, &admin).await, (0, 0, 0));
    assert_eq!(
        service.recipients(),
        ["ada@example.com", "eve@example.com"],
        "a message to nobody is never sent"
    );
    for Received { head, body } in service.received() {
        let id = body["id"].as_str().unwrap_or_default();
        assert!(id.starts_with("msg_"), "{body}");
        for line in [
            "post /send http/1.1".to_owned(),
            "content-type: application/json".to_owned(),
            "authorization: bearer a secret of the mail service".to_owned(),
            format!("idempotency-key: {id}"),
        ] {
            assert!(
                head.lines().any(|sent| sent == line),
                "{line} must be in\n{head}"
            );
        }
        assert_eq!(body["subject"], json!("Confirm your email address"));
        let link = format!(
            "https://pay.example/#/verify-email?token=tpe_of_{}",
            body["to"].as_str().unwrap_or_default()
        );
        let text = body["text"].as_str().unwrap_or_default();
        assert!(text.contains(&link), "{link} must be in\n{text}");
    }
    let rows = host
        .query(
            "SELECT count(*) FROM outbox_messages
              WHERE recipient <> '' AND is_sent AND settled_at IS NOT NULL AND token IS NULL",
        )
        .await;
    assert_eq!(rows[0].get::<_, i64>(0), 2, "what was sent keeps no token");
}

async fn parallel_callers_send_each_message_once(host: &TestHost, service: &MailService) {
    let admin = admin(host).await;
    let emails: Vec<String> = (10..10 + 3 * MAX_CLAIMED)
        .map(|n| format!("user-{n}@example.com"))
        .collect();
    for email in &emails {
        add(host, email).await;
    }
    let mut sent = 0;
    while sent < emails.len() as u64 {
        let answers = join_all((0..4).map(|_| deliver(host, &admin))).await;
        for (claimed, delivered, failed) in &answers {
            assert!(*claimed <= MAX_CLAIMED as u64, "{answers:?}");
            assert_eq!((claimed, *failed), (delivered, 0), "{answers:?}");
            sent += claimed;
        }
        assert!(
            answers.iter().any(|(claimed, ..)| *claimed > 0),
            "{sent} were sent and nothing more is taken"
        );
    }
    assert_eq!(service.recipients(), emails);
    assert_eq!(waiting(host).await, 0);
}

async fn a_failure_is_tried_again_later(host: &TestHost, service: &MailService) {
    let admin = admin(host).await;
    for to in ["fail@example.com", "ada@example.com"] {
        add(host, to).await;
    }
    assert_eq!(deliver(host, &admin).await, (2, 1, 1));
    assert_eq!(deliver(host, &admin).await, (0, 0, 0), "it waits first");
    for expected_mins in [1, 2, 4, 8, 16, 32, 60, 60] {
        let rows = host
            .query(
                "SELECT round(extract(epoch FROM next_attempt_at - now()) / 60)::integer, last_error, token
                   FROM outbox_messages WHERE settled_at IS NULL",
            )
            .await;
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].get::<_, i32>(0), expected_mins);
        let error: String = rows[0].get(1);
        assert!(error.contains("500"), "{error}");
        let token: Option<String> = rows[0].get(2);
        assert!(token.is_some(), "a message that waits keeps its token");
        host.execute("UPDATE outbox_messages SET next_attempt_at = now()")
            .await;
        assert_eq!(deliver(host, &admin).await, (1, 0, 1));
    }
    // The service recovers.
    host.execute(
        "UPDATE outbox_messages SET next_attempt_at = now(), recipient = 'eve@example.com'
          WHERE settled_at IS NULL",
    )
    .await;
    assert_eq!(deliver(host, &admin).await, (1, 1, 0));
    assert_eq!(waiting(host).await, 0);
    let keys: Vec<Value> = service
        .received()
        .iter()
        .filter(|r| r.body["to"] != json!("ada@example.com"))
        .map(|r| r.body["id"].clone())
        .collect();
    assert!(
        keys.len() == 10 && keys.iter().all(|key| *key == keys[0]),
        "every attempt has the same key: {keys:?}"
    );
}

async fn a_service_that_hangs_holds_nobody_up(host: &TestHost, service: &MailService) {
    let admin = admin(host).await;
    for number in 0..HANGING {
        add(host, &format!("hang@{number}.example.com")).await;
    }
    add(host, "ada@example.com").await;
    let began = Instant::now();
    let answer = deliver(host, &admin);
    let beside = async {
        while service.received().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // What is under way belongs to the call that took it.
        deliver(host, &admin).await
    };
    let (first, second) = futures::future::join(answer, beside).await;
    assert_eq!(first, (HANGING + 1, 1, HANGING));
    assert_eq!(second, (0, 0, 0));
    // Five seconds each, side by side: one after the other they would take forty.
    assert!(
        began.elapsed() < Duration::from_secs(25),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(waiting(host).await.unsigned_abs(), HANGING);
}

async fn a_message_is_given_up_in_the_end(host: &TestHost, _: &MailService) {
    let admin = admin(host).await;
    add(host, "fail@example.com").await;
    host.execute("UPDATE outbox_messages SET attempts = 8")
        .await;
    assert_eq!(deliver(host, &admin).await, (1, 0, 1));
    assert_eq!(waiting(host).await, 1);
    host.execute("UPDATE outbox_messages SET next_attempt_at = now()")
        .await;
    assert_eq!(deliver(host, &admin).await, (1, 0, 1));
    let rows = host
        .query(
            "SELECT settled_at IS NOT NULL, is_sent, token IS NULL, last_error FROM outbox_messages",
        )
        .await;
    let row = &rows[0];
    assert_eq!((row.get(0), row.get(1), row.get(2)), (true, false, true));
    assert!(row.get::<_, String>(3).contains("500"));
    assert_eq!(deliver(host, &admin).await, (0, 0, 0));
}

/// A service that cannot be reached, or that the stanza does not allow, is a failure to be tried
/// again, and no fault of ours.
#[test]
fn a_service_out_of_reach_is_a_failure() {
    let closed = StdListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let address = closed.local_addr().expect("a bound socket has an address");
    drop(closed);
    for origin in [format!("http://{address}"), "https://mail.example".into()] {
        let settings = Settings::pooled()
            .with_variable("mail_url", format!("http://{address}/send"))
            .with_variable("mail_origin", origin);
        run(settings, async |host| {
            let admin = admin(host).await;
            add(host, "ada@example.com").await;
            assert_eq!(deliver(host, &admin).await, (1, 0, 1));
            assert_eq!(waiting(host).await, 1);
        });
    }
}

async fn without_a_mail_service_nothing_is_taken(host: &TestHost) {
    let admin = admin(host).await;
    add(host, "ada@example.com").await;
    let call = host.post(DELIVERIES).bearer(&admin.token);
    refuse(host, call, 422, "mail_not_configured", &[]).await;
    let sql = "SELECT count(*) FROM outbox_messages WHERE attempts = 0 AND token IS NOT NULL";
    assert_eq!(host.query(sql).await[0].get::<_, i64>(0), 1);
}

async fn refuses(host: &TestHost) {
    let user = host.new_user("ada").await;
    let call = host.post(DELIVERIES).bearer(&user.token);
    refuse(host, call, 403, "forbidden", &[]).await;
}
