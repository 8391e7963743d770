//! What a command says, to people or to programs, and how it ends.

mod table;

pub(crate) use table::Table;

use indicatif::{ProgressBar, ProgressStyle};
use landfall_server::admin::ClientError;
use serde::Serialize;
use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

/// What a command found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done, valid, found.
    Yes,
    /// Denied, invalid, not found.
    No,
    /// Not decided yet: it could not be done.
    Undecided,
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Yes => Self::SUCCESS,
            Answer::No => Self::from(1),
            Answer::Undecided => Self::from(2),
        }
    }
}

impl From<bool> for Answer {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// Where a command writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether a program reads.
    pub(crate) const fn json(&self) -> bool {
        self.json
    }

    /// Writes `value` as JSON, or as `text`.
    pub(crate) fn show_as(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        let text = if self.json { serde_json::to_string_pretty(value)? } else { text() };
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{}", text.trim_end())?;
        Ok(stdout.flush()?)
    }

    /// Says why it could not be done, and gives the exit status for that.
    pub(crate) fn failed(&self, error: &anyhow::Error) -> ExitCode {
        // Whoever read our output has seen enough, as `landfall … | head -1` has: that is no failure.
        if error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(is_broken_pipe) {
            return ExitCode::SUCCESS;
        }
        let mut stderr = io::stderr().lock();
        let _ = match self.json {
            true => writeln!(stderr, "{}", serde_json::json!({ "error": format!("{error:#}") })),
            false => writeln!(stderr, "landfall: {error:#}"),
        };
        // What the server answers in the negative is an answer; that it could not be asked is not.
        match error.downcast_ref::<ClientError>().is_some_and(ClientError::is_negative_answer) {
            true => Answer::No.into(),
            false => ExitCode::from(2),
        }
    }

    /// A bar on a terminal for `total` things, shown once they take longer than a second; nothing elsewhere.
    pub(crate) fn progress(&self, total: u64, what: &'static str) -> ProgressBar {
        let bar = match self.json || !io::stderr().is_terminal() {
            true => ProgressBar::hidden(),
            false => ProgressBar::new(total),
        };
        let template = "{msg} {bar:30} {human_pos}/{human_len} {per_sec:>12} eta {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.with_message(what)
    }

    /// A spinner on a terminal for something that may take longer than a second; nothing elsewhere.
    pub(crate) fn waiting(&self, what: impl Into<String>) -> ProgressBar {
        let bar = match self.json || !io::stderr().is_terminal() {
            true => ProgressBar::hidden(),
            false => ProgressBar::new_spinner(),
        };
        bar.enable_steady_tick(Duration::from_millis(500));
        bar.with_message(what.into())
    }
}

/// `count` things, each called `noun`.
pub(crate) fn counted(count: impl std::fmt::Display, noun: &str) -> String {
    let count = count.to_string();
    let plural = if count == "1" { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

fn is_broken_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}
