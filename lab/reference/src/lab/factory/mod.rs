//! The factory builds (SP 1800-36B appendix H): birth keys in secure elements, and onboarding with those very keys, which
//! NIST could not confirm for want of onboarding code that uses them (H.3.2, H.4.2).

mod authority;
mod brski;
pub(super) mod line;
mod story;

use super::{Table, chip::Kind, easyconnect::hardware, place::Place};
use anyhow::Result;

pub(super) const TITLE: &str =
    "The factory builds: birth keys in secure elements, and onboarding with them (SP 1800-36B appendix H)";
/// The rows that a factory build has.
pub(super) const ROWS: [&str; 4] = ["S0.C1", "S0.C2", "S0.C3", "S1.C6"];

/// A factory build with one kind of element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Build {
    /// Its name in the table.
    pub(super) name: &'static str,
    /// The chapter's title.
    pub(super) title: &'static str,
    /// What devices have.
    pub(super) kind: Kind,
    /// What serial numbers begin with.
    pub(super) prefix: &'static str,
    /// Whether the maker of the elements issues the birth certificates, asked by EST, and not the manufacturer's own CA.
    pub(super) ca_elsewhere: bool,
}

/// The two versions of H.3.
const BRSKI: [Build; 2] = [
    Build {
        name: "factory BRSKI, PKCS#11",
        title: "Factory BRSKI, first version: a secure element behind PKCS#11, and its maker's CA (H.3)",
        kind: Kind::Token,
        prefix: "OP",
        ca_elsewhere: true,
    },
    Build {
        name: "factory BRSKI, TPM",
        title: "Factory BRSKI, second version: a TPM 2.0, and the manufacturer's own CA (H.3)",
        kind: Kind::Tpm,
        prefix: "ML",
        ca_elsewhere: false,
    },
];

/// That of H.4, with either element.
const EASY: [Build; 2] = [
    Build {
        name: "factory DPP, PKCS#11",
        title: "Factory DPP: a secure element behind PKCS#11 (H.4)",
        kind: Kind::Token,
        prefix: "KP",
        ca_elsewhere: false,
    },
    Build {
        name: "factory DPP, TPM",
        title: "Factory DPP: a TPM 2.0 (H.4)",
        kind: Kind::Tpm,
        prefix: "HT",
        ca_elsewhere: false,
    },
];

/// Runs the factory builds, each with its story and then its rows.
pub(super) async fn run(place: &Place, table: &mut Table<'_>) -> Result<()> {
    place.narrator.chapter(TITLE);
    for build in &BRSKI {
        if has_element(build, place, table)? {
            brski::run(build, place, table).await?;
        }
    }
    for build in &EASY {
        if has_element(build, place, table)? {
            hardware::run(build, place, table).await?;
        }
    }
    Ok(())
}

/// Whether there is such an element here; without one no row counts as run.
fn has_element(build: &Build, place: &Place, table: &mut Table<'_>) -> Result<bool> {
    let Some(why) = build.kind.missing() else { return Ok(true) };
    place.narrator.chapter(build.title);
    place.narrator.note(&format!("not run: {why}"));
    for row in ROWS {
        table.not_run(build.name, row, why)?;
    }
    Ok(false)
}
