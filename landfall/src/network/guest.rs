//! Devices that somebody else owns (SP 1800-36B 4.2, note).

use crate::{
    admin::Connection,
    output::{Answer, Output, Table},
};
use clap::Subcommand;
use landfall_server::admin::{
    escape,
    view::{GuestView, NewGuest, Note},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Lets a device in that somebody else owns, with its manufacturer's certificate, into the place for guests.
    Permit {
        /// Its manufacturer, as the settings call it.
        vendor: String,
        /// Its serial number.
        serial_number: String,
        /// For how many days.
        #[arg(long, default_value_t = 7)]
        days: u32,
        /// Why, for the record.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Takes that back: the device is put out at once.
    End {
        /// Its manufacturer, as the settings call it.
        vendor: String,
        /// Its serial number.
        serial_number: String,
        /// Why, for the record.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Shows the guests that are or were permitted.
    List,
}

pub(super) fn run(connection: &Connection, verb: &Verb, output: &Output) -> anyhow::Result<Answer> {
    match verb {
        Verb::Permit { vendor, serial_number, days, reason } => {
            let (vendor, serial_number, reason) = (vendor.clone(), serial_number.clone(), reason.clone());
            let new = NewGuest { vendor, serial_number, days: *days, reason };
            let guest: GuestView =
                connection.ask(output, "permitting", async |client| client.post("/v1/network/guests", &new).await)?;
            output.show_as(&guest, || {
                format!("{} of {} may be a guest until {}", guest.serial_number, guest.vendor, guest.until)
            })?;
        }
        Verb::End { vendor, serial_number, reason } => {
            let path = format!("/v1/network/guests/{}/{}/end", escape(vendor), escape(serial_number));
            let note = Note { reason: reason.clone() };
            let guest: GuestView = connection.ask(output, "ending", async |client| client.post(&path, &note).await)?;
            output.show_as(&guest, || format!("{} of {} is no guest any more", guest.serial_number, guest.vendor))?;
        }
        Verb::List => {
            let guests: Vec<GuestView> =
                connection.ask(output, "asking", async |client| client.get("/v1/network/guests").await)?;
            output.show_as(&guests, || {
                let mut table = Table::new(
                    &["manufacturer", "serial", "may come", "until", "came last", "why"],
                    "there is no guest",
                );
                for guest in &guests {
                    table.row([
                        guest.vendor.clone(),
                        guest.serial_number.clone(),
                        if guest.good { "yes".into() } else { "no".to_owned() },
                        guest.until.to_string(),
                        guest.seen.map_or_else(|| "-".into(), |at| at.to_string()),
                        guest.ended.clone().unwrap_or_else(|| guest.reason.clone()),
                    ]);
                }
                table.to_string()
            })?;
        }
    }
    Ok(Answer::Yes)
}
