//! What Wi-Fi Easy Connect writes: bootstrapping URIs, connectors, configuration, frames.

mod config;
mod connector;
mod frame;

pub(crate) use config::{object, request, status};
pub(crate) use connector::{connector, jwk};
pub(crate) use frame::{body, broken, frame};

use super::report::{Report, Severity};
use crate::qr;
use landfall_dpp::{
    Channel, Curve, Uri,
    curve::PublicKey,
    nfc::{self, Form},
};

/// Text that begins as a bootstrapping URI does.
pub(crate) fn uri(text: &str) -> Report {
    match text.trim().parse::<Uri>() {
        Ok(uri) => bootstrapping("a device's bootstrapping URI (DPP s5.2.1)", &uri),
        Err(why) => {
            let mut report = Report::new("a broken bootstrapping URI");
            report.refuse(&why.refusal());
            report
        }
    }
}

/// A picture with QR codes.
pub(crate) fn picture(bytes: &[u8]) -> Report {
    let mut report = Report::new("a picture");
    match qr::decode(bytes) {
        Ok(texts) => {
            for (number, text) in (1..).zip(&texts) {
                report.part(format!("QR code {number}"), uri(text));
            }
        }
        Err(why) => report.find(Severity::Error, "qr-code", "DPP s5.2", format!("{why:#}")),
    }
    report
}

/// An NDEF message, if it holds a bootstrapping URI.
pub(crate) fn ndef(bytes: &[u8]) -> Option<Report> {
    let (uri, form) = nfc::decode(bytes).ok()?;
    Some(match form {
        Form::Uri => bootstrapping("an NFC tag with a device's bootstrapping URI (DPP s5.4)", &uri),
        Form::Handover => bootstrapping("an NFC handover record with a device's bootstrapping URI (DPP s5.4)", &uri),
    })
}

fn bootstrapping(what: &str, uri: &Uri) -> Report {
    let mut report = Report::new(what);
    report.maybe("information", uri.information.as_ref());
    report.maybe("MAC address", uri.mac.map(mac));
    report.maybe("release", uri.version);
    report.maybe("channels", (!uri.channels.is_empty()).then(|| channels(&uri.channels)));
    report.maybe("listens on", uri.host.as_ref().map(|host| format!("{} port {}", host.name, host.port)));
    report.maybe("curves", uri.curves.as_ref().map(|curves| names(curves)));
    key(&mut report, &uri.key);
    report.field("key hash", uri.key.bootstrap_hash());
    report.field("chirp hash", uri.key.chirp_hash());
    if uri.version.is_none() {
        let detail = "no V: the device says that it speaks release 1, which knows no chirps and no reconfiguration";
        report.find(Severity::Notice, "dpp-uri-version", "DPP s5.2.1", detail);
    }
    if uri.curves.as_ref().is_some_and(|curves| !curves.contains(&uri.key.curve())) {
        let detail = "B does not name the curve of K";
        report.find(Severity::Warning, "dpp-uri-curves", "DPP s5.2.1", detail);
    }
    if uri.channels.is_empty() && uri.host.is_none() {
        let detail = "neither C nor H: whoever onboards it has to try every channel, or wait for its chirp";
        report.find(Severity::Notice, "dpp-uri-channels", "DPP s6.2.2", detail);
    }
    report
}

fn key(report: &mut Report, key: &PublicKey) {
    report.field("curve", key.curve());
    report.field("key", hex::encode(key.compressed()));
}

fn mac(octets: [u8; 6]) -> String {
    octets.map(|octet| format!("{octet:02x}")).join(":")
}

fn channels(channels: &[Channel]) -> String {
    let one = |Channel { class, channel }: &Channel| format!("{channel} in class {class}");
    channels.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn names(curves: &[Curve]) -> String {
    curves.iter().map(|curve| curve.name()).collect::<Vec<_>>().join(", ")
}
