//! curl as a client of the registrar and the MASA.

use super::{lab::Lab, shell::said};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_testkit::tool;
use std::{net::SocketAddr, path::PathBuf};

/// curl, which trusts `anchor.pem` in the lab's folder.
pub(super) struct Curl<'a> {
    lab: &'a Lab,
    program: PathBuf,
}

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The header fields as they came.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl<'a> Curl<'a> {
    /// For servers below the domain's root, unless curl is missing.
    pub(super) fn new(lab: &'a Lab) -> Option<Self> {
        let program = tool("curl")?;
        lab.folder.put("domain.pem", lab.domain.root.authority.certificate.to_pem());
        lab.folder.put("manufacturer.pem", lab.manufacturer.root.authority.certificate.to_pem());
        Some(Self { lab, program })
    }

    /// Asks for `path` at the registrar.
    pub(super) fn registrar(&self, path: &str, arguments: &[&str]) -> Answer {
        self.ask(self.lab.registrar, "domain.pem", path, arguments)
    }

    /// Asks for `path` at the MASA.
    pub(super) fn masa(&self, path: &str, arguments: &[&str]) -> Answer {
        self.ask(self.lab.masa, "manufacturer.pem", path, arguments)
    }

    fn ask(&self, server: SocketAddr, anchor: &str, path: &str, arguments: &[&str]) -> Answer {
        let url = format!("https://localhost:{}{path}", server.port());
        let fixed = ["--silent", "--show-error", "--max-time", "30", "--cacert", anchor];
        let files = ["--dump-header", "head.txt", "--output", "body.bin", "--write-out", "%{http_code}", &url];
        // curl writes no file for an empty body.
        self.lab.folder.put("body.bin", "");
        let output = self.lab.folder.try_run(&self.program, &[&fixed[..], &files, arguments].concat());
        assert!(output.status.success(), "curl {url} {arguments:?}: {}", said(&output));
        Answer {
            status: String::from_utf8_lossy(&output.stdout).parse().unwrap(),
            head: self.lab.folder.take_text("head.txt"),
            body: self.lab.folder.take("body.bin"),
        }
    }
}

impl Answer {
    /// The value of a header field.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The body as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The DER that the body carries, which has to be base64 without anything else (RFC 8951 s3.1).
    pub(super) fn der(&self) -> Vec<u8> {
        STANDARD.decode(&self.body).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }
}
