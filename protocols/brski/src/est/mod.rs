//! EST (RFC 7030, clarified by RFC 8951): both sides.
//!
//! [`client`] makes requests and reads responses; [`server`] is the machine that answers them. What both share stands
//! in [`body`], [`csrattrs`], [`binding`] and [`multipart`].

pub mod binding;
pub mod body;
pub mod client;
pub mod csrattrs;
pub mod multipart;
pub mod server;

use crate::paths;
use landfall_types::http::Method;
use serde::{Deserialize, Serialize};

/// What can be asked of an EST server (RFC 7030 s3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// The CA certificates (s4.1).
    CaCerts,
    /// What a request should hold (s4.5).
    CsrAttrs,
    /// A first certificate (s4.2.1).
    SimpleEnroll,
    /// A new certificate for the old one (s4.2.2).
    SimpleReenroll,
    /// A certificate, and the key for it (s4.4).
    ServerKeyGen,
    /// Full CMC (s4.3), which is not offered.
    FullCmc,
}

impl Operation {
    /// Its last path segment.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CaCerts => "cacerts",
            Self::CsrAttrs => "csrattrs",
            Self::SimpleEnroll => "simpleenroll",
            Self::SimpleReenroll => "simplereenroll",
            Self::ServerKeyGen => "serverkeygen",
            Self::FullCmc => "fullcmc",
        }
    }

    /// The method that it is asked with.
    pub const fn method(self) -> Method {
        match self {
            Self::CaCerts | Self::CsrAttrs => Method::Get,
            _ => Method::Post,
        }
    }

    /// Its path, below a label if the server has several CAs (RFC 7030 s3.2.2).
    pub fn path(self, label: Option<&str>) -> String {
        match label {
            Some(label) => format!("{}{label}/{}", paths::EST, self.as_str()),
            None => format!("{}{}", paths::EST, self.as_str()),
        }
    }
}

/// The operation and the label that `path` names, or `None` if it names none.
///
/// RFC 7030 s3.2.2: one segment may stand before the operation, and it must not be the name of an operation.
pub fn route(path: &str) -> Option<(Option<&str>, Operation)> {
    let below = path.strip_prefix(paths::EST)?;
    match below.split_once('/') {
        None => Some((None, operation(below)?)),
        Some((label, last)) if !label.is_empty() && operation(label).is_none() => Some((Some(label), operation(last)?)),
        Some(_) => None,
    }
}

fn operation(segment: &str) -> Option<Operation> {
    use Operation::{CaCerts, CsrAttrs, FullCmc, ServerKeyGen, SimpleEnroll, SimpleReenroll};
    [CaCerts, CsrAttrs, SimpleEnroll, SimpleReenroll, ServerKeyGen, FullCmc].into_iter().find(|o| o.as_str() == segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_labels() {
        assert_eq!(route("/.well-known/est/cacerts"), Some((None, Operation::CaCerts)));
        assert_eq!(route("/.well-known/est/sensors/simpleenroll"), Some((Some("sensors"), Operation::SimpleEnroll)));
        assert_eq!(Operation::SimpleEnroll.path(Some("sensors")), "/.well-known/est/sensors/simpleenroll");
        assert_eq!(Operation::CsrAttrs.path(None), paths::CSR_ATTRIBUTES);
        for path in [
            "/",
            "/.well-known/est",
            "/.well-known/est/",
            "/.well-known/est/cacerts/cacerts",
            "/.well-known/est//cacerts",
            "/.well-known/est/a/b/cacerts",
            "/.well-known/est/other",
            "/.well-known/brski/cacerts",
        ] {
            assert_eq!(route(path), None, "{path}");
        }
    }
}
