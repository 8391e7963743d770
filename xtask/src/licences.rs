//! The licences of what is linked into the program: all of them permissive, by the list in deny.toml.

use crate::{graph::Graph, root};
use anyhow::{Context, Result};
use std::collections::BTreeSet;

/// What is not permitted, one line each. Build scripts and macros count: they shape what is shipped.
pub(crate) fn check(graph: &Graph) -> Result<Vec<String>> {
    let allowed = allowed(&std::fs::read_to_string(root().join("deny.toml"))?)?;
    let (program, _) = graph.members().find(|(package, _)| package.name == "landfall").context("no landfall")?;
    let linked = graph.reach(program);
    let judge = |expression: Option<&str>| match expression {
        None => Some("names no licence".to_owned()),
        Some(expression) if permits(expression, &allowed) => None,
        Some(expression) => Some(format!("is licensed as {expression}, which deny.toml does not allow")),
    };
    let findings = linked
        .iter()
        .filter_map(|package| judge(package.licence.as_deref()).map(|finding| format!("{}: {finding}", package.name)));
    Ok(findings.collect())
}

/// The one list of licences, which cargo-deny reads too.
fn allowed(deny: &str) -> Result<BTreeSet<String>> {
    let deny: toml::Table = deny.parse().context("deny.toml")?;
    let list = deny.get("licenses").and_then(|licenses| licenses.get("allow")).and_then(|allow| allow.as_array());
    let list = list.context("deny.toml has no licenses.allow")?;
    Ok(list.iter().filter_map(|licence| licence.as_str().map(str::to_owned)).collect())
}

/// Whether one may use what is licensed by that SPDX expression, given the licences that one accepts.
fn permits(expression: &str, allowed: &BTreeSet<String>) -> bool {
    // Old manifests separate alternatives by a slash.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = Words { words: spaced.split_whitespace().peekable(), allowed };
    let permitted = words.any_of();
    permitted && words.words.next().is_none()
}

struct Words<'a, I: Iterator<Item = &'a str>> {
    words: std::iter::Peekable<I>,
    allowed: &'a BTreeSet<String>,
}

impl<'a, I: Iterator<Item = &'a str>> Words<'a, I> {
    /// `a OR b`
    fn any_of(&mut self) -> bool {
        let mut permitted = self.all_of();
        while self.words.next_if_eq(&"OR").is_some() {
            permitted |= self.all_of();
        }
        permitted
    }

    /// `a AND b`, which binds closer
    fn all_of(&mut self) -> bool {
        let mut permitted = self.one();
        while self.words.next_if_eq(&"AND").is_some() {
            permitted &= self.one();
        }
        permitted
    }

    /// `a`, `a WITH exception` or `( … )`
    fn one(&mut self) -> bool {
        if self.words.next_if_eq(&"(").is_some() {
            let permitted = self.any_of();
            return self.words.next_if_eq(&")").is_some() && permitted;
        }
        let Some(licence) = self.words.next() else { return false };
        match self.words.next_if_eq(&"WITH") {
            // An exception only adds permissions to those of the licence.
            Some(_) => self.words.next().is_some() && self.allowed.contains(licence),
            None => self.allowed.contains(licence),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let allowed = ["MIT", "Apache-2.0", "ISC", "BSD-3-Clause"].map(str::to_owned).into();
        let good = [
            "MIT",
            "MIT/Apache-2.0",
            "Unlicense OR MIT",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
            "ISC AND (Apache-2.0 OR GPL-3.0) AND BSD-3-Clause",
        ];
        for expression in good {
            assert!(permits(expression, &allowed), "{expression}");
        }
        let bad = ["GPL-3.0", "MIT AND GPL-2.0", "ISC AND (GPL-2.0 OR LGPL-3.0)", "", "MIT GPL-3.0", "(MIT", "OR MIT"];
        for expression in bad {
            assert!(!permits(expression, &allowed), "{expression}");
        }
    }

    #[test]
    fn the_list_is_read_from_deny_toml() {
        let text = std::fs::read_to_string(root().join("deny.toml")).unwrap();
        let allowed = allowed(&text).unwrap();
        assert!(allowed.contains("MIT") && !allowed.iter().any(|licence| licence.contains("GPL")));
    }
}
