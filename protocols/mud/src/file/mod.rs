//! Reading MUD files.

mod acl;
mod matches;
mod object;
mod tls;
mod transparency;

pub use acl::{Acl, AclKind, Action, Entry};
pub use matches::{EtherMatch, Family, IpMatch, L4, Matches, Ports};
pub use tls::TlsProfile;
pub use transparency::{Retrieval, Transparency};

use crate::{
    bounds,
    report::{At, Report},
    url::MudUrl,
};
use landfall_types::{Fault, Refusal, Time, json};
use object::{Object, Text};
use serde_json::Value;
use std::time::Duration;

/// The name of the container of a MUD file (RFC 8520 s7).
pub(crate) const MUD: &str = "ietf-mud:mud";
/// That of its access lists (RFC 8519 s4.1), and what it was called in drafts.
pub(crate) const ACLS: &str = "ietf-access-control-list:acls";
pub(crate) const DRAFT_ACLS: &str = "ietf-access-control-list:access-lists";
/// How long a file is good that does not say it (RFC 8520 s3.5).
const CACHE_VALIDITY: u8 = 48;
/// So much of a display a description should take (RFC 8520 s3.7).
const SYSTEMINFO: usize = 60;
/// Registered extensions (RFC 8520 s17.8).
const EXTENSIONS: [&str; 5] = ["transparency", "ol", "tls", "mud-qr", "tls-dtls-profile"];

/// What a manufacturer says of a kind of device.
#[derive(Clone, Debug, PartialEq)]
pub struct MudFile {
    /// Where it says that it is from.
    pub url: MudUrl,
    /// Where its signature is, if not beside it (RFC 8520 s13.2).
    pub signature: Option<String>,
    /// When it was written.
    pub last_update: Option<Time>,
    /// For so many hours nobody needs to ask for a new one: 1 to 168.
    pub cache_validity: u8,
    /// Whether the manufacturer still supports the device.
    pub is_supported: bool,
    /// What the device is, for people.
    pub systeminfo: Option<String>,
    /// Who made it.
    pub mfg_name: Option<String>,
    /// Which model it is.
    pub model_name: Option<String>,
    /// Its firmware.
    pub firmware_rev: Option<String>,
    /// Its software.
    pub software_rev: Option<String>,
    /// Where people find more.
    pub documentation: Option<String>,
    /// Which extensions the file uses.
    pub extensions: Vec<String>,
    /// Lists for what comes from the device, in their order.
    pub from_device: Vec<Acl>,
    /// Lists for what goes to it, in their order.
    pub to_device: Vec<Acl>,
    /// Whether it says of TLS how the device speaks it (RFC 9761 s6).
    pub has_tls_profiles: bool,
    /// Where its list of parts and its known weaknesses are (RFC 9472).
    pub transparency: Option<Transparency>,
}

impl MudFile {
    /// Until when it need not be fetched again.
    pub fn fresh_until(&self, fetched: Time) -> Time {
        fetched + Duration::from_secs(u64::from(self.cache_validity) * 3600)
    }

    /// Both directions with their lists.
    pub fn directions(&self) -> [(crate::Direction, &[Acl]); 2] {
        [(crate::Direction::FromDevice, &self.from_device), (crate::Direction::ToDevice, &self.to_device)]
    }
}

/// Reads a file, mends what can be mended, and says all that is not as it should be.
///
/// # Errors
/// If it is no MUD file of the one version there is, or too large to be one.
pub fn read(bytes: &[u8]) -> Result<(MudFile, Report), Refusal> {
    let value = parse(bytes)?;
    let mut report = Report::default();
    let file = File { report: &mut report }.read(&value)?;
    Ok((file, report))
}

/// The JSON of a file: within bounds, in UTF-8, and each name once (RFC 7951, RFC 7493 s2.3).
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Refusal> {
    if bytes.len() > bounds::FILE {
        return Err(refuse("mud-size", "RFC 8520 s16", format!("it has more than {} bytes", bounds::FILE)));
    }
    json::parse(bytes).map_err(|why| refuse("mud-json", "RFC 8520 s7", why.to_string()))
}

fn refuse(check: &'static str, section: &'static str, detail: impl Into<String>) -> Refusal {
    Refusal::new(Fault::Malformed, check, section, detail)
}

struct File<'r> {
    report: &'r mut Report,
}

impl File<'_> {
    fn read(self, value: &Value) -> Result<MudFile, Refusal> {
        let report = self.report;
        let top = value.as_object().ok_or_else(|| refuse("mud-json", "RFC 8520 s7", "it is no JSON object"))?;
        let at = At::top(MUD);
        let container = top.get(MUD).and_then(Value::as_object);
        let container = container.ok_or_else(|| refuse("mud-container", "RFC 8520 s7", format!("it has no {MUD}")))?;
        let mut mud = Object::new(container, at);

        // RFC 8520 s3.1: there is one version, and what another one means nobody knows yet.
        match mud.number("mud-version", "RFC 8520 s3.1", 0, 255, report) {
            Some(1) => {}
            Some(other) => {
                let why = format!("it is of version {other}, and only 1 is known");
                let refusal = Refusal::new(Fault::Incompatible, "mud-version", "RFC 8520 s3.1", why);
                return Err(refusal.field("mud-version"));
            }
            None => return Err(refuse("mud-version", "RFC 8520 s3.1", "it has no version").field("mud-version")),
        }
        let url = mud.required("mud-url", "RFC 8520 s3.2", report);
        let url = url.and_then(Value::as_str).unwrap_or_default().parse::<MudUrl>();
        let url = url.map_err(|why| refuse("mud-url", "RFC 8520 s6", why.to_string()).field("mud-url"))?;

        let last_update = mud.required("last-update", "RFC 8520 s3.4", report);
        let last_update = last_update.and_then(|value| {
            let time = value.as_str().and_then(|text| text.parse::<Time>().ok());
            if time.is_none() {
                report.wrong(&at.name("last-update"), "RFC 8520 s3.4", "it is no date and time of RFC 3339");
            }
            time
        });
        let is_supported = mud.required("is-supported", "RFC 8520 s3.6", report).map(|value| {
            value.as_bool().unwrap_or_else(|| {
                report.wrong(&at.name("is-supported"), "RFC 8520 s3.6", "it is neither true nor false");
                false
            })
        });
        if is_supported == Some(false) {
            report.note(&at.name("is-supported"), "RFC 8520 s3.6", "the manufacturer supports the device no more");
        }
        // RFC 8520 s3.5: at least an hour and at most a week.
        let cache_validity = match mud.has("cache-validity") {
            true => mud.number("cache-validity", "RFC 8520 s3.5", 1, 168, report),
            false => None,
        };
        let systeminfo = mud.text("systeminfo", "RFC 8520 s3.7", Text::Free, report);
        if systeminfo.as_ref().is_some_and(|text| text.chars().count() > SYSTEMINFO) {
            let why = format!("it should take no more than {SYSTEMINFO} places on a display");
            report.note(&at.name("systeminfo"), "RFC 8520 s3.7", why);
        }
        let mut free = |name, section| mud.text(name, section, Text::Free, report);
        let mfg_name = free("mfg-name", "RFC 8520 s3.8");
        let model_name = free("model-name", "RFC 8520 s3.8");
        let firmware_rev = free("firmware-rev", "RFC 8520 s3.8");
        let software_rev = free("software-rev", "RFC 8520 s3.8");
        let documentation = mud.text("documentation", "RFC 8520 s4.3", Text::Uri(&["https", "http"]), report);
        let signature = mud.text("mud-signature", "RFC 8520 s13.1", Text::Uri(&["https"]), report);
        let extensions = extensions(&mut mud, report);

        let has_tls_profiles = tls::is_supported(&mut mud, report);
        let transparency = transparency::read(&mut mud, report);
        for (used, name, section) in
            [(has_tls_profiles, "tls", "RFC 9761 s6"), (transparency.is_some(), "transparency", "RFC 9472 s5")]
        {
            // RFC 8520 s3.9: an extension is not used without being named.
            if used && !extensions.iter().any(|known| known.starts_with(name)) {
                report.mended(&at.name("extensions"), section, format!("it does not name {name}, which is used"));
            }
        }

        let lists = acl::Lists::of(top, &mut mud, report);
        if lists.entries() > bounds::ENTRIES {
            let why = format!("it has more than {} entries", bounds::ENTRIES);
            return Err(refuse("mud-entries", "RFC 8520 s16", why));
        }
        let mut used = Vec::new();
        let [from_device, to_device] =
            ["from-device-policy", "to-device-policy"].map(|name| lists.policy(&mut mud, name, &mut used, report));
        lists.unused(&used, report);
        mud.rest("RFC 8520 s3.9", report);
        for name in top.keys().filter(|name| ![MUD, ACLS, DRAFT_ACLS].contains(&name.as_str())) {
            report.note(&At::top(name), "RFC 8520 s3.9", "it is not understood, and ignored");
        }
        Ok(MudFile {
            url,
            signature,
            last_update,
            cache_validity: cache_validity.and_then(|hours| u8::try_from(hours).ok()).unwrap_or(CACHE_VALIDITY),
            is_supported: is_supported.unwrap_or(false),
            systeminfo,
            mfg_name,
            model_name,
            firmware_rev,
            software_rev,
            documentation,
            extensions,
            from_device,
            to_device,
            has_tls_profiles,
            transparency,
        })
    }
}

/// RFC 8520 s7: names of 1 to 40 characters.
fn extensions(mud: &mut Object<'_, '_>, report: &mut Report) -> Vec<String> {
    let at = mud.at();
    let at = at.name("extensions");
    let mut names = Vec::new();
    for (index, value) in mud.list("extensions", "RFC 8520 s3.9", bounds::ITEMS, report).iter().enumerate() {
        let at = at.index(index);
        match value.as_str().filter(|name| (1..=40).contains(&name.chars().count())) {
            Some(name) => {
                if !EXTENSIONS.contains(&name) {
                    report.note(&at, "RFC 8520 s3.9", format!("the extension {name:?} is not known"));
                }
                names.push(name.to_owned());
            }
            None => report.wrong(&at, "RFC 8520 s3.9", "it is no text of 1 to 40 characters"),
        }
    }
    names
}
