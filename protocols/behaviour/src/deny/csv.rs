//! Columns with a heading: Feodo Tracker's block list, and others like it.

use super::{DenyList, Entry, malformed};
use landfall_types::Refusal;

/// What the column of addresses or names may be called.
const COLUMNS: [&str; 7] = ["dst_ip", "ip_address", "ip", "dst_host", "domain", "host", "ioc_value"];

/// ```text
/// # Feodo Tracker Botnet C2 IP Blocklist (recommended)
/// "first_seen_utc","dst_ip","dst_port","c2_status","last_online","malware"
/// "2024-05-01 10:11:12","192.0.2.7","443","online","2024-05-02","Pikabot"
/// # END 1 entries
/// ```
pub(super) fn read(text: &str, list: &mut DenyList) -> Result<(), Refusal> {
    let mut column = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        // The heading may stand behind a mark of a remark.
        let is_remark = line.starts_with('#');
        let fields = fields(line.trim_start_matches(['#', ' ']));
        let Some(index) = column else {
            column = fields.iter().position(|field| COLUMNS.contains(&field.to_ascii_lowercase().as_str()));
            if column.is_none() && !is_remark {
                return Err(malformed("deny-list-columns", "its heading names no column of addresses or names"));
            }
            continue;
        };
        if is_remark {
            continue;
        }
        let Some(field) = fields.get(index) else {
            list.leave_out(line, "its line is too short");
            continue;
        };
        // Some give the port behind the address.
        let alone = field.split_once(':').filter(|(address, _)| address.contains('.')).map(|(address, _)| address);
        match alone.unwrap_or(field).parse::<Entry>() {
            Ok(found) => list.add(found, None)?,
            Err(why) => list.leave_out(field, why),
        }
    }
    Ok(())
}

/// RFC 4180 s2, within one line.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let Some(field) = fields.last_mut() else { break };
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            ' ' if !quoted && field.is_empty() => {}
            letter => field.push(letter),
        }
    }
    fields
}
