//! Tables for people.

use std::fmt;

/// A table with a heading; columns are as wide as they must be.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    empty: &'static str,
}

impl Table {
    /// A table with these columns; `empty` is said when it has no row.
    pub(crate) fn new(columns: &[&str], empty: &'static str) -> Self {
        Self { rows: vec![columns.iter().map(|column| column.to_uppercase()).collect()], empty }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.len() == 1 {
            return f.write_str(self.empty);
        }
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        for row in &self.rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let mut table = Table::new(&["serial", "state"], "none");
        assert_eq!(table.to_string(), "none");
        table.row(["A-1".into(), "joined".into()]);
        table.row(["LONGER-22".into(), "pending".into()]);
        assert_eq!(table.to_string(), "SERIAL     STATE\nA-1        joined\nLONGER-22  pending\n");
    }
}
