//! An owner, a manufacturer, a user, an auditor, and a lamp.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use landfall_claims::{
    Authorities, Authority, Claim, Credential, Role, Verified, World, status::StatusList, verify, verify::Retractions,
};
use landfall_pki::{Algorithm, Signer, SoftwareKey};
use landfall_types::{Fingerprint, Time};
use serde_json::Value;

pub(crate) fn now() -> Time {
    "2026-11-23T00:00:00Z".parse().unwrap()
}

pub(crate) struct Cast {
    pub(crate) owner: SoftwareKey,
    pub(crate) acme: SoftwareKey,
    pub(crate) user: SoftwareKey,
    pub(crate) auditor: SoftwareKey,
    pub(crate) lamp: SoftwareKey,
    pub(crate) authorities: Authorities,
    pub(crate) retractions: Retractions,
    pub(crate) lists: Vec<StatusList>,
    pub(crate) now: Time,
}

impl Cast {
    pub(crate) fn new() -> Self {
        let key = || SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
        let (owner, acme, user, auditor, lamp) = (key(), key(), key(), key(), key());
        let authority = |key: &SoftwareKey, role, vendor: Option<&str>| Authority {
            key: print(key),
            role,
            vendor: vendor.map(str::to_owned),
            name: String::new(),
        };
        let authorities = Authorities(vec![
            authority(&owner, Role::Owner, None),
            authority(&acme, Role::Manufacturer, Some("acme")),
            authority(&user, Role::User, None),
            authority(&auditor, Role::Auditor, None),
        ]);
        let (retractions, lists) = (Retractions::default(), Vec::new());
        Self { owner, acme, user, auditor, lamp, authorities, retractions, lists, now: now() }
    }

    pub(crate) fn credential(&self, key: &SoftwareKey, claim: Claim) -> Credential {
        Credential {
            id: "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33".into(),
            issuer: key.public_key().clone(),
            claim,
            valid_from: "2026-11-01T00:00:00Z".parse().unwrap(),
            valid_until: Some("2026-12-01T00:00:00Z".parse().unwrap()),
            status: None,
        }
    }

    pub(crate) fn issued(&self, key: &SoftwareKey, claim: Claim) -> String {
        self.credential(key, claim).issue(key).unwrap()
    }

    pub(crate) fn verify(&self, jwt: &str) -> Result<Verified, String> {
        let lamp = print(&self.lamp);
        let world = World {
            authorities: &self.authorities,
            retractions: &self.retractions,
            lists: &self.lists,
            vendor_of: &|key| (key == lamp).then(|| "acme".to_owned()),
            now: self.now,
        };
        verify(jwt, &world).map_err(|refusal| refusal.check.into_owned())
    }

    pub(crate) fn trust(&self) -> Claim {
        Claim::DeviceTrust { device: print(&self.lamp) }
    }
}

pub(crate) fn print(key: &SoftwareKey) -> Fingerprint {
    key.public_key().fingerprint()
}

/// The payload with something changed, signed anew by whoever.
pub(crate) fn changed(jwt: &str, key: &SoftwareKey, change: impl Fn(&mut Value)) -> String {
    let parts: Vec<&str> = jwt.split('.').collect();
    let mut document: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    change(&mut document);
    resigned(parts[0], &document.to_string(), key)
}

/// A header as it stands and a payload, signed.
pub(crate) fn resigned(header: &str, payload: &str, key: &SoftwareKey) -> String {
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
    let signature = landfall_pki::fixed_from_der(key.algorithm(), &key.sign(signed.as_bytes()).unwrap()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
