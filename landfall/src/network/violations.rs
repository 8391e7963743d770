//! What devices did against what their manufacturers say of them, and what was dropped.

use crate::{
    admin::Connection,
    output::{Answer, Output, Table},
};
use landfall_server::admin::view::{ViolationView, Violations};

pub(super) fn show(connection: &Connection, device: Option<&str>, output: &Output) -> anyhow::Result<Answer> {
    let mut all: Violations =
        connection.ask(output, "asking", async |client| client.get("/v1/network/violations").await)?;
    if let Some(name) = device {
        all.violations.retain(|one| one.device.as_deref() == Some(name));
        all.dropped.retain(|one| one.device.as_deref() == Some(name));
    }
    output.show_as(&all, || text(&all))?;
    Ok(Answer::Yes)
}

fn text(all: &Violations) -> String {
    let dash = || "-".to_owned();
    let mut what = Table::new(
        &["last", "times", "device", "port", "way", "with", "how", "why"],
        "nothing against its file was seen",
    );
    for one in &all.violations {
        what.row([
            one.last.to_string(),
            one.times.to_string(),
            one.device.clone().unwrap_or_else(dash),
            one.port.clone(),
            one.direction.clone(),
            one.peer.clone(),
            how(one),
            one.why.clone(),
        ]);
    }
    let mut dropped = Table::new(&["port", "device", "from it", "to it", "last minute"], "no frame was dropped");
    for one in &all.dropped {
        dropped.row([
            one.port.clone(),
            one.device.clone().unwrap_or_else(dash),
            one.from_device.to_string(),
            one.to_device.to_string(),
            one.last_minute.to_string(),
        ]);
    }
    format!("{what}\nframes dropped\n{dropped}")
}

fn how(one: &ViolationView) -> String {
    let protocol = match one.protocol {
        None => return "-".into(),
        Some(6) => "TCP".into(),
        Some(17) => "UDP".into(),
        Some(1 | 58) => "ICMP".into(),
        Some(other) => format!("protocol {other}"),
    };
    one.peer_port.map_or(protocol.clone(), |port| format!("{protocol} {port}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_server::admin::view::DroppedView;
    use landfall_types::Time;

    #[test]
    fn it_is_said_who_did_what_and_how_much_was_dropped() {
        let at = Time::EPOCH;
        let one = ViolationView {
            first: at,
            last: at,
            times: 3,
            device: Some("lamp-7".into()),
            port: "lan1".into(),
            direction: "from-device".into(),
            peer: "203.0.113.9".into(),
            protocol: Some(6),
            peer_port: Some(23),
            why: "no entry permits it".into(),
        };
        let count = DroppedView { port: "lan1".into(), device: None, from_device: 40, to_device: 2, last_minute: 7 };
        let all = Violations { violations: vec![one.clone()], dropped: vec![count] };
        let said = text(&all);
        for word in ["lamp-7", "203.0.113.9", "TCP 23", "no entry permits it", "40"] {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert_eq!(how(&ViolationView { protocol: None, ..one.clone() }), "-");
        assert_eq!(how(&ViolationView { protocol: Some(58), peer_port: None, ..one.clone() }), "ICMP");
        assert_eq!(how(&ViolationView { protocol: Some(47), peer_port: None, ..one }), "protocol 47");
        assert!(text(&Violations { violations: vec![], dropped: vec![] }).contains("no frame was dropped"));
    }
}
