//! Fetching vouchers before their devices come, for when the MASA is out of reach then (SP 1800-36B 6.2.1).

use super::Registrar;
use crate::{
    drive::{Host, drive, refusal},
    exchange::{Ending, Kind, sign},
};
use landfall_brski::registrar::{Prefetch, PrefetchInput, PrefetchOutput, PrefetchedVoucher, Target};
use landfall_types::{Changes, Outcome, Process};
use std::convert::Infallible;

const KIND: Kind = Kind { process: Process::Network, role: "registrar", action: "voucher-fetched-ahead" };

impl Registrar {
    /// Fetches the voucher for `target` and keeps it; an error says in words why not.
    pub async fn prefetch(&self, target: Target) -> Result<PrefetchedVoucher, String> {
        let mut ending = Ending::new(KIND);
        ending.device = target.serial.to_string();
        let mut host = PrefetchHost { registrar: self, ending, fetched: None };
        let mut exchange = Prefetch::new(self.core.clone(), target);
        let driven = drive(&mut exchange, PrefetchInput::Start, &mut host, &self.world.clock).await;
        let PrefetchHost { ending, fetched, .. } = host;
        let why = match ending.outcome() {
            Some(Outcome::Refused(refusal)) => refusal.to_string(),
            Some(Outcome::Pending) => "the MASA asks to come back later".into(),
            _ => "it came to no end".into(),
        };
        ending.tell(&self.world, refusal(driven)).await;
        fetched.ok_or(why)
    }
}

struct PrefetchHost<'a> {
    registrar: &'a Registrar,
    ending: Ending,
    fetched: Option<PrefetchedVoucher>,
}

impl Host<Prefetch> for PrefetchHost<'_> {
    type Error = Infallible;

    async fn perform(&mut self, output: PrefetchOutput) -> Result<Option<PrefetchInput>, Infallible> {
        let registrar = self.registrar;
        Ok(match output {
            PrefetchOutput::Sign { bytes } => Some(
                sign(registrar.identity.signer.as_ref(), &bytes)
                    .map_or_else(PrefetchInput::Failed, PrefetchInput::Signed),
            ),
            PrefetchOutput::AskMasa { vendor, masa, request } => {
                let now = registrar.world.clock.now();
                Some(PrefetchInput::MasaAnswered(registrar.masas.ask(&vendor, &masa, request, now).await))
            }
            PrefetchOutput::Persist(record) => {
                Some(self.persist(*record).await.map_or_else(PrefetchInput::Failed, |()| PrefetchInput::Persisted))
            }
            PrefetchOutput::Close(outcome) => {
                self.ending.close(outcome);
                None
            }
        })
    }
}

impl PrefetchHost<'_> {
    async fn persist(&mut self, record: PrefetchedVoucher) -> Result<(), String> {
        let changes = Changes::new().put(&record).map_err(|why| why.to_string())?;
        self.registrar.world.store.commit(changes).await.map_err(|why| why.to_string())?;
        self.fetched = Some(record);
        Ok(())
    }
}
