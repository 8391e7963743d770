//! Tells what happens, as it happens.

use std::io::Write;

/// Where the lab's story goes: to people on a terminal, or nowhere when a program reads the result.
#[derive(Clone, Copy, Debug)]
pub struct Narrator {
    aloud: bool,
}

impl Narrator {
    /// A narrator for people.
    pub const fn aloud() -> Self {
        Self { aloud: true }
    }

    /// A narrator that keeps still.
    pub const fn silent() -> Self {
        Self { aloud: false }
    }

    /// A chapter.
    pub fn chapter(self, title: &str) {
        self.line(&format!("\n{title}"));
    }

    /// One numbered step of the guide, as it really happened.
    pub fn step(self, number: &str, what: &str) {
        self.line(&format!("  {number:>3}  {what}"));
    }

    /// A remark.
    pub fn note(self, what: &str) {
        self.line(&format!("       {what}"));
    }

    /// A line as it is. A reader who has gone away is no error.
    pub fn line(self, text: &str) {
        if self.aloud {
            let _ = writeln!(std::io::stdout().lock(), "{text}");
        }
    }
}
