//! Scenario 1: who is authenticated, who may join, what is given, and to which network.

use super::{
    Curve, LAMPS, SENSORS, Shown, Site, Way, air,
    device::{self, Device},
    evidence,
    factory::last_line,
    gateway, maker, neighbour,
    owner::{Owner, introduced},
};
use crate::{
    lab::{intent, place::Place},
    port::free_port,
};
use anyhow::{Context, Result, bail, ensure};
use landfall_lifecycle::network::Learnt;
use landfall_server::admin::view::{Count, Reach};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

/// How long a device that listens waits for a configurator.
const LISTENING: Duration = Duration::from_secs(20);
/// And how long for one that it will not take.
const IN_VAIN: Duration = Duration::from_secs(2);

/// S1.C1: the device proves to hold the key in its URI; a copy of its label is not enough.
pub(super) async fn device_authenticated(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.bought(place, &site.lamp).await?;
    let refused = device::impersonate(&device, &site.orchard.access_point).await?.refused()?;
    let refusal = site.orchard.refusal(&device).await?;
    let seen = site.orchard.device(&device).await.ok();
    ensure!(seen.is_none_or(|seen| seen.configuration.is_none()), "the copy is on record as configured");
    site.join(place, &device).await?;
    let seen = site.orchard.device(&device).await?;
    Ok(Shown {
        shown: format!("{} proved to hold the key in its URI, and is {}", device.serial, seen.state),
        refused: format!("a copy of its label with another key: {refusal}; the copy: {}", refused.check),
    })
}

/// S1.C2: what is in the book and of a welcome model comes in, what is not in it hears nothing, and about others a person
/// decides.
pub(super) async fn device_welcome(place: &Place, site: &Site) -> Result<Shown> {
    let (device, _) = site.onboarded(place, &site.lamp).await?;
    let stranger = site.kestrel.make(place, &site.lamp)?;
    let silence = stranger.onboard_in_vain(&[&site.orchard.access_point]).await?.refused()?;
    ensure!(silence.check == "dpp-silence", "the stranger heard {silence}");
    let unanswered = site.orchard.unanswered(&stranger).await?;
    let novelty = maker::product("NOVELTY-9", &format!("K{}N", site.build.number), Curve::P256)?;
    let asked = site.bought(place, &novelty).await?;
    asked.onboard_in_vain(&[&site.orchard.access_point]).await?.refused()?;
    let waits = site.orchard.unanswered(&asked).await?;
    ensure!(waits.check == "approval-awaited", "{} was refused by {}", asked.serial, waits.check);
    let state = site.orchard.device(&asked).await?.state;
    site.orchard.judge(&asked, "approve", "the lab wants it").await?;
    site.join(place, &asked).await?;
    Ok(Shown {
        shown: format!(
            "{} is in the book and of a welcome model; {} was {state} until an operator let it in",
            device.serial, asked.serial
        ),
        refused: format!(
            "{} hears nothing; the operator reads {}: {}",
            stranger.serial, unanswered.check, unanswered.why
        ),
    })
}

/// S1.C3: a device that was made with its owner's key takes nobody else, even if that has its URI (beyond 6.1.1).
pub(super) async fn network_authenticated(place: &Place, site: &Site) -> Result<Shown> {
    let key = site.orchard.key().await?;
    let product = maker::product("LAMP-1", &format!("K{}M", site.build.number), Curve::P256)?;
    let product = maker::with_radio(maker::only_for(product, &key.uri), "020000100000");
    let device = site.bought(place, &product).await?;
    // Somebody has read its label, calls itself as the owner does, and does all that the owner does.
    let mallory = gateway(place, site.orchard.name, &neighbour("configurator", site.build.password)).await?;
    mallory.enter(&device).await?;
    let lured = device.onboard_in_vain(&[&mallory.access_point]).await?.refused()?;
    let theirs = mallory.refusal(&device).await?;
    mallory.leave().await;
    let joined = site.join(place, &device).await?;
    ensure!(joined.networks.authenticated, "the device does not say that it authenticated the network");
    let seen = site.orchard.device(&device).await?.configuration.context("nothing is on record")?;
    ensure!(seen.network_authenticated, "the operator does not see that the network was authenticated");
    let mut shown = format!("{}: {}", device.serial, joined.standing.assurance.unwrap_or_default());
    let mut refused = format!("by the device, at a network that has its URI: {lured}; that network: {}", theirs.check);
    if site.build.way == Way::Gateway {
        let (touching, strange) = touched(place, site).await?;
        shown.push_str(&format!("; {touching} since it touched the gateway (NFC)"));
        refused.push_str(&format!("; by the one that touched another: {strange}"));
    }
    Ok(Shown { shown, refused })
}

/// A device that knows nobody, until its owner touches the gateway with it (DPP s5.4): it takes that one and no other.
async fn touched(place: &Place, site: &Site) -> Result<(String, String)> {
    let mut device = site.kestrel.make(place, &site.lamp)?;
    let request = device.folder.join("request.ndef");
    maker::operate(place, &site.orchard, &["network", "configurator", "nfc", "--out"], &request).await?;
    let answer = device.touch(&request)?;
    maker::operate(place, &site.orchard, &["transfer", "add", "--nfc"], &answer).await?;
    site.pine.enter(&device).await?;
    let strange = device.onboard_in_vain(&[&site.pine.access_point]).await?.refused()?;
    let joined = site.join(place, &device).await?;
    ensure!(joined.networks.authenticated, "the device does not say that it authenticated the gateway");
    Ok((device.serial, strange.to_string()))
}

/// S1.C4: who has the device's own URI may take it over (6.1.2); who has that of another may not.
pub(super) async fn network_may_take_over(place: &Place, site: &Site) -> Result<Shown> {
    let (device, decoy) = (site.bought(place, &site.lamp).await?, site.kestrel.make(place, &site.lamp)?);
    site.pine.enter(&decoy).await?;
    // A network reaches out to the device with another device's URI; then its owner does with the right one.
    let (refused, why) = taken(&site.pine, &decoy, &device, IN_VAIN).await?;
    let (became, said) = refused;
    became.refused()?;
    let Err(why) = why else { bail!("the network of another was told that it configured the device") };
    let dropped = said.into_iter().find(|line| line.starts_with("drops a frame") || line.contains("dpp-"));
    let ((became, _), reached) = taken(&site.orchard, &device, &device, LISTENING).await?;
    reached?;
    let joined = became.joined()?;
    evidence::write(place, &device, &joined)?;
    let seen = site.orchard.device(&device).await?.configuration.context("nothing is on record")?;
    ensure!(!seen.network_authenticated && !joined.networks.authenticated, "nobody gave it the configurator's key");
    let mut shown = format!(
        "{} was taken by who has its URI; the operator reads: {}",
        device.serial,
        joined.standing.assurance.unwrap_or_default()
    );
    let mut refused = format!(
        "by the device: {}; the operator of the other network reads: {}",
        dropped.unwrap_or_else(|| "no word".into()),
        last_line(&why)
    );
    if site.build.way == Way::Gateway {
        let (taken, alone) = pushed(place, site).await?;
        shown.push_str(&format!("; {taken} by who pushed its button and the gateway's"));
        refused.push_str(&format!("; where the gateway's was not pushed: {alone}"));
    }
    Ok(Shown { shown, refused })
}

/// A device in nobody's book, whose button is pushed: alone, and together with that of the gateway.
async fn pushed(place: &Place, site: &Site) -> Result<(String, String)> {
    let device = site.kestrel.make(place, &site.lamp)?;
    let near = &site.orchard.access_point;
    let alone = device.push_button(near, IN_VAIN).await?.refused()?;
    ensure!(site.orchard.booked(&device).await?.is_none(), "it was taken into the book");
    let (became, operator) =
        tokio::join!(device.push_button(near, LISTENING), site.orchard.push_button(&device, "LAMP-1"));
    operator.context("what the operator hears of the push")?;
    let joined = became?.joined()?;
    evidence::write(place, &device, &joined)?;
    let seen = site.orchard.device(&device).await?.configuration.context("nothing is on record")?;
    ensure!(!seen.network_authenticated, "a push authenticates no network");
    Ok((device.serial, alone.to_string()))
}

/// `owner` reaches out to `device` as if it were `meant`; what came of it at both ends.
async fn taken(
    owner: &Owner,
    meant: &Device,
    device: &Device,
    limit: Duration,
) -> Result<((device::Became, Vec<String>), Result<()>)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let reach =
        Reach { tenant: Some(owner.tenant.into()), device: meant.hash().to_string(), by: Some(address.to_string()) };
    let reaching = async {
        // The device has to be switched on first.
        for _ in 0..100 {
            if tokio::net::TcpListener::bind(address).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let reached: Result<Count, _> = owner.party.admin.post("/v1/network/configurator/reach", &reach).await;
        reached.map(drop).map_err(anyhow::Error::from)
    };
    let (waited, reached) = tokio::join!(device.wait_at(address, limit), reaching);
    Ok((waited?, reached))
}

/// S1.C5: each device has a key, a connector and a password of its own, which nobody but device and access point ever has.
pub(super) async fn unique_credentials(place: &Place, site: &Site) -> Result<Shown> {
    let (a, of_a) = site.onboarded(place, &site.lamp).await?;
    let (b, of_b) = site.onboarded(place, &site.lamp).await?;
    ensure!(of_a.networks.key.public() != of_b.networks.key.public(), "two devices have one key");
    ensure!(of_a.networks.key.public() != &a.uri.key, "the network credential has the birth key");
    let passwords = [of_a.password(LAMPS)?, of_b.password(LAMPS)?];
    ensure!(passwords[0].expose() != passwords[1].expose(), "two devices have one password");
    let hostapd = site.orchard.hostapd().await?;
    for (joined, password) in [&of_a, &of_b].into_iter().zip(passwords) {
        ensure!(hostapd.has(password.expose()), "the access point does not have the device's password");
        introduced(&joined.connector(LAMPS)?, &hostapd.connector(LAMPS)?)?;
    }
    let settings = &site.orchard.party.settings;
    for password in passwords.map(|password| password.expose().as_str()) {
        ensure!(!site.orchard.access_point.overheard(password.as_bytes()), "the password was said aloud");
        ensure!(!shown_to_operators(place, site).await?.contains(password), "an operator can read the password");
        let kept = settings.parent().context("no folder")?;
        ensure!(!stands_below(kept, password.as_bytes())?, "the password stands in {}", kept.display());
    }
    // One bit of the configuration is changed on its way.
    let victim = site.bought(place, &site.lamp).await?;
    let disturbance = site.orchard.access_point.disturbed();
    let refusal = victim.onboard_in_vain(&[&site.orchard.access_point]).await;
    drop(disturbance);
    let refusal = refusal?.refused()?;
    let mut shown = format!(
        "{} and {} have keys, connectors and passwords of their own, which no command, log or file shows ({} ms)",
        a.serial,
        b.serial,
        of_b.took.as_millis()
    );
    if site.build.way == Way::Cloud {
        shown.push_str(&air::shown(place, site).await?);
    }
    Ok(Shown { shown, refused: format!("one bit changed on its way; the device: {refusal}") })
}

/// All that the program tells an operator of devices, networks and events.
async fn shown_to_operators(place: &Place, site: &Site) -> Result<String> {
    let mut all = String::new();
    for noun in [["network", "devices"], ["network", "audit"], ["transfer", "devices"]] {
        let mut command = tokio::process::Command::new(&place.program);
        command.args(noun).arg("--json").arg("--config").arg(&site.orchard.party.settings).kill_on_drop(true);
        let output = command.output().await.with_context(|| format!("running {}", place.program.display()))?;
        ensure!(output.status.code() != Some(2), "{noun:?}: {}", String::from_utf8_lossy(&output.stderr));
        all.push_str(&String::from_utf8_lossy(&output.stdout));
    }
    let bytes = site.orchard.party.admin.bytes("/v1/network/configurator").await?;
    all.push_str(&String::from_utf8_lossy(&bytes));
    Ok(all)
}

fn stands_below(folder: &Path, secret: &[u8]) -> Result<bool> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, entry.path());
        let found = match kind {
            kind if kind.is_dir() => stands_below(&path, secret)?,
            kind if kind.is_file() => fs::read(&path)?.windows(secret.len().max(1)).any(|part| part == secret),
            _ => false,
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// S1.C7: a device that two networks hear joins its owner's, and of its owner's those that are for its model.
pub(super) async fn selection(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.bought(place, &site.lamp).await?;
    let near = [&site.pine.access_point, &site.orchard.access_point];
    device.onboard_in_vain(&[&site.pine.access_point]).await?.refused()?;
    let unanswered = site.pine.unanswered(&device).await?;
    let joined = device.onboard(&near).await?.joined()?;
    evidence::write(place, &device, &joined)?;
    let (_, of_sensor) = site.onboarded(place, &site.sensor).await?;
    ensure!(joined.names() == [LAMPS], "the lamp was given {:?}", joined.names());
    ensure!(of_sensor.names() == [SENSORS], "the sensor was given {:?}", of_sensor.names());
    Ok(Shown {
        shown: format!(
            "two networks heard {}: its owner's gave it {LAMPS}, and a sensor {SENSORS}, each by its model",
            device.serial
        ),
        refused: format!("by the other network: {}: {}", unanswered.check, unanswered.why),
    })
}

/// S1.C8: lamps and sensors with other curves and credentials, and what was made for the other build (6.1); a toy does not.
pub(super) async fn two_types(place: &Place, site: &Site) -> Result<Shown> {
    let (lamp, _) = site.onboarded(place, &site.lamp).await?;
    let (sensor, of_sensor) = site.onboarded(place, &site.sensor).await?;
    let methods: Vec<_> = of_sensor.standing.networks.iter().map(|network| network.akm.clone()).collect();
    let guest = guest(place, site).await?;
    let toy = maker::product("TOY-7", &format!("K{}T", site.build.number), Curve::P256)?;
    let toy = site.bought(place, &toy).await?;
    toy.onboard_in_vain(&[&site.orchard.access_point]).await?.refused()?;
    let unanswered = site.orchard.unanswered(&toy).await?;
    site.orchard.judge(&toy, "deny", "no toys").await?;
    toy.onboard_in_vain(&[&site.orchard.access_point]).await?.refused()?;
    let denied = site.orchard.unanswered(&toy).await?;
    ensure!(denied.check == "policy-denied", "{} was refused by {}", toy.serial, denied.check);
    Ok(Shown {
        shown: format!(
            "lamp {} with P-256, sensor {} with P-384 ({}); and {guest}",
            lamp.serial,
            sensor.serial,
            methods.join(", ")
        ),
        refused: format!("toy {}: {}, and then {}: {}", toy.serial, unanswered.check, denied.check, denied.why),
    })
}

/// A device that was made for the other build joins here by what it has (6.1): one with a label in the cloud, one from a
/// list without any label at the gateway.
async fn guest(place: &Place, site: &Site) -> Result<String> {
    let product = maker::product("LAMP-1", &format!("K{}G", site.build.number), Curve::P256)?;
    let (device, other, how) = match site.build.way {
        // No address on its label: there is no password that an access point could know it by.
        Way::Cloud => (site.kestrel.make(place, &product)?, "2", "its label's text"),
        Way::Gateway => {
            let product = maker::with_radio(product, "020000200000");
            (site.kestrel.make(place, &product)?, "1", "the maker's list")
        }
    };
    site.orchard.enter(&device).await?;
    let joined = site.join(place, &device).await?;
    let hostapd = site.orchard.hostapd().await?;
    introduced(&joined.connector(LAMPS)?, &hostapd.connector(LAMPS)?)?;
    Ok(format!("{}, made for Build {other}, by {how} (6.1)", device.serial))
}

/// S2.C1, in part: what the application layer begins with comes sealed with the request, and is handed on as it came
/// (D.2.1 steps 4 and 5); nobody else can have put it there.
pub(super) async fn carried_for_others(place: &Place, site: &Site) -> Result<Shown> {
    const NAME: &str = "org.openconnectivity";
    let mut device = site.bought(place, &site.lamp).await?;
    let carried = serde_json::json!({ "soinfo": [{ "uuid": device.hash().to_string() }] });
    device.members.insert(NAME.into(), carried.clone());
    let joined = site.join(place, &device).await?;
    let seen = site.orchard.device(&device).await?.configuration.context("nothing is on record")?;
    ensure!(seen.others.get(NAME) == Some(&carried), "{:?} came of what the device sent for OCF", seen.others);
    ensure!(!site.orchard.access_point.overheard(NAME.as_bytes()), "it was said aloud");
    Ok(Shown {
        shown: format!("{NAME} came with the request of {} and is had by /v1/network/devices", device.serial),
        refused: format!("the access point between them read nothing of it ({} ms)", joined.took.as_millis()),
    })
}

/// S5.C4: the MUD URL in the configuration request, by which a device is held to what its manufacturer says; a stray packet, and a file that is
/// signed wrongly.
pub(super) async fn intent_enforced(place: &Place, site: &Site) -> Result<Shown> {
    let maker = intent::Maker::open(place, site.build.number, None).await?;
    let mut serials = Vec::new();
    for model in ["LAMP-1", "BAD-1"] {
        let device = Device { mud_url: maker.url(model), ..site.bought(place, &site.lamp).await? };
        site.join(place, &device).await?;
        serials.push(device.serial.clone());
    }
    let [good, bad] = serials.as_slice() else { bail!("there are no devices") };
    let store = &site.orchard.party.store;
    intent::enforced(site.build.number, &maker, store, [good.as_str(), bad.as_str()], Learnt::ConfigurationRequest)
        .await
}
