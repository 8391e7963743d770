//! Who may speak with whom: as text, as JSON, and as a picture.

use crate::{
    admin::Connection,
    output::{Answer, Output, Table},
};
use anyhow::Context;
use landfall_server::admin::view::{DeviceUsage, Talk, Usage};
use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

pub(super) fn show(
    connection: &Connection,
    device: Option<&str>,
    picture: Option<&Path>,
    output: &Output,
) -> anyhow::Result<Answer> {
    let mut usage: Usage = connection.ask(output, "asking", async |client| client.get("/v1/network/mud").await)?;
    if let Some(name) = device {
        usage.devices.retain(|device| device.device == name || device.id == name);
        usage.meetings.retain(|meeting| {
            usage.devices.iter().any(|device| [&meeting.from, &meeting.to].contains(&&device.device))
        });
        if usage.devices.is_empty() {
            anyhow::bail!("{name} is not inside on this machine's bridges; `landfall network segments` says who is");
        }
    }
    if let Some(path) = picture {
        fs::write(path, svg(&usage)).with_context(|| format!("writing {}", path.display()))?;
    }
    output.show_as(&usage, || if device.is_some() { each(&usage) } else { all(&usage) })?;
    Ok(Answer::Yes)
}

/// The network: one line a device.
fn all(usage: &Usage) -> String {
    let mut devices =
        Table::new(&["device", "segment", "in force", "file", "learnt from", "speaks with"], "nobody is inside");
    for device in &usage.devices {
        devices.row([
            device.device.clone(),
            device.segment.clone(),
            device.in_force.clone(),
            device.url.clone().unwrap_or_else(|| "-".into()),
            device.learnt.clone().unwrap_or_else(|| "-".into()),
            partners(device).into_keys().collect::<Vec<_>>().join(", "),
        ]);
    }
    let mut text = format!("{devices}\n");
    for device in usage.devices.iter().filter(|device| device.trouble.is_some()) {
        let _ = writeln!(text, "{}: {}", device.device, device.trouble.as_deref().unwrap_or_default());
    }
    text.push_str(&meetings(usage));
    text
}

/// Everything of each device.
fn each(usage: &Usage) -> String {
    let mut text = String::new();
    for device in &usage.devices {
        let mut line = |name: &str, value: Option<String>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                let _ = writeln!(text, "{name:<14} {value}");
            }
        };
        line("device", Some(device.device.clone()));
        line("what it is", device.systeminfo.clone());
        line("where", Some(format!("{}, port {}, {}", device.segment, device.port, device.address)));
        line("in force", Some(device.in_force.clone()));
        line("file", device.url.clone());
        line("learnt from", device.learnt.clone());
        line("found at", device.found_at.clone());
        line("signed by", device.signer.clone());
        line("signed", device.signed_at.map(|at| at.to_string()));
        line("fetched", device.fetched.map(|at| at.to_string()));
        line("good until", device.fresh_until.map(|at| at.to_string()));
        line("supported", device.is_supported.map(|yes| if yes { "yes".into() } else { "no more".into() }));
        line("more", device.documentation.clone());
        line("parts", Some(device.parts.join(", ")));
        line("weaknesses", Some(device.weaknesses.join(", ")));
        line("trouble", device.trouble.clone());
        for (title, talks) in [("it may say", &device.says), ("it may hear", &device.hears)] {
            let _ = writeln!(text, "\n{title}:");
            for Talk { how, rule, .. } in talks {
                let _ = writeln!(text, "  {how}  ({rule})");
            }
            if talks.is_empty() {
                let _ = writeln!(text, "  what its segment lets through");
            }
        }
    }
    text.push_str(&meetings(usage));
    text
}

fn meetings(usage: &Usage) -> String {
    let mut text = String::new();
    for meeting in &usage.meetings {
        let _ = writeln!(text, "{} may begin to speak with {}: {}", meeting.from, meeting.to, meeting.how);
    }
    text
}

/// With whom a device may speak, in either direction, and how.
fn partners(device: &DeviceUsage) -> BTreeMap<String, Vec<String>> {
    let mut partners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for talk in device.says.iter().chain(&device.hears).filter(|talk| talk.is_allowed) {
        let hows = partners.entry(talk.with.clone()).or_default();
        if !hows.contains(&talk.how) {
            hows.push(talk.how.clone());
        }
    }
    if device.says.is_empty() && device.hears.is_empty() {
        partners.insert("whatever its segment reaches".into(), Vec::new());
    }
    partners
}

const ROW: usize = 26;
const TOP: usize = 40;
const LEFT: usize = 330;
const RIGHT: usize = 700;

/// Devices on the left, with whom they speak on the right, a line for each pair; arcs on the left are devices that speak with each
/// other. What points at a line is told how.
fn svg(usage: &Usage) -> String {
    let mut others: Vec<String> = usage.devices.iter().flat_map(|device| partners(device).into_keys()).collect();
    others.sort();
    others.dedup();
    let height = TOP + ROW * others.len().max(usage.devices.len()) + ROW;
    let y = |row: usize| TOP + ROW * row;
    let row_of = |name: &str| usage.devices.iter().position(|device| device.device == name);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1100 {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <title>Who may speak with whom</title>\n<rect width=\"1100\" height=\"{height}\" fill=\"white\"/>\n"
    );
    let mut lines = String::new();
    for (row, device) in usage.devices.iter().enumerate() {
        for (with, hows) in partners(device) {
            let Some(other) = others.iter().position(|other| *other == with) else { continue };
            let _ = writeln!(
                lines,
                "<path d=\"M {LEFT} {} C {} {} {} {} {RIGHT} {}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\"><title>{}</title></path>",
                y(row),
                LEFT + 150,
                y(row),
                RIGHT - 150,
                y(other),
                y(other),
                colour(row),
                escaped(&format!("{} and {with}: {}", device.device, hows.join("; "))),
            );
        }
    }
    for meeting in &usage.meetings {
        let (Some(from), Some(to)) = (row_of(&meeting.from), row_of(&meeting.to)) else { continue };
        let (a, b) = (y(from), y(to));
        let _ = writeln!(
            lines,
            "<path d=\"M 20 {a} C 0 {a} 0 {b} 20 {b}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\"><title>{}</title></path>",
            colour(from),
            escaped(&format!("{} to {}: {}", meeting.from, meeting.to, meeting.how)),
        );
    }
    svg.push_str(&lines);
    for (row, device) in usage.devices.iter().enumerate() {
        let _ = writeln!(
            svg,
            "<text x=\"24\" y=\"{}\" fill=\"{}\">{}<title>{}</title></text>",
            y(row) + 4,
            colour(row),
            escaped(&format!("{} ({})", short(&device.device, 22), device.in_force)),
            escaped(&format!("{}: {}", device.segment, device.url.as_deref().unwrap_or("it names no file"))),
        );
    }
    for (row, other) in others.iter().enumerate() {
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\">{}<title>{}</title></text>",
            RIGHT + 8,
            y(row) + 4,
            escaped(&short(other, 52)),
            escaped(other)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Colours that people who see fewer of them tell apart too.
fn colour(row: usize) -> &'static str {
    const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#5c4b00", "#444444"];
    COLOURS.get(row % COLOURS.len()).copied().unwrap_or("black")
}

fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, with: &[&str]) -> DeviceUsage {
        let talk = |with: &&str| Talk {
            with: (*with).into(),
            is_allowed: true,
            how: format!("permits with {with}"),
            rule: "list/entry".into(),
        };
        let talks: Vec<Talk> = with.iter().map(talk).collect();
        let (says, hears) = (talks.clone(), talks);
        let told = serde_json::json!({
            "device": name, "id": "x", "port": "lan1", "address": "02:00:00:00:00:01", "segment": "things",
            "in_force": "the manufacturer's file", "is_proven": true, "says": says, "hears": hears,
        });
        serde_json::from_value(told).unwrap()
    }

    #[test]
    fn a_picture_has_everyone_and_nothing_that_is_markup() {
        let devices =
            vec![device("L-1", &["a.example", "<script>&\""]), device("L-2", &["a.example"]), device("L-3", &[])];
        let meetings = serde_json::json!([{ "from": "L-1", "to": "L-2", "how": "UDP" }]);
        let usage = Usage { devices, meetings: serde_json::from_value(meetings).unwrap() };
        let svg = svg(&usage);
        assert_eq!(svg.matches("<path").count(), 5);
        assert_eq!(svg.matches("a.example<title>").count(), 1, "once, whoever speaks with it");
        assert!(!svg.contains("<script>") && svg.contains("&lt;script&gt;&amp;&quot;"));
        let text = all(&usage);
        assert!(
            text.contains("L-1 may begin to speak with L-2") && text.contains("whatever its segment reaches"),
            "{text}"
        );
        assert!(each(&usage).contains("permits with a.example  (list/entry)"));
    }
}
