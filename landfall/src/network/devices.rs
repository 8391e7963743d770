//! The domain's devices.

use super::Judged;
use crate::{
    admin::Connection,
    output::{Answer, Output, Table},
    transfer::with_next,
};
use anyhow::Context;
use landfall_server::admin::{
    escape,
    view::{Device, IssuedCertificate, Note, Page, Prefetch, Prefetched, StoredVoucher},
};
use std::{fmt::Write, fs, path::Path};

pub(super) fn list(
    connection: &Connection,
    state: Option<&str>,
    after: Option<&str>,
    limit: Option<usize>,
    output: &Output,
) -> anyhow::Result<Answer> {
    let limit = limit.map(|limit| limit.to_string());
    let query = [("state", state), ("after", after), ("limit", limit.as_deref())];
    let page: Page<Device> =
        connection.ask(output, "asking", async |client| client.list("/v1/network/devices", &query).await)?;
    output.show_as(&page, || {
        let mut table = Table::new(&["serial", "vendor", "model", "state", "network", "since"], "no such device");
        for device in &page.items {
            table.row([
                device.serial_number.clone(),
                maker(device),
                device.model.clone().unwrap_or_else(|| "-".into()),
                state_and_failure(device),
                match &device.configuration {
                    Some(configuration) if configuration.network_authenticated => "authenticated".into(),
                    Some(_) => "taken on trust".into(),
                    None => "-".into(),
                },
                device.since.to_string(),
            ]);
        }
        with_next(table, page.next.as_deref())
    })?;
    Ok(Answer::Yes)
}

pub(super) fn show(connection: &Connection, name: &str, output: &Output) -> anyhow::Result<Answer> {
    let path = format!("/v1/network/devices/{}", escape(name));
    let device: Device = connection.ask(output, "asking", async |client| client.get(&path).await)?;
    output.show_as(&device, || text(&device))?;
    Ok(Answer::Yes)
}

pub(super) fn judge(
    connection: &Connection,
    verb: &'static str,
    judged: &Judged,
    output: &Output,
) -> anyhow::Result<Answer> {
    let path = format!("/v1/network/devices/{}/{verb}", escape(&judged.device));
    let note = Note { reason: judged.reason.clone() };
    let device: Device = connection.ask(output, verb, async |client| client.post(&path, &note).await)?;
    output.show_as(&device, || format!("{} of {} is now {}", device.serial_number, maker(&device), device.state))?;
    Ok(Answer::Yes)
}

pub(super) fn prefetch(
    connection: &Connection,
    serial_numbers: &[String],
    vendor: &str,
    issuer: &Path,
    masa: Option<&str>,
    output: &Output,
) -> anyhow::Result<Answer> {
    let wanted = Prefetch {
        vendor: vendor.to_owned(),
        serial_numbers: serial_numbers.to_vec(),
        issuer_certificate: fs::read_to_string(issuer).with_context(|| format!("reading {}", issuer.display()))?,
        masa: masa.map(str::to_owned),
    };
    let results: Vec<Prefetched> = connection
        .ask(output, "fetching vouchers ahead", async |client| client.post("/v1/network/vouchers", &wanted).await)?;
    output.show_as(&results, || {
        let mut table = Table::new(&["serial", "voucher"], "nothing was asked for");
        for result in &results {
            let said = match (&result.voucher, &result.error) {
                (Some(voucher), _) => format!("good until {}", voucher.expires),
                (None, Some(why)) => why.clone(),
                (None, None) => "none".into(),
            };
            table.row([result.serial_number.clone(), said]);
        }
        table.to_string()
    })?;
    Ok(results.iter().all(|result| result.voucher.is_some()).into())
}

pub(super) fn prefetched(connection: &Connection, output: &Output) -> anyhow::Result<Answer> {
    let page: Page<StoredVoucher> =
        connection.ask(output, "asking", async |client| client.get("/v1/network/vouchers?limit=1000").await)?;
    output.show_as(&page, || {
        let mut table = Table::new(&["serial", "vendor", "fetched", "good until"], "no voucher was fetched ahead");
        for voucher in &page.items {
            let (fetched, expires) = (voucher.fetched.to_string(), voucher.expires.to_string());
            table.row([voucher.serial_number.clone(), voucher.vendor.clone(), fetched, expires]);
        }
        table.to_string()
    })?;
    Ok(Answer::Yes)
}

pub(super) fn certificates(
    connection: &Connection,
    state: Option<&str>,
    after: Option<&str>,
    output: &Output,
) -> anyhow::Result<Answer> {
    let query = [("state", state), ("after", after)];
    let page: Page<IssuedCertificate> =
        connection.ask(output, "asking", async |client| client.list("/v1/network/certificates", &query).await)?;
    output.show_as(&page, || {
        let mut table = Table::new(&["serial", "subject", "good until", "revoked"], "no certificate was issued");
        for certificate in &page.items {
            let revoked = certificate.revoked.map_or_else(|| "-".into(), |at| at.to_string());
            let until = certificate.not_after.to_string();
            table.row([certificate.serial.clone(), certificate.subject.clone(), until, revoked]);
        }
        with_next(table, page.next.as_deref())
    })?;
    Ok(Answer::Yes)
}

fn text(device: &Device) -> String {
    let mut text = String::new();
    let model = device.model.as_deref().unwrap_or("not said");
    let _ = writeln!(text, "{} of {} (model {model})", device.serial_number, maker(device));
    let _ = writeln!(text, "id     {}", device.id);
    let _ = writeln!(text, "state  {} since {}, last asked {}", device.state, device.since, device.last_asked);
    let _ = writeln!(text, "birth key  {}", place(device.hardware_backed));
    for reason in &device.reasons {
        let _ = writeln!(text, "       {reason}");
    }
    if let Some(configuration) = &device.configuration {
        let networks = configuration.networks.join(", ");
        let until = configuration.expires.map_or_else(String::new, |expires| format!(" until {expires}"));
        let _ = writeln!(text, "configured {} as {} for {networks}{until}", configuration.at, configuration.role);
        let _ = writeln!(text, "       {}", trust(configuration.network_authenticated));
    }
    for certificate in &device.certificates {
        let fate = certificate.revoked.map_or_else(String::new, |at| format!(", REVOKED at {at}"));
        let place = place(certificate.hardware_backed);
        let _ = writeln!(text, "certificate {} until {}{fate}, key {place}", certificate.serial, certificate.not_after);
    }
    for report in &device.telemetry {
        let how = if report.ok { "went well".into() } else { report.reason.clone().unwrap_or_else(|| "failed".into()) };
        let with = if report.with_new_certificate { " (with its new certificate)" } else { "" };
        let _ = writeln!(text, "reported {} {}: {how}{with}", report.at, report.about);
    }
    text
}

/// The state, and what went wrong last: a device may be let in and be without what it came for.
fn state_and_failure(device: &Device) -> String {
    match device.telemetry.last() {
        Some(report) if !report.ok => format!("{}, {} failed", device.state, report.about),
        _ => device.state.clone(),
    }
}

/// The manufacturer, or else whose book the device is in.
fn maker(device: &Device) -> String {
    match (&device.tenant, device.vendor.as_str()) {
        (Some(tenant), "") => format!("the book of {tenant}"),
        (None, "") => "-".into(),
        (_, vendor) => vendor.to_owned(),
    }
}

/// Where a key was proven to live.
fn place(hardware_backed: bool) -> &'static str {
    match hardware_backed {
        true => "proven to be in hardware",
        false => "not proven to be in hardware",
    }
}

/// How far the network was trusted (SP 1800-36B 6.1.2).
fn trust(network_authenticated: bool) -> &'static str {
    match network_authenticated {
        true => "it authenticated the network",
        false => "it did not authenticate the network: it takes whoever has its bootstrapping key",
    }
}
