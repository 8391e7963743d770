//! Transfer (SP 1800-36B 4.2) by Wi-Fi Easy Connect: the tenants of the supply chain service, and the device book.

use super::{
    ApiError, Console, Problem,
    view::{
        BookDevice, BookPart, Codes, DevicesAdded, DevicesReleased, Failure, NewDevices, NewTenant, Page, Part,
        PerDevice, PictureWidth, TenantView,
    },
};
use crate::{
    book::{self, AT_ONCE, Book, BookError, Entry, Registration},
    labels::Picture,
    supply_chain::{fresh_token, token_hash},
};
use axum::{
    Json,
    body::Bytes,
    extract::{Query, State},
};
use landfall_lifecycle::transfer::{Bootstrapping, Held, Tenant, Token, Via};
use landfall_pki::Certificate;
use landfall_types::{Changes, Fingerprint, OwnerId};
use std::sync::Arc;

/// The tenants, and how each is recognised.
#[utoipa::path(
    get, path = "/v1/transfer/tenants", tag = "transfer", params(Part),
    responses((status = 200, body = Page<TenantView>))
)]
pub(super) async fn tenants(
    State(console): State<Arc<Console>>,
    Query(part): Query<Part>,
) -> Result<Json<Page<TenantView>>, ApiError> {
    let found = console.world.store.scan::<Tenant>(part.after.as_deref(), part.limit())?;
    let items = found.into_iter().map(|found| view(&found.record, None)).collect();
    Ok(Json(Page::of(items, part.limit(), |tenant: &TenantView| tenant.tenant.clone())))
}

/// Makes a tenant known, or says more about one: certificates and tokens add up. A new token is in the answer, and
/// nowhere else.
#[utoipa::path(
    post, path = "/v1/transfer/tenants", tag = "transfer", request_body = NewTenant,
    responses((status = 200, body = TenantView), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(super) async fn put_tenant(
    State(console): State<Arc<Console>>,
    Json(new): Json<NewTenant>,
) -> Result<Json<TenantView>, ApiError> {
    let store = &console.world.store;
    let id = owner(Some(&new.tenant))?;
    let known = store.find::<Tenant>(id.as_str())?;
    let version = known.as_ref().map(|known| known.version);
    let mut tenant = known.map_or_else(|| Tenant::new(id), |known| known.record);
    for pem in &new.certificates {
        // A file may hold the chain too: what is meant is the certificate that comes first.
        let chain = Certificate::chain_from_pem(pem).map_err(ApiError::invalid)?;
        let first = chain.first().ok_or_else(|| ApiError::invalid("there is no certificate in it"))?.fingerprint();
        let taken = store.find_by::<Tenant>(Tenant::BY_CERTIFICATE, &first.to_string(), 1)?;
        if let Some(other) = taken.first().filter(|other| other.id != tenant.id) {
            return Err(ApiError::conflict(format_args!("the certificate is that of {}", other.id)));
        }
        if !tenant.certificates.contains(&first) {
            tenant.certificates.push(first);
        }
    }
    if new.revoke_tokens {
        tenant.tokens.clear();
    }
    let token = match new.token {
        true => Some(fresh_token().ok_or_else(|| ApiError::internal("the system gave no random bytes"))?),
        false => None,
    };
    if let Some(token) = &token {
        tenant.tokens.push(Token { hash: token_hash(token.expose()), made: console.world.clock.now() });
    }
    let changes = match version {
        Some(version) => Changes::new().put_if(&tenant, version)?,
        None => Changes::new().insert(&tenant)?,
    };
    store.commit(changes).await?;
    Ok(Json(view(&tenant, token.map(|token| token.expose().clone()))))
}

/// The devices in a tenant's book.
#[utoipa::path(
    get, path = "/v1/transfer/devices", tag = "transfer", params(BookPart),
    responses((status = 200, body = Page<BookDevice>), (status = 422, body = Problem))
)]
pub(super) async fn devices(
    State(console): State<Arc<Console>>,
    Query(part): Query<BookPart>,
) -> Result<Json<Page<BookDevice>>, ApiError> {
    let tenant = owner(part.tenant.as_deref())?;
    let after = part.after.as_deref().map(str::parse::<Fingerprint>).transpose().map_err(ApiError::invalid)?;
    let limit = part.limit.unwrap_or(100).clamp(1, 1000);
    let found = Book::of(&console.world.store).page(&tenant, after.as_ref(), limit)?;
    let items = found.iter().map(|found| device(found)).collect();
    Ok(Json(Page::of(items, limit, |device: &BookDevice| device.bootstrap_hash.clone())))
}

/// Brings devices into a tenant's book by their bootstrapping URIs: at most 500 at a time.
#[utoipa::path(
    post, path = "/v1/transfer/devices", tag = "transfer", request_body = NewDevices,
    responses((status = 200, body = DevicesAdded), (status = 422, body = Problem))
)]
pub(super) async fn add(
    State(console): State<Arc<Console>>,
    Json(new): Json<NewDevices>,
) -> Result<Json<DevicesAdded>, ApiError> {
    if new.devices.len() > AT_ONCE {
        return Err(ApiError::invalid(format_args!("{} devices are more than {AT_ONCE}", new.devices.len())));
    }
    let tenant = owner(new.tenant.as_deref())?;
    let via: Via = serde_json::from_value(new.via.into()).map_err(ApiError::invalid)?;
    let (mut entries, mut numbers, mut result) = (Vec::new(), Vec::new(), DevicesAdded::default());
    for (number, told) in new.devices.into_iter().enumerate() {
        match serde_json::from_value::<Entry>(told) {
            Ok(entry) => {
                entries.push(entry);
                numbers.push(number);
            }
            Err(why) => result.failed.push(Failure { serial_number: number.to_string(), error: why.to_string() }),
        }
    }
    let at = console.world.clock.now();
    let all = Registration { tenant: &tenant, entries: &entries, released: &[], via, at };
    let registered = Book::of(&console.world.store).register(&all).await?;
    for (number, outcome) in numbers.into_iter().zip(registered) {
        match outcome {
            Ok(record) => result.devices.push(device(&record)),
            Err(refusal) => {
                result.failed.push(Failure { serial_number: number.to_string(), error: refusal.to_string() });
            }
        }
    }
    changed(&console, &tenant);
    Ok(Json(result))
}

/// The texts of the QR codes in a picture, which is not kept.
///
/// The body is how bright each dot is, an octet each, row by row; so whoever has the picture unpacks it.
#[utoipa::path(
    post, path = "/v1/transfer/codes", tag = "transfer", params(PictureWidth),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Codes), (status = 422, body = Problem))
)]
pub(super) async fn read_codes(
    Query(PictureWidth { width }): Query<PictureWidth>,
    dots: Bytes,
) -> Result<Json<Codes>, ApiError> {
    let picture = Picture::new(width, dots.into())
        .ok_or_else(|| ApiError::invalid(format_args!("these are not whole rows of {width} dots")))?;
    let texts = tokio::task::spawn_blocking(move || picture.texts()).await.map_err(ApiError::internal)?;
    Ok(Json(Codes { texts: texts.map_err(ApiError::invalid)? }))
}

/// Takes devices out of a tenant's book, by serial number or by the hash of the key: they were given away or lost.
#[utoipa::path(
    post, path = "/v1/transfer/devices/release", tag = "transfer", request_body = DevicesReleased,
    responses((status = 200, body = PerDevice), (status = 422, body = Problem))
)]
pub(super) async fn release(
    State(console): State<Arc<Console>>,
    Json(asked): Json<DevicesReleased>,
) -> Result<Json<PerDevice>, ApiError> {
    let tenant = owner(asked.tenant.as_deref())?;
    let (book, at) = (Book::of(&console.world.store), console.world.clock.now());
    let mut result = PerDevice::default();
    for name in asked.devices {
        let outcome = match book.named(&tenant, &name)? {
            Ok(found) => book.release(&tenant, &found.bootstrap_hash, at).await?.map(drop),
            Err(refusal) => Err(refusal),
        };
        match outcome {
            Ok(()) => result.done.push(name),
            Err(refusal) => result.failed.push(Failure { serial_number: name, error: refusal.detail }),
        }
    }
    changed(&console, &tenant);
    Ok(Json(result))
}

fn changed(console: &Console, tenant: &OwnerId) {
    if let Some(service) = &console.supply_chain {
        service.changed(&[tenant]);
    }
}

/// The tenant of that name; the server's only one if none is named.
fn owner(name: Option<&str>) -> Result<OwnerId, ApiError> {
    name.unwrap_or(book::HOME).parse().map_err(ApiError::invalid)
}

fn view(tenant: &Tenant, token: Option<String>) -> TenantView {
    TenantView {
        tenant: tenant.id.to_string(),
        certificates: tenant.certificates.iter().map(ToString::to_string).collect(),
        tokens: tenant.tokens.len() as u64,
        token,
    }
}

fn device(record: &Bootstrapping) -> BookDevice {
    BookDevice {
        bootstrap_hash: record.bootstrap_hash.to_string(),
        serial_number: record.serial_number.as_ref().map(ToString::to_string),
        model: record.model.as_ref().map(ToString::to_string),
        uri: record.uri.clone(),
        role: record.role.map(|role| role.as_str().to_owned()),
        takes_only: record.configurator.map(|hash| hash.to_string()),
        received: record.received,
        via: record.via.as_str().to_owned(),
        held: record.state == Held::Held,
    }
}

impl From<BookError> for ApiError {
    fn from(why: BookError) -> Self {
        match why {
            BookError::Busy => Self::conflict(why),
            other => Self::internal(other),
        }
    }
}
