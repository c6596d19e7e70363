//! The fields of an account that are texts and numbers, and what each may be.

use crate::http::input::{self, Invalid, Whole};

/// Longest name, in characters.
pub(super) const MAX_NAME_CHARS: usize = 200;

/// Longest external id, in characters.
pub(super) const MAX_EXTERNAL_ID_CHARS: usize = 200;

/// Longest telephone number, in characters. E.164 has 15 digits; people add spaces and more.
pub(super) const MAX_PHONE_CHARS: usize = 40;

/// Longest line of an address, in characters.
pub(super) const MAX_ADDRESS_CHARS: usize = 200;

/// Most tax ids.
pub const MAX_TAX_IDS: usize = 5;

/// Longest tax id, in characters.
pub(super) const MAX_TAX_ID_CHARS: usize = 40;

/// Longest text at the foot of invoices, in characters.
pub(super) const MAX_FOOTER_CHARS: usize = 500;

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
