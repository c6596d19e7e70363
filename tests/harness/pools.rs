//! Organizations' credit pools and subscriptions, and what is done with them.

use serde_json::{Value, json};
use shared::ids::OrganizationId;

use crate::api::{Api, Call};
use crate::host::TestHost;
use crate::personas::{User, fresh_key, sql_id};

/// What the paths of an organization's billing begin with.
pub const ORG_BILLING: &str = "/api/v1/org-billing/organizations";

/// The path of something below an organization's billing.
pub fn billing_path(organization: OrganizationId, rest: &str) -> String {
    format!("{ORG_BILLING}/{organization}/{rest}")
}

impl Api {
    /// A gift to a pool on terms, with a key of its own.
    pub fn pool_grant_call(
        &self,
        admin: &User,
        organization: OrganizationId,
        amount: &str,
        terms: Value,
    ) -> Call {
        let mut body = json!({"amount": amount, "currency": "USD"});
        if let (Some(body), Some(terms)) = (body.as_object_mut(), terms.as_object()) {
            body.extend(terms.clone());
        }
        self.post(billing_path(organization, "credit-pool/grants"))
            .bearer(&admin.token)
            .idempotency_key(&fresh_key())
            .json(&body)
    }

    /// Gives US dollars to a pool, which must succeed; returns the grant's id.
    pub async fn pool_grant(
        &self,
        admin: &User,
        organization: OrganizationId,
        amount: &str,
        terms: Value,
    ) -> String {
        let call = self.pool_grant_call(admin, organization, amount, terms);
        call.settle().await.expect(201).text_at("/grant/id")
    }

    /// A spend from a pool.
    pub fn pool_spend_call(
        &self,
        user: &User,
        organization: OrganizationId,
        amount: &str,
        key: &str,
    ) -> Call {
        self.post(billing_path(organization, "credit-pool/consume"))
            .bearer(&user.token)
            .idempotency_key(key)
            .json(&json!({"amount": amount, "currency": "USD"}))
    }

    /// Spends US dollars of a pool, which must succeed; returns the transaction's id.
    pub async fn pool_spend(
        &self,
        user: &User,
        organization: OrganizationId,
        amount: &str,
    ) -> String {
        let call = self.pool_spend_call(user, organization, amount, &fresh_key());
        call.settle().await.expect(201).text_at("/transaction/id")
    }

    /// A word on what a member may take of US dollars.
    pub fn allocate_call(
        &self,
        caller: &User,
        organization: OrganizationId,
        member: &User,
        limit: &str,
        reset: &str,
    ) -> Call {
        let rest = format!("credit-pool/allocations/{}", member.id);
        self.put(billing_path(organization, &rest))
            .bearer(&caller.token)
            .json(&json!({"limit": {"amount": limit, "currency": "USD"}, "reset": reset}))
    }

    /// Says what a member may take of US dollars, which must succeed; returns the allocation.
    pub async fn allocate(
        &self,
        caller: &User,
        organization: OrganizationId,
        member: &User,
        limit: &str,
        reset: &str,
    ) -> Value {
        let call = self.allocate_call(caller, organization, member, limit, reset);
        call.settle().await.expect(200).json()
    }

    /// A question for what a pool has in US dollars.
    pub fn pool_call(&self, caller: &User, organization: OrganizationId) -> Call {
        self.get(billing_path(organization, "credit-pool"))
            .bearer(&caller.token)
    }

    /// What a pool has in US dollars: available, allocated and unallocated.
    pub async fn pool(&self, caller: &User, organization: OrganizationId) -> [String; 3] {
        let response = self.pool_call(caller, organization).settle().await;
        let response = response.expect(200);
        ["available", "allocated", "unallocated"]
            .map(|name| response.text_at(&format!("/{name}/amount")))
    }
}

impl TestHost {
    /// Somebody new with an organization whose pool has US dollars, and the platform's admin who
    /// gave them.
    pub async fn organization_with(&self, amount: &str) -> (User, OrganizationId, User) {
        let admin = self.platform_admin().await;
        let owner = self.new_user("owner").await;
        let organization = self.organization_of(&owner).await;
        self.pool_grant(&admin, organization, amount, json!({}))
            .await;
        (owner, organization, admin)
    }

    /// A new member who may take so many US dollars of the pool.
    pub async fn member_with(
        &self,
        owner: &User,
        organization: OrganizationId,
        limit: &str,
        reset: &str,
    ) -> User {
        let member = self.member_of(organization, "member").await;
        self.allocate(owner, organization, &member, limit, reset)
            .await;
        member
    }

    /// What an allocation in US dollars says was used; nothing if there is none.
    pub async fn used_of_allocation(&self, member: &User) -> Option<String> {
        let rows = self
            .query(&format!(
                "SELECT used::text FROM credit_pool_allocations WHERE user_id = {} AND currency = 'USD'",
                sql_id(member.id)
            ))
            .await;
        rows.first().map(|row| row.get(0))
    }
}
