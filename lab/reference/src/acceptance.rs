//! The table that Landfall must fill: the capabilities that the guide demonstrates, and the builds that show them.

/// One capability of the guide's functional demonstrations.
#[derive(Clone, Copy, Debug)]
pub struct Capability {
    /// Its id in the demonstrations: `S1.C3`.
    pub id: &'static str,
    /// What it says.
    pub title: &'static str,
}

const fn row(id: &'static str, title: &'static str) -> Capability {
    Capability { id, title }
}

/// Every capability, in the guide's order: scenario 0 is the factory, 1 network onboarding, 2 application onboarding,
/// 3 re-onboarding, 4 continuous verification, 5 the rest of the life cycle (NIST SP 1800-36B sections 4 and 7).
pub const CAPABILITIES: &[Capability] = &[
    row("S0.C1", "birth credential made in, or put into, secure storage at manufacture"),
    row("S0.C2", "birth credential signed by a trusted CA"),
    row("S0.C3", "bootstrapping information reaches who needs it"),
    row("S1.C1", "the network authenticates the device"),
    row("S1.C2", "the network verifies that the device may join"),
    row("S1.C3", "the device authenticates the network"),
    row("S1.C4", "the device verifies that this network may take it over"),
    row("S1.C5", "unique local credential over a confidential channel"),
    row("S1.C6", "local credential kept in hardware-backed storage"),
    row("S1.C7", "network selection"),
    row("S1.C8", "two types of device through one mechanism"),
    row("S2.C1", "streamlined application-layer onboarding starts by itself"),
    row("S2.C2", "independent application-layer onboarding starts by itself"),
    row(
        "S2.C2-ready",
        "ready for independent application-layer onboarding: a network, and who the device is to its maker",
    ),
    row("S2.C3", "application-layer onboarding is trusted"),
    row("S3.C1", "the network credential can be deleted"),
    row("S3.C2", "the device cannot connect then"),
    row("S3.C3", "re-onboarding at the network layer, to the same and to another network"),
    row("S3.C4", "re-onboarding at the application layer"),
    row("S4.C1", "attestation before network onboarding"),
    row("S4.C2", "attestation before application onboarding"),
    row("S4.C3", "attestation before an operation"),
    row("S4.C4", "segment assigned on joining, by policy and posture"),
    row("S4.C5", "behaviour analysis decides placement"),
    row("S4.C6", "segment changed later by continuing assessment"),
    row("S4.C7", "periodic re-authentication"),
    row("S4.C8", "periodic re-authorization"),
    row("S5.C1", "authenticated, integrity-checked firmware update"),
    row("S5.C2", "credentials renewed, rotated, revoked"),
    row("S5.C3", "the server is attested before it may act on the device"),
    row("S5.C4", "device communications intent conveyed and enforced"),
    row("S5.C5", "bound to a life cycle management service"),
    row("S5.C6", "continuous assurance: access removed on failure"),
];

/// The capability with that id.
pub fn capability(id: &str) -> Option<&'static Capability> {
    CAPABILITIES.iter().find(|capability| capability.id.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_in_order() {
        assert!(CAPABILITIES.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert!(capability("s1.c3").is_some());
        assert!(capability("S9.C1").is_none());
    }
}
