//! Taking a JSON object apart: each member once, and nothing passed over in silence.

use crate::{
    bounds,
    report::{At, Report},
};
use serde_json::{Map, Value};

/// An object, and which of its members have been looked at.
pub(super) struct Object<'v, 'p> {
    members: &'v Map<String, Value>,
    at: At<'p>,
    taken: Vec<&'v str>,
}

/// Which text is taken.
#[derive(Clone, Copy)]
pub(super) enum Text {
    /// Whatever people can read.
    Free,
    /// A URI with one of these schemes.
    Uri(&'static [&'static str]),
}

impl<'v, 'p> Object<'v, 'p> {
    pub(super) const fn new(members: &'v Map<String, Value>, at: At<'p>) -> Self {
        Self { members, at, taken: Vec::new() }
    }

    /// The object at that place, if it is one.
    pub(super) fn of(value: &'v Value, at: At<'p>, section: &'static str, report: &mut Report) -> Option<Self> {
        let members = value.as_object();
        if members.is_none() {
            report.wrong(&at, section, "it is no object");
        }
        members.map(|members| Self::new(members, at))
    }

    pub(super) const fn at(&self) -> At<'p> {
        self.at
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// A member by its name.
    pub(super) fn take(&mut self, name: &str) -> Option<&'v Value> {
        let (name, value) = self.members.get_key_value(name)?;
        self.taken.push(name);
        Some(value)
    }

    /// A member by its name, or by one that is not right and found in the field.
    pub(super) fn take_or(
        &mut self,
        name: &'static str,
        others: &[&'static str],
        section: &'static str,
        report: &mut Report,
    ) -> Option<&'v Value> {
        let right = self.take(name);
        for other in others {
            let Some(value) = self.take(other) else { continue };
            let at = self.at;
            let at = at.name(other);
            if right.is_some() {
                report.wrong(&at, section, format!("it is there beside {name}, which it means"));
                return right;
            }
            report.mended(&at, section, format!("it should be called {name}"));
            return Some(value);
        }
        right
    }

    /// A member that must be there.
    pub(super) fn required(&mut self, name: &str, section: &'static str, report: &mut Report) -> Option<&'v Value> {
        let value = self.take(name);
        if value.is_none() {
            report.wrong(&self.at, section, format!("{name} is missing"));
        }
        value
    }

    /// A whole number.
    pub(super) fn number(
        &mut self,
        name: &str,
        section: &'static str,
        least: u64,
        most: u64,
        report: &mut Report,
    ) -> Option<u64> {
        let value = self.take(name)?;
        let number = value.as_u64().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            report.wrong(&self.at.name(name), section, format!("it is no whole number from {least} to {most}"));
        }
        number
    }

    /// A number of eight bits.
    pub(super) fn octet(&mut self, name: &str, section: &'static str, report: &mut Report) -> Option<u8> {
        self.number(name, section, 0, 255, report).and_then(|number| u8::try_from(number).ok())
    }

    /// A text.
    pub(super) fn text(
        &mut self,
        name: &str,
        section: &'static str,
        kind: Text,
        report: &mut Report,
    ) -> Option<String> {
        let value = self.take(name)?;
        text(value, &self.at.name(name), section, kind, report).map(str::to_owned)
    }

    /// The elements of a list; none if it is not there. What stands alone where a list should be is its one element.
    pub(super) fn list(&mut self, name: &str, section: &'static str, most: usize, report: &mut Report) -> &'v [Value] {
        let Some(value) = self.take(name) else { return &[] };
        let at = self.at;
        let at = at.name(name);
        match value {
            Value::Array(items) => items.get(..most).map_or(items.as_slice(), |first| {
                if items.len() > most {
                    report.unsupported(&at, section, format!("only the first {most} elements are read"));
                }
                first
            }),
            Value::Object(_) | Value::String(_) | Value::Number(_) => {
                report.mended(&at, section, "it should be a list");
                std::slice::from_ref(value)
            }
            _ => {
                report.wrong(&at, section, "it is no list");
                &[]
            }
        }
    }

    /// An empty leaf: `[null]` (RFC 7951 s6.9).
    pub(super) fn empty(&mut self, name: &str, section: &'static str, report: &mut Report) -> bool {
        let Some(value) = self.take(name) else { return false };
        let at = self.at;
        let at = at.name(name);
        match value {
            Value::Array(items) if matches!(items.as_slice(), [Value::Null]) => return true,
            Value::Null | Value::Bool(true) => report.mended(&at, section, "it should be [null]"),
            Value::Array(items) if items.is_empty() => report.mended(&at, section, "it should be [null]"),
            _ => report.wrong(&at, section, "it is not [null]"),
        }
        true
    }

    /// What nobody has looked at.
    pub(super) fn others(&self) -> impl Iterator<Item = &'v str> + use<'v, '_> {
        self.members.keys().map(String::as_str).filter(|name| !self.taken.contains(name))
    }

    /// Tells of members that are not understood, where they can be ignored.
    pub(super) fn rest(&self, section: &'static str, report: &mut Report) {
        for name in self.others() {
            report.note(&self.at.name(name), section, "it is not understood, and ignored");
        }
    }
}

/// A text for people or a URI.
pub(super) fn text<'v>(
    value: &'v Value,
    at: &At<'_>,
    section: &'static str,
    kind: Text,
    report: &mut Report,
) -> Option<&'v str> {
    let Some(text) = value.as_str() else {
        report.wrong(at, section, "it is no text");
        return None;
    };
    let most = if matches!(kind, Text::Free) { bounds::TEXT } else { bounds::URL };
    if text.len() > most {
        report.wrong(at, section, format!("it has more than {most} bytes"));
        return None;
    }
    match kind {
        // What a terminal would obey is not shown to anyone.
        Text::Free if text.chars().any(char::is_control) => {
            report.wrong(at, section, "it has control characters");
            None
        }
        Text::Free => Some(text),
        Text::Uri(schemes) => {
            let scheme = text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
            let known = scheme.is_some_and(|scheme| schemes.contains(&scheme.as_str()));
            let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
            if known && is_plain {
                return Some(text);
            }
            report.wrong(at, section, format!("it is no URI of {}", schemes.join(" or ")));
            None
        }
    }
}
