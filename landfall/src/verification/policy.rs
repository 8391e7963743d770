//! The policy: read and checked on this machine, tried and put into force on the server.

use super::devices::explained;
use crate::{
    admin::Connection,
    output::{Answer, Output, Table, counted},
};
use anyhow::Context;
use clap::Subcommand;
use landfall_assurance::{DEFAULT, Dossier, EXAMPLES, Grace, Level, Policies, PolicyProblem, Question, schema};
use landfall_server::admin::view::{PolicyInForce, PolicyReplay, PolicyTrial, ProposedPolicy, RollBack};
use landfall_types::Time;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

const POLICY: &str = "/v1/verification/policy";

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Writes the policy in force, or one that comes with Landfall.
    Show {
        /// The usual policy instead: the guide's five checks.
        #[arg(long, conflicts_with_all = ["examples", "schema"])]
        default: bool,
        /// Policies to choose from instead, one for each thing that joining may depend on.
        #[arg(long, conflicts_with = "schema")]
        examples: bool,
        /// The schema that policies have to fit instead.
        #[arg(long)]
        schema: bool,
    },
    /// Says what is wrong with a policy, without any server.
    Check {
        /// The file; `-` is standard input.
        file: PathBuf,
    },
    /// Says what a policy makes of devices that a file describes, or of those of the server: who would stand otherwise.
    Test {
        /// The file with the policy.
        file: PathBuf,
        /// A file with what is known of one device, as `landfall --json verification facts` writes it.
        #[arg(long, value_name = "FILE")]
        dossier: Option<PathBuf>,
        /// The level that this device has to have.
        #[arg(long, value_name = "LEVEL", requires = "dossier")]
        expect: Option<Level>,
    },
    /// Says which policies decide about a device of the server, and what would have to change.
    Explain {
        /// Its id, or its serial number.
        device: String,
    },
    /// Decides every fact on record anew by a policy, and says what would have been otherwise.
    Replay {
        /// The file with the policy.
        file: PathBuf,
    },
    /// Puts a policy into force, if it fits and does not lock everyone out.
    Put {
        /// The file with the policy.
        file: PathBuf,
        /// A CMS signature of the file, detached and in DER, where the server wants one.
        #[arg(long, value_name = "FILE")]
        signature: Option<PathBuf>,
        /// Why, for the record.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Shows the versions that were in force.
    Versions,
    /// Puts a version into force again that was before.
    Rollback {
        /// Its number.
        number: u64,
    },
}

pub(super) fn run(connection: &Connection, verb: &Verb, output: &Output) -> anyhow::Result<Answer> {
    match verb {
        Verb::Show { default: true, .. } => text(DEFAULT, output),
        Verb::Show { examples: true, .. } => text(EXAMPLES, output),
        Verb::Show { schema: true, .. } => text(&schema(), output),
        Verb::Show { .. } => {
            let policy: PolicyInForce = connection.ask(output, "asking", async |client| client.get(POLICY).await)?;
            output.show_as(&policy, || policy.text.clone())?;
            Ok(Answer::Yes)
        }
        Verb::Check { file } => check(file, output),
        Verb::Test { file, dossier: Some(dossier), expect } => test_one(file, dossier, *expect, output),
        Verb::Test { file, dossier: None, .. } => test_all(connection, file, output),
        Verb::Explain { device } => super::devices::show(connection, device, output),
        Verb::Replay { file } => replay(connection, file, output),
        Verb::Put { file, signature, reason } => put(connection, file, signature.as_deref(), reason, output),
        Verb::Versions => versions(connection, output),
        Verb::Rollback { number } => {
            let to = RollBack { version: *number };
            let path = format!("{POLICY}/rollback");
            let policy: PolicyInForce =
                connection.ask(output, "going back", async |client| client.post(&path, &to).await)?;
            output.show_as(&policy, || format!("version {} is in force, which is version {number}", policy.version))?;
            Ok(Answer::Yes)
        }
    }
}

fn text(text: &str, output: &Output) -> anyhow::Result<Answer> {
    output.show_as(&BTreeMap::from([("text", text)]), || text.to_owned())?;
    Ok(Answer::Yes)
}

#[derive(Serialize)]
struct Checked {
    valid: bool,
    problems: Vec<String>,
    policies: BTreeMap<String, String>,
}

fn check(file: &Path, output: &Output) -> anyhow::Result<Answer> {
    let checked = match Policies::parse(&read(file)?) {
        Ok(policies) => {
            let policies = policies.names().map(|(name, says)| (name.to_owned(), says.to_owned())).collect();
            Checked { valid: true, problems: Vec::new(), policies }
        }
        Err(PolicyProblem(problems)) => Checked { valid: false, problems, policies: BTreeMap::new() },
    };
    output.show_as(&checked, || {
        if !checked.valid {
            return checked.problems.join("\n");
        }
        let mut table = Table::new(&["policy", "says"], "there is no policy, so nothing is permitted");
        checked.policies.iter().for_each(|(name, says)| table.row([name.clone(), says.clone()]));
        table.to_string()
    })?;
    Ok(checked.valid.into())
}

fn test_one(file: &Path, dossier: &Path, expect: Option<Level>, output: &Output) -> anyhow::Result<Answer> {
    let policies = Policies::parse(&read(file)?)?;
    let dossier: Dossier =
        serde_json::from_str(&read(dossier)?).with_context(|| format!("reading {}", dossier.display()))?;
    let ruling = policies.decide(&dossier, Question::Stay, Level::Full, &Grace::default(), Time::now());
    output.show_as(&ruling, || explained(&ruling))?;
    Ok(expect.is_none_or(|level| level == ruling.level).into())
}

fn test_all(connection: &Connection, file: &Path, output: &Output) -> anyhow::Result<Answer> {
    let (proposed, path) =
        (ProposedPolicy { text: read(file)?, ..ProposedPolicy::default() }, format!("{POLICY}/test"));
    let trial: PolicyTrial = connection.ask(output, "testing", async |client| client.post(&path, &proposed).await)?;
    output.show_as(&trial, || tried(&trial))?;
    Ok((!trial.locks_everyone_out).into())
}

fn tried(trial: &PolicyTrial) -> String {
    let mut levels = Table::new(&["level", "now", "then"], "");
    for level in Level::ALL {
        let count = |levels: &BTreeMap<Level, usize>| levels.get(&level).copied().unwrap_or(0).to_string();
        levels.row([level.to_string(), count(&trial.trial.before), count(&trial.trial.after)]);
    }
    let mut text =
        format!("{levels}{} of {} stand otherwise", trial.trial.changed, counted(trial.trial.devices, "device"));
    for (device, from, to, why) in &trial.trial.examples {
        text.push_str(&format!("\n  {device}: {from} -> {to}: {why}"));
    }
    if trial.locks_everyone_out {
        text.push_str("\nit would put every device out of action that works, and is not taken");
    }
    text
}

fn replay(connection: &Connection, file: &Path, output: &Output) -> anyhow::Result<Answer> {
    let (proposed, path) =
        (ProposedPolicy { text: read(file)?, ..ProposedPolicy::default() }, format!("{POLICY}/replay"));
    let replayed: PolicyReplay =
        connection.ask(output, "replaying", async |client| client.post(&path, &proposed).await)?;
    output.show_as(&replayed, || {
        let replay = &replayed.replay;
        let mut table =
            Table::new(&["at", "device", "in force", "proposed", "why"], "nothing would have been otherwise");
        for it in &replay.differences {
            let (in_force, proposed) = (it.in_force.to_string(), it.proposed.to_string());
            table.row([it.at.to_string(), it.device.to_string(), in_force, proposed, it.why.clone()]);
        }
        format!(
            "{} of {}: {} decisions stricter, {} laxer\n{table}",
            counted(replay.facts, "fact"),
            counted(replay.devices, "device"),
            replay.stricter,
            replay.laxer
        )
    })?;
    Ok(Answer::Yes)
}

fn put(
    connection: &Connection,
    file: &Path,
    signature: Option<&Path>,
    reason: &str,
    output: &Output,
) -> anyhow::Result<Answer> {
    let signature = match signature {
        Some(path) => Some(hex::encode(fs::read(path).with_context(|| format!("reading {}", path.display()))?)),
        None => None,
    };
    let proposed = ProposedPolicy { text: read(file)?, signature, reason: reason.to_owned() };
    let trial: PolicyTrial =
        connection.ask(output, "putting into force", async |client| client.post(POLICY, &proposed).await)?;
    output
        .show_as(&trial, || format!("version {} is in force\n{}", trial.version.unwrap_or_default(), tried(&trial)))?;
    Ok(Answer::Yes)
}

fn versions(connection: &Connection, output: &Output) -> anyhow::Result<Answer> {
    let policy: PolicyInForce = connection.ask(output, "asking", async |client| client.get(POLICY).await)?;
    output.show_as(&policy.versions, || {
        let empty = "the policy of the settings is in force, and none was before";
        let mut table = Table::new(&["version", "since", "by", "why", "signed by", "sha-256"], empty);
        for it in &policy.versions {
            table.row([
                it.version.to_string(),
                it.at.to_string(),
                it.by.clone(),
                it.why.clone(),
                it.signer.as_ref().map_or_else(|| "-".into(), |(subject, _)| subject.clone()),
                it.hash.to_string(),
            ]);
        }
        table.to_string()
    })?;
    Ok(Answer::Yes)
}

pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().take(1 << 20).read_to_string(&mut text)?;
        return Ok(text);
    }
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}
