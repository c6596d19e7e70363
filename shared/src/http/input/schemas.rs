//! How the types of this room are described in OpenAPI. Only the native build has it.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

use crate::http::input::{
    Change, List, Name, PositiveAmount, PositiveQuantity, Text, UnsignedAmount, UnsignedMoney,
    UnsignedQuantity, Whole,
};
use crate::http::pagination::{CURSOR_CHARS, Cursor};
use crate::ids;
use crate::money::{Currency, Money, Rounding};
use crate::text::email::EmailAddress;

/// A line without control characters, and without those that change the direction of
/// others.
pub const LINE_PATTERN: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069]*$";

/// A line as above with at least one character that is no white space.
pub const NAME_PATTERN: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069]*[^\\u0000-\\u0020\\u007f-\\u00a0\\u1680\\u2000-\\u200a\\u2028-\\u202f\\u205f\\u2066-\\u2069\\u3000][^\\u0000-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069]*$";

/// Describes generic types, which have no name of their own in the document.
macro_rules! inline {
    ($([$($generics:tt)*] $name:ty, |$generator:ident| $schema:expr;)*) => {
        $(impl<$($generics)*> JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        })*
    };
}

inline! {
    [const LEAST: usize, const MOST: usize] Text<LEAST, MOST>, |_generator| json_schema!({
        "type": "string", "pattern": LINE_PATTERN, "minLength": LEAST, "maxLength": MOST,
    });
    [const MOST: usize] Name<MOST>, |_generator| json_schema!({
        "type": "string", "pattern": NAME_PATTERN, "minLength": 1, "maxLength": MOST,
        "description": "White space around it is dropped.",
    });
    [const LEAST: i64, const MOST: i64] Whole<LEAST, MOST>, |_generator| json_schema!({
        "type": "integer", "minimum": LEAST, "maximum": MOST,
    });
    [T: JsonSchema, const LEAST: usize, const MOST: usize] List<T, LEAST, MOST>, |generator| {
        let items = generator.subschema_for::<T>();
        match LEAST {
            0 => json_schema!({"type": "array", "items": items, "maxItems": MOST}),
            _ => json_schema!({
                "type": "array", "items": items, "minItems": LEAST, "maxItems": MOST,
            }),
        }
    };
}

impl<T: JsonSchema> JsonSchema for Change<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Option::<T>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Option::<T>::json_schema(generator)
    }

    fn _schemars_private_is_option() -> bool {
        true
    }
}

/// Describes ids: their prefix and 32 digits.
macro_rules! ids {
    ($($name:ident: $description:literal,)*) => {
        $(impl JsonSchema for ids::$name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let prefix = ids::$name::PREFIX;
                json_schema!({
                    "type": "string",
                    "pattern": format!("^{prefix}[0-9a-f]{{32}}$"),
                    "minLength": prefix.len() + 32,
                    "maxLength": prefix.len() + 32,
                    "description": $description,
                    "examples": [format!("{prefix}0199a2c4e1f07b3c8d5e6f708192a3b4")],
                })
            }
        })*
    };
}

ids! {
    ApiKeyId: "An API key.",
    BillingAccountId: "An account: who is billed.",
    CreditAccountId: "The credits of one user in one currency.",
    CreditGrantId: "Credits that were given at once.",
    CreditHoldId: "Credits that are reserved for an operation under way.",
    CreditTransactionId: "One transaction in a credit ledger.",
    DeviceId: "A device that a user has signed in from.",
    EntitlementId: "A feature that a subject, or an organization, may use.",
    GuessId: "One guess at a code.",
    HashLeaseId: "The right to hash one password.",
    InvitationId: "An invitation.",
    MeterId: "What of an organization's usage counts, and how.",
    OrganizationId: "An organization: the tenant that data belongs to.",
    OutboxMessageId: "A message in the outbox.",
    PlanId: "A plan of the platform's catalog.",
    PlanVersionId: "One version of a plan's prices.",
    SessionId: "One sign-in, from login to logout or expiry.",
    SubscriptionId: "A plan that an account has.",
    UsageAlertId: "Whom to tell when how much of something was used.",
    UserId: "A user.",
}

/// Digits of an amount as it is answered.
const SHOWN_AMOUNT: &str = r"(?:0|[1-9][0-9]{0,17})(?:\.(?:[0-9]{2,4}|[0-9]{0,8}[1-9]))?";

/// A decimal above zero, of at most 12 digits before the point and 9 after it.
const POSITIVE: &str = r"^(?:[1-9][0-9]{0,11}(?:\.[0-9]{1,9})?|0\.(?:[1-9][0-9]{0,8}|0[1-9][0-9]{0,7}|0{2}[1-9][0-9]{0,6}|0{3}[1-9][0-9]{0,5}|0{4}[1-9][0-9]{0,4}|0{5}[1-9][0-9]{0,3}|0{6}[1-9][0-9]{0,2}|0{7}[1-9][0-9]{0,1}|0{8}[1-9]))$";

/// A decimal of zero or above, of at most 12 digits before the point and 9 after it.
const UNSIGNED: &str = r"^(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,9})?$";

crate::describe!(Currency as "Currency", {
    "type": "string", "enum": Currency::all().map(Currency::code).collect::<Vec<_>>(),
    "description": "An active code of ISO 4217 that has a minor unit, in upper case.",
});
crate::describe!(Rounding as "Rounding", {
    "type": "string", "enum": Rounding::ALL.map(Rounding::name),
    "description": "How an amount between two minor units is rounded. half_even, half_up and half_down go to the nearest one, and from the middle to the even one, away from zero or toward zero. up goes away from zero, down toward it, ceiling toward positive infinity, floor toward negative infinity.",
});
crate::describe!(EmailAddress as "Email", {
    "type": "string",
    "pattern": "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\p{L}\\p{M}\\p{N}-]+(?:\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\p{L}\\p{M}\\p{N}-]+)*@[A-Za-z0-9\\p{L}\\p{N}](?:[A-Za-z0-9\\p{L}\\p{M}\\p{N}-]*[A-Za-z0-9\\p{L}\\p{M}\\p{N}])?(?:\\.[A-Za-z0-9\\p{L}\\p{N}](?:[A-Za-z0-9\\p{L}\\p{M}\\p{N}-]*[A-Za-z0-9\\p{L}\\p{M}\\p{N}])?)+$",
    "maxLength": 254,
    "description": "A local part that needs no quotes, of 1 to 64 bytes of UTF-8, one @, and a domain of two labels or more, of at most 63 bytes each in DNS. It is compared, stored and answered in one form: lower case, letters beyond ASCII in Unicode's form NFKC, the domain as DNS has it (xn--...). What has no plain form is refused with invalid_email: characters that are not seen, labels that mix directions of writing, and an xn-- that stands for no label of IDNA.",
    "examples": ["ada@example.com"],
});
crate::describe!(PositiveAmount as "PositiveAmount", {
    "type": "string",
    "pattern": POSITIVE,
    "maxLength": 22,
    "description": "An amount above zero in major units (dollars, not cents), in plain decimal notation: at most 12 digits before the point and 9 after it, no sign, no exponent, no leading zeros. A JSON number is refused.",
    "examples": ["12.50"],
});
crate::describe!(UnsignedAmount as "UnsignedAmount", {
    "type": "string",
    "pattern": UNSIGNED,
    "maxLength": 22,
    "description": "An amount of zero or above in major units, in plain decimal notation: at most 12 digits before the point and 9 after it. A JSON number is refused.",
    "examples": ["12.50"],
});
crate::describe!(PositiveQuantity as "PositiveQuantity", {
    "type": "string", "pattern": POSITIVE, "maxLength": 22,
    "description": "A number of units above zero in plain decimal notation: at most 12 digits before the point and 9 after it, no sign, no exponent, no leading zeros. A JSON number is refused.",
    "examples": ["1000000"],
});
crate::describe!(UnsignedQuantity as "UnsignedQuantity", {
    "type": "string", "pattern": UNSIGNED, "maxLength": 22,
    "description": "A number of units of zero or above in plain decimal notation: at most 12 digits before the point and 9 after it. A JSON number is refused.",
    "examples": ["1"],
});
crate::describe!(Cursor as "Cursor", {
    "type": "string", "pattern": "^[A-Za-z0-9_-]+$",
    "minLength": CURSOR_CHARS.0, "maxLength": CURSOR_CHARS.1,
    "description": "The next_cursor of an earlier page of the list, asked for with the same parameters but for limit; the first page when absent.",
});

/// Describes an amount with its currency, as it is answered.
fn money(
    generator: &mut SchemaGenerator,
    description: &str,
    sign: &str,
    about: &str,
    example: &str,
) -> Schema {
    json_schema!({
        "type": "object",
        "description": description,
        "required": ["amount", "currency"],
        "properties": {
            "amount": {
                "type": "string",
                "pattern": format!("^{sign}{SHOWN_AMOUNT}$"),
                "description": about,
                "examples": [example],
            },
            "currency": generator.subschema_for::<Currency>(),
        },
        "additionalProperties": false,
    })
}

impl JsonSchema for Money {
    fn schema_name() -> Cow<'static, str> {
        "Money".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        money(
            generator,
            "An amount that is zero or more.",
            "",
            "Major units, padded with zeros to the currency's minor unit and without trailing zeros beyond it.",
            "98.75",
        )
    }
}

/// Stands for [`Money`] where it may be below zero: `#[schemars(with = "SignedMoney")]`.
#[derive(Debug)]
pub enum SignedMoney {}

impl JsonSchema for SignedMoney {
    fn schema_name() -> Cow<'static, str> {
        "SignedMoney".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        money(
            generator,
            "An amount that may be below zero.",
            "-?",
            "As in Money, with a minus sign below zero.",
            "-1.25",
        )
    }
}

impl JsonSchema for UnsignedMoney {
    fn schema_name() -> Cow<'static, str> {
        "UnsignedMoney".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "An amount of zero or above, as a request gives it.",
            "required": ["amount", "currency"],
            "properties": {
                "amount": generator.subschema_for::<UnsignedAmount>(),
                "currency": generator.subschema_for::<Currency>(),
            },
            "additionalProperties": false,
        })
    }
}
