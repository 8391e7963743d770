//! The rows of the table, in its order.

use super::{BUILD, Site, factory, network};
use crate::lab::{Table, attested::Watched, intent, place::Place};
use anyhow::Result;

const NO_APPLICATION: &str = "Build 3 has no application layer (E.1)";
const NO_VERIFICATION: &str = "Build 3 has no continuous verification (E.1)";

/// Runs every row.
pub(super) async fn run(place: &Place, site: &mut Site, table: &mut Table<'_>) -> Result<()> {
    table.row(BUILD, "S0.C1", factory::birth_credentials(place, site)).await?;
    table.row(BUILD, "S0.C2", factory::signed_by_a_trusted_ca(place, site)).await?;
    table.row(BUILD, "S0.C3", factory::bootstrapping_information(place, site)).await?;
    table.row(BUILD, "S1.C1", network::device_authenticated(place, site)).await?;
    table.row(BUILD, "S1.C2", network::device_welcome(place, site)).await?;
    table.row(BUILD, "S1.C3", network::network_authenticated(place, site)).await?;
    table.row(BUILD, "S1.C4", network::network_may_take_over(place, site)).await?;
    table.row(BUILD, "S1.C5", network::unique_credentials(place, site)).await?;
    table.not_run(BUILD, "S1.C6", "no hardware element is attached; keys are in encrypted files")?;
    table.row(BUILD, "S1.C7", network::selection(place, site)).await?;
    table.row(BUILD, "S1.C8", network::two_types(place, site)).await?;
    for id in ["S2.C1", "S2.C2", "S2.C2-ready", "S2.C3", "S3.C4"] {
        table.not_run(BUILD, id, NO_APPLICATION)?;
    }
    table.row(BUILD, "S3.C1", network::credential_deleted(place, site)).await?;
    table.row(BUILD, "S3.C2", network::cannot_connect(place, site)).await?;
    table.row(BUILD, "S3.C3", network::onboarded_again(place, site)).await?;
    let watched = Watched::wanted(place, table, "AT3").await?;
    Watched::row(watched.as_ref(), place, table, BUILD, "S4.C1").await?;
    table.not_run(BUILD, "S4.C2", NO_APPLICATION)?;
    Watched::row(watched.as_ref(), place, table, BUILD, "S4.C3").await?;
    for id in ["S4.C4", "S4.C5", "S4.C6", "S4.C7", "S4.C8", "S5.C6"] {
        table.not_run(BUILD, id, NO_VERIFICATION)?;
    }
    table.row(BUILD, "S5.C1", network::firmware_updated(place, site)).await?;
    table.row(BUILD, "S5.C2", network::renewed_and_revoked(place, site)).await?;
    Watched::row(watched.as_ref(), place, table, BUILD, "S5.C3").await?;
    if let Some(watched) = watched {
        watched.close(place).await;
    }
    match intent::obstacle(place) {
        None => table.row(BUILD, "S5.C4", network::intent_enforced(place, site)).await?,
        Some(why) => table.not_run(BUILD, "S5.C4", &why)?,
    }
    table.not_run(BUILD, "S5.C5", "this version binds to no life cycle management service")
}
