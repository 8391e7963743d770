//! Patterns of STIX 2.1 (s9), as far as they name addresses and names.
//!
//! ```text
//! [ipv4-addr:value = '198.51.100.1' OR ipv4-addr:value ISSUBSET '203.0.113.0/24'] OR [domain-name:value IN ('a.example', 'b.example')]
//! [network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '198.51.100.1']
//! ```
//!
//! Anything more is left out as a whole. A pattern that demands two things at once means less than each of them; to take one
//! would deny more than its author meant.

use super::Entry;
use crate::bounds;

/// What a pattern denies.
///
/// # Errors
/// If it says more than addresses and names, joined by OR.
pub fn entries(pattern: &str) -> Result<Vec<Entry>, &'static str> {
    if pattern.len() > bounds::PATTERN {
        return Err("its pattern is too long");
    }
    let mut reader = Reader { rest: pattern };
    let mut all = Vec::new();
    loop {
        reader.take("[")?;
        reader.comparisons(&mut all)?;
        reader.take("]")?;
        match reader.word() {
            None if reader.rest.is_empty() => break,
            Some("OR") => {}
            _ => return Err("its pattern joins observations by more than OR"),
        }
    }
    if all.is_empty() { Err("its pattern names no address or name") } else { Ok(all) }
}

struct Reader<'a> {
    rest: &'a str,
}

const NOT_UNDERSTOOD: &str = "its pattern is about more than addresses and names";
const BROKEN: &str = "its pattern is broken";

impl<'a> Reader<'a> {
    fn comparisons(&mut self, all: &mut Vec<Entry>) -> Result<(), &'static str> {
        loop {
            // A test of the type of what the next one is about says nothing of its own.
            let kind = self.comparison()?;
            let found = match kind {
                Comparison::Type => {
                    if self.word() != Some("AND") {
                        return Err(NOT_UNDERSTOOD);
                    }
                    match self.comparison()? {
                        Comparison::Entries(found) => found,
                        Comparison::Type => return Err(NOT_UNDERSTOOD),
                    }
                }
                Comparison::Entries(found) => found,
            };
            all.extend(found);
            if all.len() > bounds::COMPARISONS {
                return Err("its pattern is too long");
            }
            self.space();
            if self.rest.starts_with(']') {
                return Ok(());
            }
            if self.word() != Some("OR") {
                return Err(NOT_UNDERSTOOD);
            }
        }
    }

    fn comparison(&mut self) -> Result<Comparison, &'static str> {
        self.space();
        let end = self.rest.find(|c: char| c.is_whitespace() || "=!<>'()[]".contains(c)).unwrap_or(self.rest.len());
        let (path, rest) = self.rest.split_at(end);
        self.rest = rest;
        let is_type = match path {
            "ipv4-addr:value" | "ipv6-addr:value" | "domain-name:value" | "network-traffic:dst_ref.value" => false,
            "network-traffic:dst_ref.type" => true,
            _ => return Err(NOT_UNDERSTOOD),
        };
        self.space();
        let values = if let Some(rest) = self.rest.strip_prefix('=') {
            self.rest = rest.strip_prefix('=').unwrap_or(rest);
            vec![self.text()?]
        } else {
            match self.word() {
                Some("ISSUBSET") => vec![self.text()?],
                Some("IN") => self.set()?,
                _ => return Err(NOT_UNDERSTOOD),
            }
        };
        if is_type {
            let known = |value: &String| matches!(value.as_str(), "ipv4-addr" | "ipv6-addr" | "domain-name");
            return if values.iter().all(known) { Ok(Comparison::Type) } else { Err(NOT_UNDERSTOOD) };
        }
        let is_name = path == "domain-name:value";
        let one = |value: &String| match (value.parse::<Entry>()?, is_name) {
            (entry @ Entry::Name(_), true) | (entry @ Entry::Prefix(..), false) => Ok(entry),
            (entry @ Entry::Name(_), false) if path.starts_with("network") => Ok(entry),
            _ => Err("it is not of the type that its pattern says"),
        };
        values.iter().map(one).collect::<Result<_, _>>().map(Comparison::Entries)
    }

    fn set(&mut self) -> Result<Vec<String>, &'static str> {
        self.take("(")?;
        let mut values = Vec::new();
        loop {
            values.push(self.text()?);
            if values.len() > bounds::COMPARISONS {
                return Err("its pattern is too long");
            }
            self.space();
            match self.rest.strip_prefix(',') {
                Some(rest) => self.rest = rest,
                None => break,
            }
        }
        self.take(")")?;
        Ok(values)
    }

    /// STIX 2.1 s9.2.3: a text in single quotes, in which a backslash stands before a quote or a backslash.
    fn text(&mut self) -> Result<String, &'static str> {
        self.take("'")?;
        let mut text = String::new();
        let mut letters = self.rest.char_indices();
        loop {
            match letters.next() {
                Some((at, '\'')) => {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    return Ok(text);
                }
                Some((_, '\\')) => match letters.next() {
                    Some((_, letter @ ('\'' | '\\'))) => text.push(letter),
                    _ => return Err(BROKEN),
                },
                Some((_, letter)) => text.push(letter),
                None => return Err(BROKEN),
            }
        }
    }

    fn take(&mut self, mark: &str) -> Result<(), &'static str> {
        self.space();
        self.rest = self.rest.strip_prefix(mark).ok_or(BROKEN)?;
        Ok(())
    }

    fn word(&mut self) -> Option<&'a str> {
        self.space();
        let end = self.rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }
}

enum Comparison {
    Type,
    Entries(Vec<Entry>),
}
