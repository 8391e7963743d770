//! Making a domain, and operators of it: on the machine that has the keys, without a running server.

use crate::{
    output::{Answer, Output, Table},
    run::Server,
};
use anyhow::{Context, bail};
use landfall_pki::{Algorithm, AltName, Signer, SoftwareKey, pem};
use landfall_server::{
    Identity,
    domain::{self, NewDomain},
    open,
    settings::IdentitySettings,
};
use landfall_types::Time;
use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

pub(super) fn domain(
    server: &Server,
    organization: &str,
    names: &[String],
    algorithm: Algorithm,
    folder: &Path,
    output: &Output,
) -> anyhow::Result<Answer> {
    let settings = server.settings()?;
    let element = open::element(&settings)?;
    let names = names.iter().map(|name| alt_name(name)).collect();
    let new = NewDomain { organization: organization.to_owned(), names, algorithm };
    let made = new.make(&settings.resolve(folder), element.as_ref(), Time::now())?;
    let files: Vec<_> =
        made.files.iter().map(|(file, what)| serde_json::json!({ "file": file, "what": what })).collect();
    output.show_as(&serde_json::json!({ "files": files }), || {
        let mut table = Table::new(&["file", "what"], "");
        for (file, what) in &made.files {
            table.row([file.display().to_string(), (*what).into()]);
        }
        format!(
            "{table}\nNext: put the roots of your devices' manufacturers into [[registrar.vendor]], and\n\
             `landfall run registrar`. Manufacturers know you by {}/root.pem.",
            settings.resolve(folder).display()
        )
    })?;
    Ok(Answer::Yes)
}

pub(super) fn operator(
    server: &Server,
    name: &str,
    out: &Path,
    days: u32,
    folder: &Path,
    output: &Output,
) -> anyhow::Result<Answer> {
    if name.contains(['/', '\0']) || name.starts_with('.') {
        bail!("{name:?} cannot name a file");
    }
    let settings = server.settings()?;
    let element = open::existing_element(&settings)?;
    let issuer = IdentitySettings::at(folder.join("operators.pem"));
    let issuer = Identity::load(&issuer, |path| settings.resolve(path), element.as_ref())?;
    let key = SoftwareKey::generate(Algorithm::EcdsaP256)?;
    let lifetime = Duration::from_secs(u64::from(days) * 86_400);
    let chain = domain::operator(name, key.public_key(), &issuer, lifetime, Time::now())?;
    let (certificate, private) = (out.join(format!("{name}.pem")), out.join(format!("{name}.key")));
    let text: String = chain.iter().map(landfall_pki::Certificate::to_pem).collect();
    write_new(&private, pem::encode("PRIVATE KEY", key.to_pkcs8_der().expose()).as_bytes(), 0o600)?;
    write_new(&certificate, text.as_bytes(), 0o644)?;
    output.show_as(&serde_json::json!({ "certificate": certificate, "key": private }), || {
        format!(
            "Wrote {} and {}, good for {days} days. Elsewhere:\n\
             landfall network status --admin HOST:PORT --operator {} --admin-anchor root.pem",
            certificate.display(),
            private.display(),
            certificate.display()
        )
    })?;
    Ok(Answer::Yes)
}

pub(super) fn alt_name(name: &str) -> AltName {
    name.parse().map_or_else(|_| AltName::Dns(name.into()), AltName::Ip)
}

pub(super) fn write_new(path: &Path, content: &[u8], mode: u32) -> anyhow::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(content))
        .with_context(|| format!("writing {}", path.display()))
}
