//! What the operator is shown.

use super::Enforcer;
use crate::admin::view::{PortView, SegmentView, Segments};
use landfall_lifecycle::network::DomainDevice;

impl Enforcer {
    /// Segments, ports, and who is behind them.
    pub async fn view(&self) -> Segments {
        let state = self.state.lock().await;
        let segments = state.wanted.segments.iter().map(|segment| SegmentView {
            name: segment.name.clone(),
            kind: segment.kind,
            bridge: segment.bridge.to_string(),
            vid: segment.vid,
            vlan: segment.vlan.clone(),
            lateral: segment.lateral,
            reach: segment.reach.iter().map(ToString::to_string).collect(),
            devices: state.guests.values().filter(|guest| guest.segment == segment.name).count(),
        });
        let ports = state.wanted.ports.iter().map(|port| {
            let guest = state.guests.get(port);
            let device = guest.and_then(|guest| {
                let found = self.world.store.find::<DomainDevice>(guest.device.as_str()).ok().flatten()?;
                Some(found.record.identity.serial_number.to_string())
            });
            let is_shut = state.loaded.shut.contains(port) || state.down.contains(port);
            PortView {
                port: port.to_string(),
                segment: state.wanted.segment_of(port).filter(|_| !is_shut).map(|segment| segment.name.clone()),
                device,
                address: guest.map(|guest| guest.mac.clone()),
                since: guest.map(|guest| guest.since),
                until: guest.map(|guest| guest.until),
            }
        });
        Segments {
            segments: segments.collect(),
            ports: ports.collect(),
            generation: state.generation,
            checked: state.checked,
            repairs: state.repairs,
        }
    }
}
