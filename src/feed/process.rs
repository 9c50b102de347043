//! The identity of a process, by which another process of the same host sees whether the process has ended.

use std::fs;
use std::io::ErrorKind;

/// Returns the identity of this process: the name and the boot of the host, the namespace of process ids, the process id
/// and its start. Returns an empty text if the system does not tell these facts.
pub(super) fn identity() -> String {
    let of_this = || {
        let place = place()?;
        let pid = std::process::id();
        let (_, started) = state_and_start(pid).ok()??;
        Some(format!("{} {place} {pid} {started}", host()))
    };
    of_this().unwrap_or_default()
}

/// Returns true if the process with this identity has certainly ended. Returns false for processes of other hosts.
pub(super) fn has_ended(identity: &str) -> bool {
    let parts: Vec<&str> = identity.rsplitn(5, ' ').collect();
    let [started, pid, namespace, boot, ..] = parts[..] else { return false };
    let (Some(place), Ok(pid)) = (place(), pid.parse()) else { return false };
    // The name of the host is not compared, because it may change.
    if place != format!("{boot} {namespace}") {
        return false;
    }
    match state_and_start(pid) {
        Ok(Some((state, found))) => found != started || matches!(state, 'Z' | 'X'),
        Ok(None) => false,
        // A file that can't be read for another reason says nothing of the process.
        Err(error) => matches!(error.kind(), ErrorKind::NotFound),
    }
}

/// Returns the name of the host and the process id in an identity.
pub(super) fn host_and_pid(identity: &str) -> (Option<String>, Option<u32>) {
    let parts: Vec<&str> = identity.rsplitn(5, ' ').collect();
    let host = parts.get(4).filter(|host| !host.is_empty()).map(|host| (*host).to_owned());
    (host, parts.get(1).and_then(|pid| pid.parse().ok()))
}

/// Returns the name of this host without blanks. The name is empty if the system does not tell it.
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.split_whitespace().collect::<Vec<_>>().join("-")
}

/// Returns the id of this host's boot, and the namespace of this process's id.
fn place() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.to_str()?))
}

/// Returns the state of a process, such as `S`, and the time of its start in ticks since the boot. Returns None if the
/// system describes its processes in another way.
fn state_and_start(pid: u32) -> std::io::Result<Option<(char, String)>> {
    Ok(parse(&fs::read_to_string(format!("/proc/{pid}/stat"))?))
}

fn parse(stat: &str) -> Option<(char, String)> {
    // The second field is the program's name in brackets, and may itself contain blanks and brackets. The state is
    // the third field of the line, and the start is the 22nd field.
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.to_owned()))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_ended_once_it_is_killed() {
        assert!(!has_ended(&identity()));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let (_, started) = state_and_start(child.id()).unwrap().unwrap();
        let other = format!("elsewhere {} {} {started}", place().unwrap(), child.id());
        assert!(!has_ended(&other));
        assert_eq!(host_and_pid(&other), (Some("elsewhere".to_owned()), Some(child.id())));
        // Another process may later get the process id of a process that has ended.
        assert!(has_ended(&format!("{} {} {} {started}0", host(), place().unwrap(), child.id())));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(has_ended(&other));
    }

    #[test]
    fn nothing_is_known_of_processes_elsewhere() {
        let elsewhere = identity().replace('-', "+");
        for identity in ["", "a", "a 1", elsewhere.as_str()] {
            assert!(!has_ended(identity), "{identity}");
        }
    }
}
