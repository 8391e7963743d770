//! Settings for RADIUS servers of others that ask ours.

use super::init::{alt_name, write_new};
use crate::{
    output::{Answer, Output},
    run::Server,
};
use anyhow::{Context, bail};
use clap::ValueEnum;
use landfall_pki::{Algorithm, Certificate, Signer, SoftwareKey, pem};
use landfall_server::{
    Identity,
    access::freeradius::{self, FreeRadius},
    domain, open,
    settings::IdentitySettings,
};
use landfall_types::Time;
use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// freeradius 3 with rlm_rest.
    Freeradius,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which server.
    kind: Kind,
    /// The folder to write, which must not be there.
    #[arg(long, default_value = "freeradius")]
    out: PathBuf,
    /// A DNS name by which devices know that server; may be repeated.
    #[arg(long = "name", value_name = "NAME", default_value = "localhost")]
    names: Vec<String>,
    /// Where it asks Landfall ([access.web]): a name in Landfall's certificate, and the port.
    #[arg(long, value_name = "HOST:PORT")]
    ask: String,
    /// What it is called in Landfall's settings ([[access.client]]).
    #[arg(long, default_value = "freeradius")]
    client: String,
    /// Where it listens.
    #[arg(long, default_value_t = 1812)]
    port: u16,
    /// How many days its certificate is good for.
    #[arg(long, default_value_t = 365)]
    days: u32,
    /// The folder with the domain's certificates, below the settings' data.
    #[arg(long, default_value = "domain")]
    folder: PathBuf,
}

pub(super) fn config(server: &Server, args: &Args, output: &Output) -> anyhow::Result<Answer> {
    let Kind::Freeradius = args.kind;
    let settings = server.settings()?;
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(c));
    if !plain(&args.client) || !plain(&args.ask) || args.client.is_empty() {
        bail!("--client and --ask have letters, digits, dots and hyphens only");
    }
    let clients = freeradius::clients(&settings)?;
    let element = open::existing_element(&settings)?;
    let issuing = IdentitySettings::at(args.folder.join("issuing.pem"));
    let issuing = Identity::load(&issuing, |path| settings.resolve(path), element.as_ref())?;
    let key = SoftwareKey::generate(Algorithm::EcdsaP256)?;
    let names: Vec<_> = args.names.iter().map(|name| alt_name(name)).collect();
    let lifetime = Duration::from_secs(u64::from(args.days) * 86_400);
    let chain = domain::server(&names, key.public_key(), &issuing, lifetime, Time::now())?;
    let chain: String = chain.iter().map(Certificate::to_pem).collect();
    let root = settings.resolve(&args.folder.join("root.pem"));
    let root = fs::read(&root).with_context(|| format!("reading {}", root.display()))?;

    let out = &args.out;
    fs::DirBuilder::new().mode(0o700).create(out).with_context(|| format!("making {}", out.display()))?;
    let folder = fs::canonicalize(out)?;
    let folder = folder.to_str().filter(|folder| plain(&folder.replace('/', "-")));
    let folder =
        folder.context("freeradius reads the folder's path otherwise: take letters, digits, dots and hyphens")?;
    let token = freeradius::token().context("no random token")?;
    let write = |name: &str, content: &[u8]| write_new(&out.join(name), content, 0o600);
    write("token", format!("{}\n", token.expose()).as_bytes())?;
    let server = FreeRadius { folder, port: args.port, ask: &args.ask, client: &args.client, token };
    write("radiusd.conf", server.radiusd().as_bytes())?;
    write("clients.conf", clients.expose().as_bytes())?;
    write("dictionary", b"$INCLUDE /usr/share/freeradius/dictionary\n")?;
    write("server.pem", chain.as_bytes())?;
    write("server.key", pem::encode("PRIVATE KEY", key.to_pkcs8_der().expose()).as_bytes())?;
    write("root.pem", &root)?;
    let next = next(&args.client, &Path::new(folder).join("token"));
    output.show_as(&serde_json::json!({ "folder": folder, "settings": next }), || {
        format!(
            "Wrote {folder}. For landfall.toml, where it runs on this machine:\n\n{next}\nThen: freeradius -d {folder}"
        )
    })?;
    Ok(Answer::Yes)
}

fn next(client: &str, token: &Path) -> String {
    format!("[access.web]\n[[access.client]]\nname = {client:?}\ntoken-file = {:?}\n", token.display().to_string())
}
