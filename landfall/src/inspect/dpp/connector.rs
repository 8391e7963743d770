//! Connectors, and the keys that sign them.

use super::super::{
    Context,
    report::{Report, Severity},
};
use landfall_dpp::{
    connector::{Connector, ConnectorError, Group, SignedConnector},
    curve::PublicKey,
    jwk::{self, Jwk},
};
use serde_json::Value;

/// A connector in its compact form. `csign` is the key that it has to be signed with, if that is known.
pub(crate) fn connector(text: &str, csign: Option<&PublicKey>, context: &Context) -> Report {
    let signed = match SignedConnector::parse(text.trim()) {
        Ok(signed) => signed,
        Err(why) => {
            let mut report = Report::new("a broken connector");
            report.refuse(&why.refusal());
            return report;
        }
    };
    let mut report = Report::new("a device's connector (DPP s4.2)");
    let connector = signed.unverified();
    say(&mut report, connector);
    report.field("signed by", format_args!("the C-sign key {} ({})", signed.kid(), signed.algorithm()));
    // Anchors may hold the C-sign key as a certificate's.
    let anchors = context.anchors.iter().filter_map(|anchor| PublicKey::from_spki(anchor.public_key().spki_der()).ok());
    let known: Vec<PublicKey> = csign.cloned().into_iter().chain(anchors).collect();
    match known.iter().find(|key| jwk::kid(key) == signed.kid()).or(csign) {
        Some(key) => match signed.verify_signature(key) {
            Ok(_) => report.field("signature", "that of the C-sign key"),
            Err(why) => report.refuse(&why.refusal()),
        },
        None => {
            let detail = "the signature was not checked: the C-sign key is not here";
            report.find(Severity::Notice, "dpp-connector-signature", "DPP s4.2.1.1", detail);
        }
    }
    if let Err(why @ ConnectorError::Expired(_)) = connector.in_force(context.at) {
        report.refuse(&why.refusal());
    }
    report
}

fn say(report: &mut Report, connector: &Connector) {
    let group = |Group { id, role }: &Group| match id.as_str() {
        Group::ANY => format!("{role} in every group"),
        id => format!("{role} in {id}"),
    };
    report.field("may be", connector.groups.iter().map(group).collect::<Vec<_>>().join("\n"));
    super::key(report, &connector.key);
    report.field("ends", connector.expiry.map_or_else(|| "never".to_owned(), |expiry| expiry.to_string()));
    report.maybe("release", connector.version);
    if connector.expiry.is_none() {
        let detail = "no expiry: only a new C-sign key ends it";
        report.find(Severity::Notice, "dpp-connector-expiry", "DPP s4.2.2", detail);
    }
    if connector.version.is_none() {
        let detail = "no version: a peer cannot tell a downgrade of the release";
        report.find(Severity::Notice, "dpp-connector-version", "DPP s6.6.2", detail);
    }
}

/// A JSON Web Key.
pub(crate) fn jwk(value: Value) -> Report {
    match Jwk::from_value(value) {
        Ok(found) => {
            let mut report = Report::new("a public key, JSON Web Key (RFC 7517)");
            super::key(&mut report, &found.key);
            report.field("kid in DPP", jwk::kid(&found.key));
            if found.kid.as_ref().is_some_and(|kid| *kid != jwk::kid(&found.key)) {
                report.find(Severity::Notice, "dpp-jwk-kid", "DPP s4.2.1", "its kid is not the one that DPP gives it");
            }
            report
        }
        Err(why) => {
            let mut report = Report::new("a JSON Web Key that cannot be used");
            report.refuse(&why.refusal("dpp-jwk"));
            report
        }
    }
}
