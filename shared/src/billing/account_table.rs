//! Accounts as rows of a CSV file, the same for export and import.

use serde_json::{Map, Value, json};

use crate::billing::account::{Account, AccountChange, NewAccount};
use crate::billing::account_batch::{AccountItem, AccountUpdate};
use crate::http::input;
use crate::http::problem::{FieldError, Problem};
use crate::text::csv;

/// The columns, in the order in which they are written. Those of an address are its members.
pub const COLUMNS: [&str; 32] = [
    "id",
    "organization_id",
    "user_id",
    "kind",
    "is_test",
    "status",
    "version",
    "created_at",
    "name",
    "external_id",
    "email",
    "phone",
    "billing_line1",
    "billing_line2",
    "billing_city",
    "billing_postal_code",
    "billing_region",
    "billing_country",
    "shipping_line1",
    "shipping_line2",
    "shipping_city",
    "shipping_postal_code",
    "shipping_region",
    "shipping_country",
    "tax_ids",
    "currency",
    "time_zone",
    "locale",
    "payment_terms_days",
    "invoice_settings",
    "metadata",
    "parent_id",
];

/// What an import of an account that is there does not read.
const FIXED: [&str; 6] = [
    "organization_id",
    "user_id",
    "kind",
    "is_test",
    "status",
    "created_at",
];

/// What an import of a new account does not read.
const OF_OLD_ONES: [&str; 4] = ["id", "status", "version", "created_at"];

/// The addresses of an account, and what their columns begin with.
const ADDRESSES: [(&str, &str); 2] = [
    ("billing_address", "billing_"),
    ("shipping_address", "shipping_"),
];

/// The row of the names of the columns.
pub fn header() -> String {
    COLUMNS.join(",") + "\r\n"
}

/// Adds an account as a row.
pub fn write_row(out: &mut String, account: &Account) {
    for (index, field) in fields(account).iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        csv::write_text(out, field);
    }
    out.push_str("\r\n");
}

/// The fields of an account, one for each column.
fn fields(account: &Account) -> [String; COLUMNS.len()] {
    let shown = json!(account);
    COLUMNS.map(|column| {
        let member = address_member(column);
        let value = match member {
            Some((address, member)) => shown[address].get(member).unwrap_or(&Value::Null),
            None => &shown[column],
        };
        match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Array(list) if list.is_empty() => String::new(),
            Value::Object(members) if members.is_empty() => String::new(),
            value => value.to_string(),
        }
    })
}

/// The address that a column is of, and the member of it.
fn address_member(column: &str) -> Option<(&'static str, &str)> {
    ADDRESSES
        .iter()
        .find_map(|(address, prefix)| Some((*address, column.strip_prefix(prefix)?)))
}

/// A row that was read, with the line that it begins on.
#[derive(Debug)]
pub struct ReadRow {
    /// From 1, which is the header's.
    pub line: usize,
    /// What is to become of an account, or why it is not understood.
    pub item: Result<AccountItem, Problem>,
}

/// Reads a file. Its columns may be fewer, and in any order; `max_rows` may follow the header.
///
/// # Errors
/// - 400 for what is no table.
/// - 422 for a header with an unknown column or the same one twice, or without a name; and for
///   too many rows, or none.
pub fn read(text: &str, max_rows: usize) -> Result<Vec<ReadRow>, Problem> {
    let invalid = |error: csv::InvalidTable| Problem::malformed_body(format!("{error}."));
    let mut rows = csv::read(text).map_err(invalid)?.into_iter();
    let header = rows.next().map(|row| row.fields).unwrap_or_default();
    check_header(&header)?;
    if rows.len() == 0 || rows.len() > max_rows {
        let message = format!("must have 1 to {max_rows} rows below the header");
        return Err(Problem::invalid_field("", "wrong_length", message));
    }
    let read = |row: csv::Row| ReadRow {
        line: row.line,
        item: item(&header, &row.fields),
    };
    Ok(rows.map(read).collect())
}

fn check_header(header: &[String]) -> Result<(), Problem> {
    let mut errors = Vec::new();
    for (index, column) in header.iter().enumerate() {
        let (code, message) = if !COLUMNS.contains(&column.as_str()) {
            ("unknown", "is not a column of accounts")
        } else if header[..index].contains(column) {
            ("repeated", "must be given once")
        } else {
            continue;
        };
        errors.push(FieldError {
            field: column.clone().into(),
            code,
            message: message.into(),
        });
        // A line can be a million of them.
        if errors.len() == input::MAX_MISTAKES {
            break;
        }
    }
    if errors.is_empty() && !header.iter().any(|column| column == "name") {
        return Err(Problem::invalid_field("name", "required", "is required"));
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Problem::invalid_fields(errors)),
    }
}

/// What a row wants: a change of the account with its id, or without one a new account.
fn item(header: &[String], fields: &[String]) -> Result<AccountItem, Problem> {
    if fields.len() != header.len() {
        let message = format!("must have {} fields, as the header has", header.len());
        return Err(Problem::invalid_field("", "wrong_length", message));
    }
    let cells = || {
        let fields = fields.iter().map(|field| csv::unguarded(field));
        header.iter().map(String::as_str).zip(fields)
    };
    let cell = |column: &str| {
        let found = cells().find(|(name, _)| *name == column);
        found.map(|(_, text)| text).filter(|text| !text.is_empty())
    };
    let body = |left_out: &[&str]| {
        let mut body = Map::new();
        for (column, text) in cells().filter(|(column, _)| !left_out.contains(column)) {
            let value = value_of(column, text);
            match address_member(column) {
                Some((address, member)) => {
                    let address = body.entry(address).or_insert_with(|| json!({}));
                    address[member] = value;
                }
                None => {
                    body.insert(column.to_owned(), value);
                }
            }
        }
        Value::from(body)
    };
    let Some(id) = cell("id") else {
        let new = input::value::<NewAccount>(&body(&OF_OLD_ONES))?;
        return Ok(AccountItem {
            create: Some(new),
            update: None,
        });
    };
    let read = [&FIXED[..], &["id", "version"]].concat();
    let update = json!({
        "id": id,
        "version": cell("version").map(|version| value_of("version", version)),
    });
    let change = input::value_at::<AccountChange>(&body(&read), "");
    let named = input::value_at::<UpdateHead>(&update, "");
    match (named, change) {
        (Ok(head), Ok(change)) => Ok(AccountItem {
            create: None,
            update: Some(AccountUpdate {
                id: head.id,
                version: head.version,
                change,
            }),
        }),
        (head, change) => {
            let errors = [head.err(), change.err()].into_iter().flatten().flatten();
            Err(Problem::invalid_fields(errors.collect()))
        }
    }
}

/// Which account a row changes.
#[shared::body]
struct UpdateHead {
    id: crate::ids::BillingAccountId,
    version: Option<crate::billing::account::GivenVersion>,
}

/// What a cell stands for. An empty one stands for nothing; what does not read as what the column
/// holds stays a text, which is refused by its type.
fn value_of(column: &str, text: &str) -> Value {
    let is_json = matches!(
        column,
        "tax_ids" | "metadata" | "invoice_settings" | "payment_terms_days" | "version" | "is_test"
    );
    match text {
        "" => Value::Null,
        text if is_json => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        text => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::input::Change;

    const ID: &str = "acc_0199a2c4e2447b3c8d5e6f708192a3b4";

    fn account(others: Value) -> Account {
        let mut shown = json!({
            "id": ID, "organization_id": "org_0199a2c4e2447b3c8d5e6f708192a3b4", "user_id": null,
            "kind": "organization", "name": "=Ada, \"& Co\"\u{200b}", "external_id": "'x", "email": null,
            "phone": "+44 20", "billing_address": {"city": "London"}, "shipping_address": null,
            "tax_ids": [{"type": "eu_vat", "value": "DE1"}], "currency": "USD", "time_zone": "UTC",
            "locale": null, "payment_terms_days": 30,
            "invoice_settings": {"grace_days": 0, "consolidation": "account", "footer": "a\nb"},
            "metadata": {"tier": "gold"}, "parent_id": null, "status": "active", "is_test": false,
            "test_clock_at": null, "version": 3, "created_at": "2026-11-21T09:30:00.123456Z",
            "updated_at": "2026-11-21T09:30:00.123456Z", "closed_at": null,
        });
        if let (Some(shown), Some(others)) = (shown.as_object_mut(), others.as_object()) {
            shown.extend(others.clone());
        }
        serde_json::from_value(shown).expect("an account as the database shows it")
    }

    #[test]
    fn what_is_written_is_read_as_what_it_was() {
        let mut file = header();
        write_row(&mut file, &account(json!({})));
        let rows = read(&file, 10).expect("we wrote it");
        assert_eq!(rows.len(), 1);
        let update = rows
            .into_iter()
            .next()
            .and_then(|row| row.item.expect("we wrote it").update)
            .expect("it has an id");
        assert_eq!(update.id.to_string(), ID);
        assert_eq!(update.version.map(|version| version.0), Some(3));
        let patch = Value::from(update.change.into_patch());
        let cleared = json!({"line1": null, "line2": null, "postal_code": null, "region": null, "country": null});
        let mut billing = cleared.clone();
        billing["city"] = "London".into();
        let mut shipping = cleared;
        shipping["city"] = Value::Null;
        assert_eq!(
            patch,
            json!({
                "name": "=Ada, \"& Co\"\u{200b}", "external_id": "'x", "email": null, "phone": "+44 20",
                "billing_address": billing, "shipping_address": shipping,
                "tax_ids": [{"type": "eu_vat", "value": "DE1"}], "currency": "USD", "time_zone": "UTC",
                "locale": null, "payment_terms_days": 30,
                "invoice_settings": {"grace_days": 0, "consolidation": "account", "footer": "a\nb"},
                "metadata": {"tier": "gold"}, "parent_id": null,
            })
        );
    }

    #[test]
    fn rows_have_the_columns_of_the_header() {
        let mut out = String::new();
        let plain = json!({"name": "Ada", "external_id": null, "tax_ids": [], "metadata": {},
                           "invoice_settings": {"grace_days": 0, "consolidation": "account", "footer": null}});
        write_row(&mut out, &account(plain));
        let fields = csv::read(&out).expect("we wrote it").remove(0).fields;
        assert_eq!(fields.len(), COLUMNS.len());
    }

    /// A field, and what is wrong with it.
    type Mistake = (String, &'static str);

    /// The place and the code of the first mistake of each row.
    fn mistakes(text: &str) -> Result<Vec<Option<Mistake>>, (u16, String)> {
        let named = |problem: Problem| {
            let error = problem.errors.into_iter().next();
            error.map(|error| (error.field.into_owned(), error.code))
        };
        let rows = read(text, 3).map_err(|problem| {
            let field = problem.errors.first().map(|e| e.field.to_string());
            (problem.status, field.unwrap_or_default())
        })?;
        Ok(rows
            .into_iter()
            .map(|row| row.item.err().and_then(named))
            .collect())
    }

    #[test]
    fn files() {
        let wrong = |field: &str, code: &'static str| Ok(vec![Some((field.to_owned(), code))]);
        let refused = |status: u16, field: &str| Err((status, field.to_owned()));
        let table = [
            ("name\nAda", Ok(vec![None])),
            ("phone,name\n,Ada\n1,Eve", Ok(vec![None, None])),
            ("name,is_test\nAda,true", Ok(vec![None])),
            ("name,created_at,status,version\nAda,x,y,z", Ok(vec![None])),
            ("name\n'", wrong("name", "wrong_type")),
            ("name,phone\nAda", wrong("", "wrong_length")),
            ("name,email\nAda,ada", wrong("email", "invalid_email")),
            ("name,is_test\nAda,yes", wrong("is_test", "wrong_type")),
            (
                "name,payment_terms_days\nAda,1e400",
                wrong("payment_terms_days", "wrong_type"),
            ),
            (
                "name,billing_country\nAda,gb",
                wrong("billing_address.country", "invalid"),
            ),
            ("name,metadata\nAda,tier", wrong("metadata", "wrong_type")),
            ("name,id\nAda,acc_1", wrong("id", "invalid")),
            ("name,id,version\nAda,acc_1,x", wrong("id", "invalid")),
            ("", refused(422, "name")),
            ("name", refused(422, "")),
            ("name\na\nb\nc\nd", refused(422, "")),
            ("phone\n1", refused(422, "name")),
            ("name,name\na,b", refused(422, "name")),
            ("name,planet\na,b", refused(422, "planet")),
            ("name\n\"a", refused(400, "")),
        ];
        for (text, expected) in table {
            assert_eq!(mistakes(text), expected, "{text:?}");
        }
    }

    #[test]
    fn an_empty_cell_clears_and_an_absent_column_does_not() {
        let text = format!("id,name,phone\n{ID},Ada,");
        let rows = read(&text, 3).expect("it is a table");
        let item = rows.into_iter().next().map(|row| row.item);
        let update = item.and_then(Result::ok).and_then(|item| item.update);
        let change = update.map(|update| update.change).expect("it has an id");
        assert_eq!(change.phone, Change::Clear);
        assert_eq!(change.email, Change::Keep);
    }
}
