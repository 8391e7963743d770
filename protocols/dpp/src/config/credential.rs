//! How to get onto a network (DPP s4.3.5, s4.5.3): by connector, password, key or certificate.

use crate::{
    bounds,
    config::Akms,
    json::{JsonError, Object},
    jwk::Jwk,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_types::Redacted;
use serde_json::{Map, Value};

/// A passphrase for PSK, in characters (IEEE 802.11 annex J.4.1).
const PASSPHRASE: std::ops::RangeInclusive<usize> = 8..=63;
/// A password for SAE, in octets.
const PASSWORD: usize = 128;
/// EAP methods listed.
const METHODS: usize = 16;

/// A credential. Which members it has depends on [`Credential::akm`]; [`Credential::check`] says whether they fit.
#[derive(Clone, Debug, Default)]
pub struct Credential {
    /// `akm`: for which methods.
    pub akm: Akms,
    /// `pass`: passphrase or password.
    pub passphrase: Option<Redacted<String>>,
    /// `psk_hex`: the key that a passphrase would yield.
    pub psk: Option<Redacted<[u8; 32]>>,
    /// `idpass`: the identifier of the password; from release 3 on.
    pub password_id: Option<String>,
    /// `entCreds`: certificates.
    pub enterprise: Option<Enterprise>,
    /// `signedConnector`, in its compact form.
    pub connector: Option<String>,
    /// `csign`: the key that signed the connector, and signs those of peers.
    pub csign: Option<Jwk>,
    /// `ppKey`: the configurator's privacy protection key, for reconfiguration.
    pub privacy_key: Option<Jwk>,
}

/// What 802.1X needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enterprise {
    /// `certBag`: the device's certificate with its chain, certs-only PKCS#7, DER.
    pub cert_bag: Vec<u8>,
    /// `caCert`: what the EAP server's certificate has to lead to, DER or certs-only PKCS#7.
    pub ca_cert: Option<Vec<u8>>,
    /// `trustedEapServerName`: the name that the EAP server's certificate has to have.
    pub server_name: Option<String>,
    /// `eapMethods`, by their numbers; 13 is EAP-TLS.
    pub eap_methods: Vec<u8>,
}

impl Enterprise {
    /// EAP-TLS.
    pub const EAP_TLS: u8 = 13;
}

impl Credential {
    /// Whether everything is there that its methods need.
    ///
    /// # Errors
    /// If something is missing, or does not fit its method.
    pub fn check(&self) -> Result<(), JsonError> {
        let wrong = |field, why: &'static str| Err(JsonError { field, why: why.into(), section: "DPP s4.5.3" });
        let length = self.passphrase.as_ref().map(|passphrase| passphrase.expose().len());
        if self.akm.is_empty() {
            return wrong("akm", "has no method that is known");
        }
        if self.akm.psk && length.is_some_and(|length| !PASSPHRASE.contains(&length)) {
            return wrong("pass", "does not have the 8 to 63 characters that PSK asks for");
        }
        if self.akm.psk && length.is_none() && self.psk.is_none() {
            return wrong("pass", "is missing, and psk_hex too");
        }
        // SAE needs the password itself: the key of WPA2 cannot be turned back into it.
        if self.akm.sae && length.is_none_or(|length| length == 0) {
            return wrong("pass", "is missing, which SAE asks for");
        }
        if self.akm.dot1x && self.enterprise.is_none() {
            return wrong("entCreds", "is missing");
        }
        if (self.akm.dpp || self.akm.dot1x) && self.csign.is_none() {
            return wrong("csign", "is missing");
        }
        if (self.akm.dpp || self.akm.dot1x) && self.connector.is_none() {
            return wrong("signedConnector", "is missing");
        }
        if self.connector.is_some() != self.csign.is_some() {
            return wrong("signedConnector", "and csign do not come together");
        }
        // DPP s6.5.2: both keys are on one curve, since E'-id is computed with the one and found by the other.
        if let (Some(csign), Some(privacy_key)) = (&self.csign, &self.privacy_key)
            && csign.key.curve() != privacy_key.key.curve()
        {
            return wrong("ppKey", "is not on the curve of csign");
        }
        Ok(())
    }

    pub(super) fn read(object: &mut Object) -> Result<Self, JsonError> {
        let akm = Akms::parse(&object.need_text("akm", bounds::NAME)?);
        let psk = match object.text("psk_hex", bounds::NAME)?.map(Redacted::new) {
            None => None,
            Some(digits) => {
                let mut psk = [0; 32];
                hex::decode_to_slice(digits.expose(), &mut psk)
                    .map_err(|_| object.error("psk_hex", "is not 64 hexadecimal digits"))?;
                Some(psk.into())
            }
        };
        let jwk =
            |object: &mut Object, field| object.object(field)?.map(|mut members| Jwk::read(&mut members)).transpose();
        let credential = Self {
            akm,
            passphrase: object.text("pass", PASSWORD)?.map(Redacted::new),
            psk,
            password_id: object.text("idpass", PASSWORD)?,
            enterprise: object.object("entCreds")?.map(|mut members| Enterprise::read(&mut members)).transpose()?,
            connector: object.text("signedConnector", bounds::CONNECTOR)?,
            csign: jwk(object, "csign")?,
            privacy_key: jwk(object, "ppKey")?,
        };
        credential.check()?;
        Ok(credential)
    }

    pub(super) fn to_value(&self) -> Value {
        let mut members = Map::new();
        members.insert("akm".into(), self.akm.to_string().into());
        if let Some(passphrase) = &self.passphrase {
            members.insert("pass".into(), passphrase.expose().as_str().into());
        }
        if let Some(id) = &self.password_id {
            members.insert("idpass".into(), id.as_str().into());
        }
        if let Some(psk) = &self.psk {
            members.insert("psk_hex".into(), hex::encode(psk.expose()).into());
        }
        if let Some(enterprise) = &self.enterprise {
            members.insert("entCreds".into(), enterprise.to_value());
        }
        if let Some(connector) = &self.connector {
            members.insert("signedConnector".into(), connector.as_str().into());
        }
        if let Some(csign) = &self.csign {
            members.insert("csign".into(), csign.to_value());
        }
        if let Some(privacy_key) = &self.privacy_key {
            members.insert("ppKey".into(), privacy_key.to_value());
        }
        Value::Object(members)
    }
}

impl Enterprise {
    fn read(object: &mut Object) -> Result<Self, JsonError> {
        let cert_bag = object.base64("certBag", bounds::JSON)?;
        let cert_bag = cert_bag.ok_or_else(|| object.error("certBag", "is missing"))?;
        // Both names are in use.
        let ca_cert = object.base64("caCert", bounds::JSON)?;
        let ca_certs = object.base64("caCerts", bounds::JSON)?;
        let server_name = object.text("trustedEapServerName", bounds::NAME)?;
        if server_name.as_ref().is_some_and(|name| name.chars().any(char::is_control)) {
            return Err(object.error("trustedEapServerName", "has a control character"));
        }
        let methods = object.array("eapMethods", METHODS)?.unwrap_or_default();
        let number = |method: &Value| method.as_u64().and_then(|method| u8::try_from(method).ok());
        let eap_methods = methods.iter().map(number).collect::<Option<_>>();
        let eap_methods = eap_methods.ok_or_else(|| object.error("eapMethods", "has an item that is not a method"))?;
        Ok(Self { cert_bag, ca_cert: ca_cert.or(ca_certs), server_name, eap_methods })
    }

    fn to_value(&self) -> Value {
        let mut members = Map::new();
        members.insert("certBag".into(), STANDARD.encode(&self.cert_bag).into());
        if let Some(ca_cert) = &self.ca_cert {
            members.insert("caCert".into(), STANDARD.encode(ca_cert).into());
        }
        if let Some(name) = &self.server_name {
            members.insert("trustedEapServerName".into(), name.as_str().into());
        }
        if !self.eap_methods.is_empty() {
            members.insert("eapMethods".into(), self.eap_methods.clone().into());
        }
        Value::Object(members)
    }
}
