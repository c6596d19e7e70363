//! Accounts: who is billed, where, and how.
//!
//! What a request says of an account becomes one JSON object, the patch, which the database
//! merges into the account (RFC 7396). So making, changing, bulk and import have one rule.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::http::input::{self, Change, Input, Invalid, List, Reader, Whole};
use crate::http::problem::Problem;
use crate::http::time::Time;
use crate::ids::{BillingAccountId, OrganizationId, UserId};
use crate::money::Currency;
use crate::organizations::TimeZone;
use crate::text::email::EmailAddress;

/// Longest name, in characters.
const MAX_NAME_CHARS: usize = 200;

/// Longest external id, in characters.
const MAX_EXTERNAL_ID_CHARS: usize = 200;

/// Longest telephone number, in characters. E.164 has 15 digits; people add spaces and more.
const MAX_PHONE_CHARS: usize = 40;

/// Longest line of an address, in characters.
const MAX_ADDRESS_CHARS: usize = 200;

/// Most tax ids.
pub const MAX_TAX_IDS: usize = 5;

/// Longest tax id, in characters.
const MAX_TAX_ID_CHARS: usize = 40;

/// Longest text at the foot of invoices, in characters.
const MAX_FOOTER_CHARS: usize = 500;

/// Most members of metadata.
pub const MAX_METADATA: usize = 50;

/// Longest key of metadata, in characters.
pub const MAX_METADATA_KEY_CHARS: usize = 40;

/// Longest value of metadata, in characters.
pub const MAX_METADATA_VALUE_CHARS: usize = 500;

/// Days from an invoice until it is due, as a request gives them.
pub type PaymentTermsDays = Whole<0, 365>;

/// Days that an overdue invoice is left alone, as a request gives them.
pub type GraceDays = Whole<0, 30>;

/// The largest version that a request can name: the largest whole number that every JSON
/// parser reads exactly (RFC 8259, section 6).
pub const MAX_VERSION: i64 = 9_007_199_254_740_991;

/// A version, as a request gives it.
pub type GivenVersion = Whole<1, MAX_VERSION>;

crate::text_type! {
    /// Who is billed, as invoices say it.
    AccountName, |text| input::name(text, 1..=MAX_NAME_CHARS), {
        "type": "string", "pattern": input::NAME_PATTERN, "minLength": 1, "maxLength": 200,
        "description": "Who is billed, as invoices say it. White space around it is dropped.",
        "examples": ["Analytical Engines Ltd"],
    }
}

crate::text_type! {
    /// What the operator's other systems call the account.
    ExternalId, |text| input::name(text, 1..=MAX_EXTERNAL_ID_CHARS), {
        "type": "string", "pattern": input::NAME_PATTERN, "minLength": 1, "maxLength": 200,
        "description": "What the operator's other systems call the account. No two accounts have the same. White space around it is dropped.",
        "examples": ["crm-4711"],
    }
}

crate::text_type! {
    /// A telephone number, as people write it.
    PhoneNumber, |text| input::name(text, 1..=MAX_PHONE_CHARS), {
        "type": "string", "pattern": input::NAME_PATTERN, "minLength": 1, "maxLength": 40,
        "description": "As people write it. White space around it is dropped.",
        "examples": ["+44 20 7946 0958"],
    }
}

crate::text_type! {
    /// A line of an address.
    AddressLine, |text| input::name(text, 1..=MAX_ADDRESS_CHARS), {
        "type": "string", "pattern": input::NAME_PATTERN, "minLength": 1, "maxLength": 200,
        "description": "White space around it is dropped.", "examples": ["12 St James's Square"],
    }
}

crate::text_type! {
    /// A country of ISO 3166-1, by its two letters.
    Country, |text| read_country(text), {
        "type": "string", "pattern": "^[A-Z]{2}$",
        "description": "Two capital letters of ISO 3166-1.", "examples": ["GB"],
    }
}

crate::text_type! {
    /// What kind of tax id it is.
    TaxIdType, |text| read_tax_id_type(text), {
        "type": "string", "pattern": "^[a-z]{2}(_[a-z0-9]{1,20}){1,3}$",
        "description": "Whose tax id, and which: a country or eu, and the name of the id.",
        "examples": ["eu_vat"],
    }
}

crate::text_type! {
    /// A tax id as its authority writes it.
    TaxIdValue, |text| input::name(text, 1..=MAX_TAX_ID_CHARS), {
        "type": "string", "pattern": input::NAME_PATTERN, "minLength": 1, "maxLength": 40,
        "description": "White space around it is dropped. It is not looked up.",
        "examples": ["DE123456789"],
    }
}

crate::text_type! {
    /// A language, and the script and the region if they matter (BCP 47).
    Locale, |text| read_locale(text), {
        "type": "string", "pattern": "^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$",
        "description": "A language tag of BCP 47: a language, and a script and a region if they matter.",
        "examples": ["en-GB"],
    }
}

crate::text_type! {
    /// What stands at the foot of invoices.
    InvoiceFooter, |text| input::length(text, 1..=MAX_FOOTER_CHARS).map(str::to_owned), {
        "type": "string", "minLength": 1, "maxLength": 500,
        "description": "What stands at the foot of invoices.", "examples": ["Thank you."],
    }
}

fn read_country(text: &str) -> Result<String, Invalid> {
    let is_country = text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
    is_country
        .then(|| text.to_owned())
        .ok_or_else(|| Invalid::new("invalid", "must be two capital letters of ISO 3166-1"))
}

fn read_tax_id_type(text: &str) -> Result<String, Invalid> {
    let mut parts = text.split('_');
    let is_whose = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_lowercase());
    let is_name = |part: &str| {
        let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        (1..=20).contains(&part.len()) && part.bytes().all(is_letter)
    };
    let is_type = parts.next().is_some_and(is_whose)
        && (1..=3).contains(&text.split('_').skip(1).count())
        && parts.all(is_name);
    is_type
        .then(|| text.to_owned())
        .ok_or_else(|| Invalid::new("invalid", "must be a country or eu, _ and a name: eu_vat"))
}

fn read_locale(text: &str) -> Result<String, Invalid> {
    let mut parts = text.split('-').peekable();
    let is_language =
        |part: &str| (2..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_lowercase());
    let is_script = |part: &str| {
        part.len() == 4
            && part.starts_with(|c: char| c.is_ascii_uppercase())
            && part.bytes().skip(1).all(|b| b.is_ascii_lowercase())
    };
    let is_region = |part: &str| match part.len() {
        2 => part.bytes().all(|b| b.is_ascii_uppercase()),
        3 => part.bytes().all(|b| b.is_ascii_digit()),
        _ => false,
    };
    let begins = parts.next().is_some_and(is_language);
    parts.next_if(|part| is_script(part));
    parts.next_if(|part| is_region(part));
    if begins && parts.next().is_none() {
        return Ok(text.to_owned());
    }
    Err(Invalid::new(
        "invalid",
        "must be a language tag of BCP 47, such as en or en-GB",
    ))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn codes<T: Input>(body: &Value) -> Vec<(String, &'static str)> {
        let errors = input::value_at::<T>(body, "").err().unwrap_or_default();
        let named = errors.into_iter().map(|e| (e.field.into_owned(), e.code));
        named.collect()
    }

    fn check<T: Input>(body: &Value, expected: &[(&str, &'static str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(field, code)| ((*field).to_owned(), *code))
            .collect();
        assert_eq!(codes::<T>(body), expected, "{body}");
    }

    #[test]
    fn changes_are_merge_patches() {
        let table = [
            (json!({}), json!({})),
            (
                json!({"name": " Ada ", "email": "Ada@Example.com", "phone": null}),
                json!({"name": "Ada", "email": "ada@example.com", "phone": null}),
            ),
            (
                json!({"billing_address": {"city": "London", "line2": null}, "shipping_address": null}),
                json!({"billing_address": {"city": "London", "line2": null}, "shipping_address": null}),
            ),
            (
                json!({"tax_ids": [{"type": "eu_vat", "value": " DE1 "}]}),
                json!({"tax_ids": [{"type": "eu_vat", "value": "DE1"}]}),
            ),
            (
                json!({"metadata": {"a": "", "b": null}, "invoice_settings": {"grace_days": 30}}),
                json!({"metadata": {"a": "", "b": null}, "invoice_settings": {"grace_days": 30}}),
            ),
            (
                json!({"parent_id": "acc_0199a2c4e2447b3c8d5e6f708192a3b4"}),
                json!({"parent_id": "0199a2c4-e244-7b3c-8d5e-6f708192a3b4"}),
            ),
            (
                json!({"payment_terms_days": 365.0, "currency": "JPY", "locale": "zh-Hant-TW"}),
                json!({"payment_terms_days": 365, "currency": "JPY", "locale": "zh-Hant-TW"}),
            ),
        ];
        for (body, expected) in table {
            let change = input::value::<AccountChange>(&body).expect("the table is right");
            assert_eq!(Value::Object(change.into_patch()), expected, "{body}");
        }
    }

    #[test]
    fn what_no_change_can_be() {
        let many: Map<String, Value> = (0..=MAX_METADATA)
            .map(|n| (n.to_string(), json!("x")))
            .collect();
        let ids = vec![json!({"type": "eu_vat", "value": "1"}); MAX_TAX_IDS + 1];
        let table: [(Value, &[(&str, &str)]); 24] = [
            (json!({"name": null}), &[("name", "required")]),
            (json!({"name": " "}), &[("name", "wrong_length")]),
            (json!({"time_zone": null}), &[("time_zone", "required")]),
            (
                json!({"external_id": ""}),
                &[("external_id", "wrong_length")],
            ),
            (
                json!({"external_id": "a\0"}),
                &[("external_id", "invalid_character")],
            ),
            (json!({"email": "ada"}), &[("email", "invalid_email")]),
            (
                json!({"phone": "1".repeat(41)}),
                &[("phone", "wrong_length")],
            ),
            (
                json!({"billing_address": {"country": "gb", "planet": "Earth"}}),
                &[
                    ("billing_address.country", "invalid"),
                    ("billing_address.planet", "unknown"),
                ],
            ),
            (
                json!({"billing_address": []}),
                &[("billing_address", "wrong_type")],
            ),
            (json!({"tax_ids": ids}), &[("tax_ids", "wrong_length")]),
            (
                json!({"tax_ids": [{"type": "vat"}]}),
                &[
                    ("tax_ids[0].type", "invalid"),
                    ("tax_ids[0].value", "required"),
                ],
            ),
            (json!({"currency": "XXX"}), &[("currency", "invalid")]),
            (json!({"locale": "en_GB"}), &[("locale", "invalid")]),
            (
                json!({"payment_terms_days": 366}),
                &[("payment_terms_days", "out_of_range")],
            ),
            (
                json!({"payment_terms_days": -1}),
                &[("payment_terms_days", "out_of_range")],
            ),
            (
                json!({"invoice_settings": {"grace_days": 31, "consolidation": "all"}}),
                &[
                    ("invoice_settings.grace_days", "out_of_range"),
                    ("invoice_settings.consolidation", "invalid"),
                ],
            ),
            (
                json!({"invoice_settings": {"footer": "x".repeat(501)}}),
                &[("invoice_settings.footer", "wrong_length")],
            ),
            (json!({"metadata": many}), &[("metadata", "wrong_length")]),
            (
                json!({"metadata": {"k".repeat(41): "x"}}),
                &[(
                    "metadata.kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
                    "wrong_length",
                )],
            ),
            (
                json!({"metadata": {"k": 1}}),
                &[("metadata.k", "wrong_type")],
            ),
            (
                json!({"metadata": {"k": "x".repeat(501)}}),
                &[("metadata.k", "wrong_length")],
            ),
            (
                json!({"metadata": {"k": "\0"}}),
                &[("metadata.k", "invalid_character")],
            ),
            (json!({"parent_id": "org_1"}), &[("parent_id", "invalid")]),
            (json!({"kind": "person"}), &[("kind", "unknown")]),
        ];
        for (body, expected) in table {
            check::<AccountChange>(&body, expected);
        }
    }

    #[test]
    fn new_accounts() {
        let organization = "org_0199a2c4e2447b3c8d5e6f708192a3b4";
        let user = "usr_0199a2c4e2447b3c8d5e6f708192a3b4";
        let table: [(Value, &[(&str, &str)]); 8] = [
            (json!({"name": "Ada"}), &[]),
            (json!({"name": "Ada", "kind": "person", "email": null}), &[]),
            (
                json!({"name": "Ada", "organization_id": organization, "user_id": user}),
                &[],
            ),
            (json!({}), &[("name", "required")]),
            (
                json!({"name": "Ada", "organization_id": organization}),
                &[("user_id", "required")],
            ),
            (
                json!({"name": "Ada", "user_id": user}),
                &[("organization_id", "required")],
            ),
            (
                json!({"name": "Ada", "organization_id": organization, "user_id": user, "kind": "organization"}),
                &[("kind", "conflict")],
            ),
            (
                json!({"name": "Ada", "status": "closed"}),
                &[("status", "unknown")],
            ),
        ];
        for (body, expected) in table {
            check::<NewAccount>(&body, expected);
        }
    }

    #[test]
    fn an_account_with_an_organization_of_its_own_has_its_digits() {
        let new = |body: Value| input::value::<NewAccount>(&body).expect("the table is right");
        let own = new(json!({"name": "Ada"}));
        let id = own.draw_id(7, &[3; 10]);
        assert_eq!(id, OrganizationId::new(7, &[3; 10]).as_uuid());
        let item = own.into_item(id);
        assert_eq!(item["kind"], "organization");
        let person = new(json!({"name": "Ada",
            "organization_id": "org_0199a2c4e2447b3c8d5e6f708192a3b4",
            "user_id": "usr_0199a2c4e2447b3c8d5e6f708192a3b4"}));
        let id = person.draw_id(7, &[3; 10]);
        assert_eq!(id.as_bytes()[14..], [0xa3, 0xb4]);
        assert_eq!(person.into_item(id)["kind"], "person");
    }

    #[test]
    fn locales_countries_and_types_of_tax_ids() {
        for text in ["en", "en-GB", "gsw", "zh-Hant", "zh-Hant-TW", "es-419"] {
            assert!(input::text::<Locale>(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "e",
            "EN",
            "en-gb",
            "en-GB-x",
            "en-",
            "engl",
            "en-Hant-Hant",
        ] {
            assert!(input::text::<Locale>(text).is_err(), "{text}");
        }
        for text in ["eu_vat", "us_ein", "au_abn", "eu_oss_vat"] {
            assert!(input::text::<TaxIdType>(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "eu",
            "eu_",
            "eur_vat",
            "EU_vat",
            "eu_a_b_c_d",
            "eu__vat",
        ] {
            assert!(input::text::<TaxIdType>(text).is_err(), "{text}");
        }
        for (text, is_country) in [("GB", true), ("gb", false), ("GBR", false), ("", false)] {
            assert_eq!(input::text::<Country>(text).is_ok(), is_country, "{text}");
        }
    }
}
