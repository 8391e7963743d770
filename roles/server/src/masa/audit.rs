//! One request for an audit log (RFC 8995 s5.8).

use super::{IssuedVoucher, Masa};
use crate::exchange::{Ending, Failure, Host, Kind, run};
use landfall_brski::masa::{AuditInput, AuditLogExchange, AuditOutput};
use landfall_lifecycle::transfer::Ownership;
use landfall_store::ReadError;
use landfall_types::{
    Process,
    http::{Request, Response},
};

const KIND: Kind = Kind { process: Process::Transfer, role: "masa", action: "audit-log-read" };

pub(super) async fn answer(masa: &Masa, request: Request) -> Response {
    let attempt = || {
        let exchange = AuditLogExchange::new(masa.core.clone());
        (exchange, AuditInput::Request(request.clone()), AuditHost { masa })
    };
    run(&masa.world, Ending::new(KIND), attempt).await.1.response()
}

struct AuditHost<'a> {
    masa: &'a Masa,
}

impl Host<AuditLogExchange> for AuditHost<'_> {
    const FAILED: fn(String) -> AuditInput = AuditInput::Failed;

    async fn perform(&mut self, output: AuditOutput, ending: &mut Ending) -> Result<Option<AuditInput>, Failure> {
        Ok(Some(match output {
            AuditOutput::FindHistory(claim) => {
                ending.device = claim.serial.to_string();
                let issued = self.masa.world.store.snapshot(|store| {
                    let ownership = store.find::<Ownership>(claim.device.as_str())?;
                    ownership.map_or(Ok(Vec::new()), |ownership| IssuedVoucher::of(store, &ownership))
                });
                let issued: Vec<IssuedVoucher> = issued.map_err(|why: ReadError| Failure::from(why))?;
                AuditInput::History(issued.into_iter().map(|voucher| voucher.past).collect())
            }
            AuditOutput::Respond(response) => return ending.respond(response),
            AuditOutput::Close(outcome) => return ending.close(outcome),
        }))
    }
}
