//! Configuration requests, objects, and what became of them.

use super::super::{
    Context,
    recognise::asn1,
    report::{Report, Severity},
};
use landfall_dpp::{
    config::{ConfigObject, ConfigRequest, ConnectionStatus, Credential, JsonError, NetRole},
    jwk,
};
use serde_json::{Map, Value};

/// What an enrollee asks for.
pub(crate) fn request(bytes: &[u8], context: &Context) -> Report {
    let request = match ConfigRequest::parse(bytes) {
        Ok(request) => request,
        Err(why) => return broken("a broken configuration request", &why),
    };
    let mut report = Report::new("an enrollee's configuration request (DPP s6.4.2)");
    report.field("name", &request.name);
    report.field("technology", &request.wifi_tech);
    report.field("wants to be", &request.net_role);
    report.maybe("MUD URL", request.mud_url.as_ref());
    let bands: Vec<String> = request.bands.iter().map(u8::to_string).collect();
    report.maybe("operating classes", (!bands.is_empty()).then(|| bands.join(", ")));
    report.maybe("capabilities", request.capabilities.map(|bits| format!("{bits:#x}")));
    others(&mut report, &request.others);
    technology(&mut report, &request.wifi_tech);
    if let NetRole::Other(role) = &request.net_role {
        let detail = format!("{role} is a role of another specification");
        report.find(Severity::Notice, "dpp-net-role", "DPP s6.4.2", detail);
    }
    if let Some(der) = &request.pkcs10 {
        part(&mut report, "certification request", der, context);
    }
    report
}

/// What an enrollee is given.
pub(crate) fn object(bytes: &[u8], context: &Context) -> Report {
    let object = match ConfigObject::parse(bytes) {
        Ok(object) => object,
        Err(why) => return broken("a broken configuration object", &why),
    };
    let mut report = Report::new("a configuration object: a network and how to get onto it (DPP s4.5)");
    report.field("technology", &object.wifi_tech);
    report.field("network", String::from_utf8_lossy(&object.discovery.ssid));
    report.maybe("charset", object.discovery.charset);
    credential(&mut report, &object.credential, context);
    others(&mut report, &object.others);
    technology(&mut report, &object.wifi_tech);
    report
}

fn credential(report: &mut Report, credential: &Credential, context: &Context) {
    report.field("methods", credential.akm);
    let secrets = [("passphrase", credential.passphrase.is_some()), ("pre-shared key", credential.psk.is_some())];
    for (name, _) in secrets.into_iter().filter(|(_, there)| *there) {
        report.field(name, "there, and not shown");
        let detail = format!("its {name} opens the network to whoever reads this file");
        report.find(Severity::Notice, "dpp-secret", "DPP s4.5.3", detail);
    }
    report.maybe("password identifier", credential.password_id.as_ref());
    let csign = credential.csign.as_ref().map(|jwk| &jwk.key);
    report.maybe("C-sign key", csign.map(|key| format!("{} on {}", jwk::kid(key), key.curve())));
    let privacy = credential.privacy_key.as_ref().map(|jwk| &jwk.key);
    report.maybe("privacy protection key", privacy.map(|key| format!("{} on {}", jwk::kid(key), key.curve())));
    if credential.akm.dpp && credential.akm.is_personal() {
        let detail = "a password beside the connector: the network is as strong as the password";
        report.find(Severity::Notice, "dpp-akm", "DPP s4.5.3", detail);
    }
    if csign.is_some() && privacy.is_none() {
        let detail = "no privacy protection key: the device cannot be reconfigured";
        report.find(Severity::Notice, "dpp-pp-key", "DPP s6.5.2", detail);
    }
    if let Some(text) = &credential.connector {
        report.part("connector", super::connector(text, csign, context));
    }
    if let Some(enterprise) = &credential.enterprise {
        report.maybe("EAP server", enterprise.server_name.as_ref());
        let methods: Vec<String> = enterprise.eap_methods.iter().map(u8::to_string).collect();
        report.maybe("EAP methods", (!methods.is_empty()).then(|| methods.join(", ")));
        part(report, "certificates", &enterprise.cert_bag, context);
        match &enterprise.ca_cert {
            Some(der) => part(report, "CA of the EAP server", der, context),
            None => {
                let detail = "no CA certificate: the device cannot tell the network's EAP server from another";
                report.find(Severity::Warning, "dpp-ca-cert", "DPP s4.5.3", detail);
            }
        }
    }
}

/// What became of a configuration.
pub(crate) fn status(bytes: &[u8]) -> Report {
    let status = match ConnectionStatus::parse(bytes) {
        Ok(status) => status,
        Err(why) => return broken("a broken connection status", &why),
    };
    let mut report = Report::new("an enrollee's connection status (DPP s6.4.5)");
    report.field("result", status.result);
    report.maybe("network", status.ssid.as_ref().map(|ssid| String::from_utf8_lossy(ssid)));
    report.maybe("channels", (!status.channels.is_empty()).then(|| super::channels(&status.channels)));
    report
}

fn part(report: &mut Report, name: &str, der: &[u8], context: &Context) {
    match asn1(der, context) {
        Some(found) => report.part(name, found),
        None => report.find(Severity::Error, "encoding", "DPP s4.5.3", format!("its {name} cannot be read")),
    }
}

fn others(report: &mut Report, others: &Map<String, Value>) {
    for (name, value) in others {
        report.field(name.as_str(), value);
        if !name.contains('.') {
            let detail = format!("{name} is known to nobody here, and is no reversed domain name of a third party");
            report.find(Severity::Notice, "dpp-third-party", "DPP s4.5.2", detail);
        }
    }
}

fn technology(report: &mut Report, technology: &str) {
    if technology != ConfigRequest::INFRA {
        let detail = format!("{technology} is no technology that is known here");
        report.find(Severity::Warning, "dpp-wifi-tech", "DPP s6.4.2", detail);
    }
}

fn broken(what: &str, why: &JsonError) -> Report {
    let mut report = Report::new(what);
    report.refuse(&why.refusal("dpp-json"));
    report
}
