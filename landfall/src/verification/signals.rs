//! Who is told what becomes of devices, and whose word of them counts.

use crate::{
    admin::Connection,
    output::{Answer, Output, Table},
};
use landfall_server::admin::view::SignalsView;

pub(super) fn show(connection: &Connection, output: &Output) -> anyhow::Result<Answer> {
    let view: SignalsView =
        connection.ask(output, "asking", async |client| client.get("/v1/verification/signals").await)?;
    output.show_as(&view, || {
        let head = ["receiver", "told", "refused", "skipped", "behind", "trouble"];
        let mut told = Table::new(&head, "nobody is told what becomes of devices");
        for report in &view.receivers {
            let delivery = &report.delivery;
            told.row([
                delivery.receiver.clone(),
                delivery.told.to_string(),
                delivery.refused.to_string(),
                delivery.skipped.to_string(),
                report.behind.to_string(),
                report.trouble.clone().unwrap_or_else(|| "-".into()),
            ]);
        }
        let mut heard = Table::new(&["source", "taken", "refused", "trouble"], "no other service's word counts");
        for source in &view.sources {
            heard.row([
                source.source.clone(),
                source.taken.to_string(),
                source.refused.to_string(),
                source.trouble.clone().unwrap_or_else(|| "-".into()),
            ]);
        }
        format!("{told}\n\n{heard}")
    })?;
    Ok(Answer::Yes)
}
