//! What a TPM element is opened with.

use crate::Tcti;
use landfall_element::{ElementError, Trouble, files};
use landfall_types::Redacted;
use std::path::{Path, PathBuf};

/// What a TPM element is opened with.
#[derive(Clone, Debug, Default)]
pub struct TpmConfig {
    /// Where the TPM is.
    pub tcti: Tcti,
    /// The folder for wrapped keys.
    pub folder: PathBuf,
    /// The authorization value that keys get when they are made, and are used with.
    pub key_auth: Option<Redacted<String>>,
    /// The authorization value of the owner hierarchy, if it has one.
    pub owner_auth: Option<Redacted<String>>,
    /// That of the endorsement hierarchy.
    pub endorsement_auth: Option<Redacted<String>>,
    /// The PCRs (SHA-256 bank) whose content of now secrets in the vault are bound to; none binds them to the TPM alone.
    pub pcrs: Vec<u8>,
}

impl TpmConfig {
    /// The TPM at `tcti`, with wrapped keys in `folder`, and nothing that needs an authorization value.
    pub fn new(tcti: Tcti, folder: &Path) -> Self {
        Self { tcti, folder: folder.to_owned(), ..Self::default() }
    }

    /// From `tpm:`, where the TPM is ([`Tcti`]), and after a question mark what else there is to say, separated by `&`:
    ///
    /// ```text
    /// tpm:device:/dev/tpmrm0?pcrs=0,7&key-auth-file=/etc/landfall/auth&owner-auth-file=…&endorsement-auth-file=…
    /// ```
    ///
    /// A file's first line is the authorization value.
    ///
    /// # Errors
    /// If it is no such text, or a file cannot be read.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ElementError> {
        let wrong = |why: String| ElementError::hardware(Trouble::Gone, why);
        let rest = text.strip_prefix("tpm:").ok_or_else(|| wrong("it does not begin with \"tpm:\"".into()))?;
        let (tcti, options) = rest.split_once('?').unwrap_or((rest, ""));
        let mut config = Self::new(tcti.parse().map_err(|why: crate::InvalidTcti| wrong(why.to_string()))?, folder);
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let auth = |path: &str| files::first_line(Path::new(path)).map(Some);
            match option.split_once('=') {
                Some(("pcrs", list)) => {
                    let pcrs: Result<_, _> = list.split(',').map(str::parse).collect();
                    config.pcrs = pcrs.map_err(|_| wrong("pcrs is a list of numbers".into()))?;
                }
                Some(("key-auth-file", path)) => config.key_auth = auth(path)?,
                Some(("owner-auth-file", path)) => config.owner_auth = auth(path)?,
                Some(("endorsement-auth-file", path)) => config.endorsement_auth = auth(path)?,
                _ => return Err(wrong("it has an option that is not understood here".into())),
            }
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_it_all() {
        let dir = landfall_testkit::temp_dir();
        let file = dir.path().join("auth");
        std::fs::write(&file, "a value\nand a note\n").unwrap();
        let text = format!("tpm:swtpm:port=2323?pcrs=0,7&key-auth-file={}", file.display());
        let config = TpmConfig::parse(&text, dir.path()).unwrap();
        assert_eq!(
            (config.tcti.to_string().as_str(), &config.pcrs[..]),
            ("swtpm:host=127.0.0.1,port=2323", &[0, 7][..])
        );
        assert_eq!(config.key_auth.unwrap().expose(), "a value");
        assert_eq!(TpmConfig::parse("tpm:", dir.path()).unwrap().tcti, Tcti::default());
        for wrong in
            ["tpm", "tpm:abrmd:", "tpm:?pcrs=x", "tpm:?pcrs=256", "tpm:?colour=red", "tpm:?key-auth-file=/none"]
        {
            assert!(TpmConfig::parse(wrong, dir.path()).is_err(), "{wrong}");
        }
    }
}
