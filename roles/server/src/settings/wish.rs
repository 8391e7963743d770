//! What a certificate request should hold, in words (RFC 8951 s4).

use landfall_brski::est::csrattrs::{CHALLENGE_PASSWORD, Wish};
use landfall_pki::{Oid, oid};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// One of the CSR attributes: a name such as `serialNumber`, or a dotted object identifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CsrWish {
    text: String,
    wish: Wish,
}

impl CsrWish {
    /// The same for the EST server.
    pub fn wish(&self) -> Wish {
        self.wish.clone()
    }

    /// The device's serial number in the subject, as its IDevID has it.
    pub(super) fn serial_number() -> Self {
        Self { text: "serialNumber".into(), wish: Wish::Oid(oid::SERIAL_NUMBER) }
    }
}

/// The text names no CSR attribute.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "{0:?} is no CSR attribute; write serialNumber, commonName, organizationName, challengePassword, P-256, P-384 or an \
     object identifier such as 2.5.4.5"
)]
pub struct NotAWish(String);

impl FromStr for CsrWish {
    type Err = NotAWish;
    fn from_str(text: &str) -> Result<Self, NotAWish> {
        let wish = match text {
            "serialNumber" => Wish::Oid(oid::SERIAL_NUMBER),
            "commonName" => Wish::Oid(oid::COMMON_NAME),
            "organizationName" => Wish::Oid(oid::ORGANIZATION),
            "challengePassword" => Wish::Oid(CHALLENGE_PASSWORD),
            "P-256" => Wish::curve(oid::P256),
            "P-384" => Wish::curve(oid::P384),
            dotted => Wish::Oid(Oid::new(dotted).map_err(|_| NotAWish(dotted.chars().take(40).collect()))?),
        };
        Ok(Self { text: text.into(), wish })
    }
}

impl TryFrom<String> for CsrWish {
    type Error = NotAWish;
    fn try_from(text: String) -> Result<Self, NotAWish> {
        text.parse()
    }
}

impl From<CsrWish> for String {
    fn from(wish: CsrWish) -> Self {
        wish.text
    }
}

impl fmt::Display for CsrWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_brski::est::csrattrs::CsrAttrs;

    #[test]
    fn names_and_identifiers() {
        let wishes = ["serialNumber", "2.5.4.5", "challengePassword", "P-384"].map(|text| text.parse::<CsrWish>());
        let wishes = CsrAttrs(wishes.into_iter().map(|wish| wish.unwrap().wish()).collect());
        assert!(wishes.names(oid::SERIAL_NUMBER) && wishes.wants_binding());
        assert_eq!(wishes.curve(), Some(oid::P384));
        assert_eq!(CsrAttrs::from_der(&wishes.to_der().unwrap()).unwrap(), wishes);
        assert_eq!("serialNumber".parse::<CsrWish>().unwrap(), CsrWish::serial_number());
        for wrong in ["", "serial-number", "2.5.4.", "P-512"] {
            wrong.parse::<CsrWish>().unwrap_err();
        }
    }
}
