use shared::auth::session::SIGNED_IN;
use shared::http::input::Text;
use shared::http::operation::{Access, Operation, Verb};
use shared::http::problem::{self, Problem};

/// Longest text that is looked at as a token. Ours have 95 characters.
pub const MAX_TOKEN_CHARS: usize = 512;

/// The token to spend.
#[shared::body]
pub struct Refresh {
    /// The refresh_token of a login or refresh. Any other text is a 401.
    pub refresh_token: Text<1, MAX_TOKEN_CHARS>,
}

shared::refusals! {
    INVALID_REFRESH_TOKEN = 401 "invalid_refresh_token", "The refresh token is not valid",
        "the refresh token is unknown, expired, spent, revoked or malformed.";
}

pub fn invalid_refresh_token() -> Problem {
    INVALID_REFRESH_TOKEN.because("It is unknown, expired, spent or revoked. Sign in again.")
}

pub const REFRESH: Operation = Operation::new(
    "auth-refresh",
    Verb::Post,
    "/api/v1/auth/refresh",
    Access::RefreshToken,
)
.audited()
.tag("auth")
.summary("Spend a refresh token for a new pair")
.details(
    "A refresh token works once, and the access token that came with it dies with it. Presenting \
     a spent one again ends its session, whoever does it: sign in again. Without a Content-Type \
     the token is taken from the cookie, the body is not read, and the new pair is set as \
     cookies. A cookie without a well-formed token is unauthenticated.",
)
.body::<Refresh>(
    r#"{"refresh_token": "tpr_AZmixOHxfE2eb3CBkqO0xQGZosTh8Hs8jV5vcIGSo7QgNLKgbKK1HjAEJOiLPEXxzoDn0PVnDdGzUAGTGpe0ZdX7woU"}"#,
)
.answers(&[SIGNED_IN])
.refuses(&[&INVALID_REFRESH_TOKEN, &problem::UNAUTHENTICATED]);
