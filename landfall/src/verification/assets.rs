//! Where the network and the system in which the owner keeps what there is do not agree.

use crate::{
    admin::Connection,
    output::{Answer, Output, Table, counted},
};
use landfall_server::admin::view::AssetsView;

const ASSETS: &str = "/v1/verification/assets";

pub(super) fn show(connection: &Connection, now: bool, output: &Output) -> anyhow::Result<Answer> {
    let path = format!("{ASSETS}/synchronize");
    let view: AssetsView = connection.ask(output, "asking", async |client| match now {
        true => client.post(&path, &()).await,
        false => client.get(ASSETS).await,
    })?;
    let report = &view.report;
    output.show_as(&view, || {
        let mut table = Table::new(&["serial number", "what", "asset", "last seen", "why"], "the two agree");
        for it in &report.mismatches {
            table.row([
                it.serial_number.clone(),
                it.what.name().to_owned(),
                it.asset.clone().unwrap_or_else(|| "-".into()),
                it.seen.map_or_else(|| "-".into(), |seen| seen.to_string()),
                it.why.clone(),
            ]);
        }
        let trouble = report.trouble.iter().map(|why| format!("\nthe last time it could not be done: {why}"));
        match report.compared {
            None => format!("the asset system has not been heard of yet{}", trouble.collect::<String>()),
            Some(at) => format!(
                "{table}\n{} of {} in the asset system here, at {at}{}",
                report.matched,
                counted(report.assets, "device"),
                trouble.collect::<String>()
            ),
        }
    })?;
    Ok((report.compared.is_some() && report.trouble.is_none() && report.mismatches.is_empty()).into())
}
