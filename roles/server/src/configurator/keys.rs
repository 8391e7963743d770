//! The long-lived keys of a tenant's configurator, and what is done with them.
//!
//! Keys on P-256 and P-384 live in the element and never leave it. No element holds keys on the other curves of DPP;
//! those stand in the store, sealed by the element, and are in memory while the configurator runs.

use super::record::{ConfiguratorKey, Place, Purpose};
use crate::{RoleError, World};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_dpp::{
    curve::{Curve, KeyError, PrivateKey, PublicKey},
    exchange::Agreement,
};
use landfall_element::SecureElement;
use landfall_lifecycle::transfer::Bootstrapping;
use landfall_pki::{Algorithm, Signer, fixed_from_der};
use landfall_store::Versioned;
use landfall_types::{Changes, Fingerprint, KeyUri, OwnerId, Redacted};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

/// How many times keys are looked for when others make them at the same time.
const ATTEMPTS: usize = 4;
/// More keys than a tenant ever has.
const MOST: usize = 10_000;
/// So many are in one envelope.
const ENVELOPE: usize = 16;
const UNWRITTEN: Unusable = Unusable::Other("the keys could not be written down");

/// A tenant's keys.
pub(super) struct Keys {
    bootstrap: BTreeMap<u16, Arc<Held>>,
    /// On the curve of each key that signs or signed connectors.
    privacy: RwLock<BTreeMap<u16, Arc<Held>>>,
    /// The latest last; connectors that earlier ones signed are believed until they end.
    csign: RwLock<Vec<Arc<Held>>>,
    fallback: Arc<Held>,
    /// The curve of those that sign connectors.
    curve: Curve,
    /// Whether those that are made from now on can be backed up.
    exportable: bool,
}

/// A pair of keys that makes a configurator what it is to its devices.
pub(super) struct Exported {
    pub(super) csign: PrivateKey,
    pub(super) privacy: PrivateKey,
}

/// A key that is held for use, by the element or in memory.
pub(super) struct Held {
    public: PublicKey,
    holder: Holder,
}

enum Holder {
    Element { element: Arc<dyn SecureElement>, uri: KeyUri, signer: Arc<dyn Signer>, algorithm: Algorithm },
    Memory(PrivateKey),
}

/// A key could not be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error(transparent)]
    Element(#[from] landfall_element::ElementError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Sign(#[from] landfall_pki::SignError),
    #[error(transparent)]
    Pki(#[from] landfall_pki::PkiError),
    #[error("{0}")]
    Other(&'static str),
}

impl Keys {
    /// The keys of `tenant`; those that are missing are made. Connectors are signed on `csign`, by a key that can be
    /// backed up if it is to be `exportable`.
    pub(super) async fn open(
        tenant: &OwnerId,
        csign: Curve,
        exportable: bool,
        world: &World,
    ) -> Result<Self, RoleError> {
        let what = || format!("the configurator's keys of {tenant}");
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match Self::try_open(tenant, csign, exportable, world).await {
                Ok(keys) => return Ok(keys),
                Err(why) => last = Some(why),
            }
        }
        Err(RoleError::new(what(), last.unwrap_or_default()))
    }

    async fn try_open(tenant: &OwnerId, csign: Curve, exportable: bool, world: &World) -> Result<Self, String> {
        let prefix = Bootstrapping::keys_of(tenant);
        let kept = world.store.scan::<ConfiguratorKey>(Some(&prefix), MOST).map_err(|why| why.to_string())?;
        let kept: Vec<_> = kept.into_iter().map(|kept| kept.record).filter(|kept| kept.tenant == *tenant).collect();
        let mut bootstrap = BTreeMap::new();
        for curve in Curve::ALL {
            bootstrap
                .insert(curve.group(), Arc::new(one(&kept, tenant, Purpose::Bootstrap, curve, false, world).await?));
        }
        let mut signers = Vec::new();
        let mut earlier: Vec<_> = kept.iter().filter(|kept| kept.purpose == Purpose::Csign).collect();
        earlier.sort_by_key(|kept| kept.number);
        for kept in earlier {
            signers.push(Arc::new(Held::load(kept, world).map_err(|why| why.to_string())?));
        }
        if signers.last().is_none_or(|signer| signer.public.curve() != csign) {
            let number = kept.iter().filter(|kept| kept.purpose == Purpose::Csign).map(|kept| kept.number).max();
            let made = make(tenant, Purpose::Csign, csign, number.unwrap_or(0) + 1, exportable, world).await?;
            signers.push(Arc::new(made));
        }
        let fallback = signers.last().cloned().ok_or("there is no key that signs connectors")?;
        let mut privacy = BTreeMap::new();
        for curve in Curve::ALL.into_iter().filter(|curve| signers.iter().any(|signer| signer.public.curve() == *curve))
        {
            privacy
                .insert(curve.group(), Arc::new(one(&kept, tenant, Purpose::Privacy, curve, exportable, world).await?));
        }
        let (privacy, csign_keys) = (RwLock::new(privacy), RwLock::new(signers));
        Ok(Self { bootstrap, privacy, csign: csign_keys, fallback, curve: csign, exportable })
    }

    /// The bootstrapping key on `curve`.
    pub(super) fn bootstrap(&self, curve: Curve) -> &Arc<Held> {
        self.bootstrap.get(&curve.group()).unwrap_or(&self.fallback)
    }

    /// The key that signs connectors now.
    pub(super) fn csign(&self) -> Arc<Held> {
        let signers = self.csign.read().unwrap_or_else(PoisonError::into_inner);
        signers.last().unwrap_or(&self.fallback).clone()
    }

    /// Every key that signed connectors, the latest last.
    pub(super) fn signers(&self) -> Vec<Arc<Held>> {
        self.csign.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The one of them that a device means by its hash (DPP s6.5.2).
    pub(super) fn signer(&self, hash: &Fingerprint) -> Option<Arc<Held>> {
        self.signers().into_iter().find(|signer| signer.public.key_id() == *hash)
    }

    /// The privacy protection key that goes with a key on `curve` that signs connectors.
    pub(super) fn privacy(&self, curve: Curve) -> Option<Arc<Held>> {
        self.privacy.read().unwrap_or_else(PoisonError::into_inner).get(&curve.group()).cloned()
    }

    /// Puts a new key into the place of the one that signs connectors now.
    pub(super) async fn rotate(&self, tenant: &OwnerId, curve: Curve, world: &World) -> Result<PublicKey, String> {
        let prefix = Bootstrapping::keys_of(tenant);
        let kept = world.store.scan::<ConfiguratorKey>(Some(&prefix), MOST).map_err(|why| why.to_string())?;
        let numbers = kept.iter().filter(|kept| kept.tenant == *tenant && kept.purpose == Purpose::Csign);
        let number = numbers.map(|kept| kept.number).max().unwrap_or(0) + 1;
        let made = Arc::new(make(tenant, Purpose::Csign, curve, number, self.exportable, world).await?);
        // One that stays in the element would keep the other from being of use elsewhere.
        if self.exportable && self.privacy(curve).is_none_or(|held| held.exported().is_err()) {
            let number = 1 + numbers_of(&kept, tenant, Purpose::Privacy, curve);
            let privacy = Arc::new(make(tenant, Purpose::Privacy, curve, number, true, world).await?);
            self.privacy.write().unwrap_or_else(PoisonError::into_inner).insert(curve.group(), privacy);
        }
        self.csign.write().unwrap_or_else(PoisonError::into_inner).push(made.clone());
        Ok(made.public.clone())
    }

    /// The keys that sign and signed connectors, the latest last: all that one envelope takes.
    pub(super) fn exported(&self) -> Result<Vec<Exported>, Unusable> {
        let pair = |csign: &Arc<Held>| -> Result<Exported, Unusable> {
            let privacy = self.privacy(csign.public.curve()).ok_or(Unusable::Other("a privacy key is missing"))?;
            Ok(Exported { csign: csign.exported()?, privacy: privacy.exported()? })
        };
        let last = pair(&self.csign())?;
        let signers = self.signers();
        // Earlier ones that stay where they are only sign nothing any more.
        let earlier = signers.iter().rev().skip(1).filter_map(|csign: &Arc<Held>| pair(csign).ok());
        let mut pairs: Vec<_> = std::iter::once(last).chain(earlier).take(ENVELOPE).collect();
        pairs.reverse();
        Ok(pairs)
    }

    /// Takes in keys from an envelope, on record before they are used; the last of them signs from now on.
    pub(super) async fn restore(&self, tenant: &OwnerId, keys: Vec<Exported>, world: &World) -> Result<(), Unusable> {
        if keys.last().is_none_or(|last| last.csign.curve() != self.curve) {
            return Err(Unusable::Other("the key is on another curve than `csign` in the settings: change that first"));
        }
        let prefix = Bootstrapping::keys_of(tenant);
        let kept = world.store.scan::<ConfiguratorKey>(Some(&prefix), MOST);
        let kept = kept.map_err(|_| Unusable::Other("the keys on record cannot be read"))?;
        let (mut changes, mut signers, mut privacies) = (Changes::new(), Vec::new(), BTreeMap::new());
        let known = self.signers();
        let csigns = kept.iter().filter(|kept| kept.tenant == *tenant && kept.purpose == Purpose::Csign);
        let mut number = csigns.map(|kept| kept.number).max().unwrap_or(0);
        let count = keys.len();
        for (at, Exported { csign, privacy }) in keys.into_iter().enumerate() {
            let curve = csign.curve();
            // The last one is to sign again, even if it did so before.
            if at + 1 == count || known.iter().all(|held| held.public != *csign.public()) {
                number += 1;
                let (held, record) = Held::keep(tenant, Purpose::Csign, number, csign, world)?;
                changes = changes.insert(&record).map_err(|_| UNWRITTEN)?;
                signers.push(Arc::new(held));
            }
            privacies.insert(curve.group(), privacy);
        }
        let mut held_privacies = BTreeMap::new();
        for (group, privacy) in privacies {
            let curve = privacy.curve();
            if self.privacy(curve).is_some_and(|held| held.public == *privacy.public()) {
                continue;
            }
            let number = 1 + numbers_of(&kept, tenant, Purpose::Privacy, curve);
            let (held, record) = Held::keep(tenant, Purpose::Privacy, number, privacy, world)?;
            changes = changes.insert(&record).map_err(|_| UNWRITTEN)?;
            held_privacies.insert(group, Arc::new(held));
        }
        world.store.commit(changes).await.map_err(|_| UNWRITTEN)?;
        self.privacy.write().unwrap_or_else(PoisonError::into_inner).extend(held_privacies);
        self.csign.write().unwrap_or_else(PoisonError::into_inner).extend(signers);
        Ok(())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// The number of the latest key of that kind, 0 if there is none.
fn numbers_of(kept: &[Versioned<ConfiguratorKey>], tenant: &OwnerId, purpose: Purpose, curve: Curve) -> u32 {
    let same = |kept: &&Versioned<ConfiguratorKey>| {
        kept.tenant == *tenant && kept.purpose == purpose && kept.curve == curve.name()
    };
    kept.iter().filter(same).map(|kept| kept.number).max().unwrap_or(0)
}

/// The latest key of that kind; it is made if there is none.
async fn one(
    kept: &[ConfiguratorKey],
    tenant: &OwnerId,
    purpose: Purpose,
    curve: Curve,
    exportable: bool,
    world: &World,
) -> Result<Held, String> {
    let of_kind = kept.iter().filter(|kept| kept.purpose == purpose && kept.curve == curve.name());
    match of_kind.max_by_key(|kept| kept.number) {
        Some(kept) => Held::load(kept, world).map_err(|why| why.to_string()),
        None => make(tenant, purpose, curve, 1, exportable, world).await,
    }
}

async fn make(
    tenant: &OwnerId,
    purpose: Purpose,
    curve: Curve,
    number: u32,
    exportable: bool,
    world: &World,
) -> Result<Held, String> {
    let made = Held::make(tenant, purpose, curve, number, exportable, world);
    let (held, place) = made.map_err(|why| why.to_string())?;
    let (tenant, made) = (tenant.clone(), world.clock.now());
    let record = ConfiguratorKey { tenant, purpose, curve: curve.name().into(), number, made, place };
    let changes = Changes::new().insert(&record).map_err(|why| why.to_string())?;
    // A key is on record before anybody sees its public half.
    world.store.commit(changes).await.map_err(|why| why.to_string())?;
    Ok(held)
}

impl Held {
    /// Its public half.
    pub(super) const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// What an exchange wants to know of it.
    pub(super) fn agree(&self, agreement: &Agreement) -> Result<Redacted<Vec<u8>>, Unusable> {
        match &self.holder {
            Holder::Memory(key) => Ok(agreement.by_key(key)?),
            Holder::Element { element, uri, .. } => agreement.by_coordinates(&self.public, |point| {
                let agreeing = element.key_agreement().ok_or(Unusable::Other("the element cannot agree on secrets"))?;
                Ok(agreeing.agree(uri, &for_element(point)?)?)
            }),
        }
    }

    /// A signature, r and s joined.
    pub(super) fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, Unusable> {
        match &self.holder {
            Holder::Memory(key) => Ok(key.sign(bytes)?),
            Holder::Element { signer, algorithm, .. } => Ok(fixed_from_der(*algorithm, &signer.sign(bytes)?)?),
        }
    }

    fn make(
        tenant: &OwnerId,
        purpose: Purpose,
        curve: Curve,
        number: u32,
        exportable: bool,
        world: &World,
    ) -> Result<(Self, Place), Unusable> {
        let label = label(tenant, purpose, curve, number);
        let element = &world.element;
        if let Some(algorithm) = algorithm(curve).filter(|_| !exportable && element.key_agreement().is_some()) {
            // A key of that name without a record was made by a start that did not get any further.
            let uri = match element.generate(&label, algorithm) {
                Err(landfall_element::ElementError::Taken(uri)) => uri,
                made => made?,
            };
            return Ok((Self::in_element(element, &uri, algorithm)?, Place::Element(uri)));
        }
        Self::seal(&label, PrivateKey::generate(curve, &mut random), world)
    }

    fn seal(label: &str, key: PrivateKey, world: &World) -> Result<(Self, Place), Unusable> {
        let vault = world.element.vault().ok_or(Unusable::Other("the element seals nothing"))?;
        let sealed = vault.seal(label, key.to_pkcs8()?.expose())?;
        let held = Self { public: key.public().clone(), holder: Holder::Memory(key) };
        Ok((held, Place::Sealed(STANDARD.encode(sealed))))
    }

    /// A key that came from elsewhere, and what is to go on record.
    fn keep(
        tenant: &OwnerId,
        purpose: Purpose,
        number: u32,
        key: PrivateKey,
        world: &World,
    ) -> Result<(Self, ConfiguratorKey), Unusable> {
        let (curve, tenant, made) = (key.curve(), tenant.clone(), world.clock.now());
        let (held, place) = Self::seal(&label(&tenant, purpose, curve, number), key, world)?;
        Ok((held, ConfiguratorKey { tenant, purpose, curve: curve.name().into(), number, made, place }))
    }

    /// The key itself, for an envelope.
    fn exported(&self) -> Result<PrivateKey, Unusable> {
        match &self.holder {
            Holder::Memory(key) => Ok(PrivateKey::from_bytes(key.curve(), key.to_bytes().expose())?),
            Holder::Element { .. } => Err(Unusable::Other(
                "the key is in the element, which gives it to nobody: set `exportable = true` and rotate the key",
            )),
        }
    }

    fn load(kept: &ConfiguratorKey, world: &World) -> Result<Self, Unusable> {
        let curve =
            Curve::named(&kept.curve).ok_or(Unusable::Other("a key on record is on a curve that is not known"))?;
        let element = &world.element;
        match &kept.place {
            Place::Element(uri) => {
                let algorithm = algorithm(curve).ok_or(Unusable::Other("the element has no key on such a curve"))?;
                Self::in_element(element, uri, algorithm)
            }
            Place::Sealed(sealed) => {
                let sealed = STANDARD.decode(sealed).map_err(|_| Unusable::Other("a key on record is not base64"))?;
                let vault = element.vault().ok_or(Unusable::Other("the element opens nothing"))?;
                let label = label(&kept.tenant, kept.purpose, curve, kept.number);
                let key = PrivateKey::from_pkcs8(vault.open(&label, &sealed)?.expose())?;
                Ok(Self { public: key.public().clone(), holder: Holder::Memory(key) })
            }
        }
    }

    fn in_element(element: &Arc<dyn SecureElement>, uri: &KeyUri, algorithm: Algorithm) -> Result<Self, Unusable> {
        let signer = element.signer(uri)?;
        let public = PublicKey::from_spki(signer.public_key().spki_der())?;
        Ok(Self { public, holder: Holder::Element { element: element.clone(), uri: uri.clone(), signer, algorithm } })
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held({:?})", self.public)
    }
}

/// Strong random bytes, for exchanges and keys.
pub(super) fn random(out: &mut [u8]) {
    // aws-lc draws from the system, and ends the process rather than giving bytes that are not random.
    let _ = aws_lc_rs::rand::fill(out);
}

const fn algorithm(curve: Curve) -> Option<Algorithm> {
    match curve {
        Curve::P256 => Some(Algorithm::EcdsaP256),
        Curve::P384 => Some(Algorithm::EcdsaP384),
        _ => None,
    }
}

/// Labels bear few characters and names of tenants many, so that the name's hash stands in its place.
fn label(tenant: &OwnerId, purpose: Purpose, curve: Curve, number: u32) -> String {
    let hash = landfall_dpp::crypto::sha256(&[tenant.as_str().as_bytes()]).to_string();
    let tenant: String = hash.chars().take(16).collect();
    format!("dpp-{}-{tenant}-{}-{number}", purpose.as_str(), curve.name())
}

/// RFC 5480 s2: elements want points in full.
fn for_element(point: &PublicKey) -> Result<landfall_pki::PublicKey, Unusable> {
    let algorithm = algorithm(point.curve()).ok_or(Unusable::Other("the element has no key on such a curve"))?;
    Ok(landfall_pki::PublicKey::from_point(algorithm, point.sec1())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_dpp::exchange::KeyRole;
    use landfall_element::MemoryElement;
    use landfall_store::Store;

    #[tokio::test]
    async fn keys_are_made_once_and_answer_alike_wherever_they_are() {
        let world = World::new(Store::memory(), Arc::new(MemoryElement::new()));
        let tenant: OwnerId = "home/1".parse().unwrap();
        let keys = Keys::open(&tenant, Curve::P256, false, &world).await.unwrap();
        let again = Keys::open(&tenant, Curve::P256, false, &world).await.unwrap();
        let other = Keys::open(&"home".parse().unwrap(), Curve::P256, false, &world).await.unwrap();
        assert_eq!(keys.csign().public, again.csign().public);
        assert_ne!(keys.csign().public, other.csign().public);
        for curve in Curve::ALL {
            let held = keys.bootstrap(curve);
            assert_eq!(held.public, again.bootstrap(curve).public);
            assert_eq!(held.public.curve(), curve);
            let (peer, addend) = (PrivateKey::generate(curve, &mut random), PrivateKey::generate(curve, &mut random));
            // (held + addend) times the peer's point is the peer's scalar times the sum of the points.
            let expected = peer.agree(&held.public.plus(addend.public()).unwrap()).unwrap();
            let agreement =
                Agreement { key: KeyRole::Bootstrap, point: peer.public().clone(), addend: Some(Arc::new(addend)) };
            assert_eq!(held.agree(&agreement).unwrap().expose(), expected.expose());
            held.public.verify(b"connector", &held.sign(b"connector").unwrap()).unwrap();
        }
    }

    #[tokio::test]
    async fn a_key_that_signs_connectors_is_followed_by_another() {
        let world = World::new(Store::memory(), Arc::new(MemoryElement::new()));
        let tenant: OwnerId = "home".parse().unwrap();
        let keys = Keys::open(&tenant, Curve::P256, false, &world).await.unwrap();
        let first = keys.csign().public.clone();
        let second = keys.rotate(&tenant, Curve::Bp256, &world).await.unwrap();
        assert_eq!((keys.csign().public.clone(), keys.signers().len()), (second.clone(), 2));
        let again = Keys::open(&tenant, Curve::Bp256, false, &world).await.unwrap();
        let signers: Vec<_> = again.signers().iter().map(|held| held.public.clone()).collect();
        assert_eq!(signers, [first, second]);
    }
}
