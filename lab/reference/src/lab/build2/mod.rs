//! Build 2 (SP 1800-36B appendix D): Wi-Fi Easy Connect with a gateway in the house, a QR code on the device, and
//! connectors and passwords; with what the guide says is missing there: secure storage, and devices that authenticate the
//! network.

use super::easyconnect::{Build, Way};

/// The build.
pub(super) const BUILD: Build = Build {
    number: "2",
    title: "Build 2: Wi-Fi Easy Connect, a gateway and a QR code (SP 1800-36B appendix D)",
    way: Way::Gateway,
    password: "psk",
    not_run: &[
        (
            "S2.C2",
            "Build 2 onboards in one go at the application layer (D.1); other members of requests are kept as well",
        ),
        ("S2.C3", "this version has no onboarding tool for OCF"),
        ("S3.C4", "this version has no onboarding tool for OCF"),
    ],
};
