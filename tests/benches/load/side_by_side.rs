//! The wasm host beside the native baseline: a table with two rows for each route, and bars.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::load::figures::{HEADS, Measurement, bar, doubts, figures_of, grouped, share};
use crate::load::table::Table;

/// One route on both servers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// What was asked for.
    pub route: String,
    /// By the wasm host.
    pub wasm: Measurement,
    /// By the native baseline.
    pub native: Measurement,
}

/// Writes the table, the doubts about its rows, and the bars.
///
/// # Errors
/// `out` does not take them.
pub fn write(out: &mut String, rows: &[Row]) -> std::fmt::Result {
    let ratio_head = "wasm / native";
    let mut table = Table::new(["route", "server"], HEADS.into_iter().chain([ratio_head]));
    for row in rows {
        let Row {
            route,
            wasm,
            native,
        } = row;
        let ratio = share(wasm.requests_per_sec, native.requests_per_sec);
        table.row([route, "wasm"], figures_of(wasm).into_iter().chain([ratio]));
        table.row(["", "native"], figures_of(native));
    }
    write!(out, "{table}")?;
    for row in rows {
        for (server, measured) in [("wasm host", &row.wasm), ("native baseline", &row.native)] {
            out.write_str(&doubts(&row.route, server, measured))?;
        }
    }

    writeln!(out, "\nreq/s, each pair to its own scale")?;
    let width = rows.iter().map(|row| row.route.len());
    let width = width.max().unwrap_or_default();
    for row in rows {
        let longest = row.wasm.requests_per_sec.max(row.native.requests_per_sec);
        for (server, route, measured) in [
            ("wasm", row.route.as_str(), &row.wasm),
            ("native", "", &row.native),
        ] {
            writeln!(
                out,
                "{route:width$}  {server:6}  {} {}",
                bar(measured.requests_per_sec, longest),
                grouped(measured.requests_per_sec)
            )?;
        }
    }
    Ok(())
}
