//! The request of a row: a path that names something that is there, and a body that is right.

use serde_json::{Value, json};
use shared::ids::{BillingAccountId, OrganizationId, UserId};
use shared::token::TokenKind;
use turnpike_tests::personas::{PASSWORD, fresh_key, invented_in, sql_hash, sql_id, unique};
use turnpike_tests::{Call, TestHost, User};

use super::row::{Body, Named, Row};

/// What is sent beside the path and the headers.
enum Payload {
    Nothing,
    Json(Value),
    Form(&'static str),
    Csv(&'static str),
}

/// A request without its credential.
pub(super) struct Prepared {
    /// The same without its body.
    pub(super) bare: Call,
    payload: Payload,
}

impl Prepared {
    /// The request with its body.
    pub(super) fn call(&self) -> Call {
        let bare = self.bare.clone();
        match &self.payload {
            Payload::Nothing => bare,
            Payload::Json(body) => bare.json(body),
            Payload::Form(text) => bare.form(text),
            Payload::Csv(text) => bare.header("content-type", "text/csv").body(*text),
        }
    }

    /// The request with a body that `encode` makes of its own, if it has one.
    pub(super) fn encoded(
        &self,
        encoding: &str,
        encode: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Option<Call> {
        let bare = self.bare.clone().header("content-encoding", encoding);
        Some(match &self.payload {
            Payload::Nothing => return None,
            Payload::Json(body) => bare.json_text(encode(body.to_string().as_bytes())),
            Payload::Form(text) => bare
                .header("content-type", "application/x-www-form-urlencoded")
                .body(encode(text.as_bytes())),
            Payload::Csv(text) => bare
                .header("content-type", "text/csv")
                .body(encode(text.as_bytes())),
        })
    }

    /// The body, if it is JSON.
    pub(super) fn json(&self) -> Option<&Value> {
        match &self.payload {
            Payload::Json(body) => Some(body),
            Payload::Nothing | Payload::Form(_) | Payload::Csv(_) => None,
        }
    }
}

/// The request without its credential, naming something of `of`'s that is made for it.
pub(super) async fn build(host: &TestHost, row: &Row, of: &User) -> Call {
    let organization = host.organization_of(of).await;
    build_in(host, row, of, organization).await
}

/// The same for something of `of`'s or of `organization`'s.
pub(super) async fn build_in(
    host: &TestHost,
    row: &Row,
    of: &User,
    organization: OrganizationId,
) -> Call {
    prepare(host, row, of, organization).await.call()
}

/// The parts of that request.
pub(super) async fn prepare(
    host: &TestHost,
    row: &Row,
    of: &User,
    organization: OrganizationId,
) -> Prepared {
    let path = row.route.replace("/...", "/v1/nothing");
    let within = |path: String| path.replace(":id", &organization.to_string());
    // A role that holds nothing, so that whoever may manage members or roles may manage it.
    let guest = format!("guest_{}", unique());
    if matches!(row.body, Body::Role | Body::Invitation)
        || matches!(row.named, Named::Member | Named::Role | Named::Invitation)
    {
        host.own_role(organization, &guest, &[]).await;
    }
    let path = match row.named {
        Named::Nothing => path,
        Named::Meter => {
            let slug = meter_of(host, organization).await;
            if path.ends_with("/summary") {
                format!("{path}?meter={slug}")
            } else {
                path.replace(":slug", &slug)
            }
        }
        Named::UsageAlert => {
            let rows = host
                .query(&format!(
                    "INSERT INTO usage_alerts (organization_id, id, name, meter_id, subject, period, thresholds)
                     SELECT organization_id, owned_id(organization_id, gen_random_uuid()), 'Alert', id, '', 'day', '{{1}}' FROM meters
                      WHERE organization_id = '{}' AND slug = '{}' RETURNING prefixed_id('ual_', id)",
                    organization.as_uuid(),
                    meter_of(host, organization).await
                ))
                .await;
            path.replace(":id", &rows[0].get::<_, String>(0))
        }
        Named::CacheNamespace => path.replace(":namespace", "credit_pool"),
        Named::Entitlement => path.replace(":id", &entitlement_of(host, organization).await.id),
        Named::Plan => {
            let code = plan_of(host, of).await;
            path.replace(":code", &code).replace(":version", "1")
        }
        Named::SigningKey => {
            let kid = format!("key-{}", unique());
            host.execute(&format!(
                "INSERT INTO signing_keys (kid, signs_from, retired_at)
                 VALUES ('{kid}', now() - interval '1 hour', now() + interval '1 minute')"
            ))
            .await;
            path.replace(":kid", &kid)
        }
        Named::Organization => within(path),
        Named::Account => {
            let account = BillingAccountId::from_uuid(organization.as_uuid());
            path.replace(":id", &account.to_string())
        }
        Named::TestAccount => {
            host.execute(&format!(
                "UPDATE billing_accounts SET is_test = true WHERE id = '{}'",
                organization.as_uuid()
            ))
            .await;
            let account = BillingAccountId::from_uuid(organization.as_uuid());
            path.replace(":id", &account.to_string())
        }
        Named::PlanSubscription | Named::EndingSubscription | Named::PausedSubscription => {
            let id = subscribe(host, of, organization).await;
            let made = "/api/v1/subscriptions";
            let earlier = match row.named {
                Named::EndingSubscription => Some(("cancel", json!({"when": "period_end"}))),
                Named::PausedSubscription => Some(("pause", json!({}))),
                _ => None,
            };
            if let Some((action, body)) = earlier {
                let admin = newest_admin(host).await;
                let call = host.post(format!("{made}/{id}/{action}"));
                let call = call.bearer(&admin.token).idempotency_key(&fresh_key());
                call.json(&body).settle().await.expect(200);
            }
            path.replace(":id", &id)
        }
        Named::Subscription => {
            let path = within(path);
            let admin = newest_admin(host).await;
            let put = host.put(&path).bearer(&admin.token).json(&terms());
            let response = put.settle().await;
            assert!(matches!(response.status, 200 | 201), "{response}");
            path
        }
        Named::Allocation => {
            let member = host.member_of(organization, "member").await;
            allocate(host, organization, member.id).await;
            within(path).replace(":user_id", &member.id.to_string())
        }
        Named::Member => {
            let member = host.member_of(organization, &guest).await;
            within(path).replace(":user_id", &member.id.to_string())
        }
        Named::Role => within(path).replace(":name", &guest),
        Named::Invitation => {
            let token = invented_in(organization, TokenKind::Email, of.id);
            let email = format!("guest-{}@example.com", unique());
            let id = invite(host, organization, &email, &guest, &token).await;
            within(path).replace(":invitation_id", &id)
        }
        Named::Grant => path.replace(":id", &give(host, of, organization).await),
        Named::Hold => {
            give(host, of, organization).await;
            let token = host.token_in(of, organization).await;
            let call = host.hold_call(
                &User {
                    token,
                    ..of.clone()
                },
                "0.01",
                900,
                &fresh_key(),
            );
            let held = call.settle().await;
            // Whoever may hold nothing may see nothing, whatever its id.
            match held.status {
                403 => path.replace(":id", "hld_0193e7a1b2c37d4e8f90a1b2c3d4e5f6"),
                _ => path.replace(":id", &held.expect(201).text_at("/hold/id")),
            }
        }
        Named::User => path.replace(":id", &host.new_user("user").await.id.to_string()),
        Named::Session => path.replace(":id", &host.issue_session(of).await.id.to_string()),
        Named::ApiKey => {
            // Within what a key that manages keys holds itself.
            let rows = host
                .query(&format!(
                    "INSERT INTO api_keys (organization_id, id, user_id, name, digest, hint, scopes)
                     VALUES ('{organization}', owned_id('{organization}', gen_random_uuid()), {}, 'test', {}, 'tpk_',
                             '{{api_keys:manage}}')
                     RETURNING prefixed_id('key_', id)",
                    sql_id(of.id),
                    sql_hash(&invented_in(organization, TokenKind::ApiKey, of.id)),
                    organization = organization.as_uuid(),
                ))
                .await;
            path.replace(":id", &rows[0].get::<_, String>(0))
        }
    };
    let path = match row.body {
        Body::Feature => {
            let feature = entitlement_of(host, organization).await.feature;
            format!("{path}?feature={feature}&subject=cus_42")
        }
        _ => path,
    };
    let bare = host.call(row.method.clone(), path);
    let bare = if row.body.has_key() {
        bare.idempotency_key(&fresh_key())
    } else {
        bare
    };
    Prepared {
        bare,
        payload: payload(host, row.body, of, organization, &guest).await,
    }
}

/// The body of a request, and what must be there for it to be right.
async fn payload(
    host: &TestHost,
    body: Body,
    of: &User,
    organization: OrganizationId,
    guest: &str,
) -> Payload {
    Payload::Json(match body {
        Body::None | Body::Feature | Body::Keyed => return Payload::Nothing,
        Body::Token => return Payload::Form("token=garbage"),
        Body::AccountFile => return Payload::Csv("name,phone\nAda,1\n"),
        Body::Account => json!({"name": "Ada", "billing_address": {"country": "GB"}}),
        Body::AccountChange => json!({"name": "Ada", "billing_address": {"country": null}}),
        Body::AccountOwner => json!({"user_id": of.id}),
        Body::AccountBatch => json!({"items": [{"create": {"name": "Ada"}}]}),
        Body::SignUp => {
            let email = format!("new-{}@example.com", unique());
            json!({"email": email, "password": PASSWORD})
        }
        Body::Empty => json!({}),
        Body::ApiKey => json!({"name": "made", "scopes": ["api_keys:manage"]}),
        Body::Password => json!({"current_password": PASSWORD, "new_password": PASSWORD}),
        Body::Reauthentication => json!({"password": PASSWORD}),
        Body::Code => json!({"code": "000000"}),
        Body::Email => {
            let email = format!("other-{}@example.com", unique());
            json!({"email": email})
        }
        Body::Money => json!({"amount": "0.01", "currency": "USD"}),
        Body::Grant => json!({"user_id": of.id, "amount": "0.01", "currency": "USD"}),
        Body::Refund => {
            // In the organization in which they may spend.
            give(host, of, host.organization_of(of).await).await;
            let token = host.issue_token(of).await;
            let spender = User {
                token,
                ..of.clone()
            };
            let spent = host.consume(&spender, "0.01").await;
            json!({"transaction_id": spent["id"], "amount": "0.01", "currency": "USD"})
        }
        Body::Organization => json!({"name": "Engines"}),
        Body::SessionOrganization => json!({"organization_id": organization}),
        Body::Role => json!({"role": guest}),
        Body::Permissions => json!({"permissions": []}),
        Body::Invitation => {
            host.verify_email(of).await;
            let email = format!("guest-{}@example.com", unique());
            json!({"email": email, "role": guest})
        }
        Body::Acceptance => {
            let inviter = host.new_user("inviter").await;
            let elsewhere = host.organization_of(&inviter).await;
            let token = invented_in(elsewhere, TokenKind::Email, of.id);
            invite(host, elsewhere, &of.email, "member", &token).await;
            json!({"token": token})
        }
        Body::Meter => {
            let slug = format!("m{}", unique());
            json!({"slug": slug, "event_type": "call", "aggregation": "sum", "value_property": "n"})
        }
        Body::UsageAlert => json!({
            "name": "Alert", "meter": meter_of(host, organization).await, "period": "day", "thresholds": ["1"],
        }),
        Body::Entitlement => json!({
            "feature": format!("f{}", unique()), "subject": "cus_42", "type": "metered",
            "meter": meter_of(host, organization).await, "limit": "10", "period": "month",
        }),
        Body::EntitlementChange => json!({"limit": "2", "is_soft": true, "expires_at": null}),
        Body::Plan => {
            let code = format!("p{}", unique());
            json!({
                "code": code, "name": "Plan", "currency": "USD", "billing_period": "month",
            })
        }
        Body::PlanChange => json!({"name": "Other", "archived": true}),
        Body::PlanTerms => flat_terms("2"),
        Body::Estimate => flat_terms("3"),
        Body::EstimateOfPlan => json!({"plan": {"code": plan_of(host, of).await}}),
        Body::UsageEvent => json!({"id": unique().to_string(), "type": "call"}),
        Body::CacheWarming => json!({"mode": "full", "limit": 10, "days": 1}),
        Body::UsageClosing => json!({"until": "2026-01-01T00:00:00Z"}),
        Body::Disabled => json!({"disabled": false}),
        Body::Subscription => terms(),
        Body::PlanSubscription => plan_subscription(host, of, organization).await,
        Body::SubscriptionChange => json!({"quantity": 2}),
        Body::SubscriptionCancellation => json!({"when": "now", "credit": "unused"}),
        Body::SubscriptionPause => json!({"resumes_at": null}),
        Body::SubscriptionAction => json!({"type": "change", "quantity": 2}),
        Body::TestClock => json!({"to": "2031-01-01T00:00:00Z"}),
        Body::PoolGrant => json!({"amount": "0.01", "currency": "USD"}),
        Body::PoolSpend => {
            give_pool(host, organization).await;
            allocate(host, organization, of.id).await;
            json!({"amount": "0.01", "currency": "USD"})
        }
        Body::Allocation => json!({
            "limit": {"amount": "1", "currency": "USD"}, "reset": "day",
        }),
    })
}

/// Makes a plan with a version; returns its code.
async fn plan_of(host: &TestHost, maker: &User) -> String {
    let code = format!("p{}", unique());
    host.execute(&format!(
        "WITH made AS (
             INSERT INTO plans (id, code, name, currency, billing_period, versions)
             VALUES (gen_random_uuid(), '{code}', 'Plan', 'USD', 'month', 1) RETURNING id)
         INSERT INTO plan_versions (plan_id, version, id, terms, created_at, created_by)
         SELECT id, 1, gen_random_uuid(), '{}', now(), {} FROM made",
        flat_terms("1"),
        sql_id(maker.id)
    ))
    .await;
    code
}

/// What makes a subscription of the organization's account.
async fn plan_subscription(host: &TestHost, maker: &User, organization: OrganizationId) -> Value {
    let account = BillingAccountId::from_uuid(organization.as_uuid());
    json!({"account_id": account, "plan": plan_of(host, maker).await})
}

/// Makes a subscription of the organization's account; returns its id.
async fn subscribe(host: &TestHost, maker: &User, organization: OrganizationId) -> String {
    let admin = newest_admin(host).await;
    let call = host.post("/api/v1/subscriptions").bearer(&admin.token);
    let call = call.idempotency_key(&fresh_key());
    let body = plan_subscription(host, maker, organization).await;
    let made = call.json(&body).settle().await.expect(201);
    made.text_at("/subscription/id")
}

/// Makes a meter; returns its name.
async fn meter_of(host: &TestHost, organization: OrganizationId) -> String {
    let slug = format!("m{}", unique());
    host.execute(&format!(
        "INSERT INTO meters (organization_id, id, slug, event_type, aggregation)
         VALUES ('{organization}', owned_id('{organization}', gen_random_uuid()), '{slug}', 'call', 'count')",
        organization = organization.as_uuid()
    ))
    .await;
    slug
}

struct Entitlement {
    id: String,
    feature: String,
}

/// Writes an entitlement of `cus_42` for good, to something that was used so long ago that upkeep
/// may settle it, and yesterday.
async fn entitlement_of(host: &TestHost, organization: OrganizationId) -> Entitlement {
    let feature = format!("f{}", unique());
    let rows = host
        .query(&format!(
            "WITH given AS (
                 INSERT INTO entitlements (organization_id, id, subject, feature, type, meter_id, usage_limit,
                                           period, is_soft)
                 SELECT organization_id, owned_id(organization_id, gen_random_uuid()), 'cus_42', '{feature}',
                        'metered', id, 1000, 'never', false
                   FROM meters WHERE organization_id = '{}' AND slug = '{}'
                 RETURNING *
             ), named AS (
                 INSERT INTO entitlement_names (organization_id, subject, feature, entitlement_id)
                 SELECT organization_id, subject, feature, id FROM given
             ), used AS (
                 INSERT INTO usage_subject_rollups (organization_id, meter_id, subject, slot_at, group_key, events, latest_at)
                 SELECT organization_id, meter_id, subject, date_bin('15 minutes', now() - ago, 'epoch'), '', 7, now() - ago
                   FROM given, unnest('{{500 days, 100 days, 1 day}}'::interval[]) ago
             )
             SELECT prefixed_id('ent_', id), entitlement_count_add(organization_id, 1) FROM given",
            organization.as_uuid(),
            meter_of(host, organization).await
        ))
        .await;
    Entitlement {
        id: rows[0].get(0),
        feature,
    }
}

/// Writes an invitation; returns its id.
async fn invite(
    host: &TestHost,
    organization: OrganizationId,
    email: &str,
    role: &str,
    token: &str,
) -> String {
    let rows = host
        .query(&format!(
            "INSERT INTO invitations (organization_id, id, email, role, invited_by, digest, expires_at)
             SELECT organization_id, owned_id(organization_id, gen_random_uuid()), '{email}', '{role}', user_id, {},
                    now() + interval '1 day'
               FROM memberships WHERE organization_id = '{}' AND role = 'owner' LIMIT 1
             RETURNING prefixed_id('ivt_', id)",
            sql_hash(token),
            organization.as_uuid()
        ))
        .await;
    rows[0].get(0)
}

/// The terms of a plan that charges one amount.
fn flat_terms(amount: &str) -> serde_json::Value {
    let model = json!({"type": "flat", "amount": amount});
    json!({"currency": "USD", "charges": [{"code": "base", "name": "Base", "model": model}]})
}

/// The terms of a subscription.
fn terms() -> serde_json::Value {
    json!({
        "plan": "team", "seats": 1, "status": "active", "billing_period": "month",
        "seat_price": {"amount": "1", "currency": "USD"},
    })
}

/// Allocates US dollars of the pool to a member.
async fn allocate(host: &TestHost, organization: OrganizationId, member: UserId) {
    host.execute(&format!(
        "INSERT INTO credit_pool_allocations (organization_id, user_id, currency, spending_limit, reset,
                                              period_started_at, period_ends_at)
         VALUES ('{}', {}, 'USD', 1, 'never', now(), 'infinity') ON CONFLICT DO NOTHING",
        organization.as_uuid(),
        sql_id(member)
    ))
    .await;
}

/// Gives US dollars to the organization's pool.
async fn give_pool(host: &TestHost, organization: OrganizationId) {
    let admin = newest_admin(host).await;
    host.pool_grant(&admin, organization, "1.00", json!({}))
        .await;
}

/// Gives somebody credits in an organization; returns the grant's id.
async fn give(host: &TestHost, to: &User, organization: OrganizationId) -> String {
    let admin = newest_admin(host).await;
    let terms = json!({"organization_id": organization});
    host.grant_with(&admin, to, "1.00", terms).await
}

/// The admin of the platform who signed up last.
async fn newest_admin(host: &TestHost) -> User {
    let rows = host
        .query(
            "SELECT prefixed_id('usr_', id), email FROM users
              WHERE platform_role = 'platform_admin' ORDER BY created_at DESC LIMIT 1",
        )
        .await;
    let mut admin = User {
        id: rows[0]
            .get::<_, String>(0)
            .parse()
            .expect("the database writes ids as the API does"),
        email: rows[0].get(1),
        token: String::new(),
    };
    admin.token = host.issue_token(&admin).await;
    admin
}
