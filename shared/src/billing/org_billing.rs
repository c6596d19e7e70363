//! What the routes under an organization's billing share.

use serde::{Deserialize, Serialize};

use crate::ids::OrganizationId;

/// Shows that a token may read an organization's billing. It is cached only for tokens
/// that may. What they read is cached beside it, because it belongs to the organization
/// and is the same for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    /// The organization whose billing it is.
    pub organization_id: OrganizationId,
}
