//! The numbered steps of appendix E.2.1, told as they happen to one device.

use super::Site;
use crate::lab::place::Place;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;

/// The steps that the guide numbers for the owner's side.
const STEPS: usize = 9;

/// Makes, sells and onboards a thermostat, and tells each step when it happens.
pub(super) async fn tell(place: &Place, site: &Site) -> Result<()> {
    let tell = place.narrator;
    tell.line("  The manufacturer (E.2.1):");
    let bundle = site.kestrel.make(&site.thermostat, 1)?.pop().context("the factory made nothing")?;
    let device = super::Device::unpack(place, &bundle)?;
    let idevid = device.idevid()?;
    let masa = idevid.masa_url().unwrap_or_default();
    tell.step("A1", &format!("makes thermostat {}: a key, and an IDevID that names its MASA, {masa}", device.serial));
    let recorded = site.kestrel.record().await?;
    tell.step("A2", &format!("records it in the MASA's database ({recorded} new)"));
    site.kestrel.sell(&[&device.serial], site.orchard.name).await?;
    tell.step("A3", &format!("sells it to {}, and the MASA's database says so", site.orchard.name));

    tell.line("  The device and its owner's network (E.2.1):");
    let mut told = BTreeSet::new();
    let mut at_the_servers = Ok(());
    let runtime = tokio::runtime::Handle::current();
    let became = device
        .onboard_telling(place, 3, |line| match step(line) {
            Some((number, what)) if told.insert(number) => {
                // Steps 3 to 5 happen at the servers between the device's request and its voucher; what they wrote of
                // them says how.
                if number == 6 && at_the_servers.is_ok() {
                    at_the_servers =
                        tokio::task::block_in_place(|| runtime.block_on(servers(place, site, &device.serial, &masa)));
                    told.extend([3, 4, 5]);
                }
                tell.step(&number.to_string(), &format!("{what}: {line}"));
            }
            Some(_) => {}
            None if line.is_empty() => {}
            None => tell.note(line),
        })
        .await?
        .onboarded()?;
    at_the_servers?;
    let missing: Vec<_> = (1..=STEPS).filter(|number| !told.contains(number)).collect();
    ensure!(missing.is_empty(), "steps {missing:?} of E.2.1 did not happen");
    device.collect(place, &site.orchard)?;
    let took = became.get("took-ms").and_then(serde_json::Value::as_u64).unwrap_or_default();
    tell.line(&format!("  {} has its credential {took} ms after it was switched on.", device.serial));
    match &site.doors {
        Some(doors) => {
            doors.open_to(place, &device).await?;
            tell.line("  It shows that at its port (IEEE 802.1X), hostapd opens it, and it is on the network.");
        }
        None => tell
            .note("That it opens a port of the network is not shown: this needs root, network namespaces and hostapd."),
    }
    Ok(())
}

/// Steps 3, 4 and 5, as the audit logs of registrar and MASA have them.
async fn servers(place: &Place, site: &Site, serial: &str, masa: &str) -> Result<()> {
    let issued = site.kestrel.masa()?.done(serial, "voucher-issued").await?;
    let passed = site.orchard.registrar.done(serial, "voucher-passed-on").await?;
    let tell = place.narrator;
    tell.step("3", &format!("request examined: the registrar knows the maker, welcomes the model, asks {masa}"));
    tell.step("4", &format!("ownership: the MASA finds the sale on record and signs a voucher ({})", issued.at));
    tell.step("5", &format!("voucher examined: the registrar reads the audit log and passes it on ({})", passed.at));
    Ok(())
}

/// The guide's step that a line of the device's progress belongs to.
fn step(line: &str) -> Option<(usize, &'static str)> {
    const WORDS: [(&str, usize, &str); 6] = [
        ("connected, provisionally", 1, "provisional connection"),
        ("asked for a voucher", 2, "voucher-request"),
        ("the voucher is good", 6, "voucher verified, trust established"),
        ("asked for a certificate", 7, "EST"),
        ("got the LDevID", 8, "credential provisioned"),
        ("reported enrollstatus: good", 9, "connected with the new credential"),
    ];
    WORDS.into_iter().find(|(word, ..)| line.starts_with(word)).map(|(_, number, what)| (number, what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_brski::pledge::Progress;

    #[test]
    fn the_agents_words_are_understood() {
        let said = |progress: Progress| step(&progress.to_string()).map(|(number, _)| number);
        assert_eq!(said(Progress::Connected { registrar: "CN=x".into(), trusted: false }), Some(1));
        assert_eq!(said(Progress::VoucherRequested { again: false }), Some(2));
        assert_eq!(said(Progress::VoucherAccepted { assertion: None, pinned: "CN=x".into() }), Some(6));
        assert_eq!(said(Progress::CertificateRequested { bound: true }), Some(7));
        let until = landfall_types::Time::EPOCH;
        assert_eq!(said(Progress::CertificateIssued { subject: "CN=x".into(), not_after: until }), Some(8));
        assert_eq!(said(Progress::Reported { what: "enrollstatus", success: true }), Some(9));
        assert_eq!(said(Progress::Discovering), None);
    }
}
