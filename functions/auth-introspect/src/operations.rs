use std::borrow::Cow;

use shared::auth::jwt::Audience;
use shared::auth::session::TokenType;
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::problem::Problem;
use shared::ids::{OrganizationId, SessionId, UserId};

/// The form that is sent: the token to ask about. Fields of other names are ignored.
#[derive(Debug, PartialEq, Eq)]
pub struct IntrospectionForm {
    pub token: String,
}

shared::describe!(IntrospectionForm as "IntrospectionForm", {
    "type": "object",
    "required": ["token"],
    "properties": {
        "token": {
            "type": "string", "minLength": 1,
            "description": "The access token, API key or JWT to ask about. Any other text is not active.",
        },
        "token_type_hint": {
            "type": "string",
            "description": "Ignored, like a field of any other name.",
        },
    },
});

impl IntrospectionForm {
    /// Reads names and values. Any text is a token that can be asked about.
    ///
    /// # Errors
    /// A 400 that names `token` when there is none, or more than one.
    pub fn read(form: Vec<(String, String)>) -> Result<Self, Problem> {
        let refused =
            |code, message: &'static str| Problem::invalid_parameter("token", code, message);
        let mut tokens = form
            .into_iter()
            .filter_map(|(name, value)| (name == "token").then_some(value));
        match (tokens.next(), tokens.next()) {
            (Some(token), None) if !token.is_empty() => Ok(Self { token }),
            (Some(_), Some(_)) => Err(refused("repeated", "must be sent once")),
            _ => Err(refused("required", "is required")),
        }
    }
}

/// RFC 7662, section 2.2.
#[shared::answer(untagged)]
pub enum Introspection {
    Active(Box<ActiveToken>),
    Inactive(InactiveToken),
}

impl Introspection {
    /// Of every token that is not live, whatever it is.
    pub const INACTIVE: Self = Self::Inactive(InactiveToken { active: false });
}

/// What a live token stands for, with org for the organization.
#[shared::answer]
pub struct ActiveToken {
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("const" = true)))]
    pub active: bool,
    pub token_type: TokenType,
    pub sub: UserId,
    /// Permissions, in alphabetical order, with a space between each two. Absent when there
    /// are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "String", length(min = 1))
    )]
    pub scope: Option<String>,
    /// When it expires, in seconds since 1970. Absent for a key that does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "u64"))]
    pub exp: Option<u64>,
    pub org: OrganizationId,
    /// The session, unless it is an API key's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "SessionId"))]
    pub sid: Option<SessionId>,
    /// The API key's id, or turnpike for a session.
    pub client_id: Cow<'static, str>,
    /// Who issued it. Of a JWT only, as are aud, jti and iat.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "String"))]
    pub iss: Option<String>,
    /// Whom it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "String"))]
    pub aud: Option<Audience>,
    /// The JWT's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "String"))]
    pub jti: Option<String>,
    /// When it was issued, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "u64"))]
    pub iat: Option<u64>,
}

/// Nothing is said of a token that is not live.
#[shared::answer]
pub struct InactiveToken {
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("const" = false)))]
    pub active: bool,
}

pub const INTROSPECT: Operation = Operation::new(
    "auth-introspect",
    Verb::Post,
    "/api/v1/auth/introspect",
    Access::Permission("tokens:introspect"),
)
.tag("auth")
.summary("Ask what a token stands for")
.details(
    "RFC 7662. A token that is unknown, expired, revoked, malformed, a refresh token or of another \
     organization is answered alike: not active. A JWT of this deployment, and for it, is active \
     while it has not expired, its signing key is published, and the session or API key that it \
     was made from is live; its scope is what of it the user still has.",
)
.body_of::<IntrospectionForm>(
    "application/x-www-form-urlencoded",
    r#"{"token": "tpa_AZmixOHxfE2eb3CBkqO0xQGZosTh8Hs8jV5vcIGSo7QlixSJb70h6nMxSV5Z5tJ_kOiDamLvr5xPm6wm1W7JSia-EJ0"}"#,
)
.statements(2)
.answers(&[Answer::json::<Introspection>(
    200,
    "What the token stands for, or that it is not active.",
    r#"{
        "active": true, "token_type": "Bearer", "sub": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4",
        "scope": "credits:consume credits:read", "exp": 1795254300,
        "org": "org_0199a2c4e1f17c4d9e6f708192a3b4c5",
        "sid": "ses_0199a2c4e2008d5eaf708192a3b4c5d6"
    }"#,
)]);
