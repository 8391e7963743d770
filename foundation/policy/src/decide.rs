//! The decision, and why.

use crate::{
    fact::{Fact, Facts},
    rule::{Condition, Obligation, Policy, Rule},
};
use landfall_types::Time;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt};

/// What may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It may.
    Permit,
    /// It may not.
    #[default]
    Deny,
    /// A person decides.
    Ask,
}

/// A verdict with its reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What may happen.
    pub verdict: Verdict,
    /// Why: the rule and the facts that it used, or what was not known.
    pub reasons: Vec<Reason>,
    /// What must be done as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obligations: Vec<Obligation>,
    /// When to decide anew, because a fact that was used expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_check: Option<Time>,
}

/// One reason for a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable kebab-case name, for programs and metrics.
    pub code: Cow<'static, str>,
    /// The reason in words, for the operator.
    pub text: String,
}

impl Decision {
    /// A verdict for one reason.
    pub fn because(verdict: Verdict, code: &'static str, text: impl Into<String>) -> Self {
        let reason = Reason { code: code.into(), text: text.into() };
        Self { verdict, reasons: vec![reason], obligations: Vec::new(), next_check: None }
    }

    /// Whether it may happen now.
    pub fn permits(&self) -> bool {
        self.verdict == Verdict::Permit
    }

    /// Its reasons in one line.
    pub fn why(&self) -> String {
        self.reasons.iter().map(|reason| reason.text.as_str()).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
            Self::Ask => "ask",
        })
    }
}

/// Decides by the first rule whose conditions all hold at `now`.
pub fn decide(policy: &Policy, facts: &Facts, now: Time) -> Decision {
    let mut unknown = Vec::new();
    for rule in &policy.rules {
        match try_rule(policy, rule, facts, now) {
            Tried::Matched(used) => return matched(rule, &used),
            Tried::Unknown(reason) if !unknown.contains(&reason) => unknown.push(reason),
            Tried::Unknown(_) | Tried::Different => {}
        }
    }
    let mut decision = Decision::because(policy.otherwise, "no-rule", "no rule matches");
    decision.reasons.extend(unknown);
    decision
}

enum Tried<'a> {
    Matched(Vec<(&'a str, &'a Fact)>),
    Different,
    Unknown(Reason),
}

/// The facts that the rule used, or why it does not match. That a fact is unknown is only worth telling if everything
/// else matches.
fn try_rule<'a>(policy: &Policy, rule: &'a Rule, facts: &'a Facts, now: Time) -> Tried<'a> {
    let (mut used, mut unknown) = (Vec::new(), None);
    for Condition { fact: name, is } in &rule.when {
        let reason = |code: &'static str, what: &str| Reason {
            code: code.into(),
            text: format!("{name} {what}, which the rule {:?} needs", rule.name),
        };
        match facts.find(name) {
            None => unknown = unknown.or(Some(reason("fact-missing", "is not known"))),
            Some(fact) if !fact.holds(now) => unknown = unknown.or(Some(reason("fact-expired", "has expired"))),
            Some(fact) if is.matches(&fact.value, &policy.sets) => used.push((name.as_str(), fact)),
            Some(_) => return Tried::Different,
        }
    }
    unknown.map_or(Tried::Matched(used), Tried::Unknown)
}

fn matched(rule: &Rule, used: &[(&str, &Fact)]) -> Decision {
    let named = Reason { code: "rule".into(), text: format!("the rule {:?} says {}", rule.name, rule.then) };
    let facts = used.iter().map(|(name, fact)| Reason {
        code: "fact".into(),
        text: format!("{name} is {} ({})", fact.value, fact.source),
    });
    Decision {
        verdict: rule.then,
        reasons: std::iter::once(named).chain(facts).collect(),
        obligations: rule.obligations.clone(),
        next_check: used.iter().filter_map(|(_, fact)| fact.expires).min(),
    }
}
