//! Transfer (SP 1800-36B 4.2): who owns which device, and what the MASA vouched for.

use super::{
    ApiError, Console, Problem,
    server::lines,
    view::{CustomerView, Failure, LogLine, NewCustomer, NewSale, Ownership, Page, Part, PerDevice, Resale},
};
use axum::{
    Json,
    extract::{Query, State},
    http::StatusCode,
};
use landfall_lifecycle::{
    factory::FactoryDevice,
    transfer::{self, Basis, Customer, ISSUED_LOG, OWNERSHIP_LOG, Sale},
};
use landfall_pki::Certificate;
use landfall_store::Versioned;
use landfall_types::{Changes, DeviceId, OwnerId, Time, record::Version};
use serde::Serialize;
use std::sync::Arc;

/// What the log says of a change of ownership.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Entry<'a> {
    at: Time,
    device: &'a DeviceId,
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a OwnerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sale: Option<&'a str>,
}

/// The customers, and how their registrars are recognised.
#[utoipa::path(
    get, path = "/v1/transfer/customers", tag = "transfer", params(Part),
    responses((status = 200, body = Page<CustomerView>))
)]
pub(super) async fn customers(
    State(console): State<Arc<Console>>,
    Query(part): Query<Part>,
) -> Result<Json<Page<CustomerView>>, ApiError> {
    console.masa()?;
    let found = console.world.store.scan::<Customer>(part.after.as_deref(), part.limit())?;
    let items = found.into_iter().map(|found| customer_view(&found.record)).collect();
    Ok(Json(Page::of(items, part.limit(), |customer: &CustomerView| customer.owner.clone())))
}

/// Makes a customer known, or says more about one: the certificates add up.
#[utoipa::path(
    post, path = "/v1/transfer/customers", tag = "transfer", request_body = NewCustomer,
    responses((status = 200, body = CustomerView), (status = 422, body = Problem))
)]
pub(super) async fn put_customer(
    State(console): State<Arc<Console>>,
    Json(new): Json<NewCustomer>,
) -> Result<Json<CustomerView>, ApiError> {
    console.masa()?;
    let owner: OwnerId = new.owner.parse().map_err(ApiError::invalid)?;
    let known = console.world.store.find::<Customer>(owner.as_str())?.map(|found| found.record);
    let mut customer =
        known.unwrap_or_else(|| Customer { owner, certificates: Vec::new(), domains: Vec::new(), nonceless: false });
    for certificate in &new.certificates {
        for certificate in Certificate::chain_from_pem(certificate).map_err(ApiError::invalid)? {
            if !customer.certificates.contains(&certificate.fingerprint()) {
                customer.certificates.push(certificate.fingerprint());
                customer.domains.push(certificate.domain_id());
            }
        }
    }
    customer.nonceless = new.nonceless.unwrap_or(customer.nonceless);
    console.world.store.commit(Changes::new().put(&customer)?).await?;
    Ok(Json(customer_view(&customer)))
}

/// Who owns which device.
#[utoipa::path(
    get, path = "/v1/transfer/sales", tag = "transfer", params(Part),
    responses((status = 200, body = Page<Ownership>))
)]
pub(super) async fn sales(
    State(console): State<Arc<Console>>,
    Query(part): Query<Part>,
) -> Result<Json<Page<Ownership>>, ApiError> {
    console.masa()?;
    let found = console.world.store.scan::<transfer::Ownership>(part.after.as_deref(), part.limit())?;
    let items = found.into_iter().map(|found| ownership_view(&found.record)).collect();
    Ok(Json(Page::of(items, part.limit(), |ownership: &Ownership| ownership.device.clone())))
}

/// Records a sale: from now on only the buyer gets vouchers for these devices.
#[utoipa::path(
    post, path = "/v1/transfer/sales", tag = "transfer", request_body = NewSale,
    responses((status = 200, body = PerDevice), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(super) async fn sell(
    State(console): State<Arc<Console>>,
    Json(new): Json<NewSale>,
) -> Result<Json<PerDevice>, ApiError> {
    console.masa()?;
    let at = console.world.clock.now();
    let buyer: OwnerId = new.owner.parse().map_err(ApiError::invalid)?;
    if console.world.store.find::<Customer>(buyer.as_str())?.is_none() {
        return Err(ApiError::invalid(format_args!(
            "there is no customer {buyer}; make it known first, with a certificate of its domain"
        )));
    }
    let seller = new.seller.map(|seller| seller.parse()).transpose().map_err(ApiError::invalid)?;
    let mut result = PerDevice::default();
    let mut sold: Vec<(String, Held)> = Vec::new();
    for serial in new.serial_numbers {
        match held(&console, &serial) {
            Ok(held) => sold.push((serial, held)),
            Err(error) => result.failed.push(Failure { serial_number: serial, error: error.body.error }),
        }
    }
    let id = new.order.unwrap_or_else(|| format!("{buyer}-{}", at.as_unix_millis()));
    let devices = sold.iter().map(|(_, held)| held.ownership.device.clone()).collect();
    let sale = Sale { id, at, buyer: buyer.clone(), seller, devices };
    let mut changes = Changes::new().insert(&sale)?;
    for (serial_number, held) in sold {
        match held.ownership.clone().sold(&sale) {
            Ok(ownership) => {
                let entry =
                    Entry { at, device: &ownership.device, change: "sold", owner: Some(&buyer), sale: Some(&sale.id) };
                changes = changes.and(held.write(&ownership)?).append(OWNERSHIP_LOG, &entry)?;
                result.done.push(serial_number);
            }
            Err(refusal) => result.failed.push(Failure { serial_number, error: refusal.to_string() }),
        }
    }
    if !result.done.is_empty() {
        console.world.store.commit(changes).await?;
    }
    Ok(Json(result))
}

/// Releases devices from their owner: the next voucher is for the next one.
#[utoipa::path(
    post, path = "/v1/transfer/resale", tag = "transfer", request_body = Resale,
    responses((status = 200, body = PerDevice), (status = 422, body = Problem))
)]
pub(super) async fn resell(
    State(console): State<Arc<Console>>,
    Json(resale): Json<Resale>,
) -> Result<Json<PerDevice>, ApiError> {
    console.masa()?;
    let at = console.world.clock.now();
    let by = match &resale.by {
        None => None,
        Some(owner) => Some(
            console
                .world
                .store
                .find::<Customer>(owner)?
                .ok_or_else(|| ApiError::invalid(format_args!("there is no customer {owner}")))?
                .record,
        ),
    };
    let (mut result, mut changes) = (PerDevice::default(), Changes::new());
    for serial_number in resale.serial_numbers {
        let released = held(&console, &serial_number).map_err(|error| error.body.error).and_then(|held| {
            let released = held.ownership.clone().released(by.as_ref(), at).map_err(|refusal| refusal.to_string())?;
            Ok((held, released))
        });
        match released {
            Ok((held, ownership)) => {
                let owner = held.ownership.owner();
                let entry = Entry { at, device: &ownership.device, change: "released", owner, sale: None };
                changes = changes.and(held.write(&ownership)?).append(OWNERSHIP_LOG, &entry)?;
                result.done.push(serial_number);
            }
            Err(error) => result.failed.push(Failure { serial_number, error }),
        }
    }
    console.world.store.commit(changes).await?;
    Ok(Json(result))
}

/// Every voucher that the MASA issued, the oldest first; `after` is a number.
#[utoipa::path(
    get, path = "/v1/transfer/issued", tag = "transfer", params(Part),
    responses((status = 200, body = Page<LogLine>))
)]
pub(super) async fn issued(
    State(console): State<Arc<Console>>,
    Query(part): Query<Part>,
) -> Result<Json<Page<LogLine>>, ApiError> {
    console.masa()?;
    lines(&console, ISSUED_LOG, &part).map(Json)
}

/// A device's ownership as it was read.
struct Held {
    ownership: transfer::Ownership,
    version: Option<Version>,
}

impl Held {
    /// Writes `ownership` in its place, if nobody else has meanwhile.
    fn write(&self, ownership: &transfer::Ownership) -> Result<Changes, ApiError> {
        Ok(match self.version {
            Some(version) => Changes::new().put_if(ownership, version)?,
            None => Changes::new().insert(ownership)?,
        })
    }
}

/// The ownership of the device with that serial number, which must have been made here.
fn held(console: &Console, serial: &str) -> Result<Held, ApiError> {
    let store = &console.world.store;
    let made = store.find::<FactoryDevice>(serial)?;
    let made = FactoryDevice::known(made.as_ref().map(|found| &found.record))
        .map_err(|refusal| ApiError::new(StatusCode::NOT_FOUND, refusal.detail))?
        .clone();
    let found: Option<Versioned<transfer::Ownership>> = store.find(made.device.as_str())?;
    Ok(match found {
        Some(Versioned { record: ownership, version }) => Held { ownership, version: Some(version) },
        None => Held { ownership: transfer::Ownership::unsold(made.device, made.serial_number), version: None },
    })
}

fn customer_view(customer: &Customer) -> CustomerView {
    CustomerView {
        owner: customer.owner.to_string(),
        certificates: customer.certificates.iter().map(ToString::to_string).collect(),
        nonceless: customer.nonceless,
    }
}

fn ownership_view(ownership: &transfer::Ownership) -> Ownership {
    let holding = ownership.holding.as_ref();
    Ownership {
        device: ownership.device.to_string(),
        serial_number: ownership.serial_number.to_string(),
        owner: ownership.owner().map(ToString::to_string),
        since: holding.map(|holding| holding.since),
        basis: holding.map(|holding| match &holding.basis {
            Basis::Sale { sale, .. } => format!("sale {sale}"),
            Basis::Registered { .. } => "registration".into(),
            Basis::FirstUse { domain } => format!("first use, by domain {domain}"),
        }),
        vouchers: ownership.vouchers,
        former_owners: ownership.history.len() as u64,
    }
}
