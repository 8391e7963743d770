//! What tenants ask for.

use super::{Answer, SupplyChain, answers};
use crate::book::{AT_ONCE, Book, Entry, Lines, News, Registration, Selling};
use landfall_lifecycle::transfer::{Bootstrapping, Held, Via};
use landfall_types::{
    Fingerprint, OwnerId, Refusal,
    http::{Request, Response},
    json,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::time::Duration;

/// The longest that a feed waits for something to tell, in seconds.
const LONGEST_WAIT: u64 = 30;
/// The most that is told at once.
const MOST: usize = 500;
/// The longest reason for which a device is struck off, in octets.
const LONGEST_REASON: usize = 1000;

/// What is asked of [`super::SALES`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SaleRequest {
    pub(super) to: OwnerId,
    pub(super) order: String,
    pub(super) devices: Vec<String>,
}

/// What is asked of [`super::WITHDRAWALS`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WithdrawalRequest {
    pub(super) devices: Vec<Withdrawal>,
}

/// A device that was struck off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Withdrawal {
    /// The hash of its bootstrapping key.
    pub bootstrap_hash: Fingerprint,
    /// Why, for the record.
    pub why: String,
}

/// What is asked of [`super::FEED`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FeedRequest {
    #[serde(default)]
    pub(super) after: u64,
    #[serde(default)]
    pub(super) limit: Option<usize>,
    /// Seconds.
    #[serde(default)]
    pub(super) wait: u64,
}

/// What is answered there.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FeedAnswer {
    pub(super) news: Vec<News>,
}

/// What is asked of [`super::DEVICES`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListRequest {
    #[serde(default)]
    after: Option<Fingerprint>,
    #[serde(default)]
    limit: Option<usize>,
}

/// A device as its tenant sees it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    bootstrap_hash: Fingerprint,
    held: bool,
    #[serde(flatten)]
    entry: Entry,
}

/// What became of one line or one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LineResult {
    /// The line's number, from 1 on; of a sale, the device's place in the list.
    pub line: u64,
    /// Whether it was taken.
    pub ok: bool,
    /// The hash of the device's key, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_hash: Option<Fingerprint>,
    /// Why not, if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl LineResult {
    fn refused(line: u64, refusal: &Refusal) -> Self {
        let error = match refusal.fault {
            landfall_types::Fault::Malformed => refusal.to_string(),
            _ => "this device cannot be taken".into(),
        };
        Self { line, ok: false, bootstrap_hash: None, error: Some(error) }
    }
}

impl SupplyChain {
    pub(super) async fn register_one(&self, tenant: &OwnerId, request: &Request) -> Answer {
        let entry = match Entry::from_json(&request.body) {
            Ok(entry) => entry,
            Err(why) => return answers::malformed(tenant, why),
        };
        match self.register(tenant, std::slice::from_ref(&entry)).await {
            Err(why) => why.into(),
            Ok(registered) => match registered.into_iter().next() {
                Some(Ok(record)) => {
                    answers::done(tenant, record.name(), &serde_json::json!({ "bootstrapHash": record.bootstrap_hash }))
                }
                Some(Err(refusal)) => answers::refused(tenant, 400, refusal),
                None => answers::malformed(tenant, "there is no device in it"),
            },
        }
    }

    /// A line for each line that holds a device. All that is said to be taken is durable.
    pub(super) async fn register_many(&self, tenant: &OwnerId, request: &Request) -> Answer {
        let Ok(text) = std::str::from_utf8(&request.body) else {
            return answers::malformed(tenant, "it is not text in UTF-8");
        };
        let (mut lines, mut results, mut batch) = (Lines::default(), Vec::new(), Vec::new());
        for (number, line) in (1..).zip(text.lines()) {
            match lines.read(line) {
                None => {}
                Some(Ok(entry)) => batch.push((number, entry)),
                Some(Err(refusal)) => results.push(LineResult::refused(number, &refusal)),
            }
            if batch.len() == AT_ONCE
                && let Err(why) = self.register_batch(tenant, &mut batch, &mut results).await
            {
                return why.into();
            }
        }
        if let Err(why) = self.register_batch(tenant, &mut batch, &mut results).await {
            return why.into();
        }
        results.sort_by_key(|result| result.line);
        let taken = results.iter().filter(|result| result.ok).count();
        let mut body = Vec::new();
        for result in &results {
            if let Err(why) = serde_json::to_writer(&mut body, result) {
                return answers::unavailable(&why);
            }
            body.push(b'\n');
        }
        let about = format!("{tenant}: {taken} of {} devices", results.len());
        Answer { response: Response::with(200, "application/x-ndjson", body), about, refusal: None }
    }

    async fn register_batch(
        &self,
        tenant: &OwnerId,
        batch: &mut Vec<(u64, Entry)>,
        results: &mut Vec<LineResult>,
    ) -> Result<(), crate::book::BookError> {
        let (numbers, entries): (Vec<u64>, Vec<Entry>) = batch.drain(..).unzip();
        if entries.is_empty() {
            return Ok(());
        }
        let registered = self.register(tenant, &entries).await?;
        results.extend(numbers.into_iter().zip(registered).map(|(line, outcome)| match outcome {
            Ok(record) => LineResult { line, ok: true, bootstrap_hash: Some(record.bootstrap_hash), error: None },
            Err(refusal) => LineResult::refused(line, &refusal),
        }));
        Ok(())
    }

    async fn register(
        &self,
        tenant: &OwnerId,
        entries: &[Entry],
    ) -> Result<Vec<crate::book::Registered>, crate::book::BookError> {
        let _turn = self.turns.write(tenant).await;
        let at = self.world.clock.now();
        let all = Registration { tenant, entries, released: &[], via: Via::Upload, at };
        let registered = Book::of(&self.world.store).register(&all).await?;
        self.changed(&[tenant]);
        Ok(registered)
    }

    pub(super) fn list(&self, tenant: &OwnerId, request: &Request) -> Answer {
        let asked: ListRequest = match read(&request.body) {
            Ok(asked) => asked,
            Err(why) => return answers::malformed(tenant, why),
        };
        let limit = asked.limit.unwrap_or(MOST).clamp(1, MOST);
        match Book::of(&self.world.store).page(tenant, asked.after.as_ref(), limit) {
            Err(why) => answers::unavailable(&why),
            Ok(page) => {
                let listed = |found: &Bootstrapping| Listed {
                    bootstrap_hash: found.bootstrap_hash,
                    held: found.state == Held::Held,
                    entry: Entry::from(found),
                };
                let devices: Vec<Listed> = page.iter().map(|found| listed(found)).collect();
                answers::done(tenant, "its devices", &serde_json::json!({ "devices": devices }))
            }
        }
    }

    pub(super) async fn sell(&self, tenant: &OwnerId, request: &Request) -> Answer {
        let sale: SaleRequest = match read(&request.body) {
            Ok(sale) => sale,
            Err(why) => return answers::malformed(tenant, why),
        };
        if sale.devices.is_empty() || sale.devices.len() > AT_ONCE {
            return answers::malformed(tenant, format_args!("devices: one to {AT_ONCE} are sold at once"));
        }
        if sale.order.is_empty() || sale.order.len() > 128 || sale.order.chars().any(char::is_control) {
            return answers::malformed(tenant, "order: it is the number of an order, of at most 128 characters");
        }
        let sold = {
            let _turn = self.turns.write(tenant).await;
            let at = self.world.clock.now();
            let selling = Selling { from: tenant, to: &sale.to, order: &sale.order, devices: &sale.devices, at };
            Book::of(&self.world.store).sell(&selling).await
        };
        match sold {
            Err(why) => why.into(),
            Ok(sold) => {
                self.changed(&[tenant, &sale.to]);
                let count = sold.iter().filter(|outcome| outcome.is_ok()).count();
                let results = line_by_line(&sold);
                let about = format!("{count} of {} devices to {}", sold.len(), sale.to);
                answers::done(tenant, about, &serde_json::json!({ "results": results }))
            }
        }
    }

    pub(super) async fn withdraw(&self, tenant: &OwnerId, request: &Request) -> Answer {
        let asked: WithdrawalRequest = match read(&request.body) {
            Ok(asked) => asked,
            Err(why) => return answers::malformed(tenant, why),
        };
        if asked.devices.is_empty() || asked.devices.len() > AT_ONCE {
            return answers::malformed(tenant, format_args!("devices: one to {AT_ONCE} are withdrawn at once"));
        }
        if asked.devices.iter().any(|device| device.why.len() > LONGEST_REASON) {
            return answers::malformed(tenant, format_args!("why: it has at most {LONGEST_REASON} octets"));
        }
        let withdrawn = {
            let _turn = self.turns.write(tenant).await;
            let devices: Vec<_> = asked.devices.into_iter().map(|device| (device.bootstrap_hash, device.why)).collect();
            Book::of(&self.world.store).withdraw(tenant, &devices, self.world.clock.now()).await
        };
        match withdrawn {
            Err(why) => why.into(),
            Ok(withdrawn) => {
                self.changed(&[tenant]);
                let count = withdrawn.iter().filter(|outcome| outcome.is_ok()).count();
                let about = format!("{count} of {} devices withdrawn", withdrawn.len());
                answers::done(tenant, about, &serde_json::json!({ "results": line_by_line(&withdrawn) }))
            }
        }
    }

    pub(super) async fn feed(&self, tenant: &OwnerId, request: &Request) -> Answer {
        let asked: FeedRequest = match read(&request.body) {
            Ok(asked) => asked,
            Err(why) => return answers::malformed(tenant, why),
        };
        let limit = asked.limit.unwrap_or(MOST).clamp(1, MOST);
        // Listened to before the book is read: what comes in between is heard.
        let mut bell = self.turns.listen(tenant);
        let wait = tokio::time::sleep(Duration::from_secs(asked.wait.min(LONGEST_WAIT)));
        tokio::pin!(wait);
        loop {
            match Book::of(&self.world.store).news(tenant, asked.after, limit) {
                Err(why) => return why.into(),
                Ok(news) if news.is_empty() && !wait.is_elapsed() && !self.shutdown.has_begun() => {}
                Ok(news) => return answers::done(tenant, "its feed", &FeedAnswer { news }),
            }
            tokio::select! {
                () = &mut wait => {}
                _ = bell.changed() => {}
                () = self.shutdown.clone().begun() => {}
            }
        }
    }
}

/// What became of each device in a list.
fn line_by_line(outcomes: &[Result<(), Refusal>]) -> Vec<LineResult> {
    let lines = (1..).zip(outcomes).map(|(line, outcome)| {
        let error = outcome.as_ref().err().map(|refusal| refusal.detail.clone());
        LineResult { line, ok: error.is_none(), bootstrap_hash: None, error }
    });
    lines.collect()
}

/// Reads a JSON object in which no name stands twice.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let value = json::parse(body).map_err(|why| why.to_string())?;
    serde_json::from_value(value).map_err(|why| why.to_string())
}
