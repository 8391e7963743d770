//! What an access point tells of the networks behind it before a device is in any: the realms that it lets in (ANQP, IEEE 802.11-2020
//! s9.4.5.10).

use landfall_types::{Fault, Refusal, octets::Reader};

/// The element of ANQP that lists them.
pub const NAI_REALM: u16 = 263;

const SECTION: &str = "IEEE 802.11-2020 s9.4.5.10";
/// The encoding in UTF-8 instead of the form of RFC 4282.
const UTF8: u8 = 1;

/// The realms in a NAI Realm ANQP-element, without its header; how devices would show themselves there is left out.
///
/// # Errors
/// `anqp-realms` if it is not what it says.
pub fn realms(element: &[u8]) -> Result<Vec<String>, Refusal> {
    let malformed = |detail: &str| Refusal::new(Fault::Malformed, "anqp-realms", SECTION, detail);
    let cut = |_| malformed("it is shorter than it says");
    let mut reader = Reader::new("NAI Realm", element);
    let count = reader.u16_le().map_err(cut)?;
    let mut realms = Vec::new();
    for _ in 0..count {
        let length = reader.u16_le().map_err(cut)?;
        let mut field = Reader::new("NAI Realm", reader.take(length.into()).map_err(cut)?);
        let encoding = field.u8().map_err(cut)?;
        let length = field.u8().map_err(cut)?;
        let realm = std::str::from_utf8(field.take(length.into()).map_err(cut)?);
        let realm = realm.map_err(|_| malformed("a realm is no text"))?;
        if encoding & UTF8 == 0 && !realm.is_ascii() {
            return Err(malformed("a realm in the form of RFC 4282 is not ASCII"));
        }
        // Several may be in one, as a device writes alternatives.
        realms.extend(realm.split(';').filter(|realm| !realm.is_empty()).map(str::to_owned));
    }
    Ok(realms)
}
