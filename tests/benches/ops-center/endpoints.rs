//! The eight endpoints, and what is asked of each.

use std::fmt;
use std::str::FromStr;

/// One endpoint; it is called by its component's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// What a user can spend.
    Balance,
    /// What a user spent, by day.
    UsageSummary,
    /// A page of what happened to a user's credits.
    Transactions,
    /// An organization's subscription.
    Subscription,
    /// What an organization's members can spend together.
    CreditPool,
    /// An organization's members, and what each may take from the pool.
    Members,
    /// The platform's figures.
    Platform,
    /// The platform's revenue over time.
    RevenueTrends,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persona {
    /// The user with a long history.
    EndUser,
    /// The owner of the organization.
    OrganizationAdmin,
    /// An administrator of the platform.
    PlatformAdmin,
}

/// The days that are asked about: the last day is today, and `until` the day after it.
#[derive(Clone, Debug)]
pub struct Days {
    /// The first of 30.
    pub month_since: String,
    /// The first of 90.
    pub quarter_since: String,
    /// Tomorrow.
    pub until: String,
}

impl Endpoint {
    /// All of them, in the report's order.
    pub const ALL: [Self; 8] = [
        Self::Balance,
        Self::UsageSummary,
        Self::Transactions,
        Self::Subscription,
        Self::CreditPool,
        Self::Members,
        Self::Platform,
        Self::RevenueTrends,
    ];

    /// What the command line and the report call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Balance => "credits-balance",
            Self::UsageSummary => "credits-usage-summary",
            Self::Transactions => "credits-transactions",
            Self::Subscription => "organization-subscription",
            Self::CreditPool => "credit-pool",
            Self::Members => "organization-billing-members",
            Self::Platform => "analytics-platform",
            Self::RevenueTrends => "analytics-revenue-trends",
        }
    }

    /// Who asks for it as a rule.
    pub const fn persona(self) -> Persona {
        match self {
            Self::Balance | Self::UsageSummary | Self::Transactions => Persona::EndUser,
            Self::Subscription | Self::CreditPool | Self::Members => Persona::OrganizationAdmin,
            Self::Platform | Self::RevenueTrends => Persona::PlatformAdmin,
        }
    }

    /// What is asked for: as much as a page of a console shows.
    pub fn target(self, organization: &str, days: &Days) -> String {
        let Days {
            month_since,
            quarter_since,
            until,
        } = days;
        let of_organization =
            |rest: &str| format!("/api/v1/org-billing/organizations/{organization}/{rest}");
        match self {
            Self::Balance => "/api/v1/credits/balance?currency=USD".to_owned(),
            Self::UsageSummary => format!(
                "/api/v1/credits/usage/summary?currency=USD&group_by=day&since={month_since}&until={until}"
            ),
            Self::Transactions => "/api/v1/credits/transactions?currency=USD&limit=50".to_owned(),
            Self::Subscription => of_organization("subscription"),
            Self::CreditPool => of_organization("credit-pool?currency=USD"),
            Self::Members => of_organization("members?currency=USD&limit=50"),
            Self::Platform => format!(
                "/api/v1/org-billing/analytics/platform?currency=USD&since={month_since}&until={until}"
            ),
            Self::RevenueTrends => format!(
                "/api/v1/org-billing/analytics/revenue-trends?currency=USD&interval=day&since={quarter_since}&until={until}"
            ),
        }
    }

    /// Where in the answer something must be that the fixture put there: otherwise an empty page
    /// would be measured.
    pub const fn proof(self) -> &'static str {
        match self {
            Self::Balance => "/available/amount",
            Self::UsageSummary => "/groups/29",
            Self::Transactions => "/transactions/49",
            Self::Subscription => "/plan",
            Self::CreditPool => "/available/amount",
            Self::Members => "/members/19",
            Self::Platform => "/plans/2",
            Self::RevenueTrends => "/intervals/89",
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Which endpoints to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Every one.
    All,
    /// This one.
    One(Endpoint),
}

impl Selection {
    /// The endpoints that are selected.
    pub fn endpoints(self) -> Vec<Endpoint> {
        match self {
            Self::All => Endpoint::ALL.to_vec(),
            Self::One(endpoint) => vec![endpoint],
        }
    }
}

impl FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" {
            return Ok(Self::All);
        }
        let endpoint = Endpoint::ALL.into_iter().find(|one| one.name() == text);
        endpoint.map(Self::One).ok_or_else(|| {
            let names = Endpoint::ALL.map(Endpoint::name).join(", ");
            format!("give `all` or one of {names}")
        })
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => formatter.write_str("all"),
            Self::One(endpoint) => endpoint.fmt(formatter),
        }
    }
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
mod tests {
    use super::*;

    #[test]
    fn names_select_their_endpoints() {
        for endpoint in Endpoint::ALL {
            assert_eq!(endpoint.name().parse(), Ok(Selection::One(endpoint)));
            assert_eq!(Selection::One(endpoint).to_string(), endpoint.name());
        }
        assert_eq!("all".parse(), Ok(Selection::All));
        assert_eq!(Selection::All.endpoints(), Endpoint::ALL);
        for text in ["", "All", "balance", "credits-balance "] {
            let refused = text.parse::<Selection>();
            assert!(
                refused.is_err_and(|message| message.contains("credits-balance, ")),
                "{text:?} must be refused with the names that there are"
            );
        }
    }

    #[test]
    fn targets() {
        let days = Days {
            month_since: "2026-01-02".to_owned(),
            quarter_since: "2025-11-03".to_owned(),
            until: "2026-02-01".to_owned(),
        };
        for endpoint in Endpoint::ALL {
            let target = endpoint.target("org_1", &days);
            assert!(
                target.starts_with("/api/v1/")
                    && target.bytes().all(|byte| byte.is_ascii_graphic()),
                "{endpoint}: {target}"
            );
            let is_the_organizations = endpoint.persona() == Persona::OrganizationAdmin;
            assert_eq!(
                target.contains("/organizations/org_1/"),
                is_the_organizations,
                "{endpoint}: {target}"
            );
        }
    }
}
