//! What a row says of an operation: what it needs, and what each kind of caller is answered.

use http::Method;
use serde_json::Value;
use turnpike_tests::personas::PLATFORM_PERMISSIONS;

/// The largest body that most operations read, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// What somebody sends who does everything right but for their credential.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    None,
    SignUp,
    /// An object without any field.
    Empty,
    Token,
    ApiKey,
    Password,
    Reauthentication,
    Code,
    Email,
    Money,
    Grant,
    /// An Idempotency-Key, and no body.
    Keyed,
    Refund,
    Organization,
    SessionOrganization,
    Role,
    Permissions,
    Invitation,
    Acceptance,
    Disabled,
    Subscription,
    PlanSubscription,
    SubscriptionChange,
    SubscriptionCancellation,
    SubscriptionPause,
    SubscriptionAction,
    TestClock,
    PoolGrant,
    PoolSpend,
    Allocation,
    Meter,
    UsageAlert,
    UsageEvent,
    UsageClosing,
    CacheWarming,
    Entitlement,
    EntitlementChange,
    /// A feature in the query, and no body.
    Feature,
    Plan,
    PlanChange,
    PlanTerms,
    Estimate,
    /// Of a plan in the catalog.
    EstimateOfPlan,
    Account,
    AccountChange,
    AccountOwner,
    AccountBatch,
    /// Accounts in a table.
    AccountFile,
}

impl Body {
    /// Whether an Idempotency-Key goes with it.
    pub(super) fn has_key(self) -> bool {
        matches!(
            self,
            Self::Money
                | Self::Grant
                | Self::Keyed
                | Self::Refund
                | Self::PlanSubscription
                | Self::SubscriptionChange
                | Self::SubscriptionCancellation
                | Self::SubscriptionPause
                | Self::PoolGrant
                | Self::PoolSpend
        )
    }

    /// Whether it is JSON.
    pub(super) fn is_json(self) -> bool {
        !matches!(
            self,
            Self::None | Self::Keyed | Self::Feature | Self::Token | Self::AccountFile
        )
    }
}

/// What every reader of JSON is tried with.
#[derive(Debug)]
pub(super) enum JsonCheck {
    /// The operation's body, if that is JSON.
    OfBody,
    /// A body with more fields than the one that the callers send.
    With(Value),
    /// It reads more than one JSON object, and its own module tries what it does not.
    Elsewhere,
}

/// What the path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Nothing,
    Session,
    ApiKey,
    SigningKey,
    Organization,
    Member,
    Role,
    Invitation,
    User,
    Grant,
    Hold,
    /// An organization with a subscription.
    Subscription,
    /// A member to whom something of the pool is allocated.
    Allocation,
    Meter,
    UsageAlert,
    CacheNamespace,
    /// A metered entitlement of a subject.
    Entitlement,
    /// A plan with a version, which is every tenant's.
    Plan,
    /// The account of the organization.
    Account,
    /// The same in test mode.
    TestAccount,
    /// An active subscription of the organization's account to a plan.
    PlanSubscription,
    /// One that is to be canceled.
    EndingSubscription,
    /// One that is paused.
    PausedSubscription,
}

/// An operation and the statuses of each kind of caller.
pub(super) struct Row {
    pub(super) method: Method,
    /// As in spin.toml.
    pub(super) route: &'static str,
    pub(super) body: Body,
    pub(super) named: Named,
    /// What an API key needs; an operation without one asks only for a user.
    pub(super) permission: Option<&'static str>,
    /// Without credential, with garbage for one, and with an expired one.
    pub(super) stranger: u16,
    /// The session of an organization's owner.
    pub(super) owner: u16,
    /// An API key with the permission, of a user who holds it.
    pub(super) key_with: u16,
    /// An API key with any other.
    pub(super) key_without: u16,
    /// What stands for a good body among bad ones.
    pub(super) json: JsonCheck,
    /// The longest body that is read.
    pub(super) max_body_bytes: usize,
}

pub(super) fn row(
    method: Method,
    route: &'static str,
    body: Body,
    permission: Option<&'static str>,
) -> Row {
    Row {
        method,
        route,
        body,
        named: Named::Nothing,
        permission,
        stranger: 401,
        owner: 200,
        key_with: 200,
        key_without: if permission.is_some() { 403 } else { 200 },
        json: JsonCheck::OfBody,
        max_body_bytes: MAX_BODY_BYTES,
    }
}

/// A read that needs a permission and nothing else.
pub(super) fn read(route: &'static str, permission: &'static str) -> Row {
    let row = row(Method::GET, route, Body::None, Some(permission));
    match row.is_of_the_platform() {
        true => row.owner(403),
        false => row,
    }
}

impl Row {
    /// Everybody is answered alike, because the operation takes no credential.
    pub(super) fn public(self, status: u16) -> Self {
        Self {
            stranger: status,
            owner: status,
            key_with: status,
            key_without: status,
            ..self
        }
    }

    /// Only a person who signed in may do this, and an API key is answered so.
    pub(super) fn sessions_only(self, status: u16) -> Self {
        Self {
            key_with: status,
            key_without: status,
            ..self
        }
    }

    pub(super) fn creates(self) -> Self {
        Self {
            owner: 201,
            key_with: 201,
            ..self
        }
    }

    pub(super) fn owner(self, owner: u16) -> Self {
        Self { owner, ..self }
    }

    /// What an API key with the permission is answered.
    pub(super) fn key_with(self, key_with: u16) -> Self {
        Self { key_with, ..self }
    }

    /// Bad bodies are made from this one.
    pub(super) fn reads(self, sample: Value) -> Self {
        Self {
            json: JsonCheck::With(sample),
            ..self
        }
    }

    /// Its own module tries bad bodies.
    pub(super) fn reads_more_than_json(self) -> Self {
        Self {
            json: JsonCheck::Elsewhere,
            ..self
        }
    }

    /// The body may be so long.
    pub(super) fn up_to(self, max_body_bytes: usize) -> Self {
        Self {
            max_body_bytes,
            ..self
        }
    }

    /// Across tenants, so that no organization's owner holds the permission.
    pub(super) fn is_of_the_platform(&self) -> bool {
        self.permission
            .is_some_and(|permission| PLATFORM_PERMISSIONS.contains(&permission))
    }

    pub(super) fn names(self, named: Named) -> Self {
        Self { named, ..self }
    }
}
