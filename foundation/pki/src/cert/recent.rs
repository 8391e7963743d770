//! The certificates that were parsed last: a chain comes along with every message of every device, and is the same bytes.

use super::Certificate;
use crate::error::PkiError;
use landfall_types::Fingerprint;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many are kept.
const PLACES: usize = 256;
/// The longest that is kept, in bytes, so that nobody fills memory with long ones.
const LONGEST: usize = 2048;

pub(super) static RECENT: Recent = Recent::new();

/// Certificates, each in the one place that its fingerprint names. That one is here says that it can be read, and nothing
/// of trust.
pub(super) struct Recent(Mutex<[Option<Certificate>; PLACES]>);

impl Recent {
    const fn new() -> Self {
        Self(Mutex::new([const { None }; PLACES]))
    }

    /// The certificate with that fingerprint: the one that is kept, or what `parse` reads.
    pub(super) fn or_parse(
        &self,
        fingerprint: Fingerprint,
        parse: impl FnOnce(Fingerprint) -> Result<Certificate, PkiError>,
    ) -> Result<Certificate, PkiError> {
        let [place, ..] = fingerprint.0;
        let kept = self.places().get(usize::from(place)).cloned().flatten();
        if let Some(kept) = kept.filter(|kept| kept.fingerprint() == fingerprint) {
            return Ok(kept);
        }
        let certificate = parse(fingerprint)?;
        if certificate.der().len() <= LONGEST {
            // What stood there is dropped when others can look again.
            let _before =
                self.places().get_mut(usize::from(place)).and_then(|place| place.replace(certificate.clone()));
        }
        Ok(certificate)
    }

    fn places(&self) -> MutexGuard<'_, [Option<Certificate>; PLACES]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, CertificateSerial, Name, Signer, SoftwareKey, Validity, profile::Ca};
    use landfall_types::Time;
    use std::cell::Cell;

    fn made(key: &SoftwareKey, name: &str) -> Certificate {
        let (serial, validity) = (CertificateSerial::random().unwrap(), Validity::forever(Time::from_unix(0)));
        let prepared = Ca::root(Name::common(name)).prepare_root(key.public_key(), serial, validity);
        prepared.unwrap().checked().unwrap().issue(key).unwrap()
    }

    /// The same place for all of them.
    fn fingerprint(number: u8) -> Fingerprint {
        let mut bytes = [7; 32];
        bytes[31] = number;
        Fingerprint(bytes)
    }

    #[test]
    fn a_certificate_that_comes_again_is_not_parsed_again() {
        let (recent, parsed) = (Recent::new(), Cell::new(0));
        let certificate = made(&SoftwareKey::generate(Algorithm::EcdsaP256).unwrap(), "CA");
        for _ in 0..3 {
            let found = recent.or_parse(certificate.fingerprint(), |_| {
                parsed.set(parsed.get() + 1);
                Ok(certificate.clone())
            });
            assert_eq!(found.unwrap(), certificate);
        }
        assert_eq!(parsed.get(), 1);
    }

    #[test]
    fn nobody_gets_the_one_that_shares_its_place() {
        let recent = Recent::new();
        let key = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
        let (one, other) = (made(&key, "one"), made(&key, "other"));
        assert_eq!(recent.or_parse(fingerprint(1), |_| Ok(one.clone())).unwrap(), one);
        assert_eq!(recent.or_parse(fingerprint(2), |_| Ok(other.clone())).unwrap(), other);
        let refused = recent.or_parse(fingerprint(3), |_| Err(PkiError::malformed("certificate", "bad")));
        assert!(refused.is_err());
    }
}
