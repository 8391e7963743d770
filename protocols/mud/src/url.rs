//! Where a MUD file is.

use crate::bounds;
use std::{fmt, str::FromStr};

/// A MUD URL: https, with a host, and nothing that hides where it leads. It names the kind of a device too, so two of them are
/// the same only if they are so letter by letter (RFC 8520 s4.4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MudUrl {
    text: String,
    /// Where the authority stands.
    authority: (usize, usize),
}

/// The text is no MUD URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAMudUrl {
    why: &'static str,
}

impl std::error::Error for NotAMudUrl {}

impl fmt::Display for NotAMudUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no MUD URL: {}", self.why)
    }
}

const SCHEME: &str = "https://";

impl FromStr for MudUrl {
    type Err = NotAMudUrl;
    fn from_str(text: &str) -> Result<Self, NotAMudUrl> {
        let no = |why| Err(NotAMudUrl { why });
        if text.len() > bounds::URL {
            return no("it is too long");
        }
        // RFC 3986 s2: everything else is percent-encoded.
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
            return no("it has characters that a URL does not have");
        }
        // RFC 8520 s6: https and nothing else. RFC 3986 s3.1: a scheme is written small or large.
        let Some((scheme, rest)) = text.split_at_checked(SCHEME.len()) else { return no("it is not https") };
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return no("it is not https");
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // RFC 9110 s4.2.4: who follows a reference from elsewhere treats a user in it as an error.
        if authority.contains('@') {
            return no("it names a user");
        }
        // RFC 9110 s4.2.5: a fragment is not sent.
        if rest.contains('#') {
            return no("it has a fragment");
        }
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => (address, port),
            Some(_) => return no("its host is no address"),
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_name) || host.len() > 253 {
            return no("it has no host");
        }
        if !(port.is_empty()
            || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0)))
        {
            return no("its port is none");
        }
        let authority = (SCHEME.len(), SCHEME.len() + authority.len());
        Ok(Self { text: text.to_owned(), authority })
    }
}

impl MudUrl {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its authority in small letters: devices whose URLs have the same are of the same manufacturer (RFC 8520 s4.2).
    pub fn authority(&self) -> String {
        let (start, end) = self.authority;
        self.text.get(start..end).unwrap_or_default().to_ascii_lowercase()
    }

    /// What is asked for at that authority: path and query.
    pub fn path(&self) -> String {
        match self.text.get(self.authority.1..) {
            Some(rest) if rest.starts_with('/') => rest.to_owned(),
            rest => format!("/{}", rest.unwrap_or_default()),
        }
    }

    /// Whether both stand in the same place, and differ in what follows the last slash only: such a one may take the place of the
    /// other without new trust (draft-ietf-iotops-mud-acceptable-urls s4).
    pub fn is_beside(&self, other: &Self) -> bool {
        let place = |url: &Self| {
            let path = url.text.split('?').next().unwrap_or_default().to_owned();
            let end = path.rfind('/').filter(|end| *end >= url.authority.1)?;
            path.get(url.authority.1..=end).map(|folder| (url.authority(), folder.to_owned()))
        };
        place(self).is_some_and(|here| place(other) == Some(here))
    }

    /// Where a reference in what was found there leads (RFC 3986 s5.2): absolute, or on the same host.
    ///
    /// # Errors
    /// If that is no MUD URL, as one of http is none.
    pub fn join(&self, reference: &str) -> Result<Self, NotAMudUrl> {
        let origin = self.text.get(..self.authority.1).unwrap_or_default();
        match reference {
            _ if reference.starts_with("//") => format!("https:{reference}").parse(),
            _ if reference.starts_with('/') => format!("{origin}{reference}").parse(),
            _ if reference.split(['/', '?']).next().is_some_and(|first| first.contains(':')) => reference.parse(),
            _ => {
                let path = self.path();
                let path = path.split('?').next().unwrap_or_default();
                let folder = path.rfind('/').and_then(|end| path.get(..=end)).unwrap_or("/");
                format!("{origin}{folder}{reference}").parse()
            }
        }
    }

    /// Where the signature is of a file that does not say it: beside it, with another ending.
    pub fn signature(&self) -> Result<Self, NotAMudUrl> {
        format!("{}.p7s", self.text.strip_suffix(".json").unwrap_or(&self.text)).parse()
    }
}

impl fmt::Display for MudUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_https_with_a_host_and_nothing_hidden() {
        for good in ["https://lamp.example/x.json", "HTTPS://Lamp.Example:8443", "https://[2001:db8::1]:1/a?b=c%20d"] {
            good.parse::<MudUrl>().unwrap();
        }
        for wrong in [
            "",
            "http://lamp.example/x",
            "https:/lamp.example",
            "https://",
            "https:///x",
            "https://user@lamp.example/",
            "https://lamp.example@evil.example/",
            "https://lamp.example/x#part",
            "https://lamp.example:0/",
            "https://lamp.example:65536/",
            "https://lamp.example:x/",
            "https://la mp.example/",
            "https://lamp.example/\n",
            "https://lämp.example/",
            "https://[::1/",
            "https://[lamp]/",
            "file:///etc/passwd",
        ] {
            wrong.parse::<MudUrl>().expect_err(wrong);
        }
    }

    #[test]
    fn references_lead_where_rfc_3986_says_and_never_to_http() {
        let from: MudUrl = "https://lamp.example:8443/a/b.json?c=d/e".parse().unwrap();
        for (reference, to) in [
            ("https://other.example/x", "https://other.example/x"),
            ("/x", "https://lamp.example:8443/x"),
            ("//other.example/x", "https://other.example/x"),
            ("x.p7s", "https://lamp.example:8443/a/x.p7s"),
        ] {
            assert_eq!(from.join(reference).unwrap().as_str(), to);
        }
        for wrong in ["http://lamp.example/x", "file:///x", "javascript:x", "https://a@b/", "/x y", "/x#y"] {
            from.join(wrong).expect_err(wrong);
        }
        assert_eq!(from.path(), "/a/b.json?c=d/e");
        assert_eq!("https://lamp.example".parse::<MudUrl>().unwrap().path(), "/");
        assert_eq!("https://lamp.example?x".parse::<MudUrl>().unwrap().path(), "/?x");
        let file: MudUrl = "https://lamp.example/lamp.json".parse().unwrap();
        assert_eq!(file.signature().unwrap().as_str(), "https://lamp.example/lamp.p7s");
    }

    #[test]
    fn beside_is_in_the_same_folder_of_the_same_host() {
        let beside = |a: &str, b: &str| a.parse::<MudUrl>().unwrap().is_beside(&b.parse().unwrap());
        assert!(beside("https://lamp.example/a/1.json", "https://LAMP.example/a/2.json?x=/y"));
        for (a, b) in [
            ("https://lamp.example/a/1.json", "https://lamp.example/b/1.json"),
            ("https://lamp.example/a/1.json", "https://lamp.example/a/b/1.json"),
            ("https://lamp.example/a/1.json", "https://lamp.example:444/a/1.json"),
            ("https://lamp.example", "https://lamp.example"),
            ("https://lamp.example/1", "https://evil.example/1"),
        ] {
            assert!(!beside(a, b), "{a} {b}");
        }
    }

    #[test]
    fn the_authority_is_what_devices_of_a_manufacturer_share() {
        let authority = |text: &str| text.parse::<MudUrl>().unwrap().authority();
        assert_eq!(authority("https://Lamp.Example:8443/x"), "lamp.example:8443");
        assert_eq!(authority("https://lamp.example?x"), "lamp.example");
    }
}
