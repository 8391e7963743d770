//! Package URLs (ECMA-427): what a component is called, and where it is from.

use std::{fmt, str::FromStr};

/// A package URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Purl {
    /// The kind of package: `deb`, `pypi`, `npm`, `generic`.
    pub kind: String,
    /// What the name stands within, or empty: `debian`, `@angular`, `org.apache.logging.log4j`.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// What else tells it from others, by name: `distro`, `arch`, `upstream`.
    pub qualifiers: Vec<(String, String)>,
}

/// The text is no package URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAPurl(&'static str);

impl std::error::Error for NotAPurl {}

impl fmt::Display for NotAPurl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no package URL: {}", self.0)
    }
}

impl FromStr for Purl {
    type Err = NotAPurl;

    /// ECMA-427 s5.6: taken apart from the right.
    fn from_str(text: &str) -> Result<Self, NotAPurl> {
        if text.len() > crate::bounds::TEXT {
            return Err(NotAPurl("it is too long"));
        }
        let rest = text.split_once('#').map_or(text, |(rest, _subpath)| rest);
        let (rest, qualifiers) = rest.split_once('?').unwrap_or((rest, ""));
        let (scheme, rest) = rest.split_once(':').ok_or(NotAPurl("it has no scheme"))?;
        if !scheme.eq_ignore_ascii_case("pkg") {
            return Err(NotAPurl("its scheme is not pkg"));
        }
        let (kind, rest) = rest.trim_matches('/').split_once('/').ok_or(NotAPurl("it has no name"))?;
        let kind = kind.to_ascii_lowercase();
        if !kind.starts_with(|c: char| c.is_ascii_alphabetic())
            || !kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(&byte))
        {
            return Err(NotAPurl("its type is none"));
        }
        let (path, version) = match rest.rsplit_once('@') {
            // An at sign that begins a part of the path is npm's mark of a scope, written without escapes.
            Some((path, version)) if !path.is_empty() && !path.ends_with('/') && !version.contains('/') => {
                (path, Some(decoded(version)?))
            }
            _ => (rest, None),
        };
        let parts: Vec<String> =
            path.split('/').filter(|part| !part.is_empty()).map(decoded).collect::<Result<_, _>>()?;
        let (name, namespace) = parts.split_last().ok_or(NotAPurl("it has no name"))?;
        let mut purl = Self {
            namespace: namespace.join("/"),
            name: name.clone(),
            version: version.filter(|version| !version.is_empty()),
            qualifiers: Vec::new(),
            kind,
        };
        for pair in qualifiers.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(NotAPurl("a qualifier has no value"))?;
            if !value.is_empty() {
                purl.qualifiers.push((name.to_ascii_lowercase(), decoded(value)?));
            }
        }
        purl.qualifiers.sort();
        purl.normalise();
        Ok(purl)
    }
}

impl Purl {
    /// The value of that qualifier.
    pub fn qualifier(&self, name: &str) -> Option<&str> {
        self.qualifiers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Whether a statement about this concerns `other`: what is not said here may be anything there.
    pub fn covers(&self, other: &Self) -> bool {
        self.same_package(other)
            && (self.version.is_none() || self.version == other.version)
            && self.qualifiers.iter().all(|qualifier| other.qualifiers.contains(qualifier))
    }

    /// Whether it is the same package, in whatever version.
    pub fn same_package(&self, other: &Self) -> bool {
        (&self.kind, &self.namespace, &self.name) == (&other.kind, &other.namespace, &other.name)
    }

    /// ECMA-427's definitions of types: where letters' size does not matter, it is small.
    fn normalise(&mut self) {
        match self.kind.as_str() {
            "pypi" => {
                let dashed = self.name.to_ascii_lowercase().replace(['_', '.'], "-");
                // PEP 503: runs of them are one.
                self.name = dashed.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
            }
            "deb" | "apk" | "rpm" | "github" | "bitbucket" | "composer" | "golang" | "hex" | "nuget" => {
                self.namespace.make_ascii_lowercase();
                if self.kind != "rpm" {
                    self.name.make_ascii_lowercase();
                }
            }
            _ => {}
        }
    }
}

impl fmt::Display for Purl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pkg:{}/", self.kind)?;
        for part in self.namespace.split('/').filter(|part| !part.is_empty()) {
            write!(f, "{}/", Encoded(part))?;
        }
        write!(f, "{}", Encoded(&self.name))?;
        if let Some(version) = &self.version {
            write!(f, "@{}", Encoded(version))?;
        }
        for (index, (name, value)) in self.qualifiers.iter().enumerate() {
            write!(f, "{}{name}={}", if index == 0 { '?' } else { '&' }, Encoded(value))?;
        }
        Ok(())
    }
}

struct Encoded<'a>(&'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                    write!(f, "{}", char::from(byte))?;
                }
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

fn decoded(text: &str) -> Result<String, NotAPurl> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or(NotAPurl("an escape is cut off"))?;
        let digits = std::str::from_utf8(digits).map_err(|_| NotAPurl("an escape is not hexadecimal"))?;
        let digit = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let value = u8::from_str_radix(digits, 16).ok().filter(|_| digit(digits));
        bytes.push(value.ok_or(NotAPurl("an escape is not hexadecimal"))?);
        rest = after;
    }
    let text = String::from_utf8(bytes).map_err(|_| NotAPurl("it is not UTF-8"))?;
    if text.chars().any(char::is_control) { Err(NotAPurl("it has a control character")) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purl(text: &str) -> Purl {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_taken_apart_and_put_together() {
        for (text, kind, namespace, name, version) in [
            ("pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=jessie", "deb", "debian", "curl", Some("7.50.3-1")),
            ("pkg:npm/%40angular/animation@12.3.1", "npm", "@angular", "animation", Some("12.3.1")),
            ("pkg:npm/@angular/animation@12.3.1", "npm", "@angular", "animation", Some("12.3.1")),
            ("pkg:npm/@angular/animation", "npm", "@angular", "animation", None),
            ("pkg:golang/google.golang.org/genproto#googleapis/api", "golang", "google.golang.org", "genproto", None),
            ("PKG://PyPI/Django_Allauth@12.23", "pypi", "", "django-allauth", Some("12.23")),
            ("pkg:deb/debian/dpkg@1%3A1.19.0", "deb", "debian", "dpkg", Some("1:1.19.0")),
        ] {
            let found = purl(text);
            let parts = (&*found.kind, &*found.namespace, &*found.name, found.version.as_deref());
            assert_eq!(parts, (kind, namespace, name, version), "{text}");
            assert_eq!(purl(&found.to_string()), found, "{text}");
        }
        for wrong in [
            "",
            "pkg:",
            "pkg:deb",
            "pkg:deb/",
            "deb/debian/curl",
            "http://x/y",
            "pkg:de%62/x/y",
            "pkg:deb/%zz",
            "pkg:deb/%4",
            "pkg:deb/%00",
            "pkg:deb/x?y",
        ] {
            wrong.parse::<Purl>().expect_err(wrong);
        }
    }

    #[test]
    fn what_a_statement_leaves_open_may_be_anything() {
        let component = purl("pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=jessie");
        for covers in ["pkg:deb/debian/curl", "pkg:deb/debian/curl@7.50.3-1", "pkg:deb/debian/curl?arch=i386"] {
            assert!(purl(covers).covers(&component), "{covers}");
        }
        for other in [
            "pkg:deb/debian/curl@7.50.3-2",
            "pkg:deb/ubuntu/curl",
            "pkg:deb/debian/curl?arch=amd64",
            "pkg:deb/debian/curl7",
        ] {
            assert!(!purl(other).covers(&component), "{other}");
        }
    }
}
