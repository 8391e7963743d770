//! Which of two versions is the earlier, by the rules of those who gave them.

mod debian;
mod generic;
mod pep440;
mod semver;

use std::cmp::Ordering;

/// Whose rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Semantic versioning 2.0.0 s11; a leading `v` and missing parts are taken as meant.
    Semver,
    /// Debian Policy s5.6.12, and those who took it over.
    Debian,
    /// Python's PEP 440.
    Pep440,
    /// Numbers and words from left to right, as RPM and most others do.
    Generic,
    /// Commits, which have no order.
    Unordered,
}

impl Scheme {
    /// Whose rules the versions of an ecosystem follow, by its name in the OSV schema without the release.
    pub fn of(ecosystem: &str) -> Self {
        match ecosystem {
            "crates.io" | "npm" | "Go" | "Hex" | "Pub" | "SwiftURL" => Self::Semver,
            "Debian" | "Ubuntu" => Self::Debian,
            "PyPI" => Self::Pep440,
            _ => Self::Generic,
        }
    }

    /// How `a` stands to `b`; None if that cannot be told.
    pub fn compare(self, a: &str, b: &str) -> Option<Ordering> {
        if a == b {
            return Some(Ordering::Equal);
        }
        match self {
            Self::Semver => semver::compare(a, b),
            Self::Debian => debian::compare(a, b),
            Self::Pep440 => pep440::compare(a, b),
            Self::Generic => generic::compare(a, b),
            Self::Unordered => None,
        }
    }
}

/// Numbers of any length as texts of digits.
fn compare_digits(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// What stands at the start as long as `holds`, and what follows.
fn span(text: &str, holds: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|letter| !holds(letter)).unwrap_or(text.len()))
}
