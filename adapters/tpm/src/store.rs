//! A wrapped key as it is kept in a file.

use crate::{tpm::Blob, wire::Writer};
use landfall_types::octets::{Malformed, Reader};

/// The largest file of an element that is read.
pub(crate) const LARGEST: u64 = 64 * 1024;

const MAGIC: &[u8; 16] = b"landfall tpm v1\n";

/// A wrapped key, and the name of the storage key that it is wrapped for.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) parent: Vec<u8>,
    pub(crate) blob: Blob,
}

impl Stored {
    pub(crate) fn write(&self) -> Vec<u8> {
        Writer::default().raw(MAGIC).sized(&self.parent).sized(&self.blob.public).sized(&self.blob.private).done()
    }

    pub(crate) fn read(content: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new("a wrapped key", content);
        if reader.take(MAGIC.len())? != MAGIC {
            return Err(reader.bad());
        }
        let parent = reader.sized()?.to_vec();
        let public = reader.sized()?.to_vec();
        let blob = Blob { public, private: reader.sized()?.to_vec() };
        reader.finish()?;
        Ok(Self { parent, blob })
    }
}
