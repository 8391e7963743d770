//! The numbered steps of H.3.2, told as they happen to one device, which then joins its owner's network.

use super::line::{Line, attested, proof};
use crate::lab::{chip::Kind, device::Device, place::Place};
use anyhow::{Context, Result, ensure};
use landfall_lifecycle::factory::Method;
use landfall_server::factory::Choice;
use serde_json::Value;

/// Makes, sells and onboards a thermostat, and tells each step.
pub(super) async fn tell(place: &Place, line: &Line) -> Result<Device> {
    let (tell, kind) = (place.narrator, line.build.kind);
    tell.line("  The factory (H.3.2):");
    let body = line.blank(place)?;
    let request = line.requested(&body, place).await?;
    tell.step("1", &format!("the {kind} makes the device's key, and keeps it"));
    tell.step("2", &format!("a request for its certificate is signed in the {kind}"));
    let bundle = match kind {
        Kind::Token => {
            tell.step(
                "3",
                "the request goes by EST to the CA of the token's maker, which believes the line that there is one",
            );
            line.certified(Method::InSecureElement, &request)?
        }
        Kind::Tpm => {
            let maker = body.chip.as_ref().context("there is no TPM")?.maker();
            let proof = proof(&body, place, &maker).await?;
            tell.step(
                "3",
                "the request goes to the manufacturer's CA, with the TPM's proof: its maker's certificate, a secret that it \
                 alone opens, and its statement about the key",
            );
            tokio::task::block_in_place(|| {
                line.maker.factory.certify_proven(&line.product, &request[..], Choice::Factory, &proof)
            })?
        }
    };
    tell.step("4", &format!("the CA issues the IDevID of {}", bundle.serial_number));
    let device = body.born(bundle)?;
    let standing = device.body.run(place, &["status"], |_| ()).await?;
    let key = standing.get("idevid-key").and_then(Value::as_str).context("the device does not know its key")?;
    tell.step("5", &format!("the IDevID is put beside its key, {key}"));
    line.sold(&device).await?;
    tell.step("6", &format!("the MASA's database has the device, and that {} bought it", line.owner.name));
    tell.line("  What NIST could not confirm (H.3.2): the device is onboarded with that very key.");
    let ldevid = line.joined(place, &device).await?;
    ensure!(device.ldevid()?.public_key() != device.idevid()?.public_key(), "the LDevID has the IDevID's key");
    tell.step("7", &format!("BRSKI signs TLS and the voucher request with {key}"));
    tell.step("8", &format!("the LDevID's key is made in the {kind} as well: {ldevid}"));
    if kind == Kind::Tpm {
        attested(&device.body, place, &device.serial).await?;
    }
    tell.line(&format!("  {} is on the network.", device.serial));
    Ok(device)
}
