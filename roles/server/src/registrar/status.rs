//! A pledge reports how it went (RFC 8995 s5.7, s5.9.4).

use super::{CertificateRecord, Registrar, device::Tracked};
use crate::{
    drive::{Host, drive, refusal},
    exchange::{Ending, Kind},
};
use landfall_brski::{
    TlsPeer,
    registrar::{About, Presented, StatusExchange, StatusInput, StatusOutput, StatusRecord},
};
use landfall_lifecycle::{
    device::DeviceEvent,
    network::{Report, ReportKind},
};
use landfall_types::{
    Changes, Process,
    http::{Request, Response},
};
use std::convert::Infallible;

pub(super) async fn answer(registrar: &Registrar, about: About, request: Request, client: Option<TlsPeer>) -> Response {
    let action = match about {
        About::Voucher => "voucher-status",
        About::Enrolment => "enrolment-status",
    };
    let ending = Ending::new(Kind { process: Process::Network, role: "registrar", action });
    let mut host = StatusHost { registrar, ending };
    let mut exchange = StatusExchange::new(about, registrar.vendors.clone());
    let first = StatusInput::Request { request, client };
    let driven = drive(&mut exchange, first, &mut host, &registrar.world.clock).await;
    host.ending.tell(&registrar.world, refusal(driven)).await
}

struct StatusHost<'a> {
    registrar: &'a Registrar,
    ending: Ending,
}

impl Host<StatusExchange> for StatusHost<'_> {
    type Error = Infallible;

    async fn perform(&mut self, output: StatusOutput) -> Result<Option<StatusInput>, Infallible> {
        Ok(match output {
            StatusOutput::FindIssued(certificate) => {
                let found = CertificateRecord::by_fingerprint(&self.registrar.world.store, &certificate);
                Some(match found {
                    Ok(found) => StatusInput::FoundIssued(found.map(|found| found.record.issued.device.id)),
                    Err(why) => StatusInput::Failed(why.to_string()),
                })
            }
            StatusOutput::Persist(record) => {
                Some(self.persist(&record).await.map_or_else(StatusInput::Failed, |()| StatusInput::Persisted))
            }
            StatusOutput::Respond(response) => {
                self.ending.respond(response);
                None
            }
            StatusOutput::Close(outcome) => {
                self.ending.close(outcome);
                None
            }
        })
    }
}

impl StatusHost<'_> {
    async fn persist(&mut self, record: &StatusRecord) -> Result<(), String> {
        let store = &self.registrar.world.store;
        let mut changes = Changes::new().put(record).map_err(|why| why.to_string())?;
        self.ending.device = record.device.to_string();
        for alert in &record.alerts {
            tracing::warn!(device = %record.device, alert, "status report");
        }
        if let Some(mut device) = Tracked::find(store, &record.device).map_err(|why| why.to_string())? {
            self.ending.device = device.device.identity.serial_number.to_string();
            // A report that does not fit the device's state is kept all the same; only the state does not change.
            match device.step(DeviceEvent::Reported { report: report(record) }, record.at) {
                Ok(_) => changes = changes.and(device.take_changes().map_err(|refusal| refusal.to_string())?),
                Err(why) => tracing::warn!(device = self.ending.device, %why, "an unexpected report"),
            }
        }
        store.commit(changes).await.map(drop).map_err(|why| why.to_string())
    }
}

fn report(record: &StatusRecord) -> Report {
    Report {
        at: record.at,
        about: match record.about {
            About::Voucher => ReportKind::Voucher,
            About::Enrolment => ReportKind::Enrolment,
        },
        success: record.success,
        reason: record.reason.clone(),
        with_new_certificate: Some(record.presented == Presented::IssuedLdevid),
    }
}
