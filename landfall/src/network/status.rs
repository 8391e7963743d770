//! The registrar as a whole: what it depends on, what happened, its policy and revocation list.

use crate::{
    admin::Connection,
    output::{Answer, Output, Table},
    transfer::with_next,
};
use anyhow::Context;
use landfall_server::admin::view::{AuditEvent, LogVerified, Page, Reachability, Status};
use landfall_types::Outcome;
use std::{fmt::Write as _, fs, io::Write as _, path::Path};

pub(super) fn status(connection: &Connection, output: &Output) -> anyhow::Result<Answer> {
    let status: Status = connection.ask(output, "asking", async |client| client.get("/v1/status").await)?;
    output.show_as(&status, || text(&status))?;
    Ok(status.not_ready.is_empty().into())
}

fn text(status: &Status) -> String {
    let mut text = format!("landfall {} since {}\n", status.version, status.since);
    for role in &status.roles {
        let _ = match role.address.as_str() {
            "" => writeln!(text, "{} at work", role.role),
            address => writeln!(text, "{} at {address}", role.role),
        };
    }
    if !status.not_ready.is_empty() {
        let _ = writeln!(text, "NOT READY: {}", status.not_ready.join(", "));
    }
    for dependency in &status.dependencies {
        let state = match dependency.state {
            Reachability::Unknown => "not asked yet".into(),
            Reachability::Up => "answers".into(),
            Reachability::Down => format!("DOES NOT ANSWER: {}", dependency.error.as_deref().unwrap_or_default()),
        };
        let since = dependency.since.map_or_else(String::new, |since| format!(" since {since}"));
        let _ =
            writeln!(text, "\n{} needs the MASA of {} at {}", dependency.role, dependency.vendor, dependency.address);
        let _ = writeln!(text, "  {state}{since}");
        let _ = writeln!(text, "  {}", dependency.consequence);
    }
    text
}

pub(super) fn audit(
    connection: &Connection,
    after: Option<u64>,
    limit: Option<usize>,
    output: &Output,
) -> anyhow::Result<Answer> {
    let (after, limit) = (after.map(|n| n.to_string()), limit.map(|n| n.to_string()));
    let query = [("after", after.as_deref()), ("limit", limit.as_deref())];
    let page: Page<AuditEvent> =
        connection.ask(output, "asking", async |client| client.list("/v1/audit", &query).await)?;
    output.show_as(&page, || {
        let mut table = Table::new(&["at", "role", "action", "device", "outcome"], "nothing has happened yet");
        for event in &page.items {
            let outcome = match &event.outcome {
                Outcome::Refused(refusal) => format!("refused: {refusal}"),
                other => other.as_str().to_owned(),
            };
            table.row([event.at.to_string(), event.role.clone(), event.action.clone(), event.device.clone(), outcome]);
        }
        with_next(table, page.next.as_deref())
    })?;
    Ok(Answer::Yes)
}

pub(super) fn verify(connection: &Connection, output: &Output) -> anyhow::Result<Answer> {
    let logs = ["audit", "network-devices", "network-certificates"];
    let verified: Vec<LogVerified> = connection.ask(output, "checking every hash", async |client| {
        let mut verified = Vec::new();
        for log in logs {
            verified.push(client.get(&format!("/v1/logs/{log}/verify")).await?);
        }
        Ok(verified)
    })?;
    output.show_as(&verified, || {
        let mut table = Table::new(&["log", "entries", "intact", "head"], "");
        for log in &verified {
            let intact = log.error.clone().unwrap_or_else(|| "yes".into());
            table.row([log.log.clone(), log.entries.to_string(), intact, log.head.clone()]);
        }
        table.to_string()
    })?;
    Ok(verified.iter().all(|log| log.intact).into())
}

pub(super) fn crl(connection: &Connection, out: &Path, output: &Output) -> anyhow::Result<Answer> {
    let der = connection.ask(output, "asking", async |client| client.bytes("/v1/network/crl").await)?;
    if out.as_os_str() == "-" {
        std::io::stdout().lock().write_all(&der)?;
        return Ok(Answer::Yes);
    }
    fs::write(out, &der).with_context(|| format!("writing {}", out.display()))?;
    output.show_as(&serde_json::json!({ "written": out }), || format!("Wrote {}", out.display()))?;
    Ok(Answer::Yes)
}

pub(super) fn policy(connection: &Connection, set: Option<&Path>, output: &Output) -> anyhow::Result<Answer> {
    const PATH: &str = "/v1/network/policy";
    let policy: serde_json::Value = match set {
        None => connection.ask(output, "asking", async |client| client.get(PATH).await)?,
        Some(path) => {
            let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
            let new: toml::Value = toml::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
            connection.ask(output, "replacing the policy", async |client| client.post(PATH, &new).await)?
        }
    };
    output.show_as(&policy, || toml::to_string_pretty(&policy).unwrap_or_else(|_| policy.to_string()))?;
    Ok(Answer::Yes)
}
