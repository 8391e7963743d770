//! Where a device's list of parts is, and what is known of its weaknesses (RFC 9472).

use super::object::{Object, Text, text};
use crate::{bounds, report::Report};

const SECTION: &str = "RFC 9472 s5";
const NAME: &str = "ietf-mud-transparency:transparency";
const CONTACT: Text = Text::Uri(&["mailto", "https", "http", "tel"]);

/// What a file says of where to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transparency {
    /// How a list of parts (SBOM) is had.
    pub sbom: Option<Retrieval>,
    /// Where lists of before are listed.
    pub sbom_archive: Option<String>,
    /// Where weaknesses are told.
    pub vulnerabilities: Vec<String>,
    /// Whom to ask for weaknesses.
    pub vulnerability_contact: Option<String>,
}

/// How a list of parts is had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retrieval {
    /// At a URL for each version: version and URL.
    Cloud(Vec<(String, String)>),
    /// From the device itself at `/.well-known/sbom`, by that protocol.
    Local(String),
    /// From a person.
    Contact(String),
}

pub(super) fn read(mud: &mut Object<'_, '_>, report: &mut Report) -> Option<Transparency> {
    let value = mud.take_or(NAME, &["transparency", "mudtx:transparency"], "RFC 7951 s4", report)?;
    let at = mud.at();
    let at = at.name(NAME);
    let mut object = Object::of(value, at, SECTION, report)?;
    let mut ways = Vec::new();
    if object.has("sboms") {
        ways.push(Retrieval::Cloud(sboms(&mut object, report)));
    }
    if let Some(value) = object.take("sbom-local-well-known") {
        let kind = value.as_str().map(|text| text.strip_prefix("ietf-mud-transparency:").unwrap_or(text));
        match kind.filter(|kind| ["https", "http", "coaps", "coap"].contains(kind)) {
            Some(kind) => ways.push(Retrieval::Local(kind.to_owned())),
            None => {
                report.wrong(&at.name("sbom-local-well-known"), SECTION, "it is none of https, http, coaps and coap")
            }
        }
    }
    ways.extend(object.text("sbom-contact-uri", SECTION, CONTACT, report).map(Retrieval::Contact));
    if ways.len() > 1 {
        report.wrong(&at, SECTION, "it says in several ways how the list of parts is had");
    }
    let sbom_archive = object.text("sbom-archive-list", SECTION, Text::Uri(&["https", "http"]), report);
    let mut vulnerabilities = Vec::new();
    for (index, value) in object.list("vuln-url", SECTION, bounds::ITEMS, report).iter().enumerate() {
        let place = at.name("vuln-url");
        let url = text(value, &place.index(index), SECTION, Text::Uri(&["https", "http"]), report);
        vulnerabilities.extend(url.map(str::to_owned));
    }
    let vulnerability_contact = object.text("vuln-contact-uri", SECTION, CONTACT, report);
    if !vulnerabilities.is_empty() && vulnerability_contact.is_some() {
        report.wrong(&at, SECTION, "it says in several ways how weaknesses are told");
    }
    object.rest(SECTION, report);
    Some(Transparency { sbom: ways.into_iter().next(), sbom_archive, vulnerabilities, vulnerability_contact })
}

fn sboms(object: &mut Object<'_, '_>, report: &mut Report) -> Vec<(String, String)> {
    let at = object.at();
    let at = at.name("sboms");
    let mut sboms: Vec<(String, String)> = Vec::new();
    for (index, value) in object.list("sboms", SECTION, bounds::ITEMS, report).iter().enumerate() {
        let at = at.index(index);
        let Some(mut item) = Object::of(value, at, SECTION, report) else { continue };
        let version = item.required("version-info", SECTION, report);
        let version = version.and_then(|it| text(it, &item.at().name("version-info"), SECTION, Text::Free, report));
        let url = item.text("sbom-url", SECTION, Text::Uri(&["https", "http", "coaps", "coap"]), report);
        item.rest(SECTION, report);
        let (Some(version), Some(url)) = (version, url) else { continue };
        match sboms.iter().any(|(known, _)| known == version) {
            true => report.wrong(&at, SECTION, "that version is there twice"),
            false => sboms.push((version.to_owned(), url)),
        }
    }
    sboms
}
