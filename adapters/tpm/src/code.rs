//! Response codes (TPM 2.0 Library part 2, s6.6), as what a person can do about them.

use landfall_element::{ElementError, Trouble};
use std::fmt;

/// A response code without the number of the parameter, handle or session that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code(u32);

impl Code {
    pub(crate) const INITIALIZE: Self = Self(0x100);
    pub(crate) const HANDLE: Self = Self(0x08b);
    const AUTH_FAIL: Self = Self(0x08e);
    const BAD_AUTH: Self = Self(0x0a2);
    pub(crate) const INTEGRITY: Self = Self(0x09f);
    const POLICY_FAIL: Self = Self(0x09d);
    const PCR_CHANGED: Self = Self(0x128);
    pub(crate) const NV_DEFINED: Self = Self(0x14c);
    const NV_SPACE: Self = Self(0x14b);
    const CONTEXT_GAP: Self = Self(0x901);
    const OBJECT_MEMORY: Self = Self(0x902);
    const SESSION_MEMORY: Self = Self(0x903);
    const YIELDED: Self = Self(0x908);
    const TESTING: Self = Self(0x90a);
    const REFERENCE: Self = Self(0x910);
    const NV_RATE: Self = Self(0x920);
    const LOCKOUT: Self = Self(0x921);
    const RETRY: Self = Self(0x922);

    /// Part 2, s6.6.1: bit 7 says of which of the two forms a code is.
    pub(crate) const fn of(code: u32) -> Self {
        match code & 0x80 {
            0 => Self(code & 0xfff),
            _ => Self(code & 0x0bf),
        }
    }

    /// Whether the TPM only asks for patience.
    pub(crate) const fn is_busy(self) -> bool {
        matches!(self, Self::YIELDED | Self::TESTING | Self::NV_RATE | Self::RETRY)
    }

    /// Whether a handle names nothing.
    pub(crate) fn is_missing(self) -> bool {
        // Part 2, table 17: RC_REFERENCE_H0 to H6 are about transient objects that are not loaded.
        self == Self::HANDLE || (Self::REFERENCE.0..=Self::REFERENCE.0 + 6).contains(&self.0)
    }

    pub(crate) fn error(self, command: &str) -> ElementError {
        let trouble = match self {
            Self::AUTH_FAIL | Self::BAD_AUTH => Trouble::WrongPin,
            Self::LOCKOUT => Trouble::LockedOut,
            Self::NV_SPACE | Self::OBJECT_MEMORY | Self::SESSION_MEMORY | Self::CONTEXT_GAP => Trouble::Full,
            Self::INTEGRITY | Self::INITIALIZE => Trouble::Reset,
            Self::POLICY_FAIL | Self::PCR_CHANGED => Trouble::OtherState,
            _ => Trouble::Failed,
        };
        let advice = match self {
            Self::OBJECT_MEMORY => "; `tpm2_flushcontext -t` removes what an interrupted program left loaded",
            Self::POLICY_FAIL | Self::PCR_CHANGED => {
                "; start what was started when it was sealed, or forget it (`landfall device reset`) and onboard anew"
            }
            Self::LOCKOUT => "; wait, or `tpm2_dictionarylockout -c`",
            _ => "",
        };
        ElementError::hardware(trouble, format!("{command}: {self}{advice}"))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "response code {:#05x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_told_as_what_to_do_about_it() {
        let told = [
            // RC_AUTH_FAIL for session 1, RC_INTEGRITY for parameter 1, RC_POLICY_FAIL for session 1.
            (0x98e, Trouble::WrongPin),
            (0x1df, Trouble::Reset),
            (0x99d, Trouble::OtherState),
            (0x921, Trouble::LockedOut),
            (0x14b, Trouble::Full),
            (0x902, Trouble::Full),
            (0x1c4, Trouble::Failed),
        ];
        for (code, trouble) in told {
            assert_eq!(Code::of(code).error("a command").trouble(), Some(trouble), "{code:#x}");
        }
        assert!(Code::of(0x922).is_busy() && Code::of(0x910).is_missing() && Code::of(0x18b).is_missing());
    }
}
