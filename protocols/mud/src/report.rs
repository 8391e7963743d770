//! What a file has that it should not have, and the other way round.

use crate::bounds;
use std::fmt;

/// What a finding means for what is made of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Against the specification, and its meaning is in doubt: what it stands in is left out.
    Wrong,
    /// Against the specification, but its meaning is beyond doubt: it is taken so.
    Mended,
    /// As the specification has it, but nothing here can hold a packet against it: the entry is left out.
    Unsupported,
    /// Worth knowing; nothing is left out.
    Note,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it means.
    pub kind: Kind,
    /// Where: a JSON pointer (RFC 6901).
    pub path: String,
    /// Where the specification says how it should be: `RFC 8520 s3.5`.
    pub section: &'static str,
    /// What was found, in plain words.
    pub detail: String,
}

/// Everything that was found in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    findings: Vec<Finding>,
    counts: [usize; 4],
}

impl Report {
    /// The findings in the order of the file; of very many only the first are here.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many there are of one kind, told or not.
    pub const fn count(&self, kind: Kind) -> usize {
        let [wrong, mended, unsupported, note] = self.counts;
        match kind {
            Kind::Wrong => wrong,
            Kind::Mended => mended,
            Kind::Unsupported => unsupported,
            Kind::Note => note,
        }
    }

    /// Whether the file is as the specification wants it.
    pub const fn conforms(&self) -> bool {
        self.count(Kind::Wrong) == 0 && self.count(Kind::Mended) == 0
    }

    /// How often something had to be left out.
    pub(crate) const fn left_out(&self) -> usize {
        self.count(Kind::Wrong) + self.count(Kind::Unsupported)
    }

    pub(crate) fn add(&mut self, kind: Kind, at: &At<'_>, section: &'static str, detail: impl Into<String>) {
        let [wrong, mended, unsupported, note] = &mut self.counts;
        *match kind {
            Kind::Wrong => wrong,
            Kind::Mended => mended,
            Kind::Unsupported => unsupported,
            Kind::Note => note,
        } += 1;
        if self.findings.len() < bounds::FINDINGS {
            self.findings.push(Finding { kind, path: at.to_string(), section, detail: detail.into() });
        }
    }

    pub(crate) fn wrong(&mut self, at: &At<'_>, section: &'static str, detail: impl Into<String>) {
        self.add(Kind::Wrong, at, section, detail);
    }

    pub(crate) fn mended(&mut self, at: &At<'_>, section: &'static str, detail: impl Into<String>) {
        self.add(Kind::Mended, at, section, detail);
    }

    pub(crate) fn unsupported(&mut self, at: &At<'_>, section: &'static str, detail: impl Into<String>) {
        self.add(Kind::Unsupported, at, section, detail);
    }

    pub(crate) fn note(&mut self, at: &At<'_>, section: &'static str, detail: impl Into<String>) {
        self.add(Kind::Note, at, section, detail);
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wrong => "wrong",
            Self::Mended => "mended",
            Self::Unsupported => "unsupported",
            Self::Note => "note",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {} [{}]", self.kind, self.path, self.detail, self.section)
    }
}

/// A place in a file, written out only where there is something to say of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    above: Option<&'a At<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

impl<'a> At<'a> {
    /// A member of the file itself.
    pub(crate) const fn top(name: &'a str) -> Self {
        Self { above: None, step: Step::Name(name) }
    }

    /// A member of what is here.
    pub(crate) const fn name(&'a self, name: &'a str) -> Self {
        Self { above: Some(self), step: Step::Name(name) }
    }

    /// An element of what is here.
    pub(crate) const fn index(&'a self, index: usize) -> Self {
        Self { above: Some(self), step: Step::Index(index) }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            above.fmt(f)?;
        }
        match self.step {
            // RFC 6901 s3: `~` and `/` in a name are escaped.
            Step::Name(name) => {
                let name: String = name.chars().take(80).collect();
                write!(f, "/{}", name.replace('~', "~0").replace('/', "~1"))
            }
            Step::Index(index) => write!(f, "/{index}"),
        }
    }
}
