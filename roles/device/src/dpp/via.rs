//! Onboarding by the wpa_supplicant of the radio: it takes part in the exchange over the air, with the bootstrapping key
//! that it is lent, and tells what it was given in events. The agent keeps that.
//!
//! wpa_supplicant confirms the configuration before the agent has it on disk, so a device that is killed in between has
//! to be onboarded again.

use super::{
    Watch,
    birth::BootstrapKey,
    enrollee::{Enrolled, Enrollee, Outcome},
    networks::{Keep, Networks},
    radio::{Supplicant, enable},
};
use crate::{DeviceError, agent::random};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use landfall_dpp::{
    Channel,
    config::ConfigObject,
    curve::{PrivateKey, PublicKey},
    exchange::Mutual,
    jwk::Jwk,
};
use landfall_net::wpa::{Control, Event};
use landfall_types::{Fault, Redacted, Refusal, Time};
use serde_json::{Map, Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Rounds of announcements of one DPP_CHIRP; hostap rests 30 s between two.
const ROUNDS: u32 = 1000;
/// After one object, the next one follows at once or not at all.
const NEXT: Duration = Duration::from_millis(500);
/// What is listened on, if the URI does not say.
const CHANNEL: Channel = Channel { class: 81, channel: 6 };

pub(super) async fn onboard(
    radio: &Supplicant,
    enrollee: &Enrollee,
    keep: &dyn Keep,
    attempts: Option<u32>,
    watch: Watch<'_>,
) -> Result<Outcome, DeviceError> {
    let begun = Instant::now();
    let BootstrapKey::Software(key) = &enrollee.identity.key else {
        let why = "the bootstrapping key is in the element and cannot be lent to wpa_supplicant: set dpp.via before the first start";
        return Err(DeviceError::Config(why.into()));
    };
    let mut control = radio.attach().await?;
    control.order("SET dpp_config_processing 2").await?;
    // Whether there was one, and whose, is not our concern: there is one key of this device.
    let _ = control.request("DPP_STOP_CHIRP").await;
    let _ = control.request("DPP_BOOTSTRAP_REMOVE *").await;
    let own = lend(&mut control, key).await?;
    if let Some(configurator) = &enrollee.identity.configurator {
        control.number(&format!("DPP_QR_CODE {configurator}")).await?;
    }
    if let Some(url) = &enrollee.wishes.request.mud_url {
        control.order(&format!("SET dpp_mud_url {url}")).await?;
    }
    control.order(&format!("SET dpp_name {}", enrollee.wishes.request.name)).await?;
    let required = enrollee.wishes.mutual == Mutual::Required;
    match required {
        // hostap does not ask for the other side's key after a chirp.
        true => {
            let channel = enrollee.identity.uri.channels.first().copied().unwrap_or(CHANNEL);
            let frequency = frequency(channel)
                .ok_or_else(|| DeviceError::Config(format!("{channel:?} of the URI is not known here")))?;
            watch(&format!("lets wpa_supplicant listen on {frequency} MHz"));
            control.order(&format!("DPP_LISTEN {frequency} role=enrollee qr=mutual")).await?;
        }
        false => {
            watch("lets wpa_supplicant announce the device");
            control.order(&format!("DPP_CHIRP own={own} iter={}", attempts.unwrap_or(ROUNDS))).await?;
        }
    }
    let received = match collect(&mut control, watch).await? {
        Ok(received) => received,
        Err(refusal) => return Ok(Outcome::Refused(refusal)),
    };
    let networks = Arc::new(received.networks(required)?);
    keep.keep(Arc::clone(&networks))?;
    let enrolled = Enrolled { networks, told: true, connection: None, took: begun.elapsed() };
    Ok(Outcome::Enrolled(Box::new(enrolled)))
}

/// Comes again to the configurator that signed a connector in `held` (DPP s6.5): those networks stay until there are others.
pub(super) async fn reconfigure(
    radio: &Supplicant,
    held: &Networks,
    keep: &dyn Keep,
    attempts: Option<u32>,
    watch: Watch<'_>,
) -> Result<Outcome, DeviceError> {
    let begun = Instant::now();
    let mut control = radio.attach().await?;
    control.order("SET dpp_config_processing 2").await?;
    let _ = control.request("DPP_STOP_CHIRP").await;
    let laid = radio.lay(&mut control, held).await?;
    let credentials = held.objects.iter().map(|object| &object.credential);
    let shown = laid.iter().zip(credentials).find(|(_, credential)| {
        credential.connector.is_some() && credential.csign.is_some() && credential.privacy_key.is_some()
    });
    let Some((id, _)) = shown else {
        enable(&mut control, &laid).await?;
        let why = "the device has no connector with its configurator's keys";
        return Ok(Outcome::Refused(Refusal::new(Fault::Misuse, "dpp-reconfig-nothing", "DPP s6.5", why)));
    };
    // It would join a network again meanwhile, and then protect what the access point takes only unprotected.
    let _ = control.request("DISCONNECT").await;
    watch("lets wpa_supplicant announce the device to its configurator");
    control.order(&format!("DPP_RECONFIG {id} iter={}", attempts.unwrap_or(ROUNDS))).await?;
    let received = match collect(&mut control, watch).await? {
        Ok(received) => received,
        Err(refusal) => {
            enable(&mut control, &laid).await?;
            return Ok(Outcome::Refused(refusal));
        }
    };
    let networks = Arc::new(received.networks(held.authenticated)?);
    keep.keep(Arc::clone(&networks))?;
    for id in laid {
        // It may have removed the one that it showed by itself.
        let _ = control.request(&format!("REMOVE_NETWORK {id}")).await;
    }
    let enrolled = Enrolled { networks, told: true, connection: None, took: begun.elapsed() };
    Ok(Outcome::Enrolled(Box::new(enrolled)))
}

async fn lend(control: &mut Control, key: &PrivateKey) -> Result<u32, DeviceError> {
    let der = key.to_ec_private_key().map_err(|e| DeviceError::Config(e.to_string()))?;
    let der = Redacted::new(hex::encode(der.expose()));
    let line = format!("DPP_BOOTSTRAP_GEN type=qrcode curve={} key={}", key.curve().name(), der.expose());
    let id = control.unlogged(&Redacted::new(line)).await?;
    id.expose().parse().map_err(|_| DeviceError::Config("wpa_supplicant gives the key no number".into()))
}

/// What the events tell.
#[derive(Default)]
struct Collected {
    objects: Vec<Map<String, Value>>,
    key: Option<PrivateKey>,
}

/// Collects objects, from the first to the last.
async fn collect(control: &mut Control, watch: Watch<'_>) -> Result<Result<Collected, Refusal>, DeviceError> {
    /// A radio that says nothing for so long will say nothing more.
    const SILENCE: Duration = Duration::from_secs(24 * 3600);
    /// An exchange that has begun is over by then, in whatever way.
    const EXCHANGE: Duration = Duration::from_secs(120);
    let (mut collected, mut answered) = (Collected::default(), false);
    let mut until = Instant::now() + SILENCE;
    loop {
        let Some(event) = control.event(until).await? else {
            return Ok(match collected.objects.is_empty() {
                false => Ok(collected),
                true => Err(refusal("wpa_supplicant says nothing")),
            });
        };
        if event.name.starts_with("DPP-") {
            watch(&event.name);
        }
        match event.name.as_str() {
            "DPP-CONF-FAILED" => return Ok(Err(refusal("the configurator gives nothing"))),
            // An Authentication Request, or one for reconfiguration: announcements stop because they were heard.
            "DPP-RX" if matches!(event.field("type"), Some("0" | "15")) => {
                answered = true;
                until = Instant::now() + EXCHANGE;
            }
            "DPP-CHIRP-STOPPED" if !answered && collected.objects.is_empty() => {
                return Ok(Err(refusal("no configurator answered the announcements")));
            }
            "DPP-CONF-RECEIVED" => {
                collected.objects.push(Map::new());
                until = Instant::now() + SILENCE;
            }
            "DPP-NETWORK-ID" => {
                // So that we know it again as ours.
                control.order(&format!("SET_NETWORK {} id_str \"landfall\"", event.text)).await?;
                until = Instant::now() + NEXT;
            }
            _ => collected.take(&event).ok_or_else(|| DeviceError::Config(format!("{} cannot be read", event.name)))?,
        }
    }
}

fn refusal(detail: &str) -> Refusal {
    Refusal::new(Fault::Peer, "dpp-wpa-supplicant", "DPP s6.4", detail)
}

impl Collected {
    /// Takes what an event says of the object that came last; `None` if that cannot be read.
    fn take(&mut self, event: &Event) -> Option<()> {
        let Some(object) = self.objects.last_mut() else { return Some(()) };
        let text = event.text.as_str();
        let key = |digits: &str| PublicKey::from_spki(&hex::decode(digits).ok()?).ok();
        let (name, value) = match event.name.as_str() {
            "DPP-CONFOBJ-AKM" => ("akm", json!(text)),
            "DPP-CONFOBJ-SSID" => ("ssid64", json!(URL_SAFE_NO_PAD.encode(unescaped(text)?))),
            "DPP-CONFOBJ-SSID-CHARSET" => ("ssid_charset", json!(text.parse::<u32>().ok()?)),
            "DPP-CONFOBJ-PASS" => ("pass", json!(String::from_utf8(hex::decode(text).ok()?).ok()?)),
            "DPP-CONFOBJ-PSK" => ("psk_hex", json!(text)),
            "DPP-CONNECTOR" => ("signedConnector", json!(text)),
            "DPP-C-SIGN-KEY" => ("csign", Jwk::with_kid(key(text)?).to_value()),
            "DPP-PP-KEY" => ("ppKey", Jwk::with_kid(key(text)?).to_value()),
            "DPP-CERTBAG" => ("certBag", json!(text)),
            "DPP-CACERT" => ("caCert", json!(text)),
            "DPP-SERVER-NAME" => ("trustedEapServerName", json!(text)),
            "DPP-NET-ACCESS-KEY" => {
                let der = Redacted::new(hex::decode(text.split(' ').next()?).ok()?);
                self.key = Some(PrivateKey::from_pkcs8(der.expose()).ok()?);
                return Some(());
            }
            _ => return Some(()),
        };
        object.insert(name.into(), value);
        Some(())
    }

    fn networks(self, authenticated: bool) -> Result<Networks, DeviceError> {
        let objects: Result<Vec<_>, _> = self.objects.into_iter().map(object).collect();
        // A network with a password alone comes without a key, and none is ever asked for then.
        let key = self.key.unwrap_or_else(|| PrivateKey::generate(landfall_dpp::Curve::P256, &mut random));
        let key = Arc::new(key);
        Ok(Networks {
            configurator: None,
            authenticated,
            release: 2,
            obtained: Time::now(),
            key,
            identity: None,
            objects: objects.map_err(|e| DeviceError::Config(format!("what wpa_supplicant was given: {e}")))?,
        })
    }
}

/// The configuration object with those members.
fn object(mut members: Map<String, Value>) -> Result<ConfigObject, landfall_dpp::config::JsonError> {
    let mut part = |names: &[&str]| {
        let found = names.iter().filter_map(|name| members.remove_entry(*name));
        found.collect::<Map<_, _>>()
    };
    let discovery = part(&["ssid64", "ssid_charset"]);
    let enterprise = part(&["certBag", "caCert", "trustedEapServerName"]);
    if !enterprise.is_empty() {
        members.insert("entCreds".into(), enterprise.into());
    }
    let text = Redacted::new(json!({ "wi-fi_tech": "infra", "discovery": discovery, "cred": members }).to_string());
    ConfigObject::parse(text.expose().as_bytes())
}

/// The octets of a network's name, of which wpa_supplicant escapes some.
pub(crate) fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'\\' => match rest.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'e' => 0x1b,
                b'x' => {
                    let digits = [rest.next()?, rest.next()?];
                    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
                }
                other => other,
            },
            plain => plain,
        });
    }
    Some(octets)
}

/// In MHz (IEEE 802.11 annex E, table E-4), in the bands of 2.4 and 5 GHz.
fn frequency(Channel { class, channel }: Channel) -> Option<u32> {
    match class {
        81 if (1..=13).contains(&channel) => Some(2407 + 5 * u32::from(channel)),
        82 if channel == 14 => Some(2484),
        115..=130 => Some(5000 + 5 * u32::from(channel)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_networks_are_read_as_wpa_supplicant_writes_them() {
        assert_eq!(unescaped("lab net"), Some(b"lab net".to_vec()));
        assert_eq!(unescaped(r#"a\"b\\c\n\x00\xc3"#), Some(b"a\"b\\c\n\x00\xc3".to_vec()));
        for wrong in ["\\", "\\x", "\\x1", "\\xzz"] {
            assert_eq!(unescaped(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn channels_have_frequencies() {
        let of = |class, channel| frequency(Channel { class, channel });
        assert_eq!((of(81, 1), of(81, 6), of(115, 36), of(180, 1)), (Some(2412), Some(2437), Some(5180), None));
    }
}
