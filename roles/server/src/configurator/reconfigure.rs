//! Reconfiguration (DPP s6.5): a device that was configured before announces itself to whoever holds the key that signed
//! its connector. Both prove the keys of their connectors, and configuration begins anew; what the device gets is decided
//! as ever.

use super::{
    Configurator, Tenant,
    ap::sign,
    authorize::{Expected, Silence},
    connection::Connection,
    keys::{Held, random},
    onboarding::Onboarding,
    underway::Place,
};
use crate::book::Book;
use landfall_dpp::{
    Curve, NetRole,
    connector::{Connector, Group},
    curve::PrivateKey,
    exchange::{Agreement, KeyRole},
    frame::{Action, Frame},
    introduction::Own,
    reconfiguration::configurator::{self, Announcement, Reconfigured},
};
use landfall_lifecycle::network::{DomainDevice, NetworkCredential};
use landfall_types::{DeviceId, Fault, Fingerprint, Refusal};
use std::{net::SocketAddr, sync::Arc};
use tokio::time::{Instant, timeout_at};

const SECTION: &str = "DPP s6.5";
/// The release that we speak.
const VERSION: u8 = 3;
/// More networks than a device is ever configured for.
const MOST: usize = 64;

/// A device that announced itself again.
pub(super) struct Reconfiguration<'a> {
    configurator: &'a Configurator,
    tenant: Arc<Tenant>,
    /// The key that signed its connector, perhaps not the one that signs now.
    csign: Arc<Held>,
    curve: Curve,
    place: Place,
    remote: SocketAddr,
}

/// Who an announcement is from, as far as that is known: its configurator, and by what it is told from others.
pub(super) struct Announced {
    pub(super) tenant: Arc<Tenant>,
    csign: Arc<Held>,
    curve: Curve,
    /// By what several access points are known to have heard one device.
    pub(super) name: DeviceId,
}

impl Configurator {
    /// Reads a Reconfig Announcement, of those whose access points may be at `remote`.
    pub(super) fn announced_again(&self, action: &Action, remote: SocketAddr) -> Result<Announced, Refusal> {
        let hash = configurator::addressee(action)?;
        let found = self.tenants_at(remote.ip()).find_map(|tenant| Some((tenant, tenant.keys.signer(&hash)?)));
        let (tenant, csign) = found.ok_or_else(|| {
            Refusal::new(
                Fault::Denied,
                "configurator-key",
                SECTION,
                "no key here has signed for whoever announces itself",
            )
            .field("C-sign Key Hash")
        })?;
        let backend = |why: String| Refusal::new(Fault::Backend, "configurator-key", SECTION, why);
        let announcement = Announcement::parse(action, csign.public())?;
        let privacy = tenant.keys.privacy(csign.public().curve());
        let privacy = privacy.ok_or_else(|| backend("there is no privacy key on its curve".into()))?;
        let [x, shifted] = announcement.points()?.map(|point| {
            privacy
                .agree(&Agreement { key: KeyRole::Privacy, point, addend: None })
                .map_err(|why| backend(why.to_string()))
        });
        let identity = announcement.identify(privacy.public(), x?.expose(), shifted?.expose())?;
        let name = format!("{}.again.{}", tenant.id, identity.key_id());
        let name = name.parse().map_err(|why: landfall_types::id::InvalidId| backend(why.to_string()))?;
        Ok(Announced { tenant: tenant.clone(), csign, curve: announcement.curve, name })
    }

    /// The device that has a connector of the tenant's for that key, and may have another.
    async fn expect_again(&self, tenant: &Arc<Tenant>, key: &Fingerprint) -> Result<Expected, Silence> {
        let silence = |device: String, refusal| Silence::about(&tenant.id, device, refusal);
        let backend =
            |why: String| silence(key.to_string(), Refusal::new(Fault::Backend, "device-record", SECTION, why));
        let denied = |check, why: &str| silence(key.to_string(), Refusal::new(Fault::Denied, check, SECTION, why));
        let store = &self.world.store;
        let value = NetworkCredential::key_value(tenant.id.as_str(), key);
        let found = store.find_by::<NetworkCredential>(NetworkCredential::BY_KEY, &value, MOST);
        let found = found.map_err(|why| backend(why.to_string()))?;
        let mut held = found.iter().filter(|credential| credential.deleted.is_none());
        let device = match (held.next(), found.is_empty()) {
            (Some(credential), _) => &credential.device,
            (None, true) => return Err(denied("connector-known", "no device was given a connector for this key")),
            (None, false) => return Err(denied("connector-deleted", "the credentials of this device were deleted")),
        };
        let hash = device.as_str().rsplit_once(".dpp.").and_then(|(_, hash)| hash.parse::<Fingerprint>().ok());
        let hash = hash.ok_or_else(|| backend("its id holds no bootstrapping key".into()))?;
        let entry = Book::of(store).by_bootstrap(&tenant.id, &hash).map_err(|why| backend(why.to_string()))?;
        let entry = landfall_lifecycle::transfer::Bootstrapping::held(entry.as_deref());
        let entry = entry.map_err(|refusal| silence(device.to_string(), refusal))?.clone();
        self.admit(tenant, entry).await
    }
}

impl<'a> Reconfiguration<'a> {
    pub(super) fn new(configurator: &'a Configurator, announced: Announced, place: Place, remote: SocketAddr) -> Self {
        let Announced { tenant, csign, curve, .. } = announced;
        Self { configurator, tenant, csign, curve, place, remote }
    }

    /// Runs to its end; nothing if the connection is of no use any more.
    pub(super) async fn run(self, connection: &mut Connection) -> Option<()> {
        let Self { configurator, tenant, csign, curve, place, remote } = self;
        // Nothing is known of the peer until it has answered, so that there is nobody to tell an operator of.
        let own = Arc::new(PrivateKey::generate(curve, &mut random));
        let shown = match shown(&csign, &own) {
            Ok(shown) => shown,
            Err(why) => {
                tracing::warn!(why, tenant = %tenant.id, "no connector of our own");
                return Some(());
            }
        };
        let mut transaction = [0];
        random(&mut transaction);
        let (request, waiting) = configurator::request(shown, VERSION, transaction[0], &mut random);
        connection.send(&[request]).await.ok()?;
        let until = Instant::now() + configurator.timing.response;
        let pending = loop {
            let Frame::Action(response) = timeout_at(until, connection.next()).await.ok()?.ok()? else { continue };
            match waiting.answered(&response) {
                Ok(pending) => break pending,
                // Other access points and further rounds; or a frame of somebody else.
                Err(refusal) => tracing::debug!(%refusal, %remote, "a frame was dropped"),
            }
        };
        let known = match own.agree(pending.point()).map_err(|why| why.to_string()) {
            Ok(secret) => pending.agreed(&secret, true),
            Err(why) => Err(Refusal::new(Fault::Peer, "dpp-reconfig-key", SECTION, why)),
        };
        let (confirm, reconfigured) = match known {
            Ok(known) => known,
            Err(refusal) => {
                configurator.silent(Silence::about(&tenant.id, String::new(), refusal), remote).await;
                return None;
            }
        };
        let key = landfall_dpp::crypto::sha256(&[&reconfigured.enrollee.key.spki()]);
        let device = match configurator.expect_again(&tenant, &key).await {
            Ok(device) => device,
            Err(silence) => {
                configurator.silent(silence, remote).await;
                return None;
            }
        };
        connection.send(&[confirm]).await.ok()?;
        let Reconfigured { version, status, .. } = &reconfigured;
        tracing::debug!(device = %device.entry.name(), %remote, release = version, why = %status.result, "a device is authenticated again");
        // What it proved when it was first configured is what the decision rests on.
        let before = configurator.world.store.find::<DomainDevice>(device.identity.device.as_str());
        let before = before.ok().flatten().and_then(|device| device.record.configuration);
        let session =
            reconfigured.into_session(own, VERSION, before.is_some_and(|before| before.network_authenticated));
        let onboarding = Onboarding::again(configurator, device, session, key, place);
        onboarding.run(connection, None).await
    }
}

/// Our connector for this one exchange (DPP s6.5.3): its key is nowhere else, and gone afterwards.
fn shown(csign: &Held, key: &PrivateKey) -> Result<Own, String> {
    let groups = vec![Group { id: "*".into(), role: NetRole::Configurator }];
    let connector = Connector { groups, key: key.public().clone(), expiry: None, version: Some(VERSION) };
    Own::new(sign(csign, &connector)?, csign.public().clone(), VERSION).map_err(|why| why.to_string())
}
