//! What is run on a host for a credential: one script for `sh -s`, that changes one account's `authorized_keys` or says why not. Pure
//! text; nothing of a secret is in it. POSIX sh: dash, bash, busybox, ksh.
//!
//! It answers with one line, `NONCE R WORD TEXT`: `done`, `already`, `refused` (nothing was touched) or `failed`. The file is never
//! written in place: a copy beside it, with its owner and mode, takes its name when it is whole.

use crate::model::Login;
use crate::probes::quote;

/// What is to become of `authorized_keys`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Each of these lines is added, unless the key in it is there: `TYPE BASE64`, or with options before it.
    Add {
        /// The lines.
        lines: Vec<Line>,
    },
    /// Beside each line of the old key one of the new key is added, with the same options; without such a line a bare one.
    Beside {
        /// The old key, `TYPE BASE64`.
        old: String,
        /// The new key, `TYPE BASE64`.
        new: String,
    },
    /// Lines of this key go.
    Remove {
        /// The key that goes, `TYPE BASE64`.
        key: String,
        /// The key without which nothing is touched, `TYPE BASE64`.
        keep: Option<String>,
    },
}

/// A line of `authorized_keys`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The line, without its end.
    pub text: String,
    /// What is looked for before it is added: the key, with the options that matter.
    pub needle: String,
}

/// What every script begins with.
const HEAD: &str = r#"LC_ALL=C; export LC_ALL
PATH=$PATH:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH
unset ENV BASH_ENV CDPATH IFS HISTFILE
unalias -a 2>/dev/null
set +e +u +C
umask 077
D=.ssh F=.ssh/authorized_keys T=.ssh/.authorized_keys.keyward.$$
say() { rm -f "$T" 2>/dev/null; printf '\n%s R %s\n' "$N" "$*"; exit 0; }
lost() { say failed "$1; nothing was changed"; }
cd "${HOME:-/nonexistent}" 2>/dev/null || say refused "the home folder of the account cannot be entered"
if [ -h "$D" ]; then say refused "$PWD/$D is a symbolic link"; fi
if [ -e "$D" ] && [ ! -d "$D" ]; then say refused "$PWD/$D is no folder"; fi
if [ -h "$F" ]; then say refused "$PWD/$F is a symbolic link"; fi
if [ -e "$F" ] && [ ! -f "$F" ]; then say refused "$PWD/$F is no regular file"; fi
if [ -e "$F" ] && [ ! -r "$F" ]; then say refused "$PWD/$F cannot be read"; fi
has() { [ -f "$F" ] && sed -e '/^[[:space:]]*#/d' "$F" | grep -F -e "$1" >/dev/null; }
sum() { if [ -f "$F" ]; then cksum <"$F" 2>/dev/null; else echo none; fi; }
S=$(sum)
copy() {
  if [ ! -d "$D" ]; then mkdir "$D" 2>/dev/null || lost "$PWD/$D cannot be made"; chmod 700 "$D"; fi
  rm -f "$T"
  if [ -f "$F" ]; then cp -p "$F" "$T" 2>/dev/null; else : >"$T"; fi || lost "$PWD/$D cannot be written"
  [ -w "$T" ] || chmod u+w "$T"
}
end() { if [ -s "$T" ] && [ -n "$(tail -c 1 "$T")" ]; then printf '\n' >>"$T" || lost "the disk is full"; fi; }
put() {
  [ "$S" = "$(sum)" ] || lost "somebody else changed $PWD/$F at the same moment"
  mv -f "$T" "$F" 2>/dev/null || lost "$PWD/$F cannot be replaced"
  if command -v restorecon >/dev/null 2>&1; then restorecon "$D" "$F" >/dev/null 2>&1; fi
}
"#;

/// The script. `nonce` is made of letters and digits; keys are public keys as the vault writes them.
pub fn script(nonce: &str, change: &Change) -> String {
    let body = match change {
        Change::Add { lines } => {
            let there: Vec<String> = lines.iter().map(|line| format!("has {}", quote(&line.needle))).collect();
            let add = |line: &Line| {
                format!("has {} || printf '%s\\n' {} >>\"$T\" || lost \"the disk is full\"\n", quote(&line.needle), quote(&line.text))
            };
            let add: String = lines.iter().map(add).collect();
            format!("if {}; then say already; fi\ncopy; end\n{add}put\nsay done\n", there.join(" && "))
        }
        Change::Beside { old, new } => format!(
            "O={} B={} L={}\nif has \"$L\"; then say already; fi\ncopy; end\n\
             if has \"$O\"; then\n  sed -e '/^[[:space:]]*#/d' -e \"\\\\|$O|!d\" -e \"s|$O|$B|g\" \"$F\" >>\"$T\" || lost \"the disk is full\"; end\n\
             else\n  printf '%s\\n' \"$L\" >>\"$T\" || lost \"the disk is full\"\nfi\nput\nsay done\n",
            quote(blob(old)),
            quote(blob(new)),
            quote(new)
        ),
        Change::Remove { key, keep } => {
            let keep = keep.as_ref().map_or(String::new(), |keep| {
                format!("K={}\nhas \"$K\" || say refused \"the new key is not in $PWD/$F\"\n", quote(blob(keep)))
            });
            format!(
                "O={}\n{keep}has \"$O\" || say already\ncopy\n\
                 sed -e '/^[[:space:]]*#/b' -e \"\\\\|$O|d\" \"$F\" >\"$T\" || lost \"the disk is full\"\nput\nsay done\n",
                quote(blob(key))
            )
        }
    };
    // One compound command: sh has read all of it before it begins, and nothing that it runs can take a piece of it.
    format!("N={nonce}\n{{\n{HEAD}{body}}} </dev/null\nexit 0\n")
}

/// `TYPE BASE64`: the part that no other key has.
fn blob(key: &str) -> &str {
    key.split(' ').nth(1).unwrap_or(key)
}

/// The command that takes the script: as the account itself, or as root for another one.
///
/// # Errors
/// A sentence: the account's name could mean something to a shell.
pub fn command(signed_in: &Login, account: &Login) -> Result<String, String> {
    if signed_in == account {
        return Ok("sh -s".to_owned());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let name = account.as_str();
    if signed_in.as_str() != "root" || !name.chars().all(plain) || name.starts_with('-') {
        return Err(format!("as {signed_in} nothing can be written for {account}: sign in as {account} itself, or as root"));
    }
    Ok(format!("su -s /bin/sh -c 'sh -s' {name}"))
}

#[cfg(test)]
#[path = "tests/script.rs"]
mod tests;
