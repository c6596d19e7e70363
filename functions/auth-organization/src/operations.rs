use shared::auth::session::SIGNED_IN;
use shared::http::operation::{Access, Operation, Verb};
use shared::http::problem;
use shared::ids::OrganizationId;

/// Where the session is to act.
#[shared::body]
pub struct OrganizationChange {
    /// One of the caller's organizations.
    pub organization_id: OrganizationId,
}

pub const CHANGE: Operation = Operation::new(
    "auth-organization",
    Verb::Put,
    "/api/v1/auth/organization",
    Access::Session,
)
.audited()
.tag("organizations")
.summary("Act in another organization")
.details(
    "Answers as a login does: a new session of the organization takes the place of the caller's, \
     with a new pair of tokens, and the old tokens are dead for every other request that begins \
     after this answer. It does so for the organization that the session acts in already, too. \
     The new session keeps when the user signed in and last proved who they are. Tokens that came \
     in cookies are replaced in cookies. If the answer was lost, send the same again with the \
     old access token within a minute: the tokens that nobody received die, and there are new ones. \
     Once they were refreshed it is unauthenticated; so it is for another organization. The old \
     refresh token counts as spent: to send it ends the sign-in.",
)
.body::<OrganizationChange>(r#"{"organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5"}"#)
.answers(&[SIGNED_IN])
.refuses(&[&problem::NOT_FOUND]);
