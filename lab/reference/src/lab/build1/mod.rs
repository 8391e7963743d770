//! Build 1 (SP 1800-36B appendix C): Wi-Fi Easy Connect with a configurator in the cloud, a supply chain service, and
//! connectors, passwords and certificates; with what the guide says is missing there: a factory, and devices that
//! authenticate the network.

use super::easyconnect::{Build, Way};

/// The build.
pub(super) const BUILD: Build = Build {
    number: "1",
    title: "Build 1: Wi-Fi Easy Connect, a configurator in the cloud (SP 1800-36B appendix C)",
    way: Way::Cloud,
    password: "sae",
    not_run: &[
        ("S2.C1", "Build 1 onboards independently at the application layer (C.1)"),
        ("S2.C2", INDEPENDENT),
        ("S2.C3", INDEPENDENT),
        ("S3.C4", INDEPENDENT),
    ],
};

const INDEPENDENT: &str =
    "no device of this version asks its vendor's cloud by itself (C.2.1); that it is ready to is shown as S2.C2-ready";
