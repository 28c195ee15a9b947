//! Many probes as one script for `sh -s`, framed by a nonce. Pure text; the script writes nothing on the host and reads nothing but
//! itself. POSIX sh: dash, bash, busybox, ksh.
//!
//! What comes back, each on a line of its own:
//! `NONCE A UID` the shell begins · `NONCE B I` probe I begins · its answer · `NONCE X I STATUS` it ended · `NONCE E I` the next one may
//! begin · `NONCE Z` the end. A probe whose answer is longer than its cap has no `X`.

use std::fmt::Write as _;

use super::{Probe, quote};

/// The longest line that frames, with its line ends: what a cap is widened by.
pub(super) const FRAME_MAX: usize = 96;
/// A probe that does not end when it is told to is killed after so many seconds more.
pub const KILL_AFTER_S: u32 = 2;

/// What every script begins with: who it runs as, where tools are, how a probe is timed and cut.
const HEAD: &str = r#"LC_ALL=C; LANGUAGE=; TERM=dumb; export LC_ALL LANGUAGE TERM
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH; export PATH
unset ENV BASH_ENV CDPATH IFS HISTFILE
umask 077
set +e +u +f
unalias -a 2>/dev/null
if timeout -k 1 5 true </dev/null >/dev/null 2>&1; then
  t() { timeout -k 2 "$1" sh -c "$2"; }
elif timeout 5 true </dev/null >/dev/null 2>&1; then
  t() { timeout "$1" sh -c "$2"; }
else
  t() {
    sh -c "$2" & c=$!
    ( i=0
      while [ "$i" -lt "$1" ]; do sleep 1; kill -0 "$c" || exit 0; i=$((i+1)); done
      kill -TERM "$c"; sleep 2; kill -KILL "$c" ) >/dev/null 2>&1 </dev/null & w=$!
    wait "$c"; s=$?
    if kill -0 "$w" 2>/dev/null; then kill "$w" 2>/dev/null; else s=124; fi
    return "$s"
  }
fi
if printf x | head -c 1 >/dev/null 2>&1; then h() { head -c "$1"; }; else h() { cat; }; fi
p() {
  printf '\n%s B %s\n' "$N" "$1"
  { t "$2" "$4"; printf '\n%s X %s %s\n' "$N" "$1" "$?"; } </dev/null 2>/dev/null | h "$3"
  printf '\n%s E %s\n' "$N" "$1"
}
printf '\n%s A %s\n' "$N" "$(id -u 2>/dev/null)"
"#;

/// The script for these probes, in their order; `nonce` is made of letters and digits. What is numbered counts from 0.
pub fn script(nonce: &str, probes: &[&Probe]) -> String {
    let mut out = format!("N={nonce}\n{HEAD}");
    for (number, probe) in probes.iter().enumerate() {
        let _ = writeln!(out, "p {number} {} {} {}", probe.timeout_s, probe.cap + FRAME_MAX, quote(&probe.command));
    }
    out.push_str("printf '\\n%s Z\\n' \"$N\"\nexit 0\n");
    out
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::super::reader::{Heard, Reader};
    use super::*;
    use crate::probes::{Answer, Root, Status};

    fn probe(command: &str) -> Probe {
        Probe { id: format!("c:{command}"), command: command.to_owned(), timeout_s: 2, cap: 1000, root: Root::Never, read_only: true }
    }

    /// Runs the script for real, in this shell.
    fn run(shell: &[&str], probes: &[Probe], without_timeout: bool) -> Vec<Answer> {
        let nonce = "n0123456789abcdef";
        let all: Vec<&Probe> = probes.iter().collect();
        let mut text = script(nonce, &all);
        if without_timeout {
            text = text.replace("timeout", "no-such-timeout");
        }
        let mut child = Command::new(shell[0]);
        child.args(&shell[1..]).arg("-s").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = child.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let feed = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
        let output = child.wait_with_output().unwrap();
        feed.join().unwrap().unwrap();
        let mut reader = Reader::new(nonce, &all);
        let mut answers = vec![Answer::not_run("nothing came"); probes.len()];
        let mut ended = false;
        for chunk in output.stdout.chunks(7) {
            for heard in reader.feed(chunk) {
                match heard {
                    Heard::Answered(number, answer) => answers[number] = answer,
                    Heard::Ended => ended = true,
                    Heard::Shell { .. } | Heard::Begun(_) => {}
                }
            }
        }
        assert!(ended, "{}", String::from_utf8_lossy(&output.stdout));
        answers
    }

    fn shells() -> Vec<Vec<&'static str>> {
        let known: [&[&str]; 6] = [&["sh"], &["dash"], &["bash"], &["busybox", "sh"], &["ksh"], &["mksh"]];
        let there = |s: &[&str]| Command::new(s[0]).args(&s[1..]).args(["-c", ":"]).status().is_ok_and(|s| s.success());
        known.into_iter().filter(|s| there(s)).map(<[&str]>::to_vec).collect()
    }

    #[test]
    fn every_shell_answers_the_same() {
        let probes = [
            probe("printf 'one\\ntwo'; exit 3"),
            probe("cat"),
            probe("echo \"it's\" '$HOME' `echo x`"),
            probe("kill -KILL $$"),
            probe("yes"),
            probe("no-such-command-at-all"),
            probe("exec sleep 30"),
            probe("printf 'N B 3'; printf '\\n%s X 0 0\\n' \"$N\""),
            probe("printf '%1000s' x"),
            probe("printf '%1001s' x"),
        ];
        let shells = shells();
        std::thread::scope(|all| {
            for (shell, without_timeout) in shells.iter().flat_map(|shell| [(shell, false), (shell, true)]) {
                let probes = &probes;
                all.spawn(move || same(shell, probes, without_timeout));
            }
        });
    }

    fn same(shell: &[&str], probes: &[Probe], without_timeout: bool) {
        let answers = run(shell, probes, without_timeout);
        let told = format!("{shell:?} {without_timeout}");
        assert_eq!((answers[0].exit, &*answers[0].output), (Some(3), &b"one\ntwo"[..]), "{told}");
        assert_eq!(answers[1], Answer::ended(0, ""), "{told}");
        assert_eq!(answers[2].output, b"it's $HOME x\n", "{told}");
        assert!(answers[3].exit.is_some_and(|s| s > 128), "{told} {:?}", answers[3]);
        assert!(answers[4].cut && answers[4].output.len() == 1000 && answers[4].exit.is_none(), "{told}");
        assert_eq!(answers[5].exit, Some(127), "{told}");
        assert!(matches!(answers[6].exit, Some(124 | 137 | 143)), "{told} {:?}", answers[6]);
        assert_eq!(answers[6].clone().after(Duration::from_secs(2), 2).status, Status::TimedOut, "{told}");
        // The nonce is no variable of the environment: what a probe runs does not know it.
        assert_eq!(answers[7].output, b"N B 3\n X 0 0\n", "{told}");
        assert_eq!((answers[8].output.len(), answers[8].cut, answers[8].exit), (1000, false, Some(0)), "{told}");
        assert!(answers[9].cut && answers[9].output.len() == 1000, "{told}");
    }
}
