//! How bad a vulnerability is, in tenths of the CVSS scale.

use cvss::Cvss;
use std::fmt;

/// A score in tenths: 98 is 9.8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tenths(u8);

impl Tenths {
    /// Nothing wrong.
    pub const NONE: Self = Self(0);
    /// The highest: what counts where nobody has said how bad it is.
    pub const WORST: Self = Self(100);

    /// From a number of the scale, 0.0 to 10.0; None for any other.
    pub fn from_scale(score: f64) -> Option<Self> {
        if !(0.0..=10.0).contains(&score) {
            return None;
        }
        let tenths = (score * 10.0).round();
        (0..=100u8).find(|candidate| f64::from(*candidate) >= tenths).map(Self)
    }

    /// The base score of a CVSS vector of version 2, 3 or 4. What it says of exploits at some time or of somebody's
    /// environment is left out: it could only make the score smaller, and is not ours to believe.
    ///
    /// CVSS 3.1 s7.1; CVSS 4.0 s8. None if it is no vector, or lacks a metric of the base group.
    pub fn from_vector(vector: &str) -> Option<Self> {
        let names: &[&str] = match vector.get(..9) {
            Some("CVSS:3.0/" | "CVSS:3.1/") => &["AV", "AC", "PR", "UI", "S", "C", "I", "A"],
            Some("CVSS:4.0/") => &["AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA"],
            _ => &["AV", "AC", "Au", "C", "I", "A"],
        };
        if vector.len() > 512 {
            return None;
        }
        let mut base = vector.split('/').filter(|part| part.starts_with("CVSS:")).collect::<Vec<_>>();
        for name in names {
            let mut told = vector.split('/').filter(|part| part.split_once(':').is_some_and(|(own, _)| own == *name));
            base.push(told.next()?);
            if told.next().is_some() {
                return None;
            }
        }
        Self::from_scale(base.join("/").parse::<Cvss>().ok()?.score())
    }

    /// The highest score of a class of severity, as words name it.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(Self(match word.to_ascii_lowercase().as_str() {
            "none" | "informational" | "info" => 0,
            "low" | "negligible" | "unimportant" => 39,
            "medium" | "moderate" => 69,
            "high" | "important" => 89,
            "critical" => 100,
            _ => return None,
        }))
    }

    /// The number of tenths.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 10, self.0 % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors_have_their_published_scores() {
        for (vector, score) in [
            // CVSS 3.1 examples: CVE-2013-1937, CVE-2014-0160, CVE-2021-44228, CVE-2012-0384.
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 61),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 75),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 100),
            ("CVSS:3.0/AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 88),
            ("AV:N/AC:L/Au:N/C:N/I:N/A:C", 78),
            // CVSS 4.0 examples.
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", 100),
            ("CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 73),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N", 0),
        ] {
            assert_eq!(Tenths::from_vector(vector), Some(Tenths(score)), "{vector}");
        }
    }

    #[test]
    fn what_would_make_it_smaller_is_left_out() {
        let base = Tenths::from_vector("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H");
        assert_eq!(base, Some(Tenths(98)));
        for more in ["/E:U/RL:O/RC:U", "/MAV:P/MC:N/MI:N/MA:N", "/CR:L/IR:L/AR:L"] {
            assert_eq!(Tenths::from_vector(&format!("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H{more}")), base);
        }
        let base = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N";
        assert_eq!(Tenths::from_vector(&format!("{base}/E:U")), Tenths::from_vector(base));
    }

    #[test]
    fn what_is_no_vector_has_no_score() {
        for wrong in [
            "",
            "CVSS:3.1/AV:N",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H",
            "CVSS:3.1/AV:N/AV:P/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "CVSS:9.9/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "CVSS:3.1/AV:Z/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        ] {
            assert_eq!(Tenths::from_vector(wrong), None, "{wrong}");
        }
        assert_eq!(Tenths::from_scale(f64::NAN), None);
        assert_eq!((Tenths::from_scale(10.1), Tenths::from_scale(-0.1)), (None, None));
        assert_eq!((Tenths::from_scale(9.8), Tenths::from_scale(7.3)), (Some(Tenths(98)), Some(Tenths(73))));
        assert_eq!(Tenths::from_word("not yet assigned"), None);
    }
}
