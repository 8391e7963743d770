//! What is shown and taken of continuous verification (SP 1800-36B 4.5).

use crate::authorizer::{Entry, PolicyVersion, Replayed, SbomReport, Trial, View};
use landfall_assurance::{Fact, Kind, Level, Ruling};
use landfall_lifecycle::verification::{Assessment, Braked};
use landfall_policy::Value;
use landfall_types::Time;
use serde::{Deserialize, Serialize};

/// Facts to take in.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// At most a thousand.
    #[schema(value_type = Vec<Object>)]
    pub facts: Vec<Fact>,
}

/// What became of them.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FactsTaken {
    /// How many.
    pub taken: usize,
    /// How many of them said something new.
    pub news: usize,
}

/// What an operator says of a device.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Statement {
    /// The kind of fact.
    #[schema(value_type = String)]
    pub kind: Kind,
    /// What is the case.
    #[schema(value_type = Object)]
    pub value: Value,
    /// Until when, if not for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub expires: Option<Time>,
}

/// One device, shortly.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Verified {
    /// Its id.
    pub device: String,
    /// Its serial number, if it is on record here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// How far it is let in.
    #[schema(value_type = String)]
    pub level: Level,
    /// Since when.
    #[schema(value_type = String)]
    pub since: Time,
    /// Why not further.
    pub why: String,
    /// What its background comes to.
    pub tier: String,
    /// When it is looked at again.
    #[schema(value_type = String)]
    pub next_check: Time,
    /// Whether a worse level waits for a person.
    pub held: bool,
}

/// One device with all that is known of it, how it stands, and its latest decisions.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Examined {
    /// What is known, how it stands, and what its background comes to.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub view: View,
    /// What policy says now, with the facts that it rests on.
    #[schema(value_type = Object)]
    pub ruling: Ruling,
    /// The list of components that is of it, and what was found in that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub software: Option<SbomReport>,
}

/// A question about a device.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Operation {
    /// What it wants to do, or what is to be done to it: `firmware-update`.
    pub operation: String,
}

/// What policy says.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Ruled {
    /// With its reasons and the facts that it rests on.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub ruling: Ruling,
    /// By which version of the policy.
    pub policy: u64,
}

/// A decision, as the log has it.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Decided {
    /// As it is.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub decision: Entry,
}

/// A policy to try or to put into force.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProposedPolicy {
    /// Its text, in Cedar.
    pub text: String,
    /// A CMS signature of exactly that text (DER), in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// The policy in force.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyInForce {
    /// Its version; 0 is the one of the settings.
    pub version: u64,
    /// Its text.
    pub text: String,
    /// All that were in force, without their texts.
    #[schema(value_type = Vec<Object>)]
    pub versions: Vec<PolicyVersion>,
}

/// What a policy would make of the devices that there are.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyTrial {
    /// How many would stand how.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub trial: Trial,
    /// Whether it would leave no device at work of those that are.
    pub locks_everyone_out: bool,
    /// The version that it is, if it is in force now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// What a policy would have made of the past.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PolicyReplay {
    /// As it is.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub replay: Replayed,
}

/// Back to which version.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollBack {
    /// Its number.
    pub version: u64,
}

/// A source that waits for a person.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BrakedSource {
    /// As it is.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub waits: Braked,
}

/// What a person says of a source that put too many devices out of action.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceJudged {
    /// Which.
    pub source: String,
    /// Whether it is right; if not, what it told is forgotten.
    pub believe: bool,
}

/// What follows.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LookedAt {
    /// How many devices are looked at anew.
    pub devices: usize,
}

impl Verified {
    /// Shortly, what a view says.
    pub(crate) fn of(assessment: &Assessment, tier: String, serial_number: Option<String>) -> Self {
        let Assessment { device, level, since, ruling, next_check, held, .. } = assessment;
        Self {
            device: device.to_string(),
            serial_number,
            level: *level,
            since: *since,
            why: ruling.why(),
            tier,
            next_check: *next_check,
            held: held.is_some(),
        }
    }
}
