//! Devices with passwords of their own: the access point asks by the address of the radio, and is told the password that
//! the device with that address has, if any (hostapd's `wpa_psk_radius`; RFC 2868 s3.5).
//!
//! Whoever has that address and not the password gets nowhere: the access point finds that out.

use super::{
    Access,
    client::Client,
    judge::denied,
    session::{Asking, Session, Shown},
};
use crate::{configurator::credential, enforcer::picture::Mac};
use landfall_eap::radius::{Attributes, Kind, Place};
use landfall_lifecycle::network::{DomainDevice, NetworkCredential, SharedSecret};
use landfall_store::{ReadError, Snapshot};
use landfall_types::{DeviceId, Fault, Redacted, Refusal, Time};
use std::time::Duration;

/// Digits and separators of an address, as they stand before the name of the network (RFC 3580 s3.20).
const ADDRESS: usize = 17;

impl Access {
    /// Name, password and place of the device that has the address which is asked for.
    pub(super) async fn by_address(
        &self,
        client: &Client,
        asking: Asking,
        attributes: &Attributes,
    ) -> Result<(String, Redacted<String>, Place), Refusal> {
        let (mac, network) = asked_for(attributes)?;
        let failed = |why: String| Refusal::new(Fault::Backend, "access-records", "landfall", why);
        let value = NetworkCredential::address_value(client.tenant.as_str(), &network, &mac.to_string());
        let found = self.world.store.find_by::<NetworkCredential>(NetworkCredential::BY_ADDRESS, &value, 2);
        let found = found.map_err(|why| failed(why.to_string()))?;
        let [found] = found.as_slice() else {
            let many = if found.is_empty() { "no device has" } else { "several devices have" };
            return Err(denied("access-address", "RFC 3580 s3.21", format!("{many} the address {mac} in {network:?}")));
        };
        let standing = |store: &Snapshot<'_>| standing(store, &found.device, &network);
        let judge =
            || self.world.store.snapshot(standing).unwrap_or_else(|why: ReadError| Err(failed(why.to_string())));
        let (device, credential, secret) = judge()?;
        let password = credential::open(&self.world, &credential, &secret).map_err(|why| failed(why.to_string()))?;
        let (place, now) = (self.place(&device.identity)?, self.world.clock.now());
        let asked = |seconds: u32| now + Duration::from_secs(seconds.into());
        let until = place.session_timeout.map_or(Time::FOREVER, asked);
        let id = &device.identity.device;
        let here = match (&self.enforcer, &asking.plug) {
            (Some(enforcer), Some(plug)) => enforcer.admit(id, plug, place.vlan.as_deref(), until).await?.is_some(),
            _ => false,
        };
        let by = Shown::Password(network.clone());
        self.keep(&Session::begun(asking, id, by, &place, here, (now, until))).await.map_err(failed)?;
        // Whoever takes the device off the records from here on finds the session.
        if let Err(why) = judge() {
            if let (Some(enforcer), true) = (&self.enforcer, here) {
                enforcer.put_out(id).await;
            }
            return Err(why);
        }
        Ok((device.identity.serial_number.to_string(), password, place))
    }
}

/// The device, and its password for the network, if both are still good.
pub(super) fn standing(
    store: &Snapshot<'_>,
    device: &DeviceId,
    network: &str,
) -> Result<Result<(DomainDevice, NetworkCredential, SharedSecret), Refusal>, ReadError> {
    let credential = store.find::<NetworkCredential>(&NetworkCredential::key_of(device, network))?;
    let found = store.find::<DomainDevice>(device.as_str())?;
    let (Some(credential), Some(found)) = (credential, found) else {
        let detail = format!("{device} has no credential for {network:?}");
        return Ok(Err(denied("access-record", "SP 1800-36B 4.3", detail)));
    };
    if let Some(deleted) = &credential.deleted {
        let detail = format!("its credential for {network:?} was deleted by {}: {}", deleted.by, deleted.why);
        return Ok(Err(denied("access-revoked", "SP 1800-36B 7.5", detail)));
    }
    let Some(secret) = credential.secret.clone() else {
        let detail = format!("{device} has no password for {network:?}");
        return Ok(Err(denied("access-record", "SP 1800-36B 4.3", detail)));
    };
    Ok(match found.state.is_inside() {
        true => Ok((found.record, credential.record, secret)),
        false => {
            let detail = format!("{} is {}", found.identity.serial_number, found.state);
            Err(denied("access-state", "SP 1800-36B 4.5", detail))
        }
    })
}

/// The device's address, and the network that it is for.
fn asked_for(attributes: &Attributes) -> Result<(Mac, String), Refusal> {
    let mac = |kind| attributes.text(kind).and_then(|text| text.parse::<Mac>().ok());
    let (Some(mac), true) = (mac(Kind::USER_NAME), mac(Kind::USER_NAME) == mac(Kind::CALLING_STATION_ID)) else {
        let detail = "devices are let in by EAP, or by an address that the access point asks about (macaddr_acl=2)";
        return Err(denied("access-method", "RFC 3579 s2.1", detail.into()));
    };
    let called = attributes.text(Kind::CALLED_STATION_ID).unwrap_or_default();
    let network = called.get(ADDRESS..).and_then(|rest| rest.strip_prefix(':')).filter(|network| !network.is_empty());
    let network = network.ok_or_else(|| {
        denied("access-network", "RFC 3580 s3.20", "the access point does not say for which network it asks".into())
    })?;
    Ok((mac, network.to_owned()))
}
