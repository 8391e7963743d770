//! Typed ids. Each is checked when made, so a value of the type is a valid id.

use serde::{Deserialize, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// The text is not a valid id of that kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {why}")]
pub struct InvalidId {
    kind: &'static str,
    why: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                let check: fn(&str) -> Result<(), &'static str> = $check;
                check(&text).map_err(|why| InvalidId { kind: stringify!($name), why })?;
                Ok(Self(text))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Printable, without control characters, of at most `max` bytes.
fn plain(text: &str, max: usize) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.len() > max {
        return Err("it is too long");
    }
    if text.chars().any(char::is_control) {
        return Err("it holds a control character");
    }
    Ok(())
}

text_id!(
    /// A device's serial number: the subject serialNumber (2.5.4.5) of its IDevID, never the certificate's serial
    /// (RFC 8995 s2.3.1). At most 64 characters (X.520 ub-serial-number).
    SerialNumber,
    |text| plain(text, 64)
);
text_id!(
    /// A manufacturer as the operator names it; trust hangs on its anchors, never on this name.
    VendorId,
    |text| plain(text, 64)
);
text_id!(
    /// A device model as the manufacturer names it.
    Model,
    |text| plain(text, 64)
);
text_id!(
    /// Who owns a device: a customer of the manufacturer, or a tenant.
    OwnerId,
    |text| plain(text, 128)
);
text_id!(
    /// Where a private key lives: `software:…`, `tpm:…`, `pkcs11:…`. It never holds the key.
    KeyUri,
    |text| {
        plain(text, 512)?;
        text.split_once(':').filter(|(scheme, _)| !scheme.is_empty()).map(|_| ()).ok_or("it has no scheme")
    }
);
text_id!(
    /// One exchange between two parties, for the log and the trace.
    ExchangeId,
    |text| plain(text, 64)
);
text_id!(
    /// A device in our records: its manufacturer's issuing-key id and its serial number, joined, so that two
    /// manufacturers may use one serial number (RFC 8366 s5.3 idevid-issuer).
    DeviceId,
    |text| plain(text, 192)
);

impl OwnerId {
    /// The owner of a service that is its own only customer, and needs no name to be told from others.
    pub fn home() -> Self {
        Self("home".into())
    }
}

impl DeviceId {
    /// The device with `serial` whose IDevID was issued by the key with that key identifier.
    pub fn new(issuer_key_id: &[u8], serial: &SerialNumber) -> Self {
        let issuer = issuer_key_id.get(..issuer_key_id.len().min(20)).unwrap_or_default();
        Self(format!("{}.{serial}", hex::encode(issuer)))
    }
}

/// A SHA-256 digest that names a certificate or a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// What `with` makes of it in lower-case hexadecimal.
    fn written<T>(&self, with: impl FnOnce(&str) -> T) -> T {
        let mut digits = [0; 64];
        // It has room for just these, and they are ASCII.
        let written = hex::encode_to_slice(self.0, &mut digits).is_ok();
        with(std::str::from_utf8(&digits).ok().filter(|_| written).unwrap_or_default())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written(|digits| f.write_str(digits))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written(|digits| serializer.serialize_str(digits))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> String {
        fingerprint.to_string()
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        let mut digest = [0; 32];
        hex::decode_to_slice(&text, &mut digest)
            .map_err(|_| InvalidId { kind: "Fingerprint", why: "it is not 64 hexadecimal digits" })?;
        Ok(Self(digest))
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::try_from(text.to_owned())
    }
}

/// A domain in MASA audit logs: the subject key identifier of the pinned domain certificate, or the SHA-256 of its
/// public key info where it has none (RFC 8995 s5.8.2). Written in base64.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainId(pub Vec<u8>);

impl fmt::Display for DomainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use base64::{Engine, engine::general_purpose::STANDARD};
        f.write_str(&STANDARD.encode(&self.0))
    }
}

impl From<DomainId> for String {
    fn from(domain: DomainId) -> String {
        domain.to_string()
    }
}

impl TryFrom<String> for DomainId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        STANDARD.decode(text).map(Self).map_err(|_| InvalidId { kind: "DomainId", why: "it is not base64" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked_when_made() {
        assert!("JADA123456789".parse::<SerialNumber>().is_ok());
        assert!("".parse::<SerialNumber>().is_err());
        assert!("a\nb".parse::<SerialNumber>().is_err());
        assert!("x".repeat(65).parse::<SerialNumber>().is_err());
        assert!("no-scheme".parse::<KeyUri>().is_err());
        assert!(serde_json::from_str::<SerialNumber>("\"\"").is_err());
    }

    #[test]
    fn one_serial_of_two_manufacturers_is_two_devices() {
        let serial: SerialNumber = "1".parse().unwrap();
        assert_ne!(DeviceId::new(&[1; 20], &serial), DeviceId::new(&[2; 20], &serial));
    }
}
