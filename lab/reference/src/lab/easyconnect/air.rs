//! The same over the air, where the radio rig is: a real access point relays, a real station announces itself and joins.

use super::{LAMPS, Site};
use crate::{
    lab::place::Place,
    rig::{
        Relay, Rig, Security,
        scenario::{Association, CHANNEL, Enrollee, Network, chirp_join_and_come_again, join},
    },
};
use anyhow::{Context, Result, ensure};
use std::sync::Arc;

/// What was shown over the air, to be added to a row; says why not where there is no rig.
pub(super) async fn shown(place: &Place, site: &Site) -> Result<String> {
    let rig = match Rig::find() {
        Ok(rig) => rig,
        Err(missing) => {
            place.narrator.note(&format!("Nothing is shown over the air: {missing}."));
            return Ok("; not shown over the air".into());
        }
    };
    place.narrator.note("The radio rig boots: hostapd and wpa_supplicant over simulated 802.11.");
    let machine = Arc::new(rig.boot().await?);
    let device = site.bought(place, &site.lamp).await?;
    let key = device.birth_key()?;
    let key = hex::encode(key.to_ec_private_key()?.expose());
    let enrollee = Enrollee { curve: device.uri.key.curve(), key: &key };

    // By connector: the access point has one from the same configurator.
    let hostapd = site.orchard.hostapd().await?;
    let setting = |name: &str| hostapd.value(LAMPS, name).map(str::to_owned);
    let security = [Security::Dpp {
        connector: setting("dpp_connector")?,
        c_sign_key: setting("dpp_csign")?,
        net_access_key: setting("dpp_netaccesskey")?,
    }];
    let relays = [Relay { controller: site.orchard.address()?, key_hash: site.orchard.key().await?.hash }];
    let network = Network { ssid: LAMPS, security: &security, relays: &relays };
    let again = chirp_join_and_come_again(&machine, &network, &enrollee).await;
    let (before, by_connector) = again.context("by connector, and by another one, over the air")?;
    completed(&by_connector, "DPP")?;
    let configured = by_connector.configured.context("nothing is known of what the station was given")?;
    ensure!(configured.connector() != before.connector(), "the station came again and has the same connector");
    let seen = site.orchard.device(&device).await?;
    ensure!(seen.configuration.is_some(), "the operator does not see that {} was configured", device.serial);
    place.narrator.note(&format!(
        "Over the air, {} announced itself, hostapd relayed it, and it associated with {} by {}; then it came again, and did so \
         with another connector.",
        device.serial, by_connector.bssid, by_connector.key_mgmt
    ));

    // By password: the access point has that of this device from the configurator, and no other.
    let password = configured.pass().context("the station was given no password")?;
    let hostapd = site.orchard.hostapd().await?;
    ensure!(hostapd.has(&password), "the access point does not have the station's password");
    let security = [Security::Sae(password.clone())];
    let network = Network { ssid: LAMPS, security: &security, relays: &[] };
    let known = format!(
        "network={{\nssid=\"{LAMPS}\"\nkey_mgmt=SAE\nieee80211w=2\nsae_password=\"{password}\"\nscan_freq={}\n}}\n",
        CHANNEL.1
    );
    let by_password = join(&machine, &network, &known).await.context("by password, over the air")?;
    completed(&by_password, "SAE")?;
    Ok(format!(
        "; over simulated radios, {} was heard by hostapd, configured, associated by {}, reconfigured, and associated again and by {}",
        device.serial, by_connector.key_mgmt, by_password.key_mgmt
    ))
}

fn completed(association: &Association, by: &str) -> Result<()> {
    let Association { state, key_mgmt, reached, .. } = association;
    ensure!(state == "COMPLETED" && key_mgmt == by && *reached, "the station is {state} by {key_mgmt}");
    Ok(())
}
