//! `landfall lab`: the guide's builds, run on this machine.

mod application;
mod attested;
mod build1;
mod build2;
mod build3;
mod build5;
mod chip;
mod device;
mod door;
mod easyconnect;
mod factory;
mod intent;
mod party;
mod place;
mod switch;
mod update;

use crate::{
    acceptance::{self, Capability},
    link::{self, Link},
    narrator::Narrator,
    report::{Millis, Report, Verdict},
};
use anyhow::{Context, Result, bail};
use std::{
    future::Future,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// What to run, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only this build.
    pub build: Option<String>,
    /// Only scenarios whose id begins so: `S1` or `S1.C3`.
    pub scenario: Option<String>,
    /// Where copies of what crossed the wire are left, one folder per device.
    pub evidence: Option<PathBuf>,
    /// Leave everything running until the process is interrupted.
    pub keep: bool,
    /// Tell nothing on the way.
    pub quiet: bool,
    /// Devices beside the servers on loopback, even where they could have namespaces.
    pub loopback: bool,
    /// The program that devices run: this one.
    pub program: PathBuf,
}

/// The builds that the lab has, with where the guide describes them.
pub const BUILDS: &[(&str, &str)] = &[
    ("1", build1::BUILD.title),
    ("2", build2::BUILD.title),
    ("3", build3::TITLE),
    ("5", build5::TITLE),
    ("factory", factory::TITLE),
];

/// The lab's own stack, in octets.
const STACK: usize = 64 * 1024 * 1024;

/// What a scenario showed: the good case, and the case that differs in one thing and was refused.
pub(crate) struct Shown {
    pub(crate) shown: String,
    pub(crate) refused: String,
}

/// Runs the lab in a thread of its own, since the network namespace that it may move into belongs to its threads.
pub fn run(options: Options) -> Result<Report> {
    if let Some(build) = options.build.as_ref().filter(|build| BUILDS.iter().all(|(name, _)| name != build)) {
        let known: Vec<_> = BUILDS.iter().map(|(name, _)| *name).collect();
        bail!("there is no build {build} in this version; it has {}", known.join(", "));
    }
    // Scenarios are long, and so are their futures where the compiler does not optimise.
    let builder = std::thread::Builder::new().name("lab".into()).stack_size(STACK);
    let thread = builder.spawn(move || isolated(&options));
    thread.context("starting the lab")?.join().map_err(|_| anyhow::anyhow!("the lab panicked"))?
}

fn isolated(options: &Options) -> Result<Report> {
    let narrator = if options.quiet { Narrator::silent() } else { Narrator::aloud() };
    let obstacle = if options.loopback { Some("asked to stay on loopback") } else { link::obstacle() };
    let (link, obstacle) = match obstacle {
        Some(obstacle) => (None, Some(obstacle.to_owned())),
        None => match Link::isolate() {
            Ok(link) => (Some(link), None),
            Err(why) => (None, Some(format!("{why:#}, so devices run beside the servers on loopback"))),
        },
    };
    narrator.line("Landfall: the reference architecture of NIST SP 1800-36, on this machine.");
    match obstacle {
        None => narrator.line("Each device has a network namespace of its own, with one link-local IPv6 address."),
        Some(obstacle) => narrator.line(&format!("Devices have no namespaces: {obstacle}.")),
    }
    let folder = tempfile::Builder::new().prefix("landfall-lab-").tempdir().context("no folder for the lab")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build()?;
    runtime.block_on(builds(options, narrator, folder, link))
}

async fn builds(options: &Options, narrator: Narrator, folder: TempDir, link: Option<Link>) -> Result<Report> {
    let evidence = options.evidence.as_ref().map(std::path::absolute).transpose()?;
    let place = place::Place::new(folder.path(), &options.program, narrator, evidence, link);
    let mut report = Report::default();
    let mut table = Table { report: &mut report, narrator, scenario: options.scenario.as_deref() };
    let wanted = |name| options.build.as_deref().is_none_or(|build| build == name);
    let (mut easy, mut kept) = (Vec::new(), None);
    for build in [&build1::BUILD, &build2::BUILD] {
        if wanted(build.number) {
            easy.push(easyconnect::run(build, &place, &mut table).await?);
        }
    }
    if wanted("3") {
        kept = Some(build3::run(&place, &mut table).await?);
    }
    let wired = if wanted("5") { build5::run(&place, &mut table).await? } else { None };
    if wanted("factory") {
        factory::run(&place, &mut table).await?;
    }
    report.sort();
    narrator.chapter("What was shown");
    narrator.line(&report.to_text());
    if options.keep {
        let commands = easy.iter().flat_map(easyconnect::Site::look_around);
        let commands = commands.chain(kept.iter().flat_map(build3::Site::look_around));
        let commands = commands.chain(wired.iter().flat_map(build5::Site::look_around)).collect::<Vec<_>>();
        keep(narrator, &options.program, &folder, &commands).await?;
    }
    for site in easy {
        site.close().await;
    }
    if let Some(site) = kept {
        site.close(&place).await;
    }
    if let Some(site) = wired {
        site.close(&place).await;
    }
    Ok(report)
}

/// Tells how to look around, and waits for an interrupt.
async fn keep(narrator: Narrator, program: &Path, folder: &TempDir, commands: &[String]) -> Result<()> {
    narrator.chapter("Everything is still running. Look around:");
    for command in commands {
        narrator.line(&format!("  {} {command}", program.display()));
    }
    narrator.line(&format!("Files are in {}. Press Ctrl-C to end.", folder.path().display()));
    tokio::signal::ctrl_c().await.context("waiting for an interrupt")
}

/// Fills the table, row by row.
pub(crate) struct Table<'a> {
    report: &'a mut Report,
    narrator: Narrator,
    scenario: Option<&'a str>,
}

impl Table<'_> {
    /// Whether a row was asked for.
    pub(crate) fn wants(&self, id: &str) -> bool {
        self.scenario.is_none_or(|wanted| id.to_ascii_uppercase().starts_with(&wanted.to_ascii_uppercase()))
    }

    /// Runs the scenario of one row; whatever goes wrong in it is that row's failure.
    pub(crate) async fn row(
        &mut self,
        build: &'static str,
        id: &'static str,
        scenario: impl Future<Output = Result<Shown>>,
    ) -> Result<()> {
        let passed = |Shown { shown, refused }, took| Verdict::Passed { shown, refused, took: Millis(took) };
        self.run(build, id, scenario, passed).await
    }

    /// The same for a row of which a part is `missing`: it does not count as passed, and says so.
    pub(crate) async fn part(
        &mut self,
        build: &'static str,
        id: &'static str,
        missing: &str,
        scenario: impl Future<Output = Result<Shown>>,
    ) -> Result<()> {
        let in_part =
            |Shown { shown, .. }, _| Verdict::NotRun { why: format!("{missing}; only this is shown: {shown}") };
        self.run(build, id, scenario, in_part).await
    }

    async fn run(
        &mut self,
        build: &'static str,
        id: &'static str,
        scenario: impl Future<Output = Result<Shown>>,
        verdict: impl FnOnce(Shown, Duration) -> Verdict,
    ) -> Result<()> {
        if !self.wants(id) {
            return Ok(());
        }
        let capability = known(id)?;
        let begun = Instant::now();
        let result = scenario.await;
        let took = begun.elapsed();
        let (mark, verdict) = match result {
            Ok(shown) => match verdict(shown, took) {
                in_part @ Verdict::NotRun { .. } => ("shown in part", in_part),
                verdict => ("shown", verdict),
            },
            Err(why) => ("FAILED", Verdict::Failed { why: format!("{why:#}") }),
        };
        self.narrator.step(id, &format!("{mark}: {} ({})", capability.title, device::seconds(took)));
        self.report.add(build, capability, verdict);
        Ok(())
    }

    /// A row that is not run, and why.
    pub(crate) fn not_run(&mut self, build: &'static str, id: &'static str, why: &str) -> Result<()> {
        if self.wants(id) {
            self.report.add(build, known(id)?, Verdict::NotRun { why: why.into() });
        }
        Ok(())
    }
}

fn known(id: &str) -> Result<&'static Capability> {
    acceptance::capability(id).with_context(|| format!("{id} is no capability of the guide"))
}
