//! A pledge reports how it went (RFC 8995 s5.7, s5.9.4).

use super::{CertificateRecord, Registrar, device::Tracked};
use crate::exchange::{Ending, Failure, Host, Kind, run};
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

pub(super) async fn answer(registrar: &Registrar, about: About, request: Request, client: Option<TlsPeer>) -> Response {
    let action = match about {
        About::Voucher => "voucher-status",
        About::Enrolment => "enrolment-status",
    };
    let ending = Ending::new(Kind { process: Process::Network, role: "registrar", action });
    let attempt = || {
        let first = StatusInput::Request { request: request.clone(), client: client.clone() };
        (StatusExchange::new(about, registrar.vendors.clone()), first, StatusHost { registrar })
    };
    run(&registrar.world, ending, attempt).await.1.response()
}

struct StatusHost<'a> {
    registrar: &'a Registrar,
}

impl Host<StatusExchange> for StatusHost<'_> {
    const FAILED: fn(String) -> StatusInput = StatusInput::Failed;

    async fn perform(&mut self, output: StatusOutput, ending: &mut Ending) -> Result<Option<StatusInput>, Failure> {
        Ok(Some(match output {
            StatusOutput::FindIssued(certificate) => {
                let store = &self.registrar.world.store;
                let found = store.snapshot(|store| CertificateRecord::by_fingerprint(store, &certificate))?;
                StatusInput::FoundIssued(found.map(|found| found.record.issued.device.id))
            }
            StatusOutput::Persist(record) => {
                self.persist(&record, ending).await?;
                StatusInput::Persisted
            }
            StatusOutput::Respond(response) => return ending.respond(response),
            StatusOutput::Close(outcome) => return ending.close(outcome),
        }))
    }
}

impl StatusHost<'_> {
    async fn persist(&self, record: &StatusRecord, ending: &mut Ending) -> Result<(), Failure> {
        let store = &self.registrar.world.store;
        let mut changes = Changes::new().put(record)?;
        ending.device = record.device.to_string();
        for alert in &record.alerts {
            tracing::warn!(device = %record.device, alert, "status report");
        }
        if let Some(mut device) = store.snapshot(|store| Tracked::find(store, &record.device))? {
            ending.device = device.device.identity.serial_number.to_string();
            // A report that does not fit the device's state is kept all the same; only the state does not change.
            match device.step(DeviceEvent::Reported { report: report(record) }, record.at) {
                Ok(_) => changes = changes.and(device.take_changes()?),
                Err(why) => tracing::warn!(device = ending.device, %why, "an unexpected report"),
            }
        }
        store.commit(changes).await?;
        Ok(())
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
