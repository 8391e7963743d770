//! Devices: how they stand, why, and what is known of them.

use crate::{
    admin::Connection,
    output::{Answer, Output, Table, counted},
};
use anyhow::{Context, bail};
use landfall_assurance::{Dossier, Kind, Level, Question, Ruling, Shape};
use landfall_policy::Value;
use landfall_server::admin::{
    escape,
    view::{
        BrakedSource, Decided, Examined, FactsTaken, LookedAt, Operation, Page, Ruled, SourceJudged, Statement,
        Verified,
    },
};
use landfall_types::Time;
use std::{fmt::Write, time::Duration};

const DEVICES: &str = "/v1/verification/devices";
const DAY: Duration = Duration::from_secs(86_400);

fn path(device: &str) -> String {
    format!("{DEVICES}/{}", escape(device))
}

pub(super) fn list(
    connection: &Connection,
    level: Option<&str>,
    after: Option<&str>,
    limit: Option<usize>,
    output: &Output,
) -> anyhow::Result<Answer> {
    let limit = limit.map(|limit| limit.to_string());
    let query = [("state", level), ("after", after), ("limit", limit.as_deref())];
    let page: Page<Verified> = connection.ask(output, "asking", async |client| client.list(DEVICES, &query).await)?;
    output.show_as(&page, || {
        let mut table =
            Table::new(&["device", "level", "since", "background", "next check", "why"], "there is no device");
        for device in &page.items {
            let name = device.serial_number.clone().unwrap_or_else(|| device.device.clone());
            let held = if device.held { " (worse waits for a person)" } else { "" };
            table.row([
                name,
                format!("{}{held}", device.level),
                device.since.to_string(),
                device.tier.clone(),
                device.next_check.to_string(),
                device.why.clone(),
            ]);
        }
        more(table, page.next.as_deref())
    })?;
    Ok(Answer::Yes)
}

pub(super) fn show(connection: &Connection, device: &str, output: &Output) -> anyhow::Result<Answer> {
    let examined = examine(connection, device, output)?;
    output.show_as(&examined, || {
        let (view, mut text) = (&examined.view, String::new());
        if let Some(assessment) = &view.assessment {
            let _ = writeln!(text, "{} is {} since {}", view.dossier.device, assessment.level, assessment.since);
            if let Some((level, since)) = &assessment.better {
                let _ = writeln!(text, "on its way to {level} since {since}");
            }
            if let Some(held) = &assessment.held {
                let _ = writeln!(text, "{} waits for a person: {}", held.level, held.sources.join(", "));
            }
            let _ = writeln!(text, "looked at again at {}", assessment.next_check);
        }
        text.push_str(&explained(&examined.ruling));
        let background = &view.background;
        let _ = writeln!(text, "\nbackground: {}", background.tier);
        for claim in &background.claims {
            let _ = writeln!(text, "  for it: {}", claim.text);
        }
        for claim in &background.wanting {
            let _ = writeln!(text, "  for more: {}", claim.text);
        }
        for mark in &background.marks {
            let _ = writeln!(text, "  remembered: {} at {} ({})", mark.what, mark.at, mark.source);
        }
        if let Some(software) = &examined.software {
            let _ = write!(text, "\nsoftware: {}", super::sbom::described(software));
        }
        text.push('\n');
        text + &known(&view.dossier)
    })?;
    Ok(Answer::Yes)
}

pub(super) fn facts(connection: &Connection, device: &str, output: &Output) -> anyhow::Result<Answer> {
    let examined = examine(connection, device, output)?;
    output.show_as(&examined.view.dossier, || known(&examined.view.dossier))?;
    Ok(Answer::Yes)
}

pub(super) fn add(
    connection: &Connection,
    device: &str,
    fact: &str,
    days: Option<u32>,
    output: &Output,
) -> anyhow::Result<Answer> {
    let (kind, value) = fact.split_once('=').context("a fact is written KIND=VALUE: device-trusted=true")?;
    let kind = Kind::named(kind).with_context(|| {
        let kinds: Vec<&str> = Kind::ALL.into_iter().map(Kind::name).collect();
        format!("there is no kind {kind:?}; there are {}", kinds.join(", "))
    })?;
    let value = match (kind.shape(), value) {
        (Shape::Bool, "true" | "yes") => true.into(),
        (Shape::Bool, "false" | "no") => false.into(),
        (Shape::Bool, _) => bail!("{kind} is true or false"),
        (Shape::Number, _) => Value::Number(value.parse().with_context(|| format!("{kind} is a whole number"))?),
        (Shape::Text, _) => value.into(),
        (Shape::List, "") => Vec::new().into(),
        (Shape::List, _) => value.split(',').map(|item| item.trim().to_owned()).collect::<Vec<_>>().into(),
    };
    let expires = days.map(|days| Time::now() + DAY * days);
    let said = Statement { kind, value, expires };
    let path = format!("{}/facts", path(device));
    let taken: FactsTaken = connection.ask(output, "telling", async |client| client.post(&path, &said).await)?;
    output.show_as(&taken, || match taken.news {
        0 => format!("{kind} of {device} was known to be {}", said.value),
        _ => format!("{kind} of {device} is {}", said.value),
    })?;
    Ok(Answer::Yes)
}

pub(super) fn operate(
    connection: &Connection,
    device: &str,
    operation: &str,
    output: &Output,
) -> anyhow::Result<Answer> {
    let (path, wanted) = (format!("{}/operate", path(device)), Operation { operation: operation.to_owned() });
    let ruled: Ruled = connection.ask(output, "asking", async |client| client.post(&path, &wanted).await)?;
    let permitted = ruled.ruling.level == Level::Full;
    output.show_as(&ruled, || {
        let word = if permitted { "may" } else { "may not" };
        format!("{device} {word} do {operation}\n{}", explained(&ruled.ruling))
    })?;
    Ok(permitted.into())
}

pub(super) fn decisions(
    connection: &Connection,
    after: Option<u64>,
    limit: Option<usize>,
    output: &Output,
) -> anyhow::Result<Answer> {
    let (after, limit) = (after.map(|after| after.to_string()), limit.map(|limit| limit.to_string()));
    let query = [("after", after.as_deref()), ("limit", limit.as_deref())];
    let page: Page<Decided> =
        connection.ask(output, "asking", async |client| client.list("/v1/verification/decisions", &query).await)?;
    output.show_as(&page, || {
        let columns = ["at", "device", "question", "level", "policy", "because of", "why"];
        let mut table = Table::new(&columns, "nothing has been decided");
        for Decided { decision } in &page.items {
            let from = decision.from.map(|from| format!("{from} -> ")).unwrap_or_default();
            let held = if decision.held { " (worse waits for a person)" } else { "" };
            table.row([
                decision.at.to_string(),
                decision.device.to_string(),
                match &decision.ruling.question {
                    Question::Join => "join".into(),
                    Question::Stay => "stay".into(),
                    Question::Operate(operation) => operation.clone(),
                },
                format!("{from}{}{held}", decision.level),
                decision.policy.to_string(),
                decision.causes.join(", "),
                decision.ruling.why(),
            ]);
        }
        more(table, page.next.as_deref())
    })?;
    Ok(Answer::Yes)
}

pub(super) fn braked(connection: &Connection, output: &Output) -> anyhow::Result<Answer> {
    let braked: Vec<BrakedSource> =
        connection.ask(output, "asking", async |client| client.get("/v1/verification/brake").await)?;
    output.show_as(&braked, || {
        let mut table =
            Table::new(&["source", "since", "has put out", "dismissed until"], "no source waits for a person");
        for BrakedSource { waits } in &braked {
            let dismissed = waits.dismissed_until.map_or_else(|| "-".into(), |until| until.to_string());
            table.row([waits.source.clone(), waits.since.to_string(), counted(waits.done, "device"), dismissed]);
        }
        table.to_string()
    })?;
    Ok(Answer::Yes)
}

pub(super) fn judge(connection: &Connection, source: &str, believe: bool, output: &Output) -> anyhow::Result<Answer> {
    let judged = SourceJudged { source: source.to_owned(), believe };
    let looked_at: LookedAt =
        connection.ask(output, "telling", async |client| client.post("/v1/verification/brake", &judged).await)?;
    output.show_as(&looked_at, || {
        let devices = counted(looked_at.devices, "device");
        match believe {
            true => format!("{source} goes on: {devices} that waited because of it"),
            false => format!("what {source} told is forgotten: {devices} are looked at anew"),
        }
    })?;
    Ok(Answer::Yes)
}

fn examine(connection: &Connection, device: &str, output: &Output) -> anyhow::Result<Examined> {
    let path = path(device);
    connection.ask(output, "asking", async |client| client.get(&path).await)
}

/// What policy says, and on what it rests.
pub(super) fn explained(ruling: &Ruling) -> String {
    let mut text = format!("policy says {}: {}\n", ruling.level, ruling.why());
    for reason in &ruling.reasons {
        let kinds: Vec<&str> = reason.kinds.iter().map(|kind| kind.name()).collect();
        let _ = writeln!(text, "  {}: {} (looks at {})", reason.policy, reason.says, kinds.join(", "));
    }
    for (what, kinds) in
        [("not known", &ruling.missing), ("expired", &ruling.stale), ("not asked for yet", &ruling.excused)]
    {
        if !kinds.is_empty() {
            let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
            let _ = writeln!(text, "  {what}: {}", kinds.join(", "));
        }
    }
    text
}

fn known(dossier: &Dossier) -> String {
    let mut table = Table::new(&["kind", "value", "source", "since", "until", "verified by"], "nothing is known");
    for fact in &dossier.facts {
        table.row([
            fact.kind.to_string(),
            fact.value.to_string(),
            fact.source.clone(),
            fact.at.to_string(),
            fact.expires.map_or_else(|| "-".into(), |at| at.to_string()),
            fact.verifier.clone(),
        ]);
    }
    table.to_string()
}

fn more(table: Table, next: Option<&str>) -> String {
    match next {
        Some(next) => format!("{table}more with --after {next}"),
        None => table.to_string(),
    }
}
