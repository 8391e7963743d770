//! What a run of the lab found, for people and for programs.

use crate::acceptance::{CAPABILITIES, Capability};
use serde::Serialize;
use std::{fmt::Write, time::Duration};

/// How one row came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It was shown, and its negative case failed closed.
    Passed {
        /// What was seen in the good case.
        shown: String,
        /// What was refused, and by which check.
        refused: String,
        /// What the good case took, in milliseconds.
        #[serde(rename = "milliseconds")]
        took: Millis,
    },
    /// It was tried and did not hold.
    Failed {
        /// What was found instead.
        why: String,
    },
    /// It was not tried; this is never a pass.
    NotRun {
        /// What is missing.
        why: String,
    },
}

/// A duration written as whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Millis(pub Duration);

impl Serialize for Millis {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX))
    }
}

/// One row of the table, for one build.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The build: `3`.
    pub build: &'static str,
    /// The capability's id.
    pub id: &'static str,
    /// What it says.
    pub capability: &'static str,
    /// How it came out.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// The table.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Its rows, in the guide's order.
    pub rows: Vec<Row>,
    /// Counts, by verdict.
    pub passed: usize,
    /// Rows that did not hold.
    pub failed: usize,
    /// Rows that were not tried.
    pub not_run: usize,
}

impl Report {
    /// Adds a row.
    pub fn add(&mut self, build: &'static str, capability: &Capability, verdict: Verdict) {
        match verdict {
            Verdict::Passed { .. } => self.passed += 1,
            Verdict::Failed { .. } => self.failed += 1,
            Verdict::NotRun { .. } => self.not_run += 1,
        }
        self.rows.push(Row { build, id: capability.id, capability: capability.title, verdict });
    }

    /// Whether nothing that was tried failed, and something was tried.
    pub fn holds(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    /// Puts the rows in the guide's order.
    pub fn sort(&mut self) {
        let place = |id: &str| CAPABILITIES.iter().position(|capability| capability.id == id);
        self.rows.sort_by_key(|row| (row.build, place(row.id)));
    }

    /// The table for a terminal.
    pub fn to_text(&self) -> String {
        let (mut text, mut build) = (String::new(), self.rows.first().map_or("", |row| row.build));
        let several = self.rows.iter().any(|row| row.build != build);
        if several {
            let _ = writeln!(text, "  Build {build}");
        }
        for row in &self.rows {
            if row.build != build {
                build = row.build;
                let _ = writeln!(text, "\n  Build {build}");
            }
            let (mark, detail) = match &row.verdict {
                Verdict::Passed { shown, refused, took } => {
                    ("pass", format!("{shown} ({} ms)\n{:18}refused: {refused}", took.0.as_millis(), ""))
                }
                Verdict::Failed { why } => ("FAIL", why.clone()),
                Verdict::NotRun { why } => ("not run", why.clone()),
            };
            let _ = writeln!(text, "  {:<8}{:<8}{}", row.id, mark, row.capability);
            let _ = writeln!(text, "{:18}{detail}", "");
        }
        let _ = writeln!(text, "\n  {} passed, {} failed, {} not run", self.passed, self.failed, self.not_run);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acceptance::capability;

    #[test]
    fn what_was_not_run_never_counts_as_passed() {
        let mut report = Report::default();
        let row = capability("S1.C6").unwrap();
        report.add("3", row, Verdict::NotRun { why: "no hardware".into() });
        assert!(!report.holds());
        report.add(
            "3",
            row,
            Verdict::Passed { shown: String::new(), refused: String::new(), took: Millis(Duration::ZERO) },
        );
        assert!(report.holds());
        report.add("3", row, Verdict::Failed { why: String::new() });
        assert!(!report.holds());
    }
}
