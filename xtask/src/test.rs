//! `cargo xtask test`: everything that CI checks, one step after the other, going on past failures.

use crate::{arch, device, graph::Graph, licences, packages, report::Tally, rig, root, target};
use anyhow::{Context, Result, anyhow, bail};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

/// Runs everything; returns the exit code.
pub(crate) fn run() -> Result<i32> {
    let mut run = Run::new()?;

    run.optional("Debian packages", packages::install);
    run.optional("published standards", || {
        let dir = packages::rfcs()?;
        println!("{}", dir.display());
        Ok(())
    });

    run.optional("radio rig", || {
        println!("{}", rig::prepare()?.display());
        Ok(())
    });

    run.step("fmt", |run| run.cargo(&["fmt", "--all", "--check"]));
    run.step("arch", |_| clean(arch::check(&Graph::load()?)));
    run.step("licences", |_| clean(licences::check(&Graph::load()?)?));
    match has_cargo_deny() {
        true => run.step("cargo-deny", |run| run.cargo(&["deny", "--offline", "check", "licenses", "bans", "sources"])),
        false => run.optional("cargo-deny", || bail!("it is not installed; licences are checked by the step before")),
    }
    run.step("clippy", |run| {
        run.cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--", "--deny=warnings"])
    });

    run.step("docs", |run| run.cargo(&["doc", "--locked", "--workspace", "--no-deps"]));

    // Conformance with real peers and the replay of the fuzz corpora are tests of their crates, so they run here too.
    run.counted("tests, conformance, fuzz corpora", &["test", "--locked", "--workspace", "--all-targets"], 1);
    run.counted("doctests", &["test", "--locked", "--workspace", "--doc"], 0);

    run.step("the device's agent alone", |run| {
        clean(device::check()?)?;
        run.cargo(&["build", "--locked", "--package", "landfall-device"])
    });

    run.finish()
}

struct Run {
    tally: Tally,
    /// Where tests write what they skip, a line each.
    skips: PathBuf,
    number: usize,
}

impl Run {
    fn new() -> Result<Self> {
        fs::create_dir_all(target())?;
        let skips = target().join("skipped.txt");
        fs::write(&skips, "").with_context(|| skips.display().to_string())?;
        Ok(Self { tally: Tally::default(), skips, number: 0 })
    }

    fn heading(&mut self, name: &str) {
        self.number += 1;
        println!("\n== {}. {name}", self.number);
    }

    /// A step that must succeed.
    fn step(&mut self, name: &str, body: impl FnOnce(&mut Self) -> Result<()>) {
        self.heading(name);
        let start = Instant::now();
        let error = body(self).err();
        match &error {
            None => println!("{name}: ok"),
            Some(error) => println!("{name}: failed: {error:#}"),
        }
        self.tally.step(name, error, start.elapsed());
    }

    /// A step that the machine may not allow: then it is skipped, with the reason.
    fn optional(&mut self, name: &str, body: impl FnOnce() -> Result<()>) {
        self.heading(name);
        let start = Instant::now();
        match body() {
            Ok(()) => self.tally.step(name, None::<&str>, start.elapsed()),
            Err(reason) => {
                println!("skipped: {reason:#}");
                self.tally.skipped.push(format!("{name}: {reason:#}"));
            }
        }
    }

    /// A step whose tests are counted one by one; there must be at least so many.
    fn counted(&mut self, name: &str, arguments: &[&str], least: u64) {
        self.heading(name);
        let start = Instant::now();
        let (passed, failed) = (self.tally.passed, self.tally.failed);
        let error = self.cargo(&[arguments, &["--no-fail-fast"]].concat()).err();
        let (ran, found) = (self.tally.passed - passed, self.tally.failed > failed);
        match error {
            Some(_) if found => self.tally.took(name, start.elapsed()),
            // It failed without a failed test: something did not build, or a test program died.
            Some(error) => self.tally.step(name, Some(error), start.elapsed()),
            None if ran < least => self.tally.step(name, Some("it ran no test"), start.elapsed()),
            None => self.tally.took(name, start.elapsed()),
        }
    }

    /// Runs cargo, shows what it prints as it comes, and counts the tests in it.
    fn cargo(&mut self, arguments: &[&str]) -> Result<()> {
        println!("cargo {}", arguments.join(" "));
        let (reader, writer) = std::io::pipe()?;
        let mut command = Command::new("cargo");
        command.args(arguments).current_dir(root()).stdin(Stdio::null());
        command.stdout(writer.try_clone()?).stderr(writer);
        command.env("LANDFALL_SKIPS", &self.skips).env("LANDFALL_RFC", target().join("rfc"));
        // A link in the documents that leads nowhere is an error.
        command.env("RUSTDOCFLAGS", "--deny=warnings");
        let mut child = command.spawn().context("cargo")?;
        // The command holds the pipe's other end too, and would keep it open for ever.
        drop(command);
        let mut output = BufReader::new(reader);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            print!("{text}");
            self.tally.line(text.trim_end());
            line.clear();
        }
        match child.wait()? {
            status if status.success() => Ok(()),
            status => bail!("{status}"),
        }
    }

    fn finish(mut self) -> Result<i32> {
        let skips = fs::read_to_string(&self.skips).unwrap_or_default();
        self.tally.skipped.extend(skips.lines().map(|line| line.trim_start_matches("SKIPPED ").to_owned()));
        println!("{}", self.tally);
        Ok(i32::from(self.tally.failed > 0))
    }
}

fn clean(findings: Vec<String>) -> Result<()> {
    match findings.as_slice() {
        [] => Ok(()),
        findings => Err(anyhow!("{}", findings.join("\n"))),
    }
}

fn has_cargo_deny() -> bool {
    let version = Command::new("cargo").args(["deny", "--version"]).current_dir(root()).output();
    version.is_ok_and(|version| version.status.success())
}
