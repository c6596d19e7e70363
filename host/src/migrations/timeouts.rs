//! The timeouts of whoever migrates, as settings of the role in the database. Every session that
//! begins after that has them, whichever pooler it comes through.

use shared::store::timeouts::SESSION_TIMEOUTS;

/// The statements that set the timeouts of the present role in a database. A clone of a database
/// does not have them, and needs them anew.
#[must_use]
pub fn role_timeouts(database: &str) -> String {
    let database = format!("\"{}\"", database.replace('"', "\"\""));
    SESSION_TIMEOUTS
        .map(|(name, millis)| {
            format!("ALTER ROLE CURRENT_USER IN DATABASE {database} SET {name} = '{millis}ms'")
        })
        .join("; ")
}
