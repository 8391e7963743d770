//! Copies of what a device got, with the secrets taken out.

use super::device::{Device, Joined};
use crate::lab::place::Place;
use anyhow::Result;
use landfall_dpp::config::ConfigObject;
use landfall_pki::{Certificate, cms::parse_certs_only};
use serde_json::Value;
use std::{fs, path::Path};

/// Writes what `device` got to where the user wants it.
pub(super) fn write(place: &Place, device: &Device, joined: &Joined) -> Result<()> {
    let Some(folder) = &place.evidence else { return Ok(()) };
    let folder = folder.join(&device.serial);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("bootstrapping-uri.txt"), format!("{}\n", device.uri))?;
    for (number, object) in (1..).zip(&joined.networks.objects) {
        one(&folder, number, object)?;
    }
    Ok(())
}

fn one(folder: &Path, number: u32, object: &ConfigObject) -> Result<()> {
    let mut shown: Value = serde_json::from_str(object.to_json().expose())?;
    if let Some(credential) = shown.get_mut("cred").and_then(Value::as_object_mut) {
        for secret in ["pass", "psk_hex"] {
            if let Some(value) = credential.get_mut(secret) {
                *value = "(the device's secret)".into();
            }
        }
    }
    fs::write(folder.join(format!("configuration-{number}.json")), serde_json::to_vec_pretty(&shown)?)?;
    let credential = &object.credential;
    if let Some(connector) = &credential.connector {
        fs::write(folder.join(format!("connector-{number}.jws")), connector)?;
    }
    if let Some(csign) = &credential.csign {
        fs::write(folder.join("csign.jwk.json"), serde_json::to_vec_pretty(&csign.to_value())?)?;
    }
    if let Some(enterprise) = &credential.enterprise {
        let chain = parse_certs_only(&enterprise.cert_bag)?;
        let chain: Vec<String> = chain.iter().map(Certificate::to_pem).collect();
        fs::write(folder.join("certificate.pem"), chain.concat())?;
        if let Some(anchor) = &enterprise.ca_cert {
            fs::write(folder.join("ca.pem"), Certificate::from_der(anchor)?.to_pem())?;
        }
    }
    Ok(())
}
