//! The questions that policies ask besides a file's content: whether something exists, what lies in a folder, which programs run,
//! what a program prints. Never runs anything, and never prints an answer that a hostile name could forge.

use super::{ABSENT, CAP, NEEDS_ROOT, OTHER_KIND, Probe, Root, TIMEOUT_S, quote};

/// Bytes of one file's content in the answer of [`Probe::folder_contents`]; a longer file is marked as cut there.
pub const FOLDER_FILE_BYTES: usize = 128 * 1024;
/// Bytes of the whole answer of [`Probe::folder_contents`].
pub const FOLDER_CAP: usize = 4 * 1024 * 1024;

/// Where programs of administrators lie, for accounts whose `PATH` does not say it.
const MORE_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Ends with [`ABSENT`] or [`NEEDS_ROOT`] if `$f` is not there, with [`OTHER_KIND`] if a parent of it is no folder.
fn gone() -> String {
    format!(
        "d=${{f%/}}; while [ ! -e \"$d\" ] && [ \"$d\" != / ]; do d=${{d%/*}}; d=${{d:-/}}; done; [ -d \"$d\" ] || exit {OTHER_KIND}; \
         [ -x \"$d\" ] || exit {NEEDS_ROOT}; exit {ABSENT}"
    )
}

impl Probe {
    fn reading(id: String, command: String) -> Self {
        Self { id, command, timeout_s: TIMEOUT_S, cap: CAP, root: Root::IfRefused, read_only: true }
    }

    /// Whether something of this absolute path exists: prints `f` for a regular file, `d` for a folder, `o` for anything else, each
    /// behind symbolic links. Reads nothing of it. Ends with [`ABSENT`], [`OTHER_KIND`] or [`NEEDS_ROOT`] as a file's probe does.
    pub fn exists(path: &str) -> Self {
        let command = format!(
            "f={}; if [ -f \"$f\" ]; then echo f; elif [ -d \"$f\" ]; then echo d; elif [ -e \"$f\" ]; then echo o; else {}; fi",
            quote(path),
            gone()
        );
        Self::reading(format!("e:{path}"), command)
    }

    /// Everything below a folder that is no folder itself, at any depth, links to folders not followed. Each record is a letter and a
    /// path, ended by a NUL byte, which no path holds: `f` a regular file or a link to one, `o` of another kind, `a` a link to nothing;
    /// a record `!` says that something could not be listed even by root.
    pub fn folder_names(path: &str) -> Self {
        Self::reading(format!("d:{path}"), folder(path, r"printf 'f%s\0' {} +", r#"printf "f%s\0" "$f""#))
    }

    /// As [`Probe::folder_names`], with the content behind each `f` record: `c` and the content, or `C` and its first
    /// [`FOLDER_FILE_BYTES`] bytes if it is longer, or `u` if it cannot be read; NUL bytes in it are left out, so that none can forge
    /// a record.
    pub fn folder_contents(path: &str) -> Self {
        let one = format!(
            r#"printf "f%s\0" "$f"; if [ ! -r "$f" ]; then printf "u\0"; else n=$(wc -c <"$f"); if [ "$n" -gt {FOLDER_FILE_BYTES} ]; then printf C; else printf c; fi; head -c {FOLDER_FILE_BYTES} "$f" | tr -d "\000"; printf "\0"; fi"#
        );
        let many = format!("sh -c {} sh {{}} +", quote(&format!("for f do {one}; done")));
        let mut probe = Self::reading(format!("D:{path}"), folder(path, &many, &one));
        probe.cap = FOLDER_CAP;
        probe
    }

    /// The programs that run: the name that the kernel keeps of each (15 bytes on Linux), and after an empty line the first word of
    /// each command line. No arguments: they may hold passwords. Ends with [`NEEDS_ROOT`] where the host hides other people's programs.
    pub fn processes() -> Self {
        let command = format!(
            "if [ -d /proc/self ] && [ ! -r /proc/1/cmdline ]; then exit {NEEDS_ROOT}; fi; \
             if [ \"$(sysctl -n security.bsd.see_other_uids 2>/dev/null)\" = 0 ] && [ \"$(id -u)\" != 0 ]; then exit {NEEDS_ROOT}; fi; \
             l() {{ ps \"$@\" -o comm= && echo && ps \"$@\" -o args= | while read -r w r; do printf '%s\\n' \"$w\"; done; }}; \
             l -A 2>/dev/null || l"
        );
        Self::reading("p:".to_owned(), command)
    }

    /// Runs a program with these words, the first its name, by no shell; its standard error goes with its output. `text` is how the
    /// policy writes it, and makes the id. Counts as one that may change something, and only root's answer counts.
    /// Ends with 127 if there is no such program, with 126 if it may not be executed.
    pub fn program(text: &str, words: &[String]) -> Self {
        let words: Vec<String> = words.iter().map(|w| quote(w)).collect();
        let command = format!("PATH=$PATH:{MORE_PATH}; export PATH; exec {} 2>&1", words.join(" "));
        Self { command, ..Self::command(text) }
    }
}

/// Lists a folder. `many` is what `find -exec` does with regular files, `one` what the shell does with a link `$f` to one.
fn folder(path: &str, many: &str, one: &str) -> String {
    let links =
        format!(r#"for f do if [ -f "$f" ]; then {one}; elif [ -e "$f" ]; then printf "o%s\0" "$f"; else printf "a%s\0" "$f"; fi; done"#);
    format!(
        "f={}; if [ ! -e \"$f\" ]; then {}; fi; [ -d \"$f\" ] || exit {OTHER_KIND}; \
         find -H \"$f\" \\( -type f -exec {many} \\) -o \\( -type l -exec sh -c {} sh {{}} + \\) -o \\( ! -type d -exec printf 'o%s\\0' {{}} + \\) \
         2>/dev/null && exit 0; [ \"$(id -u)\" = 0 ] || exit {NEEDS_ROOT}; printf '!\\0'",
        quote(path),
        gone(),
        quote(&links)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn run(probe: &Probe) -> (Option<i32>, Vec<u8>) {
        let out = Command::new("sh").args(["-c", &probe.command]).output().unwrap();
        (out.status.code(), out.stdout)
    }

    fn home() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn tells_what_exists_without_reading_it() {
        let home = home();
        let at = |name: &str| home.path().join(name).display().to_string();
        std::fs::write(at("file it's"), "secret").unwrap();
        std::os::unix::fs::symlink(at("file it's"), at("link")).unwrap();
        std::os::unix::fs::symlink(at("nothing"), at("dangling")).unwrap();
        for (path, exit, out) in [
            (at("file it's"), 0, "f\n"),
            (at("link"), 0, "f\n"),
            (at(""), 0, "d\n"),
            ("/dev/null".to_owned(), 0, "o\n"),
            (at("nothing"), ABSENT, ""),
            (at("no/such/folder/"), ABSENT, ""),
            (at("dangling"), ABSENT, ""),
            (at("file it's/below"), OTHER_KIND, ""),
        ] {
            assert_eq!(run(&Probe::exists(&path)), (Some(exit), out.as_bytes().to_vec()), "{path}");
        }
    }

    #[test]
    fn lists_a_folder_so_that_no_name_forges_another() {
        let home = home();
        let root = home.path().display().to_string();
        std::fs::create_dir(home.path().join("sub")).unwrap();
        std::fs::write(home.path().join("sub/a.conf"), "x = 1\n\0f/etc/forged\0").unwrap();
        std::fs::create_dir_all(home.path().join("evil\nf/etc")).unwrap();
        std::fs::write(home.path().join("evil\nf/etc/forged"), "").unwrap();
        std::fs::write(home.path().join("-rf $(id) '"), "q").unwrap();
        std::os::unix::fs::symlink("sub/a.conf", home.path().join("link")).unwrap();
        std::os::unix::fs::symlink("sub", home.path().join("to-folder")).unwrap();
        std::os::unix::fs::symlink("gone", home.path().join("dangling")).unwrap();

        let (exit, out) = run(&Probe::folder_names(&root));
        assert_eq!(exit, Some(0));
        let text = String::from_utf8(out).unwrap();
        let mut got: Vec<&str> = text.split_terminator('\0').collect();
        got.sort_unstable();
        let want: Vec<String> = ["adangling", "f-rf $(id) '", "fevil\nf/etc/forged", "flink", "fsub/a.conf", "oto-folder"]
            .iter()
            .map(|r| format!("{}{root}/{}", &r[..1], &r[1..]))
            .collect();
        assert_eq!(got, want);

        let (exit, out) = run(&Probe::folder_contents(&root));
        assert_eq!(exit, Some(0));
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(&format!("f{root}/sub/a.conf\0cx = 1\nf/etc/forged\0")), "{text:?}");
        assert!(text.contains(&format!("f{root}/link\0cx = 1\n")), "{text:?}");
        assert!(text.contains(&format!("f{root}/-rf $(id) '\0cq\0")), "{text:?}");
        assert!(text.contains(&format!("f{root}/evil\nf/etc/forged\0c\0")), "{text:?}");

        std::fs::write(home.path().join("big"), vec![b'y'; FOLDER_FILE_BYTES + 1]).unwrap();
        let (_, out) = run(&Probe::folder_contents(&root));
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(&format!("f{root}/big\0C{}\0", "y".repeat(FOLDER_FILE_BYTES))));

        assert_eq!(run(&Probe::folder_names(&format!("{root}/none"))).0, Some(ABSENT));
        assert_eq!(run(&Probe::folder_contents(&format!("{root}/big"))).0, Some(OTHER_KIND));
    }

    #[test]
    fn runs_a_program_by_its_words_and_no_shell() {
        let words = |w: &[&str]| w.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let p = Probe::program("printf x", &words(&["printf", "%s|", "a b", "$HOME", "it's", "|", "cat"]));
        assert_eq!((p.id.as_str(), p.read_only, p.root), ("c:printf x", false, Root::Needed));
        assert_eq!(run(&p), (Some(0), b"a b|$HOME|it's|||cat|".to_vec()));
        let (exit, out) = run(&Probe::program("x", &words(&["sh", "-c", "echo out; echo err >&2; exit 3"])));
        assert_eq!((exit, out), (Some(3), b"out\nerr\n".to_vec()));
        assert_eq!(run(&Probe::program("x", &words(&["no-such-program-here"]))).0, Some(127));
        assert_eq!(run(&Probe::program("x", &words(&["/etc/passwd"]))).0, Some(126));
        // What only a shell has is no program.
        assert_eq!(run(&Probe::program("x", &words(&["shift"]))).0, Some(127));
    }

    #[test]
    fn lists_programs_without_their_arguments() {
        if Command::new("ps").arg("-A").output().is_err() {
            return;
        }
        let home = home();
        let program = home.path().join("kw-sleeps");
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let mut child = Command::new(&program).arg("31.4159").spawn().unwrap();
        let (exit, out) = run(&Probe::processes());
        child.kill().unwrap();
        child.wait().unwrap();
        let text = String::from_utf8_lossy(&out).into_owned();
        assert_eq!(exit, Some(0), "{text}");
        let wanted = ["kw-sleeps".to_owned(), program.display().to_string()];
        assert_eq!(text.lines().filter(|l| l.ends_with("kw-sleeps")).collect::<Vec<_>>(), wanted, "{text}");
        assert!(!text.contains("31.4159"), "{text}");
    }
}
