use serde_json::json;
use turnpike_tests::personas::{DEV_OUTBOX, PASSWORD};
use turnpike_tests::{Settings, TestHost, api_tests, run};

use crate::auth_password_forgot::forgot;

api_tests![elsewhere_it_is_a_path_that_nobody_serves];

/// Not even the answer tells that there is such a component.
async fn elsewhere_it_is_a_path_that_nobody_serves(host: &TestHost) {
    let admin = host.platform_admin().await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let method = http::Method::from_bytes(method.as_bytes()).expect("the method is a token");
        for token in [None, Some(&admin.token)] {
            let answer = async |path: &str| {
                let mut call = host.call(method.clone(), path);
                if let Some(token) = token {
                    call = call.bearer(token);
                }
                call.send().await
            };
            let hidden = answer(DEV_OUTBOX).await;
            let nothing = answer("/api/v1/dev/nothing").await;
            assert_eq!(hidden.status, nothing.status, "{hidden}");
            assert_eq!(
                hidden.problem_without_request_id(),
                nothing.problem_without_request_id()
            );
            assert_eq!(hidden.db_queries(), 0, "{hidden}");
        }
    }
}

#[test]
fn anything_but_true_is_not_development() {
    for value in ["", "1", "True", "yes", "false"] {
        let settings = Settings::pooled().with_variable("development", value);
        run(settings, async |host| {
            let answer = host.get(DEV_OUTBOX).send().await;
            answer.expect_problem(404, "not_found");
        });
    }
}

#[test]
fn a_developer_reads_the_mail() {
    let settings = Settings::pooled()
        .with_variable("development", "true")
        .with_variable("public_url", "http://localhost:3000/");
    run(settings, async |host| {
        let email = host.signup("ada").await;
        host.signup_call(&email, PASSWORD).send().await.expect(202);
        forgot(host, &email).send().await.expect(202);
        forgot(host, "nobody@example.com").send().await.expect(202);
        let answer = host.get(DEV_OUTBOX).send().await.expect(200).json();
        let messages = answer["messages"].as_array().cloned().unwrap_or_default();
        let kinds: Vec<_> = messages.iter().map(|m| m["kind"].clone()).collect();
        assert_eq!(kinds, ["reset_password", "email_taken", "verify_email"]);
        assert!(messages.iter().all(|m| m["to"] == json!(email)), "{answer}");
        let token = host.newest_mail_token("reset_password", &email).await;
        assert_eq!(messages[0]["token"], json!(token));
        assert_eq!(messages[1]["token"], json!(null));
        let link = format!("http://localhost:3000/#/reset-password?token={token}");
        let text = messages[0]["text"].as_str().unwrap_or_default();
        assert!(text.contains(&link), "{link} must be in\n{text}");
        let log = host.log_lines();
        assert!(
            log.iter().any(|line| line.contains(&link)),
            "the log must show the link {link}:\n{}",
            log.join("\n")
        );
        assert!(
            !log.iter().any(|line| line.contains("nobody@example.com")),
            "what goes to nobody is not shown"
        );
    });
}

/// The log of a deployment has no tokens.
#[test]
fn elsewhere_the_log_shows_no_mail() {
    run(Settings::pooled(), async |host| {
        let email = host.signup("ada").await;
        let token = host.newest_mail_token("verify_email", &email).await;
        assert!(!host.log_lines().iter().any(|line| line.contains(&token)));
    });
}
