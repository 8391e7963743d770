//! What the policy says of a device: before it is authenticated, and again with its request in hand.

use landfall_dpp::exchange::Facts as Asked;
use landfall_lifecycle::{network::DomainDevice, transfer::Via};
use landfall_policy::{Decision, Facts, Policy, Verdict, acceptance, decide};
use landfall_types::Time;

/// By what is on record of it.
pub(super) fn before(policy: &Policy, device: &DomainDevice, via: Via, now: Time) -> Decision {
    by(policy, device, facts(device, via, now), now)
}

/// By that and by what it proved and asked for.
pub(super) fn with_request(policy: &Policy, device: &DomainDevice, via: Via, asked: &Asked, now: Time) -> Decision {
    let mut facts = facts(device, via, now)
        .with(acceptance::NETWORK_ROLE, asked.request.net_role.as_str(), "configuration request", now)
        .with(acceptance::NETWORK_AUTHENTICATED, asked.peer.we_proved, "authentication", now)
        .with(acceptance::RELEASE, i64::from(asked.peer.version), "authentication", now);
    if let Some(url) = &asked.request.mud_url {
        facts = facts.with(acceptance::MUD_URL, url.as_str(), "configuration request", now);
    }
    by(policy, device, facts, now)
}

fn facts(device: &DomainDevice, via: Via, now: Time) -> Facts {
    device.facts(now).with(acceptance::INTRODUCED, via.as_str(), "device book", now)
}

/// Where the policy asks for a person, a device that is inside was let in by someone.
fn by(policy: &Policy, device: &DomainDevice, facts: Facts, now: Time) -> Decision {
    let decision = device.settled(decide(policy, &facts, now));
    match decision.verdict {
        Verdict::Ask if device.state.is_inside() => {
            Decision::because(Verdict::Permit, "inside", "it was taken in before")
        }
        _ => decision,
    }
}

/// Whether the decision is another one than the record has.
pub(super) fn is_news(device: &DomainDevice, decision: &Decision) -> bool {
    device.decision.as_ref().is_none_or(|before| before.decision != *decision)
}
