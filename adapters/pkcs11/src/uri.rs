//! RFC 7512 URIs: which token, which object in it, and how to get there.

use std::{fmt, fmt::Write, path::PathBuf, str::FromStr};

/// A parsed `pkcs11:` URI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pkcs11Uri {
    /// The token's label.
    pub token: Option<String>,
    /// Who made the token.
    pub manufacturer: Option<String>,
    /// Which model it is.
    pub model: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// The number of its slot, for tokens that have nothing else to tell them apart.
    pub slot: Option<u64>,
    /// The object's label.
    pub object: Option<Vec<u8>>,
    /// The object's id.
    pub id: Option<Vec<u8>>,
    /// The module that is to be loaded.
    pub module: Option<PathBuf>,
    /// The file that holds the PIN.
    pub pin_file: Option<PathBuf>,
}

/// Why a text is not a URI that is understood here. It does not repeat the text, which may hold a PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUri(pub &'static str);

impl fmt::Display for InvalidUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a PKCS#11 URI (RFC 7512): {}", self.0)
    }
}

impl std::error::Error for InvalidUri {}

impl Pkcs11Uri {
    /// Reads a URI. Attributes that are not understood are refused: they would narrow down what is meant (RFC 7512 s2.3).
    ///
    /// # Errors
    /// If it is no such URI, or holds the PIN itself, which has no place in a configuration.
    pub fn parse(text: &str) -> Result<Self, InvalidUri> {
        let rest = text.strip_prefix("pkcs11:").ok_or(InvalidUri("it does not begin with \"pkcs11:\""))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::default();
        for (name, value) in attributes(path, ';') {
            uri.path_attribute(name, value.ok_or(InvalidUri("an attribute has no value"))?)?;
        }
        for (name, value) in attributes(query, '&') {
            uri.query_attribute(name, value.ok_or(InvalidUri("an attribute has no value"))?)?;
        }
        Ok(uri)
    }

    fn path_attribute(&mut self, name: &str, value: &str) -> Result<(), InvalidUri> {
        match name {
            "token" => once(&mut self.token, text(value)?),
            "manufacturer" => once(&mut self.manufacturer, text(value)?),
            "model" => once(&mut self.model, text(value)?),
            "serial" => once(&mut self.serial, text(value)?),
            "slot-id" => once(&mut self.slot, value.parse().map_err(|_| InvalidUri("slot-id is a number"))?),
            "object" => once(&mut self.object, decoded(value)?),
            "id" => once(&mut self.id, decoded(value)?),
            "type" if value == "private" => Ok(()),
            "type" => Err(InvalidUri("the only type that names a key here is private")),
            _ => Err(InvalidUri("it has a path attribute that is not understood here")),
        }
    }

    fn query_attribute(&mut self, name: &str, value: &str) -> Result<(), InvalidUri> {
        match name {
            "module-path" => once(&mut self.module, text(value)?.into()),
            // RFC 7512 s2.4: the name without what the system puts around it.
            "module-name" => once(&mut self.module, format!("lib{}.so", text(value)?).into()),
            "pin-source" => {
                let source = text(value)?;
                if source.starts_with('|') {
                    return Err(InvalidUri("pin-source is a file; no program is run for it"));
                }
                let path = source.strip_prefix("file:").unwrap_or(&source);
                once(&mut self.pin_file, path.strip_prefix("//").unwrap_or(path).into())
            }
            "pin-value" => Err(InvalidUri("a PIN has no place in it: name a file by pin-source")),
            _ => Err(InvalidUri("it has a query attribute that is not understood here")),
        }
    }

    /// The attributes that name the token, as a URI without its end, and with a separator if there is any.
    pub(crate) fn token_part(&self) -> String {
        let mut out = "pkcs11:".to_owned();
        let named = [
            ("token", &self.token),
            ("manufacturer", &self.manufacturer),
            ("model", &self.model),
            ("serial", &self.serial),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                let _ = write!(out, "{name}={};", encoded(value.as_bytes()));
            }
        }
        out
    }
}

impl FromStr for Pkcs11Uri {
    type Err = InvalidUri;
    fn from_str(text: &str) -> Result<Self, InvalidUri> {
        Self::parse(text)
    }
}

fn attributes(part: &str, separator: char) -> impl Iterator<Item = (&str, Option<&str>)> {
    let pairs = part.split(separator).filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value))))
}

// RFC 7512 s2.3: an attribute must not be there twice.
fn once<T>(place: &mut Option<T>, value: T) -> Result<(), InvalidUri> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(InvalidUri("an attribute is there twice")),
    }
}

fn text(value: &str) -> Result<String, InvalidUri> {
    String::from_utf8(decoded(value)?).map_err(|_| InvalidUri("a value is not UTF-8"))
}

fn decoded(value: &str) -> Result<Vec<u8>, InvalidUri> {
    let digit = |octet: Option<u8>| octet.and_then(|octet| char::from(octet).to_digit(16));
    let mut octets = value.bytes();
    let mut out = Vec::with_capacity(value.len());
    while let Some(octet) = octets.next() {
        out.push(match octet {
            b'%' => match (digit(octets.next()), digit(octets.next())) {
                (Some(high), Some(low)) => u8::try_from(high * 16 + low).unwrap_or_default(),
                _ => return Err(InvalidUri("a percent sign is not followed by two hexadecimal digits")),
            },
            0x21..=0x7e => octet,
            _ => return Err(InvalidUri("it holds characters that must be percent-encoded")),
        });
    }
    Ok(out)
}

/// RFC 7512 s2.3: whatever is not unreserved (RFC 3986 s2.3) may be percent-encoded.
pub(crate) fn encoded(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len());
    for octet in value {
        match char::from(*octet) {
            plain if plain.is_ascii_alphanumeric() || "-._~".contains(plain) => out.push(plain),
            _ => {
                let _ = write!(out, "%{octet:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_says_token_object_module_and_pin() {
        let uri = Pkcs11Uri::parse(
            "pkcs11:token=The%20token;serial=01;object=my-key;id=%01%ff;type=private?module-path=/usr/lib/p.so&pin-source=file:/etc/pin",
        )
        .unwrap();
        assert_eq!((uri.token.as_deref(), uri.serial.as_deref()), (Some("The token"), Some("01")));
        assert_eq!((uri.object.as_deref(), uri.id.as_deref()), (Some(&b"my-key"[..]), Some(&[1, 255][..])));
        assert_eq!(uri.module, Some("/usr/lib/p.so".into()));
        assert_eq!(uri.pin_file, Some("/etc/pin".into()));
        assert_eq!(uri.token_part(), "pkcs11:token=The%20token;serial=01;");
        let by_name = Pkcs11Uri::parse("pkcs11:?module-name=softhsm2&pin-source=file:///etc/pin").unwrap();
        assert_eq!((by_name.module, by_name.pin_file), (Some("libsofthsm2.so".into()), Some("/etc/pin".into())));
    }

    #[test]
    fn what_is_not_understood_is_refused_and_not_repeated() {
        let wrong = [
            "pkcs12:token=a",
            "pkcs11:token",
            "pkcs11:token=a;token=b",
            "pkcs11:token=%4",
            "pkcs11:token=%zz",
            "pkcs11:token=%ff",
            "pkcs11:token=a b",
            "pkcs11:object=a;type=cert",
            "pkcs11:library-version=3",
            "pkcs11:slot-id=x",
            "pkcs11:token=a?pin-value=4711",
            "pkcs11:token=a?pin-source=|4711",
            "pkcs11:token=a?colour=4711",
        ];
        for text in wrong {
            let error = Pkcs11Uri::parse(text).unwrap_err();
            assert!(!error.to_string().contains("4711"), "{error}");
        }
    }

    #[test]
    fn any_label_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decoded(&encoded(&all)).unwrap(), all);
    }
}
