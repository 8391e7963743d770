//! One request for an audit log (RFC 8995 s5.8).

use super::{IssuedVoucher, Masa};
use crate::{
    drive::{Host, drive},
    exchange::{Ending, Kind},
};
use landfall_brski::masa::{AuditInput, AuditLogExchange, AuditOutput};
use landfall_types::{
    Process,
    http::{Request, Response},
};
use std::convert::Infallible;

const KIND: Kind = Kind { process: Process::Transfer, role: "masa", action: "audit-log-read" };

pub(super) async fn answer(masa: &Masa, request: Request) -> Response {
    let mut host = AuditHost { masa, ending: Ending::new(KIND) };
    let mut exchange = AuditLogExchange::new(masa.core.clone());
    let driven = drive(&mut exchange, AuditInput::Request(request), &mut host, &masa.world.clock).await;
    host.ending.tell(&masa.world, crate::drive::refusal(driven)).await
}

struct AuditHost<'a> {
    masa: &'a Masa,
    ending: Ending,
}

impl Host<AuditLogExchange> for AuditHost<'_> {
    type Error = Infallible;

    async fn perform(&mut self, output: AuditOutput) -> Result<Option<AuditInput>, Infallible> {
        match output {
            AuditOutput::FindHistory(claim) => {
                self.ending.device = claim.serial.to_string();
                let found = IssuedVoucher::of(&self.masa.world.store, &claim.device);
                return Ok(Some(match found {
                    Ok(issued) => AuditInput::History(issued.into_iter().map(|voucher| voucher.past).collect()),
                    Err(why) => AuditInput::Failed(why.to_string()),
                }));
            }
            AuditOutput::Respond(response) => self.ending.respond(response),
            AuditOutput::Close(outcome) => self.ending.close(outcome),
        }
        Ok(None)
    }
}
