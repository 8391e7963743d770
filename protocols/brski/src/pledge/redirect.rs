//! Where a registrar may send a pledge.

use crate::proxy::{Offer, Source};
use landfall_types::http::Response;

/// Longest Location that is followed, in bytes.
const LONGEST: usize = 1024;

/// Where a redirection leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// Another path at the same origin.
    Path(String),
    /// Another origin.
    Origin(Offer, String),
}

/// Reads a redirection that repeats the POST; `None` if the response is none, or leads somewhere other than https.
pub(super) fn read(response: &Response) -> Option<Redirect> {
    // RFC 9110 s15.4: 303 would turn the request into a GET, which no voucher operation is.
    if !matches!(response.status, 301 | 302 | 307 | 308) {
        return None;
    }
    let location = response.headers.first("location").filter(|location| location.len() <= LONGEST)?;
    if location.starts_with('/') && !location.starts_with("//") {
        return path(location).map(Redirect::Path);
    }
    let (authority, rest) = match location.strip_prefix("https://")? {
        rest if rest.contains('/') => rest.split_at(rest.find('/')?),
        authority => (authority, crate::paths::REQUEST_VOUCHER),
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok().filter(|port| *port != 0)?),
        _ => (authority, 443),
    };
    let address = host.parse().ok()?;
    let offer = Offer { name: host.into(), address, port, source: Source::Redirect, ttl: None };
    path(rest).map(|path| Redirect::Origin(offer, path))
}

fn path(text: &str) -> Option<String> {
    text.bytes().all(|b| b.is_ascii_graphic() && !b"#\"<>\\".contains(&b)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redirect(location: &str) -> Option<Redirect> {
        read(&Response::new(307).header("location", location))
    }

    fn origin(location: &str) -> (String, String) {
        match redirect(location) {
            Some(Redirect::Origin(offer, path)) => (offer.to_string(), path),
            other => panic!("{location}: {other:?}"),
        }
    }

    #[test]
    fn locations() {
        assert_eq!(redirect("/elsewhere"), Some(Redirect::Path("/elsewhere".into())));
        assert_eq!(origin("https://r.example/x/y"), ("r.example:443".into(), "/x/y".into()));
        assert_eq!(origin("https://r.example:8443"), ("r.example:8443".into(), crate::paths::REQUEST_VOUCHER.into()));
        assert_eq!(origin("https://[2001:db8::1]:8443/x").0, "[2001:db8::1]:8443");
        assert_eq!(origin("https://[2001:db8::1]/x").0, "[2001:db8::1]:443");
        for bad in [
            "http://r.example/",
            "//r.example/",
            "x",
            "",
            "https://",
            "https://a b/",
            "https://r.example:0/",
            "https://u@r.example/",
            "/a b",
            "/a\r\nb",
            "https://r.example:99999/",
        ] {
            assert_eq!(redirect(bad), None, "{bad:?}");
        }
        assert_eq!(redirect(&format!("/{}", "x".repeat(LONGEST))), None);
        assert_eq!(read(&Response::new(303).header("location", "/x")), None);
        assert_eq!(read(&Response::new(200).header("location", "/x")), None);
    }

    proptest! {
        #[test]
        fn any_location_is_read_without_panic(location in ".{0,80}") {
            let _ = redirect(&location);
            let _ = redirect(&format!("https://{location}"));
        }
    }
}
