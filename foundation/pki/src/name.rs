//! Names: the distinguished name of a subject or issuer, and the alternative names beside it.

use crate::{asn1, error::PkiError, oid, oid::Oid};
use der::Decode;
use landfall_types::SerialNumber;
use std::{fmt, net::IpAddr};

/// A distinguished name, kept as the DER that it came in: two names are equal when their bytes are.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Name {
    /// The RDNs, joined; without the outer SEQUENCE.
    rdns: Vec<u8>,
}

impl Name {
    /// The empty name.
    pub const fn new() -> Self {
        Self { rdns: Vec::new() }
    }

    /// A name of just a common name.
    pub fn common(name: &str) -> Self {
        Self::new().common_name(name)
    }

    /// From its DER.
    pub fn from_der(der: &[u8]) -> Result<Self, PkiError> {
        x509_cert::name::Name::from_der(der).map_err(|e| PkiError::malformed("name", e))?;
        Ok(Self::of_checked(der))
    }

    /// From DER that was checked before.
    pub(crate) fn of_checked(der: &[u8]) -> Self {
        let rdns = asn1::Reader::inside("name", asn1::SEQUENCE, der).map(|reader| reader.rest().to_vec());
        Self { rdns: rdns.unwrap_or_default() }
    }

    /// Its DER.
    pub fn to_der(&self) -> Vec<u8> {
        asn1::sequence(&[&self.rdns])
    }

    /// Whether it names nothing.
    pub const fn is_empty(&self) -> bool {
        self.rdns.is_empty()
    }

    /// The same with a common name (at most 64 characters, X.520).
    #[must_use]
    pub fn common_name(self, value: &str) -> Self {
        self.with(oid::COMMON_NAME, asn1::UTF8_STRING, value)
    }

    /// The same with an organization.
    #[must_use]
    pub fn organization(self, value: &str) -> Self {
        self.with(oid::ORGANIZATION, asn1::UTF8_STRING, value)
    }

    /// The same with an organizational unit.
    #[must_use]
    pub fn organizational_unit(self, value: &str) -> Self {
        self.with(oid::ORGANIZATIONAL_UNIT, asn1::UTF8_STRING, value)
    }

    /// The same with a country, in two letters.
    #[must_use]
    pub fn country(self, value: &str) -> Self {
        self.with(oid::COUNTRY, asn1::PRINTABLE_STRING, value)
    }

    /// The same with a device's serial number (RFC 8995 s2.3.1); X.520 wants it printable.
    #[must_use]
    pub fn serial_number(self, value: &SerialNumber) -> Self {
        self.push(oid::SERIAL_NUMBER, &directory_string(value.as_str()))
    }

    fn with(self, attribute: Oid, tag: u8, value: &str) -> Self {
        self.push(attribute, &asn1::tlv(tag, &[value.as_bytes()]))
    }

    fn push(mut self, attribute: Oid, value: &[u8]) -> Self {
        let pair = asn1::sequence(&[&asn1::oid(&attribute), value]);
        self.rdns.extend(asn1::tlv(asn1::SET, &[&pair]));
        self
    }

    /// The first value of an attribute, as text.
    pub fn attribute(&self, attribute: Oid) -> Option<String> {
        first_value(&self.rdns, attribute)
    }
}

/// The first value of an attribute of the name that is `der`, as text.
pub(crate) fn attribute(der: &[u8], attribute: Oid) -> Option<String> {
    first_value(asn1::Reader::inside("name", asn1::SEQUENCE, der).ok()?.rest(), attribute)
}

fn first_value(rdns: &[u8], attribute: Oid) -> Option<String> {
    let mut rdns = asn1::Reader::new("name", rdns);
    while let Ok(mut rdn) = rdns.enter(asn1::SET) {
        while let Ok(mut pair) = rdn.enter(asn1::SEQUENCE) {
            if pair.expect(asn1::OID).ok()?.value == attribute.as_bytes() {
                return text(pair.next().ok()?);
            }
        }
    }
    None
}

impl Name {
    /// The form of RFC 4514, of a name that has only well-known attributes and needs no escapes, as most have. It saves
    /// looking for attributes among all that have a name, which costs more than all the rest.
    fn plain(&self) -> Option<String> {
        let mut text = String::with_capacity(self.rdns.len());
        let mut pairs = Vec::new();
        let mut rdns = asn1::Reader::new("name", &self.rdns);
        while !rdns.is_empty() {
            let mut rdn = rdns.enter(asn1::SET).ok()?;
            let mut pair = rdn.enter(asn1::SEQUENCE).ok()?;
            let attribute = short_name(pair.oid().ok()?)?;
            pairs.push((attribute, plain_text(pair.next().ok()?)?));
            pair.finish().and_then(|()| rdn.finish()).ok()?;
        }
        // RFC 4514 s2.1: the last comes first.
        for (attribute, value) in pairs.into_iter().rev() {
            let comma = if text.is_empty() { "" } else { "," };
            text.extend([comma, attribute, "=", value]);
        }
        Some(text)
    }
}

/// RFC 4514 s3.
fn short_name(attribute: Oid) -> Option<&'static str> {
    const SHORT: [(Oid, &str); 5] = [
        (oid::COMMON_NAME, "CN"),
        (oid::ORGANIZATION, "O"),
        (oid::ORGANIZATIONAL_UNIT, "OU"),
        (oid::COUNTRY, "C"),
        (oid::SERIAL_NUMBER, "SERIALNUMBER"),
    ];
    SHORT.iter().find(|(known, _)| *known == attribute).map(|(_, name)| *name)
}

/// A text in which nothing is escaped (RFC 4514 s2.4).
fn plain_text(value: asn1::Tlv<'_>) -> Option<&str> {
    let is_text = matches!(value.tag, asn1::UTF8_STRING | asn1::PRINTABLE_STRING);
    let text = std::str::from_utf8(value.value).ok().filter(|text| is_text && text.trim() == *text)?;
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b" ().-/:'".contains(&b)).then_some(text)
}

/// Whether it has the form of a name: sets of pairs of an attribute's type and its value (RFC 5280 s4.1.2.4).
pub(crate) fn check(der: &[u8]) -> Result<(), PkiError> {
    let mut rdns = asn1::Reader::inside("name", asn1::SEQUENCE, der)?;
    while !rdns.is_empty() {
        let mut rdn = rdns.enter(asn1::SET)?;
        loop {
            let mut pair = rdn.enter(asn1::SEQUENCE)?;
            pair.oid()?;
            pair.next()?;
            pair.finish()?;
            if rdn.is_empty() {
                break;
            }
        }
    }
    Ok(())
}

/// A PrintableString where the text allows it, else a UTF8String.
pub(crate) fn directory_string(text: &str) -> Vec<u8> {
    let printable = text.bytes().all(|b| b.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&b));
    let tag = if printable { asn1::PRINTABLE_STRING } else { asn1::UTF8_STRING };
    asn1::tlv(tag, &[text.as_bytes()])
}

/// The text of a string of one of the DirectoryString kinds (RFC 5280 s4.1.2.4) or IA5String.
pub(crate) fn text(element: asn1::Tlv<'_>) -> Option<String> {
    const TELETEX_STRING: u8 = 0x14;
    const BMP_STRING: u8 = 0x1e;
    match element.tag {
        asn1::UTF8_STRING => String::from_utf8(element.value.to_vec()).ok(),
        asn1::PRINTABLE_STRING | asn1::IA5_STRING => {
            element.value.is_ascii().then(|| String::from_utf8(element.value.to_vec()).ok())?
        }
        TELETEX_STRING => Some(element.value.iter().map(|b| char::from(*b)).collect()),
        BMP_STRING => {
            let units = element.value.chunks(2).map(|c| <[u8; 2]>::try_from(c).ok().map(u16::from_be_bytes));
            String::from_utf16(&units.collect::<Option<Vec<_>>>()?).ok()
        }
        _ => None,
    }
}

/// In the form of RFC 4514: `CN=pledge,O=Example`.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(plain) = self.plain() {
            return f.write_str(&plain);
        }
        match x509_cert::name::Name::from_der(&self.to_der()) {
            Ok(name) => fmt::Display::fmt(&name, f),
            // RFC 4514 s2.4: what has no form as text is shown as it is.
            Err(_) => write!(f, "#{}", hex::encode(&self.rdns)),
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

/// A subject alternative name (RFC 5280 s4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AltName {
    /// A DNS name.
    Dns(String),
    /// An address.
    Ip(IpAddr),
    /// A URI.
    Uri(String),
    /// A mailbox.
    Email(String),
    /// Any other GeneralName, as its DER.
    Other(Vec<u8>),
}

impl AltName {
    pub(crate) fn to_der(&self) -> Vec<u8> {
        let octets;
        let (n, value) = match self {
            Self::Email(text) => (1, text.as_bytes()),
            Self::Dns(text) => (2, text.as_bytes()),
            Self::Uri(text) => (6, text.as_bytes()),
            Self::Ip(IpAddr::V4(address)) => {
                octets = address.octets().to_vec();
                (7, octets.as_slice())
            }
            Self::Ip(IpAddr::V6(address)) => {
                octets = address.octets().to_vec();
                (7, octets.as_slice())
            }
            Self::Other(der) => return der.clone(),
        };
        asn1::tlv(asn1::context_primitive(n), &[value])
    }

    pub(crate) fn dns_of(names: &[Self]) -> Vec<String> {
        let dns = |name: &Self| if let Self::Dns(text) = name { Some(text.clone()) } else { None };
        names.iter().filter_map(dns).collect()
    }

    pub(crate) fn from_tlv(element: asn1::Tlv<'_>) -> Self {
        let text = || std::str::from_utf8(element.value).ok().filter(|t| t.is_ascii()).map(str::to_owned);
        let address = || match element.value.len() {
            4 => <[u8; 4]>::try_from(element.value).ok().map(IpAddr::from),
            _ => <[u8; 16]>::try_from(element.value).ok().map(IpAddr::from),
        };
        let known = match element.tag {
            0x81 => text().map(Self::Email),
            0x82 => text().map(Self::Dns),
            0x86 => text().map(Self::Uri),
            0x87 => address().map(Self::Ip),
            _ => None,
        };
        known.unwrap_or_else(|| Self::Other(element.raw.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written without a look at every known attribute is what is written with it.
    #[test]
    fn plain_names_are_written_as_all_are() {
        let names =
            ["", "pledge 1", "a.b-c/d:e'f(g)", " a", "a ", "a,b", "a+b", "#a", "a\"b", "a=b", "a_b", "\u{e4}", "a\nb"];
        let mut plain = 0;
        for value in names {
            let serial = "A-1".parse().unwrap();
            let one = Name::common(value);
            let several =
                Name::new().country("DE").organization("Acme").organizational_unit(value).serial_number(&serial);
            let other = one.clone().with(Oid::new_unwrap("2.5.4.7"), asn1::UTF8_STRING, "a");
            for name in [Name::new(), one, several, other] {
                let looked_up = x509_cert::name::Name::from_der(&name.to_der()).unwrap().to_string();
                assert_eq!(name.to_string(), looked_up);
                plain += usize::from(name.plain().is_some());
            }
        }
        assert_eq!(plain, names.len() + 6);
    }
}
