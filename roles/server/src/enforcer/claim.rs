//! What devices say of themselves by DHCP and LLDP (RFC 8520 s10, s12), if the owner wants to hear it.

use super::Enforcer;
use landfall_lifecycle::network::{DomainDevice, Learnt, MudSource};
use landfall_mud::claim::{self, Way};
use landfall_nft::{Interface, told};
use landfall_types::Changes;

impl Enforcer {
    /// Takes in a frame in which the device behind a port may say where its file is. It is kept beside what is proven.
    pub(super) async fn claimed(&self, port: &Interface, told: &told::Packet) {
        let claim = match claim::read(&told.frame) {
            Ok(Some(claim)) => claim,
            Ok(None) => return,
            Err(why) => {
                tracing::warn!(role = "enforcer", %port, %why, "what a device says of its file is not taken");
                return;
            }
        };
        let device = {
            let state = self.state.lock().await;
            let occupant = state.wanted.occupants.get(port);
            // Who speaks with another address is not the device.
            let is_it = occupant.is_some_and(|occupant| occupant.mac.to_string() == claim.mac.to_string());
            state.guests.get(port).filter(|_| is_it).map(|guest| guest.device.clone())
        };
        let Some(device) = device else { return };
        let Ok(Some(found)) = self.world.store.find::<DomainDevice>(device.as_str()) else { return };
        let (mut record, version) = (found.record, found.version);
        let learnt = if claim.way == Way::Lldp { Learnt::Lldp } else { Learnt::Dhcp };
        let source = MudSource { url: claim.url.to_string(), signer: None, learnt, at: self.world.clock.now() };
        if !record.learn_mud(source) {
            return;
        }
        let written = match Changes::new().put_if(&record, version) {
            Ok(changes) => self.world.store.commit(changes).await.map(drop).map_err(|why| why.to_string()),
            Err(why) => Err(why.to_string()),
        };
        match written {
            Ok(()) => {
                tracing::info!(role = "enforcer", %device, url = %claim.url, way = %claim.way, "a device says where its file is");
                self.revise().await;
            }
            // It says it again with its next lease.
            Err(why) => tracing::warn!(role = "enforcer", %device, why, "what a device says could not be written"),
        }
    }
}
