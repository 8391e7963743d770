//! Authentication and key management of a network (DPP s4.5.3, `akm`).

use std::fmt;

/// A set of methods, with how it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Akms {
    /// By connector.
    pub dpp: bool,
    /// WPA2-Personal.
    pub psk: bool,
    /// WPA3-Personal.
    pub sae: bool,
    /// WPA-Enterprise.
    pub dot1x: bool,
    /// Written as suite selectors, which later peers understand, instead of names.
    pub selectors: bool,
}

impl Akms {
    const NONE: Self = Self { dpp: false, psk: false, sae: false, dot1x: false, selectors: false };
    /// By connector.
    pub const DPP: Self = Self { dpp: true, ..Self::NONE };
    /// WPA2-Personal.
    pub const PSK: Self = Self { psk: true, ..Self::NONE };
    /// WPA3-Personal.
    pub const SAE: Self = Self { sae: true, ..Self::NONE };
    /// WPA-Enterprise.
    pub const DOT1X: Self = Self { dot1x: true, ..Self::NONE };

    /// The methods of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            dpp: self.dpp || other.dpp,
            psk: self.psk || other.psk,
            sae: self.sae || other.sae,
            dot1x: self.dot1x || other.dot1x,
            selectors: self.selectors || other.selectors,
        }
    }

    /// Whether there is no method in it.
    pub const fn is_empty(self) -> bool {
        !(self.dpp || self.psk || self.sae || self.dot1x)
    }

    /// Whether a password or key that is shared belongs to it.
    pub const fn is_personal(self) -> bool {
        self.psk || self.sae
    }

    /// How many methods are in it. A peer of release 1 understands one alone.
    pub fn count(self) -> usize {
        [self.dpp, self.psk, self.sae, self.dot1x].into_iter().filter(|method| *method).count()
    }

    /// Names or selectors, joined with `+`. Those that are not known are passed over, as peers of later releases offer
    /// methods beside those of this one.
    pub(crate) fn parse(text: &str) -> Self {
        text.split('+').fold(Self::NONE, |all, method| match method.to_ascii_uppercase().as_str() {
            _ if method == "dpp" => all.and(Self::DPP),
            _ if method == "psk" => all.and(Self::PSK),
            _ if method == "sae" => all.and(Self::SAE),
            _ if method == "dot1x" => all.and(Self::DOT1X),
            "506F9A02" => all.and(Self { selectors: true, ..Self::DPP }),
            "000FAC02" | "000FAC06" => all.and(Self { selectors: true, ..Self::PSK }),
            "000FAC08" => all.and(Self { selectors: true, ..Self::SAE }),
            "000FAC01" | "000FAC05" => all.and(Self { selectors: true, ..Self::DOT1X }),
            _ => all,
        })
    }
}

impl fmt::Display for Akms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let methods = [
            (self.dpp, "dpp", "506F9A02"),
            (self.psk, "psk", "000FAC02+000FAC06"),
            (self.sae, "sae", "000FAC08"),
            (self.dot1x, "dot1x", "000FAC01+000FAC05"),
        ];
        let written = methods.into_iter().filter(|(there, ..)| *there);
        let words: Vec<_> = written.map(|(_, name, selector)| if self.selectors { selector } else { name }).collect();
        f.write_str(&words.join("+"))
    }
}
