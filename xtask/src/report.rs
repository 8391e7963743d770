//! Counting: what test programs print, and the line that a run ends with.

use std::{
    fmt::{self, Display},
    time::Duration,
};

/// What has been counted so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Each with its reason.
    pub(crate) skipped: Vec<String>,
    /// What failed, by name.
    failures: Vec<String>,
    /// One line a step, for the end.
    steps: Vec<String>,
}

impl Tally {
    /// Takes in one line that a test program printed.
    pub(crate) fn line(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += number_before(result, " passed");
            self.failed += number_before(result, " failed");
        } else if let Some((name, outcome)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
            match outcome.strip_prefix("ignored") {
                Some(reason) => self.skipped.push(match reason.strip_prefix(", ") {
                    Some(reason) => format!("{name}: {reason}"),
                    None => format!("{name}: ignored, and nobody wrote why"),
                }),
                None if outcome.starts_with("FAILED") => self.failures.push(name.to_owned()),
                None => {}
            }
        }
    }

    /// Counts a step that is not made of counted tests.
    pub(crate) fn step(&mut self, name: &str, error: Option<impl Display>, took: Duration) {
        match error {
            None => self.passed += 1,
            Some(error) => {
                self.failed += 1;
                self.failures.push(format!("{name}: {error}"));
            }
        }
        self.took(name, took);
    }

    /// Notes how long a step took that was counted otherwise.
    pub(crate) fn took(&mut self, name: &str, took: Duration) {
        self.steps.push(format!("{:>6.1} s  {name}", took.as_secs_f64()));
    }
}

fn number_before(text: &str, word: &str) -> u64 {
    let number = text.split(word).next().and_then(|before| before.rsplit(' ').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [("time", &self.steps), ("skipped", &self.skipped), ("failed", &self.failures)];
        for (title, lines) in lists.into_iter().filter(|(_, lines)| !lines.is_empty()) {
            writeln!(f, "\n{title}")?;
            lines.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        }
        write!(f, "\n{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_libtest_prints() {
        let mut tally = Tally::default();
        let printed = "\
running 4 tests
test id::a ... ok
test id::b ... FAILED
test id::c ... ignored, needs a TPM
test src/lib.rs - x (line 3) ... ignored
test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.01s
test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        printed.lines().for_each(|line| tally.line(line));
        tally.step("fmt", None::<&str>, Duration::ZERO);
        tally.step("clippy", Some("exit status: 101"), Duration::ZERO);
        let shown = tally.to_string();
        assert!(shown.ends_with("\n16 passed, 2 failed, 2 skipped"), "{shown}");
        assert!(shown.contains("id::c: needs a TPM") && shown.contains("id::b") && shown.contains("clippy: exit"));
    }
}
