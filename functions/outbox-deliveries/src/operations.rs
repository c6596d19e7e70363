use shared::http::operation::{Access, Answer, Operation, Verb};

/// What became of the messages that one call took.
#[shared::answer]
pub struct Deliveries {
    /// Messages that were taken from the outbox.
    pub claimed: usize,
    pub sent: usize,
    pub failed: usize,
}

shared::refusals! {
    MAIL_NOT_CONFIGURED = 422 "mail_not_configured", "There is no mail service to send with",
        "the variable mail_url is empty. Nothing was taken from the outbox.";
}

pub const DELIVER: Operation = Operation::new(
    "outbox-deliveries",
    Verb::Post,
    "/api/v1/outbox/deliveries",
    Access::Permission("outbox:deliver"),
)
.tag("operations")
.summary("Send the mail that is waiting")
.details(
    "Hands up to 20 messages that are due to the mail service, and records what became of them. A \
     scheduler calls it. Several callers at once send each message once.",
)
.statements(2)
.answers(&[Answer::json::<Deliveries>(
    200,
    "So many messages were taken, sent and not sent.",
    r#"{"claimed": 3, "sent": 2, "failed": 1}"#,
)])
.refuses(&[&MAIL_NOT_CONFIGURED]);
