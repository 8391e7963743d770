//! PEM (RFC 7468): a label around base64.

use crate::error::PkiError;
use base64::{Engine, engine::general_purpose::STANDARD};

/// How many blocks one text may hold.
const MAX_BLOCKS: usize = 1000;
/// How many bytes stand in a line (RFC 7468 s2: 64 characters).
const LINE: usize = 48;

/// One block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What it says it is: `CERTIFICATE`.
    pub label: String,
    /// What it holds.
    pub der: Vec<u8>,
}

/// `der` as PEM, in lines of 64 characters.
pub fn encode(label: &str, der: &[u8]) -> String {
    let lines = der.chunks(LINE);
    // Of the whole length from the start: it may be a key, and nothing of it is to be left behind in a shorter one.
    let mut out =
        String::with_capacity(2 * ("-----BEGIN -----\n".len() + label.len()) + lines.len() * (LINE / 3 * 4 + 1));
    out.extend(["-----BEGIN ", label, "-----\n"]);
    for line in lines {
        STANDARD.encode_string(line, &mut out);
        out.push('\n');
    }
    out.extend(["-----END ", label, "-----\n"]);
    out
}

/// Every block of `text`, in order; whatever stands between blocks is ignored, as RFC 7468 s2 lets explanations.
pub fn decode(text: &str) -> Result<Vec<Block>, PkiError> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines().map(str::trim) {
        if let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|l| l.strip_suffix("-----")) {
            if open.replace((label.to_owned(), String::new())).is_some() {
                return Err(PkiError::malformed("PEM", "a block begins inside another"));
            }
        } else if let Some(label) = line.strip_prefix("-----END ").and_then(|l| l.strip_suffix("-----")) {
            let (opened, body) = open.take().ok_or_else(|| PkiError::malformed("PEM", "a block ends unopened"))?;
            if opened != label || blocks.len() == MAX_BLOCKS {
                return Err(PkiError::malformed("PEM", "a block ends under another label, or there are too many"));
            }
            let der = STANDARD.decode(body).map_err(|_| PkiError::malformed("PEM", "a block is not base64"))?;
            blocks.push(Block { label: opened, der });
        } else if let Some((_, body)) = &mut open {
            body.push_str(line);
        }
    }
    match open {
        Some(_) => Err(PkiError::malformed("PEM", "the last block does not end")),
        None => Ok(blocks),
    }
}
