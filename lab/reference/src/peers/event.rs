//! What wpa_supplicant and hostapd say of themselves.

/// One thing that happened: `DPP-AUTH-SUCCESS init=1`, `CTRL-EVENT-CONNECTED - Connection to … completed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its name, which is its first word.
    pub name: String,
    /// What follows the name.
    pub text: String,
}

impl Event {
    /// The value of `key=value` in it.
    pub fn field(&self, key: &str) -> Option<&str> {
        self.text.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    /// As the control socket sends it: `<3>NAME text`, where the number is its level.
    pub(super) fn of_socket(message: &str) -> Option<Self> {
        let (level, event) = message.strip_prefix('<')?.split_once('>')?;
        level.parse::<u8>().ok()?;
        Self::named(event)
    }

    /// As it stands in the log of the program that owns `interface`: `1763816400.123456: wlan0: NAME text`.
    pub(crate) fn of_log(line: &str, interface: &str) -> Option<Self> {
        let (_, event) = line.split_once(": ")?;
        Self::named(event.strip_prefix(interface)?.strip_prefix(": ")?)
    }

    /// What programs are to understand begins with a name in capitals and dashes; the rest is said to people.
    fn named(event: &str) -> Option<Self> {
        let (name, text) = event.trim_end().split_once(' ').unwrap_or((event.trim_end(), ""));
        let of_name = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '-';
        let is_name = name.contains('-') && name.chars().all(of_name);
        is_name.then(|| Self { name: name.into(), text: text.trim_start().into() })
    }

    /// Whether the control socket sends this by itself, and not as an answer.
    pub(super) fn is_unasked(message: &str) -> bool {
        let level = message.strip_prefix('<').and_then(|message| message.split_once('>'));
        level.is_some_and(|(level, _)| level.parse::<u8>().is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_socket_and_log_are_the_same() {
        let socket = Event::of_socket("<3>DPP-CHIRP-RX id=1 freq=2412\n").unwrap();
        let log = Event::of_log("1763816400.5: wlan0: DPP-CHIRP-RX id=1 freq=2412", "wlan0").unwrap();
        assert_eq!(socket, log);
        assert_eq!(
            (socket.name.as_str(), socket.field("freq"), socket.field("hash")),
            ("DPP-CHIRP-RX", Some("2412"), None)
        );
        assert_eq!(Event::of_log("1763816400.5: DPP: hexdump", "wlan0"), None);
        assert_eq!(Event::of_log("1763816400.5: wlan0: SME: Trying to authenticate", "wlan0"), None);
        assert_eq!(Event::of_socket("OK\n"), None);
        assert!(Event::is_unasked("<3>Trying to associate") && !Event::is_unasked("<OK>"));
    }
}
