//! Sealing: each secret under a key of its own, which the TPM gives out only here, and only in the state of the platform
//! that it was made in.

use crate::{
    TpmElement, code, public,
    tpm::{Auth, Blob, Failed, Tpm},
    wire::Writer,
};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use landfall_element::{ElementError, Trouble, Vault, label};
use landfall_types::{
    Redacted,
    octets::{Malformed, Reader},
};
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const KEY: usize = 32;

struct Sealed {
    bound: bool,
    blob: Blob,
    nonce: [u8; NONCE_LEN],
    content: Vec<u8>,
}

impl Vault for TpmElement {
    fn seal(&self, name: &str, secret: &[u8]) -> Result<Vec<u8>, ElementError> {
        label::check(name)?;
        let mut key = Zeroizing::new([0; KEY]);
        aws_lc_rs::rand::fill(key.as_mut_slice()).map_err(|_| ElementError::Crypto("draw a random number"))?;
        let pcrs = &self.0.config.pcrs;
        let blob = self.0.with_storage(|tpm, storage, _| {
            let policy = if pcrs.is_empty() { Vec::new() } else { tpm.pcr_policy(pcrs)? };
            tpm.create(storage, &[], key.as_slice(), &public::sealed(&policy))
        })?;
        let failed = |_| ElementError::Crypto("seal a secret");
        let sealing = RandomizedNonceKey::new(&AES_256_GCM, key.as_slice()).map_err(failed)?;
        let mut content = secret.to_vec();
        let mut sealed = Sealed { bound: !pcrs.is_empty(), blob, nonce: [0; NONCE_LEN], content: Vec::new() };
        let nonce = sealing.seal_in_place_append_tag(Aad::from(sealed.bind(name)), &mut content).map_err(failed)?;
        (sealed.nonce, sealed.content) = (*nonce.as_ref(), content);
        Ok(sealed.write())
    }

    fn open(&self, name: &str, sealed: &[u8]) -> Result<Redacted<Vec<u8>>, ElementError> {
        let tampered = ElementError::Tampered(label::uri(crate::SCHEME, name)?);
        let Ok(sealed) = Sealed::read(sealed) else { return Err(tampered) };
        let pcrs = if sealed.bound { &self.0.config.pcrs[..] } else { &[] };
        let key = self.0.with_storage(|tpm, storage, _| {
            // Whatever a TPM finds wrong with a blob, it is not what was made here.
            let loaded = tpm.load(storage, &sealed.blob).map_err(|failed| match failed {
                Failed::Code(code, _) if code.error("").trouble() != Some(Trouble::Full) => {
                    Failed::Element(crate::again(&tampered))
                }
                other => other,
            });
            let object = loaded?;
            let key = unsealed(tpm, object, sealed.bound, pcrs);
            tpm.flush(object);
            match key {
                // One that was to open by a policy, changed to open without, or the other way round.
                Err(Failed::Code(code, _)) if is_other_way(code) => Err(Failed::Element(crate::again(&tampered))),
                key => key,
            }
        })?;
        let Ok(opening) = RandomizedNonceKey::new(&AES_256_GCM, key.expose()) else { return Err(tampered) };
        let (bind, nonce) = (sealed.bind(name), Nonce::assume_unique_for_key(sealed.nonce));
        let mut content = Zeroizing::new(sealed.content);
        match opening.open_in_place(nonce, Aad::from(bind), content.as_mut_slice()) {
            Ok(secret) => Ok(Redacted::new(secret.to_vec())),
            Err(_) => Err(tampered),
        }
    }
}

fn unsealed(tpm: &mut Tpm, object: u32, bound: bool, pcrs: &[u8]) -> Result<Redacted<Vec<u8>>, Failed> {
    if !bound {
        return tpm.unseal(object, Auth::Value(&[]));
    }
    let session = tpm.policy_session()?;
    let key = tpm.policy_pcr(session, pcrs).and_then(|()| tpm.unseal(object, Auth::Policy(session)));
    tpm.flush(session);
    key
}

fn is_other_way(code: code::Code) -> bool {
    code.error("").trouble() == Some(Trouble::Failed)
}

impl Sealed {
    /// What else the content is bound to.
    fn bind(&self, name: &str) -> Vec<u8> {
        Writer::default().u8(VERSION).u8(self.bound.into()).sized(name.as_bytes()).done()
    }

    fn write(&self) -> Vec<u8> {
        let blob = &self.blob;
        let head = Writer::default().u8(VERSION).u8(self.bound.into()).sized(&blob.public).sized(&blob.private);
        head.raw(&self.nonce).raw(&self.content).done()
    }

    fn read(sealed: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new("a sealed secret", sealed);
        let bound = match reader.take(2)? {
            [VERSION, 0] => false,
            [VERSION, 1] => true,
            _ => return Err(reader.bad()),
        };
        let public = reader.sized()?.to_vec();
        let blob = Blob { public, private: reader.sized()?.to_vec() };
        let nonce = reader.take(NONCE_LEN)?.try_into().map_err(|_| reader.bad())?;
        Ok(Self { bound, blob, nonce, content: reader.rest().to_vec() })
    }
}
