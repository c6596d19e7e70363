use shared::http::operation::{Access, Answer, Operation, Verb};

pub const EXPORT: Operation = Operation::new(
    "accounts-export",
    Verb::Get,
    "/api/v1/accounts/export",
    Access::Permission("billing:read"),
)
.tag("accounts")
.summary("Download the accounts as a CSV file")
.details("Those of the credential's organization; with the platform's permission accounts:read all. RFC 4180 in UTF-8 with a header row, newest first. POST /api/v1/accounts/import reads what this writes. tax_ids, invoice_settings and metadata are JSON; what is null or empty is an empty field. A text that begins with =, +, - or @ in any width, with white space, with a character that has no width or with an apostrophe has one apostrophe more before it, so that no spreadsheet runs it. Up to 1,000 rows have a Content-Length; more are sent as they are read, without one. If that fails or takes longer than 60 seconds, the body ends in an error and not with its last chunk.")
.answers(&[Answer::of::<String>(
    "text/csv",
    200,
    "The file.",
    "id,organization_id,user_id,kind,is_test,status,version,created_at,name,external_id,email,phone,billing_line1,billing_line2,billing_city,billing_postal_code,billing_region,billing_country,shipping_line1,shipping_line2,shipping_city,shipping_postal_code,shipping_region,shipping_country,tax_ids,currency,time_zone,locale,payment_terms_days,invoice_settings,metadata,parent_id\nacc_0199a2c4e1f17c4d9e6f708192a3b4c5,org_0199a2c4e1f17c4d9e6f708192a3b4c5,,organization,false,active,1,2026-11-21T09:30:00.123456Z,Analytical Engines Ltd,crm-4711,billing@example.com,,12 St James's Square,,London,SW1Y 4LE,,GB,,,,,,,,GBP,Europe/London,en-GB,30,\"{\"\"consolidation\"\":\"\"account\"\",\"\"footer\"\":null,\"\"grace_days\"\":0}\",,\n",
)
.as_file("attachment; filename=\"accounts.csv\"")]);
