//! Accounts and groups, from the files of the host or from macOS's directory. Never holds the hash of a password.

use std::collections::BTreeMap;

use super::inventory::id;
use super::reading::{Bounds, Heard, Reading, lines, number, pair, some, words};
use super::types::{Account, AccountGroup, Password};

const USERS: &str = "users";
const GROUPS: &str = "groups";
/// The key in `missing` where the accounts are known and their passwords are not.
pub(super) const PASSWORDS: &str = "users.passwords";

/// Reads the accounts, sorted by name and user id. `darwin`: most of them stand in macOS's directory.
pub(super) fn users(reading: &mut Reading<'_>, darwin: bool) -> Vec<Account> {
    let mut users = Vec::new();
    let mut bounds = Bounds::default();
    if let Some(text) = reading.text(USERS, id::PASSWD) {
        for line in lines(text).filter(|l| !l.trim_ascii().is_empty()) {
            // `+` and `-` call in NIS; macOS has comments in it.
            if matches!(line.first(), Some(b'+' | b'-' | b'#')) {
                continue;
            }
            match passwd(line, &mut bounds) {
                Some(account) => bounds.push(&mut users, account),
                None => bounds.strange(),
            }
        }
        if darwin {
            directory(reading, &mut users, &mut bounds);
        }
        bounds.close(reading, USERS, users.len());
        shadow(reading, &mut users);
    }
    users.sort_by(|a, b| (&a.name, a.uid).cmp(&(&b.name, b.uid)));
    users
}

/// `NAME:PASSWORD:UID:GID:GECOS:HOME:SHELL`.
fn passwd(line: &[u8], bounds: &mut Bounds) -> Option<Account> {
    let mut fields = line.split(|b| *b == b':');
    let (name, password) = (some(fields.next()?)?, fields.next()?);
    let (uid, gid) = (id_of(fields.next()?)?, id_of(fields.next()?)?);
    let (_, home, shell) = (fields.next()?, fields.next()?, fields.next()?);
    // `x` and `*` stand for another file; anything else is the password itself, as it was before there was one.
    let password = match password {
        b"" => Some(Password::Empty),
        b"x" | b"*" => None,
        [b'!' | b'*', ..] => Some(Password::Locked),
        [b'$', kind @ ..] => Some(hashed(kind.split(|b| *b == b'$').next().unwrap_or_default())),
        other if other.len() == 13 => Some(hashed(b"des")),
        _ => Some(Password::Locked),
    };
    let (home, shell) = (bounds.text(home), bounds.text(shell));
    Some(Account { name, uid, gid, home, shell, password, password_changed: None, password_max_days: None, expires: None })
}

/// An id of an account or a group. macOS writes negative ones: `nobody` is -2.
fn id_of(text: &[u8]) -> Option<u32> {
    let n = number::<i64>(text)?;
    u32::try_from(n).ok().or_else(|| i32::try_from(n).ok().map(i32::cast_unsigned))
}

/// The word of the host's script, or what stands between the first two `$` of a hash.
fn hashed(kind: &[u8]) -> Password {
    let name = match kind {
        b"1" => "md5",
        b"2" | b"2a" | b"2b" | b"2x" | b"2y" => "bcrypt",
        b"3" => "nt",
        b"5" => "sha256",
        b"6" => "sha512",
        b"7" => "scrypt",
        b"y" => "yescrypt",
        b"gy" => "gost-yescrypt",
        b"sha1" => "sha1",
        b"sunmd5" | b"md5" => "sunmd5",
        b"des" => "des",
        b"bsdi" => "bsdi",
        _ => "other",
    };
    Password::Hashed(name.to_owned())
}

/// Adds how the passwords stand: `NAME:KIND:CHANGED:MIN:MAX:WARN:INACTIVE:EXPIRES`, days.
fn shadow(reading: &mut Reading<'_>, users: &mut [Account]) {
    if let Heard::Absent = reading.heard(id::SHADOW) {
        if users.iter().any(|u| u.password.is_none()) {
            reading.lack(PASSWORDS, "no file of passwords that is known");
        }
        return;
    }
    let Some(text) = reading.text(PASSWORDS, id::SHADOW) else { return };
    let mut known: BTreeMap<String, Vec<&[u8]>> = BTreeMap::new();
    let mut strange = 0;
    for line in lines(text).filter(|l| !l.trim_ascii().is_empty()) {
        let fields: Vec<&[u8]> = line.trim_ascii_start().splitn(9, |b| *b == b':').collect();
        match fields.first().copied().and_then(some) {
            Some(name) if fields.len() >= 8 => {
                // The first line of a name is the one that counts.
                known.entry(name).or_insert(fields);
            }
            _ => strange += 1,
        }
    }
    if strange > 0 {
        reading.lack(PASSWORDS, format!("not understood: {strange} lines"));
    }
    let mut unknown = 0;
    for user in users {
        let Some(fields) = known.get(&user.name) else {
            unknown += usize::from(user.password.is_none());
            continue;
        };
        let field = |i: usize| fields.get(i).copied().unwrap_or_default();
        if user.password.is_none() {
            user.password = Some(match field(1) {
                b"empty" => Password::Empty,
                b"locked" => Password::Locked,
                kind => hashed(kind),
            });
        }
        user.password_changed = number(field(2));
        user.password_max_days = number(field(4));
        user.expires = number(field(7));
    }
    if unknown > 0 {
        reading.lack(PASSWORDS, format!("{unknown} accounts stand in no file of passwords"));
    }
}

/// Reads the groups, sorted by name and id. `darwin`: as for the accounts.
pub(super) fn groups(reading: &mut Reading<'_>, darwin: bool) -> Vec<AccountGroup> {
    let mut groups = Vec::new();
    let mut bounds = Bounds::default();
    let Some(text) = reading.text(GROUPS, id::GROUP) else { return groups };
    for line in lines(text).filter(|l| !l.trim_ascii().is_empty() && !matches!(l.first(), Some(b'+' | b'-' | b'#'))) {
        let mut fields = line.split(|b| *b == b':');
        let parsed = (|| Some((some(fields.next()?)?, fields.next()?, id_of(fields.next()?)?, fields.next()?)))();
        match parsed {
            Some((name, _, gid, members)) => {
                let members = bounds.parts(members, b',');
                bounds.push(&mut groups, AccountGroup { name, gid, members });
            }
            None => bounds.strange(),
        }
    }
    if darwin {
        let places: BTreeMap<String, usize> = groups.iter().enumerate().map(|(i, g)| (g.name.clone(), i)).collect();
        for (name, fields) in listed(reading, GROUPS, &["group", "members"]) {
            let Some(gid) = fields.get("group").copied().and_then(id_of) else { continue };
            let members = bounds.parts(fields.get("members").copied().unwrap_or_default(), b' ');
            match places.get(&name).and_then(|i| groups.get_mut(*i)) {
                Some(group) => group.members = members,
                None => bounds.push(&mut groups, AccountGroup { name, gid, members }),
            }
        }
    }
    bounds.close(reading, GROUPS, groups.len());
    groups.sort_by(|a, b| (&a.name, a.gid).cmp(&(&b.name, b.gid)));
    groups
}

/// Adds the accounts of macOS that stand in no file.
fn directory(reading: &mut Reading<'_>, users: &mut Vec<Account>, bounds: &mut Bounds) {
    let known: std::collections::BTreeSet<String> = users.iter().map(|u| u.name.clone()).collect();
    for (name, fields) in listed(reading, USERS, &["uid", "gid", "home", "shell"]) {
        let field = |key: &str| fields.get(key).copied().unwrap_or_default();
        let (Some(uid), Some(gid)) = (id_of(field("uid")), id_of(field("gid"))) else { continue };
        if known.contains(&name) {
            continue;
        }
        let (home, shell) = (bounds.text(field("home")), bounds.text(field("shell")));
        let account =
            Account { name, uid, gid, home, shell, password: None, password_changed: None, password_max_days: None, expires: None };
        bounds.push(users, account);
    }
}

/// The lists of macOS's directory, `NAME VALUE` a line, by name.
fn listed<'a>(reading: &mut Reading<'a>, group: &str, heads: &[&'static str]) -> BTreeMap<String, BTreeMap<&'static str, &'a [u8]>> {
    let mut found: BTreeMap<String, BTreeMap<&'static str, &'a [u8]>> = BTreeMap::new();
    for section in reading.sections(group, id::ACCOUNTS).unwrap_or_default() {
        let Some(head) = heads.iter().find(|h| h.as_bytes() == section.head) else { continue };
        for line in section.lines {
            let Some(name) = words(line).next() else { continue };
            let value = pair(line.trim_ascii_start(), b" ").map_or(&b""[..], |(_, value)| value.trim_ascii());
            if let Some(name) = some(name) {
                found.entry(name).or_default().insert(head, value);
            }
        }
    }
    found
}
