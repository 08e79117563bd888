//! Cells of tables that a spreadsheet may open.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula and runs it, whoever wrote it (CWE-1236). So such
//! a cell is written behind an apostrophe, which the spreadsheet takes for "this is text". Reading takes the apostrophe off
//! again, and only there, so that every text comes back as it was.

use std::borrow::Cow;

/// Whether a spreadsheet would take the cell for a formula, whatever apostrophes stand before it. White space counts for nothing,
/// and the wide forms of the signs are signs too.
fn is_formula(cell: &str) -> bool {
    let bare = cell.trim_start_matches('\'');
    let starts_blank = bare.starts_with(['\t', '\r', '\n']);
    starts_blank || bare.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

/// The cell as it is written.
pub fn guard(cell: &str) -> Cow<'_, str> {
    if is_formula(cell) { format!("'{cell}").into() } else { cell.into() }
}

/// The text of a cell that was read.
pub fn unguard(cell: String) -> String {
    match cell.strip_prefix('\'') {
        Some(bare) if is_formula(&cell) => bare.to_owned(),
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_31_what_a_spreadsheet_would_run_is_written_as_text_and_comes_back() {
        for evil in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "'=1", "＝1", "\n@x"] {
            let written = guard(evil);
            assert_eq!(written, format!("'{evil}"));
            assert_eq!(unguard(written.into_owned()), evil);
        }
        for fine in ["a=b", "'quoted'", "1-2", "", "'", "Ada =1"] {
            assert_eq!(guard(fine), fine);
            assert_eq!(unguard(fine.to_owned()), fine);
        }
    }
}
