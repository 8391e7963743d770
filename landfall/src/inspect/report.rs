//! What was found out about a file, for people and for programs.

use landfall_pki::lint;
use landfall_types::Refusal;
use serde::Serialize;
use std::fmt;

/// What one artefact is.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Report {
    /// In words: `a pledge's voucher request in CMS`.
    pub(crate) what: String,
    /// How it was wrapped, outermost first: `PEM`, `base64`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) wrapped: Vec<String>,
    /// What it says.
    pub(crate) fields: Vec<Field>,
    /// Whether it leads to an anchor, if anchors were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trust: Option<Trust>,
    /// What is worth knowing or wrong.
    pub(crate) findings: Vec<Finding>,
    /// What stands inside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<Part>,
}

/// One thing that it says.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// An artefact inside another.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Part {
    /// Its place: `signer`, `prior-signed-voucher-request`.
    pub(crate) name: String,
    pub(crate) report: Report,
}

/// Whether the anchors that were given are where it leads.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub(crate) enum Trust {
    /// It leads to this one.
    Trusted { anchor: String },
    /// It does not.
    Refused { refusal: Refusal },
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Worth knowing.
    Notice,
    /// Against advice.
    Warning,
    /// Against a rule.
    Error,
}

/// One finding.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// The check's name.
    pub(crate) check: String,
    /// Where the rule stands.
    pub(crate) section: String,
    /// What was found.
    pub(crate) detail: String,
}

impl Report {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
    }

    pub(crate) fn field(&mut self, name: impl Into<String>, value: impl fmt::Display) {
        self.fields.push(Field { name: name.into(), value: printable(&value.to_string()) });
    }

    pub(crate) fn maybe(&mut self, name: &str, value: Option<impl fmt::Display>) {
        if let Some(value) = value {
            self.field(name, value);
        }
    }

    pub(crate) fn part(&mut self, name: impl Into<String>, report: Self) {
        self.parts.push(Part { name: name.into(), report });
    }

    pub(crate) fn find(&mut self, severity: Severity, check: &str, section: &str, detail: impl Into<String>) {
        let (check, section, detail) = (check.into(), section.into(), printable(&detail.into()));
        self.findings.push(Finding { severity, check, section, detail });
    }

    pub(crate) fn refuse(&mut self, refusal: &Refusal) {
        self.find(Severity::Error, &refusal.check, &refusal.section, refusal.detail.clone());
    }

    pub(crate) fn lints(&mut self, findings: Vec<lint::Finding>) {
        for finding in findings {
            let severity = match finding.severity {
                lint::Severity::Notice => Severity::Notice,
                lint::Severity::Warning => Severity::Warning,
                lint::Severity::Error => Severity::Error,
            };
            self.find(severity, finding.lint, finding.source, finding.detail);
        }
    }

    /// Whether nothing in it, at any depth, is against a rule or not trusted.
    pub(crate) fn is_right(&self) -> bool {
        !matches!(self.trust, Some(Trust::Refused { .. }))
            && self.findings.iter().all(|finding| finding.severity < Severity::Error)
            && self.parts.iter().all(|part| part.report.is_right())
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
        let pad = " ".repeat(indent);
        write!(f, "{}", self.what)?;
        match self.wrapped.is_empty() {
            true => writeln!(f)?,
            false => writeln!(f, " ({})", self.wrapped.join(", "))?,
        }
        let width = self.fields.iter().map(|field| field.name.len()).max().unwrap_or(0);
        for Field { name, value } in &self.fields {
            let value = value.replace('\n', &format!("\n{pad}  {:width$}  ", ""));
            writeln!(f, "{pad}  {name:width$}  {value}")?;
        }
        match &self.trust {
            Some(Trust::Trusted { anchor }) => writeln!(f, "{pad}  trusted: it leads to {anchor}")?,
            Some(Trust::Refused { refusal }) => writeln!(f, "{pad}  NOT trusted: {refusal}")?,
            None => {}
        }
        for Finding { severity, check, section, detail } in &self.findings {
            let severity = match severity {
                Severity::Notice => "note",
                Severity::Warning => "warning",
                Severity::Error => "ERROR",
            };
            writeln!(f, "{pad}  {severity}: {detail} ({check}, {section})")?;
        }
        for Part { name, report } in &self.parts {
            write!(f, "{pad}  {name}: ")?;
            report.write(f, indent + 2)?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

/// What a stranger wrote, without what could drive the terminal.
fn printable(text: &str) -> String {
    let safe = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
    text.chars().map(safe).collect()
}
