//! Names of products in the National Vulnerability Database: CPE 2.3 formatted strings, and the URIs of CPE 2.2 (NIST IR 7695).

use std::str::FromStr;

/// A product's name. A part that may be anything is None.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpe {
    /// `a` for applications, `o` for operating systems, `h` for hardware.
    pub part: char,
    /// Who makes it.
    pub vendor: Option<String>,
    /// What it is.
    pub product: String,
    /// Its version.
    pub version: Option<String>,
}

/// The text is no CPE name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACpe;

impl std::error::Error for NotACpe {}

impl std::fmt::Display for NotACpe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no CPE name")
    }
}

impl FromStr for Cpe {
    type Err = NotACpe;
    fn from_str(text: &str) -> Result<Self, NotACpe> {
        if text.len() > crate::bounds::TEXT {
            return Err(NotACpe);
        }
        let body = match text.strip_prefix("cpe:2.3:") {
            // NIST IR 7695 s6.2: eleven parts.
            Some(body) if parts(body).count() == 11 => body,
            Some(_) => return Err(NotACpe),
            None => text.strip_prefix("cpe:/").ok_or(NotACpe)?,
        };
        let mut parts = parts(body);
        let mut next = || parts.next().unwrap_or_default();
        let (part, vendor, product, version) = (next(), next(), next(), next());
        let mut letters = part.chars();
        match (letters.next(), letters.next()) {
            (Some(part @ ('a' | 'o' | 'h')), None) => Ok(Self {
                part,
                vendor: said(&vendor),
                product: said(&product).ok_or(NotACpe)?,
                version: said(&version),
            }),
            _ => Err(NotACpe),
        }
    }
}

impl Cpe {
    /// Whether both may be the same product.
    pub fn may_be(&self, other: &Self) -> bool {
        self.part == other.part
            && self.product == other.product
            && (self.vendor.is_none() || other.vendor.is_none() || self.vendor == other.vendor)
    }
}

/// Split at colons that no backslash stands before, without the backslashes, in small letters.
fn parts(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut rest = Some(text.chars());
    std::iter::from_fn(move || {
        let letters = rest.as_mut()?;
        let mut part = String::new();
        loop {
            match letters.next() {
                None => {
                    rest = None;
                    return Some(part);
                }
                Some(':') => return Some(part),
                Some('\\') => part.extend(letters.next()),
                Some(letter) => part.push(letter.to_ascii_lowercase()),
            }
        }
    })
}

/// NIST IR 7695 s6.2.2: an asterisk is anything, a hyphen is nothing, which no component is kept apart by.
fn said(part: &str) -> Option<String> {
    (!matches!(part, "" | "*" | "-")).then(|| part.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_both_forms_are_read() {
        let cpe: Cpe = r"cpe:2.3:a:Microsoft:internet_explorer:8.0.6001:beta:*:*:*:*:*:*".parse().unwrap();
        assert_eq!((cpe.part, cpe.vendor.as_deref(), &*cpe.product), ('a', Some("microsoft"), "internet_explorer"));
        assert_eq!(cpe.version.as_deref(), Some("8.0.6001"));
        let old: Cpe = "cpe:/a:microsoft:internet_explorer:8.0.6001".parse().unwrap();
        assert_eq!(old, cpe);
        let escaped: Cpe = r"cpe:2.3:a:*:foo\:bar:-:*:*:*:*:*:*:*".parse().unwrap();
        assert_eq!((escaped.vendor, &*escaped.product, escaped.version), (None, "foo:bar", None));
        for wrong in
            ["", "cpe:2.3:a:x:y:1", "cpe:2.3:x:x:y:1:*:*:*:*:*:*:*", "cpe:2.3:a:x:*:1:*:*:*:*:*:*:*", "cpe:/", "urn:x"]
        {
            wrong.parse::<Cpe>().expect_err(wrong);
        }
    }
}
