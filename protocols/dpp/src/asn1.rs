//! DER to read and to write element by element, for structures that implementations tag in more than one way.

use der::{
    Any, Decode, Encode, Reader as _, SliceReader, Tag, TagNumber,
    asn1::{AnyRef, ObjectIdentifier},
};
use zeroize::Zeroizing;

/// The bytes are not DER of the kind that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl From<der::Error> for Malformed {
    fn from(_: der::Error) -> Self {
        Self
    }
}

/// `[number]`, constructed or primitive.
pub(crate) const fn context(number: u32, constructed: bool) -> Tag {
    Tag::ContextSpecific { constructed, number: TagNumber(number) }
}

/// Elements one after another.
#[derive(Clone)]
pub(crate) struct Reader<'a>(SliceReader<'a>);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Ok(Self(SliceReader::new(bytes)?))
    }

    /// The elements inside the one that `bytes` must be.
    pub(crate) fn inside(tag: Tag, bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut outer = Self::new(bytes)?;
        let inner = outer.enter(tag)?;
        outer.finish()?;
        Ok(inner)
    }

    /// The value of the next element, which has that tag.
    pub(crate) fn value(&mut self, tag: Tag) -> Result<&'a [u8], Malformed> {
        match AnyRef::decode(&mut self.0)? {
            any if der::Tagged::tag(&any) == tag => Ok(any.value()),
            _ => Err(Malformed),
        }
    }

    /// The elements inside the next one, which has that tag.
    pub(crate) fn enter(&mut self, tag: Tag) -> Result<Self, Malformed> {
        Self::new(self.value(tag)?)
    }

    /// The whole of the next element, which has that tag.
    pub(crate) fn whole(&mut self, tag: Tag) -> Result<&'a [u8], Malformed> {
        let (mut before, start) = (self.0.clone(), self.0.position());
        self.value(tag)?;
        Ok(before.read_slice((self.0.position() - start)?)?)
    }

    pub(crate) fn number(&mut self) -> Result<u32, Malformed> {
        Ok(u32::decode(&mut self.0)?)
    }

    pub(crate) fn oid(&mut self) -> Result<ObjectIdentifier, Malformed> {
        Ok(ObjectIdentifier::decode(&mut self.0)?)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_finished()
    }

    /// Whether the next element has that tag.
    pub(crate) fn next_is(&self, tag: Tag) -> bool {
        Tag::peek(&self.0).is_ok_and(|next| next == tag)
    }

    pub(crate) fn finish(&self) -> Result<(), Malformed> {
        if self.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// One element of `tag` around the joined `parts`, which may be secrets.
pub(crate) fn tlv(tag: Tag, parts: &[&[u8]]) -> Result<Zeroizing<Vec<u8>>, Malformed> {
    Ok(Zeroizing::new(Any::new(tag, parts.concat())?.to_der()?))
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Result<Zeroizing<Vec<u8>>, Malformed> {
    tlv(Tag::Sequence, parts)
}

/// An AlgorithmIdentifier.
pub(crate) fn algorithm(oid: ObjectIdentifier, parameters: &[u8]) -> Result<Zeroizing<Vec<u8>>, Malformed> {
    sequence(&[&oid.to_der()?, parameters])
}
