//! Settings for freeradius that asks our records: it carries out EAP-TLS, and asks by rlm_rest who may be let in, and where.

use super::AUTHORIZE_PATH;
use crate::{RoleError, settings::Settings};
use landfall_types::Redacted;
use std::fmt::Write;

/// What freeradius is to be.
#[derive(Debug)]
pub struct FreeRadius<'a> {
    /// The folder that its settings are in, as it will see it.
    pub folder: &'a str,
    /// Where it listens (RFC 2865 s3).
    pub port: u16,
    /// Where our server is asked: `HOST:PORT`, a name that stands in its certificate.
    pub ask: &'a str,
    /// What it is called there (`access.client.name`).
    pub client: &'a str,
    /// Its token there.
    pub token: Redacted<String>,
}

impl FreeRadius<'_> {
    /// `radiusd.conf`. Beside it stand `server.pem` and `server.key`, which devices are shown, `root.pem`, which both devices
    /// and our server lead to, and `clients.conf`.
    pub fn radiusd(&self) -> String {
        let Self { folder, port, ask, client, token } = self;
        let token = token.expose();
        format!(
            "# freeradius 3, with rlm_rest (Debian: freeradius, freeradius-rest): freeradius -d {folder}
# Who may come in, and where, is asked of Landfall each time. Without an answer nobody comes in.
prefix = /usr
localstatedir = {folder}
name = landfall
logdir = {folder}
run_dir = {folder}
libdir = /usr/lib/freeradius
max_request_time = 30
cleanup_delay = 5
max_requests = 65536
hostname_lookups = no
log {{
    destination = files
    file = {folder}/radius.log
    auth = yes
}}
security {{
    allow_core_dumps = no
    status_server = yes
}}
thread pool {{
    start_servers = 5
    max_servers = 32
    min_spare_servers = 3
    max_spare_servers = 10
    max_requests_per_server = 0
}}
$INCLUDE clients.conf
modules {{
    always reject {{
        rcode = reject
    }}
    eap {{
        default_eap_type = tls
        timer_expire = 60
        max_sessions = 65536
        tls-config common {{
            private_key_file = {folder}/server.key
            certificate_file = {folder}/server.pem
            ca_file = {folder}/root.pem
            tls_min_version = \"1.2\"
            tls_max_version = \"1.3\"
            fragment_size = 1200
            # A session that is resumed would not be asked about.
            cache {{
                enable = no
            }}
        }}
        tls {{
            tls = common
            virtual_server = landfall
        }}
    }}
    rest {{
        tls {{
            ca_info_file = {folder}/root.pem
            check_cert = yes
            check_cert_cn = yes
        }}
        authorize {{
            uri = \"https://{ask}{AUTHORIZE_PATH}\"
            method = 'post'
            body = 'json'
            auth = 'basic'
            username = \"{client}\"
            password = \"{token}\"
            require_auth = no
            timeout = 4.0
            tls = ${{..tls}}
        }}
        pool {{
            start = 0
            min = 0
            max = 32
            spare = 4
            uses = 0
            retry_delay = 1
            lifetime = 0
            idle_timeout = 60
        }}
    }}
}}
server default {{
    listen {{
        type = auth
        ipaddr = *
        port = {port}
    }}
    authorize {{
        eap
    }}
    authenticate {{
        eap
    }}
}}
# Asked once the device has shown its certificate and has proved that it has its key.
server landfall {{
    authorize {{
        rest
        if (ok || updated) {{
            update control {{
                &Auth-Type := Accept
            }}
        }}
        else {{
            reject
        }}
    }}
}}
"
        )
    }
}

/// A token: 256 random bits, in hexadecimal. Nothing if there are none.
pub fn token() -> Option<Redacted<String>> {
    let mut random = [0; 32];
    aws_lc_rs::rand::fill(&mut random).ok()?;
    Some(hex::encode(random).into())
}

/// `clients.conf`: the access points of the settings that are known by address.
///
/// # Errors
/// If a secret cannot be read, or cannot stand there.
pub fn clients(settings: &Settings) -> Result<Redacted<String>, RoleError> {
    let mut text = String::from(
        "# The access points of landfall.toml. Keep it from others: it holds what they share with this server.\n",
    );
    for client in settings.access.iter().flat_map(|access| &access.client) {
        let loaded = super::Client::load(client, settings)?;
        let Some(secret) = &loaded.secret else { continue };
        let secret = secret.expose();
        let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'$' | b'%');
        if !secret.iter().all(plain) {
            let what = format!("the secret of {}", client.name);
            return Err(RoleError::new(
                what,
                "has characters that freeradius reads otherwise: take letters and digits",
            ));
        }
        let secret = String::from_utf8_lossy(secret);
        for (index, subnet) in client.addresses.iter().enumerate() {
            let letter = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
            let name: String = client.name.chars().map(letter).collect();
            let _ = writeln!(
                text,
                "client {name}-{index} {{\n    ipaddr = {subnet}\n    secret = \"{secret}\"\n    \
                 require_message_authenticator = yes\n}}"
            );
        }
    }
    Ok(text.into())
}
