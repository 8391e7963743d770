//! What policies make of what is known.

use crate::{
    dossier::{Dossier, Known},
    fact::{Fact, Kind},
    grace::Grace,
    level::Level,
    policies::{Policies, uid},
};
use cedar_policy::{Authorizer, Context, Decision, EntityUid, PolicyId, Request, RestrictedExpression as Expression};
use landfall_policy::Value;
use landfall_types::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What is asked about a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// How far may it come in?
    Join,
    /// How far may it stay in?
    Stay,
    /// May it do this, or have this done?
    Operate(String),
}

/// What policies say, and on what it rests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ruling {
    /// What was asked.
    pub question: Question,
    /// How far the device is let; of an operation `full`, or `blocked`.
    pub level: Level,
    /// Why not further: the policies that forbid it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// What permits it, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permitted_by: Vec<String>,
    /// The facts that policies have looked at and that hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Fact>,
    /// What they have looked for and nobody has ever told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Kind>,
    /// What they have looked for and that holds no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<Kind>,
    /// What an operator lets be unknown for now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excused: Vec<Kind>,
    /// Whether the device's credential is to be revoked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoke: bool,
    /// When something of that ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_check: Option<Time>,
}

/// A policy that forbids something, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Reason {
    /// Its name.
    pub policy: String,
    /// What it says.
    pub says: String,
    /// The kinds of facts that it looks at.
    pub kinds: Vec<Kind>,
}

impl Question {
    const fn action(&self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Stay => "stay",
            Self::Operate(_) => "operate",
        }
    }
}

impl Ruling {
    /// The sources of what the reasons rest on.
    pub fn blamed(&self) -> BTreeSet<&str> {
        let kinds: BTreeSet<Kind> = self.reasons.iter().flat_map(|reason| reason.kinds.iter().copied()).collect();
        self.facts.iter().filter(|fact| kinds.contains(&fact.kind)).map(|fact| fact.source.as_str()).collect()
    }

    /// Its reasons in one line.
    pub fn why(&self) -> String {
        match self.reasons.is_empty() {
            true if self.level == Level::Full => "nothing speaks against it".into(),
            true => "no policy permits it".into(),
            false => self.reasons.iter().map(|reason| reason.says.as_str()).collect::<Vec<_>>().join("; "),
        }
    }
}

impl Policies {
    /// What they say to `question` about a device of which that is known, and which stands at `level` now.
    pub fn decide(&self, dossier: &Dossier, question: Question, level: Level, grace: &Grace, now: Time) -> Ruling {
        let mut seen = Seen::of(self, dossier, &question, grace, now);
        let asked = self.ask(dossier, &question, level, grace, now, &seen.held);
        // What cannot even be asked is not permitted.
        let Answer { level, reasons, permitted_by } = asked.unwrap_or_else(|why| Answer {
            level: Level::Blocked,
            reasons: vec![PolicyId::new(why)],
            permitted_by: Vec::new(),
        });
        let revoke =
            level == Level::Blocked && reasons.iter().any(|id| self.about.get(id).is_some_and(|about| about.revokes));
        let reasons = reasons.iter().map(|id| match self.about.get(id) {
            Some(about) => Reason {
                policy: id.to_string(),
                says: about.says.clone(),
                kinds: about.kinds.iter().copied().collect(),
            },
            None => Reason { policy: "policy-fails".into(), says: id.to_string(), kinds: Vec::new() },
        });
        seen.facts.sort_by(|a, b| (a.kind, &a.source).cmp(&(b.kind, &b.source)));
        Ruling {
            reasons: reasons.collect(),
            question,
            level,
            permitted_by: permitted_by.iter().map(ToString::to_string).collect(),
            facts: seen.facts,
            missing: seen.missing,
            stale: seen.stale,
            excused: seen.excused,
            revoke,
            next_check: seen.next_check,
        }
    }

    fn ask(
        &self,
        dossier: &Dossier,
        question: &Question,
        level: Level,
        grace: &Grace,
        now: Time,
        held: &[(Kind, Value)],
    ) -> Result<Answer, String> {
        let marks = dossier.mark_names(now).into_iter().map(Expression::new_string);
        let more = [
            ("tier".to_owned(), Expression::new_long(dossier.background(grace, now).tier.number())),
            ("marks".to_owned(), Expression::new_set(marks)),
            ("level".to_owned(), Expression::new_string(level.as_str().into())),
        ];
        let pairs = held.iter().map(|(kind, value)| (kind.attribute(), expression(value))).chain(more);
        let context = Context::from_pairs(pairs).map_err(|why| why.to_string())?;
        let (device, action) = (uid("Device", dossier.device.as_str())?, uid("Action", question.action())?);
        if let Question::Operate(operation) = question {
            let (permits, by) = self.put(device, action, uid("Operation", operation)?, context)?;
            return Ok(match permits {
                true => Answer { level: Level::Full, reasons: Vec::new(), permitted_by: by },
                false => Answer { level: Level::Blocked, reasons: by, permitted_by: Vec::new() },
            });
        }
        let mut reasons: Vec<PolicyId> = Vec::new();
        for rung in Level::ALL.into_iter().filter(|rung| *rung != Level::Blocked) {
            let rung_uid = uid("Level", rung.as_str())?;
            let (permits, by) = self.put(device.clone(), action.clone(), rung_uid, context.clone())?;
            if permits {
                return Ok(Answer { level: rung, reasons, permitted_by: by });
            }
            for policy in by {
                if !reasons.contains(&policy) {
                    reasons.push(policy);
                }
            }
        }
        Ok(Answer { level: Level::Blocked, reasons, permitted_by: Vec::new() })
    }

    /// One question to Cedar: whether it is permitted, and the policies that say so.
    fn put(
        &self,
        device: EntityUid,
        action: EntityUid,
        resource: EntityUid,
        context: Context,
    ) -> Result<(bool, Vec<PolicyId>), String> {
        let request = Request::new(device, action, resource, context, None).map_err(|why| why.to_string())?;
        let response = Authorizer::new().is_authorized(&request, &self.set, &self.ladder);
        // Cedar leaves out a policy that fails, and would so forget what it forbids. Policies that fit the schema do not fail,
        // except where a number overflows.
        if let Some(why) = response.diagnostics().errors().next() {
            return Err(why.to_string());
        }
        let mut by: Vec<PolicyId> = response.diagnostics().reason().cloned().collect();
        by.sort();
        Ok((response.decision() == Decision::Allow, by))
    }
}

struct Answer {
    level: Level,
    reasons: Vec<PolicyId>,
    permitted_by: Vec<PolicyId>,
}

/// What policies see of a dossier.
#[derive(Default)]
struct Seen {
    held: Vec<(Kind, Value)>,
    facts: Vec<Fact>,
    missing: Vec<Kind>,
    stale: Vec<Kind>,
    excused: Vec<Kind>,
    next_check: Option<Time>,
}

impl Seen {
    fn of(policies: &Policies, dossier: &Dossier, question: &Question, grace: &Grace, now: Time) -> Self {
        let mut seen = Self::default();
        for kind in policies.kinds(question.action()) {
            match dossier.known(kind, grace, now) {
                Known::Holds(value, facts) => {
                    facts.iter().filter_map(|fact| grace.end(fact)).for_each(|end| seen.ends(end));
                    seen.facts.extend(facts.into_iter().cloned());
                    seen.held.push((kind, value));
                }
                Known::Stale(_) => seen.stale.push(kind),
                Known::Missing => {
                    let end = dossier.since + grace.of(kind);
                    match kind.favourable().filter(|_| now < end) {
                        Some(value) => {
                            seen.ends(end);
                            seen.excused.push(kind);
                            seen.held.push((kind, value));
                        }
                        None => seen.missing.push(kind),
                    }
                }
            }
        }
        seen
    }

    fn ends(&mut self, at: Time) {
        self.next_check = Some(self.next_check.map_or(at, |before| before.min(at)));
    }
}

fn expression(value: &Value) -> Expression {
    match value {
        Value::Bool(value) => Expression::new_bool(*value),
        Value::Number(value) => Expression::new_long(*value),
        Value::Text(value) => Expression::new_string(value.clone()),
        Value::List(list) => Expression::new_set(list.iter().cloned().map(Expression::new_string)),
    }
}
