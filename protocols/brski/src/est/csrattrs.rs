//! What a CA wants to find in a request (RFC 7030 s4.5.2, restated in RFC 8951 s4).

use der::{
    Decode, Encode, Reader, SliceReader, Tag, Tagged,
    asn1::{Any, ObjectIdentifier, SetOfVec},
};
use landfall_pki::extension::Extension;
use landfall_types::{Fault, Refusal};
use x509_cert::ext as pkix;

/// challengePassword (RFC 2985 s5.4.1): asks for the channel binding.
pub const CHALLENGE_PASSWORD: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.7");
/// extensionRequest (RFC 2985 s5.4.2): asks for certificate extensions.
pub const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
/// id-ecPublicKey (RFC 5480 s2.1.1): asks for a key on the curve named as value.
pub const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// rsaEncryption (RFC 8017 appendix C): asks for an RSA key of the size named as value.
pub const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// At most so many items, and values in each, are read.
const MOST: usize = 64;

/// One wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The attribute, subject field or signature algorithm of that name.
    Oid(ObjectIdentifier),
    /// An attribute, key type or set of extensions with values.
    Attribute {
        /// Its type.
        oid: ObjectIdentifier,
        /// Its values; at least one.
        values: Vec<Any>,
    },
}

impl Wish {
    /// A key on that curve.
    pub fn curve(curve: ObjectIdentifier) -> Self {
        Self::Attribute { oid: EC_PUBLIC_KEY, values: vec![Any::from(curve)] }
    }
}

/// An extension that a CA asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtensionWish {
    /// Of that type; the client knows the value.
    Type(ObjectIdentifier),
    /// Exactly this one (the reading of RFC 8994 s6.2.2).
    Value(Extension),
}

impl ExtensionWish {
    /// The type of the extension.
    pub const fn oid(&self) -> ObjectIdentifier {
        match self {
            Self::Type(oid) => *oid,
            Self::Value(extension) => extension.oid,
        }
    }
}

impl From<pkix::Extension> for ExtensionWish {
    fn from(wished: pkix::Extension) -> Self {
        let critical = wished.critical;
        Self::Value(Extension { oid: wished.extn_id, critical, value: wished.extn_value.into_bytes().into() })
    }
}

/// The CSR attributes: zero or more wishes. None at all says the same as a 204 or 404 (RFC 8951 s4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsrAttrs(pub Vec<Wish>);

impl CsrAttrs {
    /// Reads the DER of CsrAttrs. The order in SETs is not held against the sender.
    ///
    /// Refuses (`csrattrs-syntax`) what is not that type or has more than 64 items.
    pub fn from_der(der: &[u8]) -> Result<Self, Refusal> {
        parse(der).map_err(|e| {
            Refusal::new(Fault::Malformed, "csrattrs-syntax", "RFC 8951 s4", e.to_string()).field("CsrAttrs")
        })
    }

    /// Writes the DER of CsrAttrs.
    pub fn to_der(&self) -> der::Result<Vec<u8>> {
        let mut items = Vec::new();
        for wish in &self.0 {
            match wish {
                Wish::Oid(oid) => oid.encode_to_vec(&mut items)?,
                Wish::Attribute { oid, values } => {
                    let mut attribute = oid.to_der()?;
                    SetOfVec::try_from(values.clone())?.encode_to_vec(&mut attribute)?;
                    Any::new(Tag::Sequence, attribute)?.encode_to_vec(&mut items)?
                }
            };
        }
        Any::new(Tag::Sequence, items)?.to_der()
    }

    /// Whether that bare name is there.
    pub fn names(&self, wanted: ObjectIdentifier) -> bool {
        self.0.iter().any(|wish| matches!(wish, Wish::Oid(oid) if *oid == wanted))
    }

    /// The bare names, in order.
    pub fn oids(&self) -> impl Iterator<Item = ObjectIdentifier> {
        self.0.iter().filter_map(|wish| match wish {
            Wish::Oid(oid) => Some(*oid),
            Wish::Attribute { .. } => None,
        })
    }

    /// The values of the attributes of that type.
    pub fn values(&self, wanted: ObjectIdentifier) -> impl Iterator<Item = &Any> {
        self.0
            .iter()
            .filter_map(move |wish| match wish {
                Wish::Attribute { oid, values } if *oid == wanted => Some(values),
                _ => None,
            })
            .flatten()
    }

    /// RFC 7030 s4.5.2: the server wants the request linked to the TLS connection ([`super::binding`]).
    pub fn wants_binding(&self) -> bool {
        self.names(CHALLENGE_PASSWORD)
    }

    /// The curve that the key has to be on, if one is asked for.
    pub fn curve(&self) -> Option<ObjectIdentifier> {
        self.values(EC_PUBLIC_KEY).find_map(|value| value.decode_as().ok())
    }

    /// The size in bits that an RSA key has to have, if one is asked for.
    pub fn rsa_bits(&self) -> Option<u32> {
        self.values(RSA_ENCRYPTION).find_map(|value| value.decode_as().ok())
    }

    /// The extensions that are asked for: by their types, as in the example of RFC 7030 s4.5.2, or whole, as in RFC 8994
    /// s6.2.2, in a list or without. Anything else is passed over, as all that a client does not recognise.
    pub fn extensions(&self) -> Vec<ExtensionWish> {
        self.values(EXTENSION_REQUEST).flat_map(extension_wishes).collect()
    }
}

fn extension_wishes(value: &Any) -> Vec<ExtensionWish> {
    let whole = |wished: Vec<pkix::Extension>| wished.into_iter().map(ExtensionWish::from).collect();
    (value.decode_as().map(|oid| vec![ExtensionWish::Type(oid)]))
        .or_else(|_| value.decode_as().map(whole))
        .or_else(|_| value.decode_as().map(|one| whole(vec![one])))
        .unwrap_or_default()
}

fn parse(der: &[u8]) -> der::Result<CsrAttrs> {
    let outer = Any::from_der(der)?;
    outer.tag().assert_eq(Tag::Sequence)?;
    let mut wishes = Vec::new();
    for item in elements(outer.value())? {
        wishes.extend(match item.tag() {
            Tag::ObjectIdentifier => known(&item).map(Wish::Oid),
            Tag::Sequence => attribute(item.value())?,
            other => return Err(other.unexpected_error(Some(Tag::Sequence)).into()),
        });
    }
    Ok(CsrAttrs(wishes))
}

fn attribute(content: &[u8]) -> der::Result<Option<Wish>> {
    let parts = elements(content)?;
    let [oid, set] = parts.as_slice() else { return Err(Tag::Sequence.length_error().into()) };
    oid.tag().assert_eq(Tag::ObjectIdentifier)?;
    set.tag().assert_eq(Tag::Set)?;
    match elements(set.value())? {
        values if values.is_empty() => Err(Tag::Set.length_error().into()),
        values => Ok(known(oid).map(|oid| Wish::Attribute { oid, values })),
    }
}

/// RFC 7030 s4.5.2: what is not recognised is ignored. The example of its A.2 has identifiers below 2.999, of a form that
/// the decoder does not know.
fn known(oid: &Any) -> Option<ObjectIdentifier> {
    oid.decode_as().ok()
}

/// The elements of a SEQUENCE or SET, at most [`MOST`] of them.
fn elements(content: &[u8]) -> der::Result<Vec<Any>> {
    let mut reader = SliceReader::new(content)?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        if found.len() == MOST {
            return Err(Tag::Sequence.length_error().into());
        }
        found.push(Any::decode(&mut reader)?);
    }
    Ok(found)
}
