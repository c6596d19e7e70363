//! Rows of the file.

use shared::credits::Transaction;
use shared::text::csv::write_text;

/// The names of the columns, which is the first row.
pub const HEADER: &str = "id,kind,amount,currency,available_after,debited,credited,service,model,description,occurred_at,created_at\r\n";

/// Adds a transaction as a row.
pub fn write_row(out: &mut String, transaction: &Transaction) {
    let amount = transaction.amount.format_amount();
    let available_after = transaction.available_after.format_amount();
    // Ours, and without anything that needs quotes. An amount below zero begins
    // with a minus, and is a number to a spreadsheet too.
    let ours = [
        &*transaction.id.to_string(),
        transaction.kind.as_str(),
        &amount,
        transaction.amount.currency().code(),
        &available_after,
        transaction.debited.as_str(),
        transaction.credited.as_str(),
    ];
    for field in ours {
        out.push_str(field);
        out.push(',');
    }
    let theirs = [
        transaction.service.as_deref().unwrap_or_default(),
        transaction.model.as_deref().unwrap_or_default(),
        &transaction.description,
    ];
    for field in theirs {
        write_text(out, field);
        out.push(',');
    }
    out.push_str(&transaction.occurred_at);
    out.push(',');
    out.push_str(&transaction.created_at);
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_the_columns_of_the_header() {
        let json = serde_json::json!({
            "id": format!("ctx_{:032x}", 1), "kind": "consume",
            "amount": {"amount": "-1.250000000", "currency": "USD"},
            "available_after": {"amount": "98.750000000", "currency": "USD"},
            "debited": "available", "credited": "consumed", "description": "d", "service": "chat", "model": null,
            "occurred_at": "2026-01-01T00:00:00.000000Z",
            "created_at": "2026-01-01T00:00:00.000001Z"});
        let transaction = serde_json::from_value(json).expect("one as the database returns it");
        let mut out = String::new();
        write_row(&mut out, &transaction);
        assert_eq!(
            out,
            "ctx_00000000000000000000000000000001,consume,-1.25,USD,98.75,available,consumed,chat,,d,\
             2026-01-01T00:00:00.000000Z,2026-01-01T00:00:00.000001Z\r\n"
        );
        assert_eq!(out.matches(',').count(), HEADER.matches(',').count());
    }
}
