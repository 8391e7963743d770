//! Fetching vouchers before their devices come, for when the MASA is out of reach then (SP 1800-36B 6.2.1).

use super::Registrar;
use crate::exchange::{Ending, Failure, Host, Kind, run};
use landfall_brski::registrar::{Prefetch, PrefetchInput, PrefetchOutput, PrefetchedVoucher, Target};
use landfall_types::{Changes, Outcome, Process};

const KIND: Kind = Kind { process: Process::Network, role: "registrar", action: "voucher-fetched-ahead" };

impl Registrar {
    /// Fetches the voucher for `target` and keeps it; an error says in words why not.
    pub async fn prefetch(&self, target: Target) -> Result<PrefetchedVoucher, String> {
        let mut ending = Ending::new(KIND);
        ending.device = target.serial.to_string();
        let attempt = || {
            let exchange = Prefetch::new(self.core.clone(), target.clone());
            (exchange, PrefetchInput::Start, PrefetchHost { registrar: self, fetched: None })
        };
        let (host, ended) = run(&self.world, ending, attempt).await;
        host.fetched.ok_or_else(|| match ended.outcome {
            Outcome::Refused(refusal) => refusal.to_string(),
            Outcome::Pending => "the MASA asks to come back later".into(),
            Outcome::Done => "it came to no end".into(),
        })
    }
}

struct PrefetchHost<'a> {
    registrar: &'a Registrar,
    fetched: Option<PrefetchedVoucher>,
}

impl Host<Prefetch> for PrefetchHost<'_> {
    const FAILED: fn(String) -> PrefetchInput = PrefetchInput::Failed;

    async fn perform(&mut self, output: PrefetchOutput, ending: &mut Ending) -> Result<Option<PrefetchInput>, Failure> {
        let registrar = self.registrar;
        Ok(Some(match output {
            PrefetchOutput::Sign { bytes } => PrefetchInput::Signed(registrar.identity.signer.sign(&bytes)?),
            PrefetchOutput::AskMasa { vendor, masa, request } => {
                let now = registrar.world.clock.now();
                PrefetchInput::MasaAnswered(registrar.masas.ask(&vendor, &masa, request, now).await)
            }
            PrefetchOutput::Persist(record) => {
                registrar.world.store.commit(Changes::new().put(&*record)?).await?;
                self.fetched = Some(*record);
                PrefetchInput::Persisted
            }
            PrefetchOutput::Close(outcome) => return ending.close(outcome),
        }))
    }
}
