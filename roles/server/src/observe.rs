//! The end of an exchange, told once: log line, metrics and audit record derive from the same [`Event`].

use landfall_store::Store;
use landfall_types::{Changes, Event, Outcome};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

/// The hash-chained log of what the roles of this server did: one [`Event`] an entry.
pub const AUDIT_LOG: &str = "audit";

/// How many events may wait to be written before exchanges wait for the disk.
const WAITING: usize = 4096;
/// How many events go into one commit at most.
const AT_ONCE: usize = 256;
/// How long the first event of a commit waits for others.
const GATHERED: Duration = Duration::from_millis(50);

/// Takes the closing event of every exchange. Clones share one writer.
///
/// What a peer relies on (a voucher, a certificate) is made durable by the exchange itself, before its answer. The
/// event is written after the answer, many to a commit, so that the audit costs no peer a wait.
#[derive(Clone, Debug)]
pub struct Recorder(Arc<mpsc::Sender<Told>>);

#[derive(Debug)]
enum Told {
    Event(Event),
    Flush(oneshot::Sender<()>),
}

impl Recorder {
    /// A recorder that appends to [`AUDIT_LOG`] in `store`; needs a running tokio runtime.
    pub fn new(store: Store) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(write(store, receiver));
        Self(Arc::new(sender))
    }

    /// Tells of the end of an exchange.
    pub async fn close(&self, event: Event) {
        log(&event);
        measure(&event);
        let _ = self.0.send(Told::Event(event)).await;
    }

    /// Resolves once everything told so far is durable, or could not be made so.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.0.send(Told::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
    }
}

async fn write(store: Store, mut told: mpsc::Receiver<Told>) {
    let mut batch = Vec::new();
    while told.recv_many(&mut batch, AT_ONCE).await > 0 {
        gather(&mut told, &mut batch).await;
        let (mut events, mut waiting) = (Vec::new(), Vec::new());
        for one in batch.drain(..) {
            match one {
                Told::Event(event) => events.push(event),
                Told::Flush(done) => waiting.push(done),
            }
        }
        if let Err(why) = append(&store, &events).await {
            tracing::error!(why, lost = events.len(), "audit records could not be written");
            metrics::counter!("landfall_audit_lost_total").increment(events.len() as u64);
        }
        for done in waiting {
            let _ = done.send(());
        }
    }
}

/// Waits a little for more to write in the same commit, unless there is much already or someone waits for it.
async fn gather(told: &mut mpsc::Receiver<Told>, batch: &mut Vec<Told>) {
    let until = Instant::now() + GATHERED;
    while batch.len() < AT_ONCE && matches!(batch.last(), Some(Told::Event(_))) {
        match timeout_at(until, told.recv()).await {
            Ok(Some(one)) => batch.push(one),
            Ok(None) | Err(_) => return,
        }
    }
}

async fn append(store: &Store, events: &[Event]) -> Result<(), String> {
    let mut changes = Changes::new();
    for event in events {
        changes = changes.append(AUDIT_LOG, event).map_err(|why| why.to_string())?;
    }
    store.commit(changes).await.map(|_| ()).map_err(|why| why.to_string())
}

fn log(event: &Event) {
    let (process, role, action, device) = (event.process.as_str(), event.role, event.action, event.device.as_str());
    let (outcome, millis) = (event.outcome.as_str(), event.duration.as_secs_f64() * 1e3);
    match &event.outcome {
        Outcome::Refused(refusal) => tracing::warn!(
            process, role, action, device, outcome, millis,
            check = %refusal.check, field = %refusal.field, section = %refusal.section, reason = %refusal.detail,
            "exchange"
        ),
        Outcome::Done | Outcome::Pending => tracing::info!(process, role, action, device, outcome, millis, "exchange"),
    }
}

fn measure(event: &Event) {
    let check = match &event.outcome {
        Outcome::Refused(refusal) => refusal.check.to_string(),
        Outcome::Done | Outcome::Pending => String::new(),
    };
    let (process, role, outcome) = (event.process.as_str(), event.role, event.outcome.as_str());
    let action = event.action;
    metrics::counter!(
        "landfall_exchanges_total",
        "process" => process, "role" => role, "action" => action, "outcome" => outcome, "check" => check
    )
    .increment(1);
    metrics::histogram!("landfall_exchange_seconds", "process" => process, "role" => role, "action" => action)
        .record(event.duration.as_secs_f64());
}
