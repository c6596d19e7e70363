//! Accounts: who is billed, where, and how.
//!
//! What a request says of an account becomes one JSON object, the patch, which the database
//! merges into the account (RFC 7396). So making, changing, bulk and import have one rule.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::http::input::{self, Change, Input, Invalid, List, Reader};
use crate::http::problem::Problem;
use crate::http::time::Time;
use crate::ids::{BillingAccountId, OrganizationId, UserId};
use crate::money::Currency;
use crate::organizations::TimeZone;
use crate::text::email::EmailAddress;

mod fields;
#[cfg(test)]
mod tests;

pub use fields::*;

/// What somebody who is billed is.
#[shared::body]
#[derive(Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// A company, or whatever else is no person.
    Organization,
    /// One person.
    Person,
}

impl AccountKind {
    /// Its name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Person => "person",
        }
    }
}

/// Whether an account can be billed.
#[shared::body]
#[derive(Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// It can.
    Active,
    /// It was closed, and can be reopened.
    Closed,
}

impl AccountStatus {
    /// Its name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Closed => "closed",
        }
    }
}

/// What an invoice covers.
#[shared::body]
#[derive(Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consolidation {
    /// Everything that the account owes at once.
    Account,
    /// One subscription each.
    Subscription,
}

impl Consolidation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Subscription => "subscription",
        }
    }
}

/// An address. What is not known is absent.
#[shared::answer(read)]
#[derive(PartialEq, Eq)]
pub struct Address {
    /// Street and number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line1: Option<AddressLine>,
    /// What the first line has no room for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line2: Option<AddressLine>,
    /// The town.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<AddressLine>,
    /// As the country's post has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<AddressLine>,
    /// A state, a province, a county.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<AddressLine>,
    /// The country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
}

/// What becomes of an address: null takes a member away, and what is absent stays.
#[shared::body]
pub struct AddressChange {
    /// Street and number.
    pub line1: Change<AddressLine>,
    /// What the first line has no room for.
    pub line2: Change<AddressLine>,
    /// The town.
    pub city: Change<AddressLine>,
    /// As the country's post has it.
    pub postal_code: Change<AddressLine>,
    /// A state, a province, a county.
    pub region: Change<AddressLine>,
    /// The country.
    pub country: Change<Country>,
}

/// A tax id.
#[shared::body]
#[derive(PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxId {
    /// Whose tax id, and which.
    pub r#type: TaxIdType,
    /// As its authority writes it.
    pub value: TaxIdValue,
}

/// How invoices are made.
#[shared::answer(read)]
#[derive(PartialEq, Eq)]
pub struct InvoiceSettings {
    /// Days that an overdue invoice is left alone.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(max = 30)))]
    pub grace_days: u8,
    /// What an invoice covers.
    pub consolidation: Consolidation,
    /// What stands at their foot.
    pub footer: Option<InvoiceFooter>,
}

/// What becomes of the settings: null brings a default back, and what is absent stays.
#[shared::body]
pub struct InvoiceSettingsChange {
    /// 0 by default.
    pub grace_days: Change<GraceDays>,
    /// account by default.
    pub consolidation: Change<Consolidation>,
    /// None by default.
    pub footer: Change<InvoiceFooter>,
}

/// What becomes of metadata: null takes a member away, and what is absent stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataChange(pub BTreeMap<String, Change<String>>);

impl Input for MetadataChange {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let object = reader.object(value)?;
        // More than this many cannot be kept, whatever else was there.
        if object.values().filter(|value| !value.is_null()).count() > MAX_METADATA {
            reader.refuse(too_much_metadata());
            return None;
        }
        let mistakes = reader.mistakes();
        let mut read = BTreeMap::new();
        for (key, value) in object {
            reader.within(key, |reader| {
                if let Err(invalid) = metadata_key(key) {
                    reader.refuse(invalid);
                    return;
                }
                let change = match value {
                    Value::Null => Some(Change::Clear),
                    value => reader.text(value).and_then(|text| {
                        let text = input::length(text, 0..=MAX_METADATA_VALUE_CHARS);
                        reader.note(text.map(|text| Change::Set(text.to_owned())))
                    }),
                };
                read.extend(change.map(|change| (key.clone(), change)));
            });
        }
        reader.is_right_since(mistakes).then_some(Self(read))
    }
}

crate::describe!(MetadataChange as "MetadataChange", {
    "type": "object",
    "description": "At most 50 members with keys of 1 to 40 characters and texts of up to 500. null takes a member away, and what is absent stays.",
    "propertyNames": {"minLength": 1, "maxLength": 40},
    "additionalProperties": {"type": ["string", "null"], "maxLength": 500},
    "examples": [{"tier": "gold"}],
});

/// Whether a text can be a key of metadata.
///
/// # Errors
/// Why it cannot.
pub fn metadata_key(text: &str) -> Result<&str, Invalid> {
    input::line(text, 1..=MAX_METADATA_KEY_CHARS)
}

fn too_much_metadata() -> Invalid {
    Invalid::new(
        "wrong_length",
        format!("must have at most {MAX_METADATA} members"),
    )
}

/// An account.
#[shared::answer(read)]
pub struct Account {
    /// The account. That of an organization has its organization's digits.
    pub id: BillingAccountId,
    /// Whose it is: usage, credits and subscriptions belong to this organization.
    pub organization_id: OrganizationId,
    /// The person who has it within the organization; null for the organization's own.
    pub user_id: Option<UserId>,
    /// What somebody who is billed is.
    pub kind: AccountKind,
    /// Who is billed, as invoices say it.
    pub name: AccountName,
    /// What the operator's other systems call it.
    pub external_id: Option<ExternalId>,
    /// Where invoices go.
    pub email: Option<String>,
    /// Whom to call.
    pub phone: Option<PhoneNumber>,
    /// Where it is billed.
    pub billing_address: Option<Address>,
    /// Where things are sent to.
    pub shipping_address: Option<Address>,
    /// Its tax ids.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(max = 5)))]
    pub tax_ids: Vec<TaxId>,
    /// What it is billed in; null until it is chosen.
    pub currency: Option<Currency>,
    /// The zone whose days and months its periods have.
    pub time_zone: TimeZone,
    /// The language of its invoices.
    pub locale: Option<Locale>,
    /// Days from an invoice until it is due.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(max = 365)))]
    pub payment_terms_days: u32,
    /// How its invoices are made.
    pub invoice_settings: InvoiceSettings,
    /// What the operator wants to remember of it.
    pub metadata: BTreeMap<String, String>,
    /// The account that pays for it.
    pub parent_id: Option<BillingAccountId>,
    /// Whether it can be billed.
    pub status: AccountStatus,
    /// Never billed for real.
    pub is_test: bool,
    /// The time of its own that a test account has, once it was set.
    pub test_clock_at: Option<Time>,
    /// The number of its changes and one. Its ETag says it too.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1)))]
    pub version: u64,
    /// When it was made.
    pub created_at: Time,
    /// When it was changed last.
    pub updated_at: Time,
    /// When it was closed; null while it is not.
    pub closed_at: Option<Time>,
}

/// What becomes of an account, as a merge patch: null clears a field, and what is absent
/// stays.
#[shared::body(check)]
pub struct AccountChange {
    /// It cannot be cleared.
    pub name: Change<AccountName>,
    /// What the operator's other systems call it.
    pub external_id: Change<ExternalId>,
    /// Where invoices go.
    pub email: Change<EmailAddress>,
    /// Whom to call.
    pub phone: Change<PhoneNumber>,
    /// Where it is billed.
    pub billing_address: Change<AddressChange>,
    /// Where things are sent to.
    pub shipping_address: Change<AddressChange>,
    /// The whole list; null for none.
    pub tax_ids: Change<List<TaxId, 0, MAX_TAX_IDS>>,
    /// Fixed once something was billed.
    pub currency: Change<Currency>,
    /// It cannot be cleared.
    pub time_zone: Change<TimeZone>,
    /// The language of its invoices.
    pub locale: Change<Locale>,
    /// null for 0.
    pub payment_terms_days: Change<PaymentTermsDays>,
    /// null for the defaults.
    pub invoice_settings: Change<InvoiceSettingsChange>,
    /// null for none.
    pub metadata: Change<MetadataChange>,
    /// An account without a parent of its own; null for none.
    pub parent_id: Change<BillingAccountId>,
}

impl AccountChange {
    fn check(&self, reader: &mut Reader) {
        let cleared = [
            ("name", matches!(self.name, Change::Clear)),
            ("time_zone", matches!(self.time_zone, Change::Clear)),
        ];
        for (name, is_cleared) in cleared {
            if is_cleared {
                let invalid = Invalid::new("required", "cannot be cleared");
                reader.refuse_member(name, invalid);
            }
        }
    }

    /// The patch that the database merges into the account.
    pub fn into_patch(self) -> Map<String, Value> {
        let mut patch = Map::new();
        put(&mut patch, "name", self.name, text);
        put(&mut patch, "external_id", self.external_id, text);
        put(&mut patch, "email", self.email, |email| {
            email.as_str().into()
        });
        put(&mut patch, "phone", self.phone, text);
        put(&mut patch, "billing_address", self.billing_address, address);
        put(
            &mut patch,
            "shipping_address",
            self.shipping_address,
            address,
        );
        put(&mut patch, "tax_ids", self.tax_ids, |ids| {
            ids.0
                .into_iter()
                .map(|id| json!({"type": id.r#type, "value": id.value}))
                .collect()
        });
        put(&mut patch, "currency", self.currency, |currency| {
            currency.code().into()
        });
        put(&mut patch, "time_zone", self.time_zone, text);
        put(&mut patch, "locale", self.locale, text);
        put(
            &mut patch,
            "payment_terms_days",
            self.payment_terms_days,
            |days| days.0.into(),
        );
        put(
            &mut patch,
            "invoice_settings",
            self.invoice_settings,
            settings,
        );
        put(&mut patch, "metadata", self.metadata, |metadata| {
            let mut members = Map::new();
            for (key, change) in metadata.0 {
                put(&mut members, &key, change, Value::from);
            }
            members.into()
        });
        put(&mut patch, "parent_id", self.parent_id, |id| {
            id.as_uuid().to_string().into()
        });
        patch
    }
}

/// Adds what was given of a field to a patch.
fn put<T>(
    patch: &mut Map<String, Value>,
    name: &str,
    change: Change<T>,
    write: impl FnOnce(T) -> Value,
) {
    match change {
        Change::Keep => {}
        Change::Clear => {
            patch.insert(name.to_owned(), Value::Null);
        }
        Change::Set(value) => {
            patch.insert(name.to_owned(), write(value));
        }
    }
}

fn text<T: Into<String>>(value: T) -> Value {
    value.into().into()
}

fn address(address: AddressChange) -> Value {
    let mut members = Map::new();
    put(&mut members, "line1", address.line1, text);
    put(&mut members, "line2", address.line2, text);
    put(&mut members, "city", address.city, text);
    put(&mut members, "postal_code", address.postal_code, text);
    put(&mut members, "region", address.region, text);
    put(&mut members, "country", address.country, text);
    members.into()
}

fn settings(settings: InvoiceSettingsChange) -> Value {
    let mut members = Map::new();
    put(&mut members, "grace_days", settings.grace_days, |days| {
        days.0.into()
    });
    put(
        &mut members,
        "consolidation",
        settings.consolidation,
        |consolidation| consolidation.as_str().into(),
    );
    put(&mut members, "footer", settings.footer, text);
    members.into()
}

/// An account to make.
#[shared::body(check)]
pub struct NewAccount {
    /// The organization of a person's account. Absent for an account that comes with an
    /// organization of its own, without members.
    pub organization_id: Option<OrganizationId>,
    /// A member of the organization, who has no account in it.
    pub user_id: Option<UserId>,
    /// person for a person's account, and otherwise organization when absent.
    pub kind: Option<AccountKind>,
    /// Whether it is never billed for real; not when absent. It stays so.
    pub is_test: Option<bool>,
    /// Who is billed, as invoices say it.
    pub name: AccountName,
    /// What the operator's other systems call it.
    pub external_id: Option<ExternalId>,
    /// Where invoices go.
    pub email: Option<EmailAddress>,
    /// Whom to call.
    pub phone: Option<PhoneNumber>,
    /// Where it is billed.
    pub billing_address: Option<AddressChange>,
    /// Where things are sent to.
    pub shipping_address: Option<AddressChange>,
    /// None when absent.
    pub tax_ids: Option<List<TaxId, 0, MAX_TAX_IDS>>,
    /// What it is billed in; chosen later when absent.
    pub currency: Option<Currency>,
    /// UTC when absent.
    pub time_zone: Option<TimeZone>,
    /// The language of its invoices.
    pub locale: Option<Locale>,
    /// 0 when absent.
    pub payment_terms_days: Option<PaymentTermsDays>,
    /// The defaults when absent.
    pub invoice_settings: Option<InvoiceSettingsChange>,
    /// What the operator wants to remember of it.
    pub metadata: Option<MetadataChange>,
    /// An account without a parent of its own.
    pub parent_id: Option<BillingAccountId>,
}

impl NewAccount {
    fn check(&self, reader: &mut Reader) {
        for (name, given, other) in [
            (
                "organization_id",
                self.organization_id.is_some(),
                self.user_id.is_some(),
            ),
            (
                "user_id",
                self.user_id.is_some(),
                self.organization_id.is_some(),
            ),
        ] {
            if other && !given {
                let message = "is required: a person's account has both";
                reader.refuse_member(name, Invalid::new("required", message));
            }
        }
        if self.user_id.is_some() && self.kind == Some(AccountKind::Organization) {
            let message = "must be person for a person's account";
            reader.refuse_member("kind", Invalid::new("conflict", message));
        }
    }

    /// What the database is to do. `id` is the account's, and of an account with an
    /// organization of its own the organization's too.
    pub fn into_item(self, id: Uuid) -> Value {
        let default = match self.user_id {
            Some(_) => AccountKind::Person,
            None => AccountKind::Organization,
        };
        let item = json!({
            "op": "create",
            "id": id.to_string(),
            "organization_id": self.organization_id.map(|id| id.as_uuid().to_string()),
            "user_id": self.user_id.map(|id| id.as_uuid().to_string()),
            "kind": self.kind.unwrap_or(default).as_str(),
            "is_test": self.is_test.unwrap_or_default(),
        });
        let fields = AccountChange {
            name: Change::Set(self.name),
            external_id: given(self.external_id),
            email: given(self.email),
            phone: given(self.phone),
            billing_address: given(self.billing_address),
            shipping_address: given(self.shipping_address),
            tax_ids: given(self.tax_ids),
            currency: given(self.currency),
            time_zone: given(self.time_zone),
            locale: given(self.locale),
            payment_terms_days: given(self.payment_terms_days),
            invoice_settings: given(self.invoice_settings),
            metadata: given(self.metadata),
            parent_id: given(self.parent_id),
        };
        with_patch(item, fields)
    }

    /// An id for the account, from the clock in milliseconds since 1970 and random bytes.
    pub fn draw_id(&self, unix_millis: u64, random: &[u8; crate::ids::RANDOM_BYTES]) -> Uuid {
        match self.organization_id {
            Some(organization) => {
                BillingAccountId::owned(organization, unix_millis, random).as_uuid()
            }
            None => OrganizationId::new(unix_millis, random).as_uuid(),
        }
    }
}

fn given<T>(value: Option<T>) -> Change<T> {
    value.map_or(Change::Keep, Change::Set)
}

fn with_patch(mut item: Value, fields: AccountChange) -> Value {
    item["patch"] = fields.into_patch().into();
    item
}

/// What the database is to do to change an account, if it has this version.
pub fn change_item(id: BillingAccountId, version: Option<i64>, change: AccountChange) -> Value {
    let item = json!({"op": "update", "id": id.as_uuid().to_string(), "version": version});
    with_patch(item, change)
}

/// Shows that a token may read accounts: those of an organization, or all. It is cached only
/// for tokens that may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountReader {
    /// Whose accounts; null for everybody's.
    pub organization_id: Option<OrganizationId>,
}

impl AccountReader {
    /// Whether the accounts of an organization are among them.
    pub fn may_read(&self, organization: OrganizationId) -> bool {
        self.organization_id.is_none_or(|own| own == organization)
    }
}

crate::refusals! {
    /// The person has an account in the organization.
    ACCOUNT_EXISTS = 409 "account_exists", "The person has an account in the organization",
        "the person has an account in the organization.";
    /// Something runs on the account.
    ACCOUNT_IN_USE = 409 "account_in_use", "Something runs on the account",
        "a subscription runs on the account, or it pays for another account that is not closed.";
    /// Another account has the external id.
    EXTERNAL_ID_TAKEN = 409 "external_id_taken", "Another account has this external id",
        "another account has this external id.";
    /// The currency was used.
    CURRENCY_FIXED = 409 "currency_fixed", "The currency of the account is fixed",
        "something was billed in the currency of the account.";
}

/// 404: there is no such account.
pub fn not_found() -> Problem {
    Problem::not_found("There is no account with this id, or it is not yours to see.")
}

/// The problem for what a statement about an account refuses with.
#[cfg(feature = "spin")]
pub fn refuse(refused: &crate::store::db::Refused) -> Option<Problem> {
    use crate::organizations;

    let invalid = |field, code, message: &'static str| Problem::invalid_field(field, code, message);
    let parent = |code, message| invalid("parent_id", code, message);
    Some(match refused.code.as_str() {
        "not_found" => not_found(),
        "version_conflict" => Problem::version_conflict(refused.fact("version")?),
        "account_exists" => ACCOUNT_EXISTS.because("A person has one account in an organization."),
        "account_in_use" => ACCOUNT_IN_USE.because(
            "End its subscriptions, and close the accounts that it pays for, before it is closed.",
        ),
        "external_id_taken" => {
            EXTERNAL_ID_TAKEN.because("No two accounts have the same external id.")
        }
        "currency_fixed" => CURRENCY_FIXED
            .because("Something was billed in it. Make another account for another currency."),
        "time_zone_unknown" => organizations::time_zone_unknown(),
        "user_unknown" => invalid(
            "user_id",
            "unknown",
            "must be the id of a member of the organization",
        ),
        "metadata_limit" => {
            let Invalid { code, message } = too_much_metadata();
            Problem::invalid_field("metadata", code, message)
        }
        "parent_unknown" => parent("unknown", "must be the id of an account that is not closed"),
        "parent_is_itself" => parent("conflict", "must be another account"),
        "parent_currency" => parent("mismatch", "must be an account in the same currency"),
        "parent_has_parent" => parent("conflict", "must be an account without a parent"),
        "account_is_parent" => parent(
            "not_allowed",
            "must be absent for an account that pays for others",
        ),
        "parent_mode" => parent(
            "mismatch",
            "must be a test account for a test account alone",
        ),
        _ => return None,
    })
}
