//! Moments, as responses give them.

crate::text_type! {
    /// A moment as the database writes it: RFC 3339 in UTC, with microseconds.
    Time, |text| Ok::<_, crate::http::input::Invalid>(text.to_owned()), {
        "type": "string", "format": "date-time",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}Z$",
        "description": "RFC 3339, in UTC, with microseconds.",
        "examples": ["2026-11-21T09:30:00.123456Z"],
    }
}
