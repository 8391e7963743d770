//! The parts of the network on the server's bridges.

use crate::{
    admin::Connection,
    output::{Answer, Output, Table},
};
use landfall_server::{admin::view::Segments, settings::SegmentKind};

pub(super) fn show(connection: &Connection, output: &Output) -> anyhow::Result<Answer> {
    let segments: Segments =
        connection.ask(output, "asking", async |client| client.get("/v1/network/segments").await)?;
    output.show_as(&segments, || text(&segments))?;
    Ok(Answer::Yes)
}

fn text(segments: &Segments) -> String {
    let dash = || "-".to_owned();
    let mut parts = Table::new(&["segment", "interface", "vlan", "devices", "reach"], "there is no segment");
    for segment in &segments.segments {
        let reach = match (segment.kind, segment.reach.as_slice()) {
            (SegmentKind::Production, _) if segment.lateral => "everything, and each other".into(),
            (SegmentKind::Production, _) => "everything, but not each other".into(),
            (_, []) => "nothing".into(),
            (_, reach) => reach.join(", "),
        };
        let vlan = segment.vlan.clone().unwrap_or_else(dash);
        parts.row([segment.name.clone(), segment.bridge.clone(), vlan, segment.devices.to_string(), reach]);
    }
    let mut ports = Table::new(&["port", "segment", "device", "address", "since", "until"], "there is no port");
    for port in &segments.ports {
        ports.row([
            port.port.clone(),
            port.segment.clone().unwrap_or_else(|| "shut".into()),
            port.device.clone().unwrap_or_else(dash),
            port.address.clone().unwrap_or_else(dash),
            port.since.map_or_else(dash, |at| at.to_string()),
            port.until.map_or_else(dash, |at| at.to_string()),
        ]);
    }
    let checked = segments.checked.map_or_else(|| "not yet checked".into(), |at| format!("checked {at}"));
    format!("{parts}\n{ports}\nchange {}, {checked}, put right {} times", segments.generation, segments.repairs)
}
