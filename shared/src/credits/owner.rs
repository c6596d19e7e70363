//! Who owns the credits of an account: a person in an organization, or the organization
//! itself, whose pool it is.

use serde::{Deserialize, Serialize};

use crate::ids::{OrganizationId, UserId};
use crate::store::cache_key::Scope;

/// The owner of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditOwner {
    /// The person whose credits they are; none for a pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The organization that the credits belong to.
    pub organization_id: OrganizationId,
}

impl CreditOwner {
    /// The scope that a change of the account makes stale.
    pub fn scope(&self) -> Scope {
        match self.user_id {
            Some(user) => Scope::Credits(user),
            None => Scope::Pool(self.organization_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pool_has_no_person() {
        let user = UserId::new(1, &[1; 10]);
        let organization = OrganizationId::new(1, &[2; 10]);
        let table = [
            (
                json!({"user_id": user, "organization_id": organization}),
                json!({"user_id": user, "organization_id": organization}),
                Scope::Credits(user),
            ),
            (
                json!({"user_id": null, "organization_id": organization}),
                json!({"organization_id": organization}),
                Scope::Pool(organization),
            ),
        ];
        for (answered, shown, scope) in table {
            let owner: CreditOwner =
                serde_json::from_value(answered.clone()).expect("the database answers so");
            assert_eq!(serde_json::to_value(owner).ok(), Some(shown), "{answered}");
            assert_eq!(owner.scope(), scope, "{answered}");
        }
    }
}
