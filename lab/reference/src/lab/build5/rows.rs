//! The rows of the table, in its order.

use super::{BUILD, Site, again, air, assurance, behaviour, firmware, hardware, network};
use crate::{
    acceptance::CAPABILITIES,
    lab::{Shown, Table, attested::Watched, chip::Kind, intent, place::Place},
};
use anyhow::Result;

/// Runs every row that there is.
pub(super) async fn run(place: &Place, site: &Site, table: &mut Table<'_>) -> Result<()> {
    for id in ["S0.C1", "S0.C2", "S0.C3"] {
        table.not_run(BUILD, id, "shown by Build 3, whose factory this is")?;
    }
    table.row(BUILD, "S1.C1", network::device_authenticated(place, site)).await?;
    table.row(BUILD, "S1.C2", network::device_welcome(place, site)).await?;
    table.row(BUILD, "S1.C3", network::network_authenticated(place, site)).await?;
    table.row(BUILD, "S1.C4", network::network_may_take_over(place, site)).await?;
    table.row(BUILD, "S1.C5", network::unique_credentials(place, site)).await?;
    match Kind::Tpm.missing() {
        None => table.row(BUILD, "S1.C6", hardware::comes_in_with_its_key(place, site)).await?,
        Some(why) => table.not_run(BUILD, "S1.C6", why)?,
    }
    air::row(place, site, table).await?;
    table.row(BUILD, "S1.C8", network::two_types(place, site)).await?;
    for id in ["S2.C1", "S2.C2", "S2.C2-ready", "S2.C3", "S3.C4"] {
        table.not_run(BUILD, id, "the application layer is not in this version")?;
    }
    table.row(BUILD, "S3.C1", network::credential_deleted(place, site)).await?;
    table.row(BUILD, "S3.C2", network::cannot_connect(place, site)).await?;
    table.row(BUILD, "S3.C3", again::onboarded_again(place, site)).await?;
    let watched = Watched::wanted(place, table, "AT5").await?;
    Watched::row(watched.as_ref(), place, table, BUILD, "S4.C1").await?;
    Watched::row(watched.as_ref(), place, table, BUILD, "S4.C2").await?;
    Watched::row(watched.as_ref(), place, table, BUILD, "S4.C3").await?;
    table
        .row(BUILD, "S4.C4", both(network::segment_by_policy(place, site), assurance::segment_by_posture(place, site)))
        .await?;
    table.row(BUILD, "S4.C5", behaviour::behaviour_places(place, site)).await?;
    match Kind::Tpm.missing() {
        None => table.row(BUILD, "S4.C6", firmware::moved_and_mended(place, site)).await?,
        Some(why) => table.not_run(BUILD, "S4.C6", why)?,
    }
    table.row(BUILD, "S4.C7", network::authenticated_again(place, site)).await?;
    table.row(BUILD, "S4.C8", network::authorized_again(place, site)).await?;
    table.row(BUILD, "S5.C1", firmware::updated(place, site)).await?;
    table.row(BUILD, "S5.C2", again::renewed_and_revoked(place, site)).await?;
    Watched::row(watched.as_ref(), place, table, BUILD, "S5.C3").await?;
    if let Some(watched) = watched {
        watched.close(place).await;
    }
    match intent::obstacle(place) {
        None => table.row(BUILD, "S5.C4", network::intent_enforced(place, site)).await?,
        Some(why) => table.not_run(BUILD, "S5.C4", &why)?,
    }
    table.not_run(BUILD, "S5.C5", "this version binds to no life cycle management service")?;
    table.row(BUILD, "S5.C6", assurance::continuously_assured(place, site)).await
}

/// One row that two scenarios show.
async fn both(
    first: impl Future<Output = Result<Shown>>,
    second: impl Future<Output = Result<Shown>>,
) -> Result<Shown> {
    let (first, second) = (first.await?, second.await?);
    Ok(Shown {
        shown: format!("{}; {}", first.shown, second.shown),
        refused: format!("{}; {}", first.refused, second.refused),
    })
}

/// Says of every row why it does not run.
pub(super) fn not_run(table: &mut Table<'_>, why: &str) -> Result<()> {
    CAPABILITIES.iter().try_for_each(|capability| table.not_run(BUILD, capability.id, why))
}
