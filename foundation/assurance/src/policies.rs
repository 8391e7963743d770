//! Policies: read, held against the schema, and ready to decide.

use crate::{fact::Kind, level::Level, schema::schema};
use cedar_policy::{Entities, Entity, EntityUid, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

/// The policies that hold where an operator has set none: Build 5's five checks (the guide's table G-1), and what follows from
/// attestation.
pub const DEFAULT: &str = include_str!("policies/default.cedar");
/// Policies to choose from, one for each dimension that device onboarding was shown to depend on.
pub const EXAMPLES: &str = include_str!("policies/examples.cedar");

/// So long may the text be, in octets.
const TEXT: usize = 256 * 1024;
/// So many policies may there be.
const MOST: usize = 1000;
/// So deep may one be nested; the parser goes as deep as the text.
const DEEP: usize = 128;
/// So many operators may be in one.
const OPERATORS: usize = 2000;

/// What the context holds besides facts.
const MORE: [&str; 3] = ["tier", "marks", "level"];

/// A set of policies that fits the schema.
#[derive(Clone, Debug)]
pub struct Policies {
    text: String,
    pub(crate) set: PolicySet,
    pub(crate) about: BTreeMap<PolicyId, About>,
    /// The levels, each in the one below it.
    pub(crate) ladder: Entities,
}

/// What is to be known of a policy besides what it decides.
#[derive(Clone, Debug)]
pub(crate) struct About {
    /// Its reason in words (`@says`), or its name.
    pub(crate) says: String,
    /// The kinds of facts that it looks at.
    pub(crate) kinds: BTreeSet<Kind>,
    /// The actions that it is about; all if none is named.
    pub(crate) actions: BTreeSet<String>,
    /// What it looks at that is no kind of fact: Cedar takes what can never be there for false.
    unknown: BTreeSet<String>,
    /// Whether a device that it blocks loses its credential (`@revoke`).
    pub(crate) revokes: bool,
}

/// What is wrong with policies, in words, each with where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyProblem(pub Vec<String>);

impl fmt::Display for PolicyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for PolicyProblem {}

impl Policies {
    /// Reads policies and holds them against the schema, strictly.
    ///
    /// # Errors
    /// If anything is wrong with them: each problem, with the policy's name.
    pub fn parse(text: &str) -> Result<Self, PolicyProblem> {
        let one = |why: String| PolicyProblem(vec![why]);
        bounded(text).map_err(|why| one(why.into()))?;
        let read: PolicySet = text.parse().map_err(|why: cedar_policy::ParseErrors| {
            PolicyProblem(why.iter().map(|why| located(text, why)).collect())
        })?;
        if read.templates().next().is_some() {
            return Err(one("a template (with ?principal or ?resource) stands for no device".into()));
        }
        let (set, about) = named(&read)?;
        let (schema, _) = Schema::from_cedarschema_str(&schema()).map_err(|why| one(why.to_string()))?;
        let result = Validator::new(schema).validate(&set, ValidationMode::Strict);
        let errors = result.validation_errors().map(|why| format!("`{}`: {why}", why.policy_id()));
        // A policy that can never apply forbids nothing, whatever its author meant.
        let warnings = result.validation_warnings().map(|why| format!("`{}`: {why}", why.policy_id()));
        let problems: Vec<String> = errors.chain(warnings).collect();
        if !problems.is_empty() {
            return Err(PolicyProblem(problems));
        }
        Ok(Self { text: text.into(), set, about, ladder: ladder().map_err(one)? })
    }

    /// The text that they were read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Their names, with what they say.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.about.iter().map(|(id, about)| (id.as_ref(), about.says.as_str()))
    }

    /// The kinds of facts that policies about that action look at.
    pub(crate) fn kinds(&self, action: &str) -> BTreeSet<Kind> {
        let about = |about: &&About| about.actions.is_empty() || about.actions.contains(action);
        self.about.values().filter(about).flat_map(|about| about.kinds.iter().copied()).collect()
    }
}

impl Default for Policies {
    /// Those of [`DEFAULT`].
    fn default() -> Self {
        Self::parse(DEFAULT).unwrap_or_else(|_| Self {
            // Without any policy nothing is permitted.
            text: String::new(),
            set: PolicySet::new(),
            about: BTreeMap::new(),
            ladder: Entities::empty(),
        })
    }
}

/// Refuses what would cost the parser more than any policy is worth.
fn bounded(text: &str) -> Result<(), &'static str> {
    if text.len() > TEXT {
        return Err("the policies are longer than 256 KiB");
    }
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEP {
            return Err("a policy is nested more than 128 deep");
        }
    }
    // What is nested without brackets: `a && b && …`.
    let operators = |policy: &str| ["!", "-", ".", "if", "&&", "||", "+", "*"].map(|sign| policy.matches(sign).count());
    if text.split(';').any(|policy| operators(policy).iter().sum::<usize>() > OPERATORS) {
        return Err("a policy has more than 2000 operators");
    }
    Ok(())
}

/// The parser tells where in octets; people count lines.
fn located(text: &str, why: &cedar_policy::ParseError) -> String {
    let before = miette::Diagnostic::labels(why).and_then(|mut labels| text.get(..labels.next()?.offset()));
    match before {
        Some(before) => format!("{why} (line {})", before.matches('\n').count() + 1),
        None => why.to_string(),
    }
}

/// The same policies under the names that they give themselves.
fn named(read: &PolicySet) -> Result<(PolicySet, BTreeMap<PolicyId, About>), PolicyProblem> {
    let (mut set, mut about, mut problems) = (PolicySet::new(), BTreeMap::new(), Vec::new());
    if read.num_of_policies() > MOST {
        problems.push(format!("there are more than {MOST} policies"));
    }
    for policy in read.policies() {
        let Some(name) = policy.annotation("id").filter(|name| is_name(name)) else {
            let begin: String = policy.to_string().chars().take(80).collect();
            problems.push(format!("a policy has no name of small letters, digits and hyphens (@id(\"…\")): {begin}"));
            continue;
        };
        let id = PolicyId::new(name);
        let its = About::of(policy, name);
        problems.extend(its.unknown.iter().map(|attribute| {
            format!("`{name}`: there is no context.{attribute}; it would never be there, and the policy never hold")
        }));
        about.insert(id.clone(), its);
        if set.add(policy.new_id(id)).is_err() {
            problems.push(format!("two policies have the name {name:?}"));
        }
    }
    if problems.is_empty() { Ok((set, about)) } else { Err(PolicyProblem(problems)) }
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

impl About {
    fn of(policy: &Policy, name: &str) -> Self {
        let json = policy.to_json().unwrap_or_default();
        let mut attributes = BTreeSet::new();
        of_context(&json, &mut attributes);
        let mut actions = BTreeSet::new();
        walk(json.get("action").unwrap_or(&Value::Null), "id", &mut |value| {
            actions.insert(value.to_owned());
        });
        Self {
            says: policy.annotation("says").unwrap_or(name).into(),
            kinds: attributes
                .iter()
                .filter_map(|name| Kind::ALL.into_iter().find(|kind| kind.attribute() == *name))
                .collect(),
            unknown: attributes.into_iter().filter(|name| !is_attribute(name)).collect(),
            actions,
            revokes: policy.annotation("revoke").is_some(),
        }
    }
}

fn is_attribute(name: &str) -> bool {
    MORE.contains(&name) || Kind::ALL.iter().any(|kind| kind.attribute() == name)
}

/// Every attribute of the context that a policy looks at, or looks for.
fn of_context(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            let of = map.get("left").and_then(|left| left.get("Var")).and_then(Value::as_str);
            if let (Some("context"), Some(Value::String(name))) = (of, map.get("attr")) {
                found.insert(name.clone());
            }
            map.values().for_each(|value| of_context(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| of_context(value, found)),
        _ => {}
    }
}

/// Tells of every text that stands under that key, however deep.
fn walk(value: &Value, key: &str, tell: &mut impl FnMut(&str)) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value {
                    Value::String(text) if name == key => tell(text),
                    value => walk(value, key, tell),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| walk(value, key, tell)),
        _ => {}
    }
}

/// `full` in `limited` in `remediation` in `quarantine`: what is forbidden of one is forbidden of all that are in it.
fn ladder() -> Result<Entities, String> {
    let mut entities = Vec::new();
    let rungs = Level::ALL;
    for (at, level) in rungs.iter().enumerate().filter(|(_, level)| **level != Level::Blocked) {
        let parent = rungs.get(at + 1).filter(|level| **level != Level::Blocked);
        let parents = parent.map(|level| uid("Level", level.as_str())).transpose()?.into_iter().collect();
        let entity = Entity::new(uid("Level", level.as_str())?, HashMap::new(), parents);
        entities.push(entity.map_err(|why| why.to_string())?);
    }
    Entities::from_entities(entities, None).map_err(|why| why.to_string())
}

/// The entity of that type with that name.
pub(crate) fn uid(kind: &str, name: &str) -> Result<EntityUid, String> {
    let kind = kind.parse().map_err(|why: cedar_policy::ParseErrors| why.to_string())?;
    Ok(EntityUid::from_type_name_and_id(kind, cedar_policy::EntityId::new(name)))
}
