//! Who owns the credits of an account: a user, or an organization with its pool.

use serde::{Deserialize, Serialize};

use crate::ids::{OrganizationId, UserId};
use crate::store::cache_key::Scope;

/// The owner of an account. Exactly one of the two fields is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditOwner {
    /// The user whose credits they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The organization whose pool it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
}

impl CreditOwner {
    /// The scopes that a change of the account makes stale.
    pub fn scopes(&self) -> Vec<Scope> {
        let of_user = self.user_id.map(Scope::Credits);
        let of_pool = self.organization_id.map(Scope::Pool);
        of_user.into_iter().chain(of_pool).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_owner_is_shown_as_the_one_that_there_is() {
        let user = UserId::new(1, &[1; 10]);
        let organization = OrganizationId::new(1, &[2; 10]);
        let table = [
            (
                json!({"user_id": user, "organization_id": null}),
                json!({"user_id": user}),
                vec![Scope::Credits(user)],
            ),
            (
                json!({"user_id": null, "organization_id": organization}),
                json!({"organization_id": organization}),
                vec![Scope::Pool(organization)],
            ),
            // An answer that was stored before there were pools.
            (
                json!({"user_id": user}),
                json!({"user_id": user}),
                vec![Scope::Credits(user)],
            ),
        ];
        for (answered, shown, scopes) in table {
            let owner: CreditOwner =
                serde_json::from_value(answered.clone()).expect("the database answers so");
            assert_eq!(serde_json::to_value(owner).ok(), Some(shown), "{answered}");
            assert_eq!(owner.scopes(), scopes, "{answered}");
        }
    }
}
