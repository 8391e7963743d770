//! Who tells of flows of devices elsewhere.

use crate::{
    admin::Connection,
    output::{Answer, Output, Table},
};
use landfall_server::admin::view::FlowSources;

pub(super) fn show(connection: &Connection, output: &Output) -> anyhow::Result<Answer> {
    let all: FlowSources =
        connection.ask(output, "asking", async |client| client.get("/v1/verification/flows").await)?;
    output.show_as(&all, || text(&all))?;
    Ok(Answer::Yes)
}

fn text(all: &FlowSources) -> String {
    let dash = || "-".to_owned();
    let mut exporters = Table::new(
        &["exporter", "last", "from", "messages", "refused", "flows", "nobody's", "unknown", "missed"],
        "no exporter of flows is in the settings (enforcer.behaviour.ipfix)",
    );
    for one in &all.exporters {
        exporters.row([
            one.name.clone(),
            one.last.map_or_else(dash, |at| at.to_string()),
            one.from.clone().unwrap_or_else(dash),
            one.messages.to_string(),
            one.refused.to_string(),
            one.flows.to_string(),
            one.nobodys.to_string(),
            one.unknown.to_string(),
            one.missed.to_string(),
        ]);
    }
    let mut text = exporters.to_string();
    for one in &all.exporters {
        if let Some(why) = &one.refused_why {
            text.push_str(&format!("\nlast refused of {}: {why}", one.name));
        }
    }
    if let Some(strangers) = &all.strangers {
        let from = strangers.from.clone().unwrap_or_else(dash);
        text.push_str(&format!("\n{} messages of strangers were not heard, the last from {from}", strangers.messages));
    }
    match &all.connections {
        None => text.push_str("\nthe kernel's connections are not looked at (enforcer.behaviour.conntrack)"),
        Some(told) => text.push_str(&format!(
            "\nthe kernel's connections: {} events, {} of devices elsewhere, {} of nobody; {} missed, and {} times no room for more",
            told.events, told.flows, told.nobodys, told.missed, told.overruns
        )),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_server::admin::view::{ConnectionsView, ExporterView, StrangersView};
    use landfall_types::Time;

    #[test]
    fn it_is_said_who_was_heard_what_was_refused_and_what_was_lost() {
        let nothing = text(&FlowSources::default());
        assert!(nothing.contains("enforcer.behaviour.ipfix") && nothing.contains("enforcer.behaviour.conntrack"));
        let exporter = ExporterView {
            name: "ap-1".into(),
            from: Some("192.0.2.20:4739".into()),
            last: Some(Time::EPOCH),
            messages: 1201,
            refused: 31,
            refused_why: Some("its version is 9, not 10".into()),
            flows: 1202,
            nobodys: 1203,
            unknown: 1204,
            missed: 1205,
        };
        let strangers = StrangersView { messages: 1206, from: Some("192.0.2.99:9".into()), last: None };
        let connections = ConnectionsView { events: 1207, flows: 1208, nobodys: 1209, missed: 1210, overruns: 1211 };
        let all = FlowSources { exporters: vec![exporter], strangers: Some(strangers), connections: Some(connections) };
        let said = text(&all);
        for word in ["ap-1", "192.0.2.20:4739", "its version is 9, not 10", " 31 ", "192.0.2.99:9"] {
            assert!(said.contains(word), "{word}: {said}");
        }
        for number in 1201..=1211 {
            assert!(said.contains(&number.to_string()), "{number}: {said}");
        }
    }
}
