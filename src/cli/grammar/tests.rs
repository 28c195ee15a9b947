//! What the grammar takes, and what it refuses.

use clap::{CommandFactory, Parser};

use super::*;
use crate::control::{CredentialRef, ScopeWord, SecretForm, SudoChange};

fn parse(words: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("keyward".to_owned()).chain(shell_words::split(words).unwrap()))
}

fn call(words: &str, texts: &[&str]) -> Call {
    parse(words).unwrap().verb.call(texts.iter().map(|t| (*t).to_owned()).collect()).unwrap().unwrap()
}

#[test]
fn the_grammar_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn hints_know_the_workspace_that_is_meant_without_a_word() {
    assert_eq!(crate::fault::UNNAMED, crate::model::DEFAULT_WORKSPACE);
}

#[test]
fn hints_know_the_verbs_that_both_doors_have() {
    // `serve` and its like are the local program's alone: over ssh nothing could be pasted for them.
    let local = ["serve", "unseal", "root-key", "systemd-unit", "mcp", "restore", "completions", "help"];
    let shared: Vec<String> =
        Cli::command().get_subcommands().map(|c| c.get_name().to_owned()).filter(|name| !local.contains(&name.as_str())).collect();
    assert_eq!(shared, crate::fault::VERBS, "left: the grammar; right: fault::VERBS");
}

#[test]
fn every_verb_of_the_contract_is_known() {
    for words in [
        "status",
        "vault status",
        "vault rotate",
        "vault rotate --root",
        "vault rotate --shred --yes",
        "vault accept-rollback --yes --config broker.toml",
        "backup keyward.db",
        "backup -",
        "restore keyward.db --accept-rollback --yes",
        "seal",
        "unseal",
        "root-key new --show",
        "root-key print --config b.toml",
        "root-key move --to passphrase --path /etc/k --config b.toml",
        "root-key move --to command",
        "root-key forget /etc/k",
        "systemd-unit --user kw --source credential",
        "mcp",
        "mcp --agent helper",
        "mcp --token-file helper.token",
        "user add alice --key a.pub --key - --role admin --uid 1000",
        "user list",
        "user show alice",
        "user disable alice",
        "user enable alice",
        "user remove alice",
        "user key add alice 'ssh-ed25519 AAAA x'",
        "user key list alice",
        "user key remove alice SHA256:x",
        "user totp enroll --always",
        "user totp enroll alice",
        "user totp confirm",
        "user totp show",
        "user totp show alice",
        "user totp remove",
        "user totp remove alice",
        "user totp recovery-codes",
        "user totp require alice always",
        "user totp require alice grants",
        "grant add --to ops --hosts '*' --allow shell --second-factor",
        "group add ops",
        "group list",
        "group remove ops",
        "group join ops alice",
        "group leave ops alice",
        "host add web-1 web:2222 --credential deploy --tag env=prod --tag a= --host-key 'ssh-ed25519 AAAA'",
        "host add web-1 2001:db8::1 --trust-first-use",
        "host list --json",
        "--json host show web-1",
        "host edit web-1 --address b --rename c --tag k=v --untag x --no-credential --strict --host-key -",
        "host remove web-1",
        "host trust web-1 --fingerprint SHA256:x",
        "credential add c --username root --password",
        "credential add c --username root --key - --scope workspace",
        "credential test c --host web-1",
        "credential install c --host web-1 --using root --dry-run",
        "credential rotate c --host web-1 --host web-2 --skip web-3 --yes",
        "credential rotate c --abort --yes",
        "credential rotate c --scope personal --dry-run",
        "credential add c --username deploy --certificate",
        "credential add c --username deploy --certificate --validity 5m --scope workspace",
        "credential generate c --username deploy",
        "credential generate c --username deploy --type rsa-4096 --scope workspace",
        "ca create --type ecdsa-p521",
        "ca show",
        "ca public-key --principal deploy",
        "ca rotate --type ed25519",
        "ca rotate --switch",
        "ca rotate --cancel",
        "ca retire -y",
        "ca remove --yes",
        "vault rotate --shred -y",
        "restore keyward.db -y",
        "seal --now",
        "credential list",
        "credential show c --scope personal",
        "credential public-key c",
        "credential edit c --username u --rename d --password",
        "credential attach c --host h --mine",
        "credential detach c --host h",
        "credential delete c --end-sessions --yes",
        "credential list --unused-for 90d --older-than 365d --host web-1 --sort last-used",
        "credential attach c --workspace-default",
        "credential detach c --workspace-default",
        "workspace add lab",
        "workspace list --json",
        "workspace show lab",
        "workspace remove lab --end-sessions -y",
        "host list --workspace lab",
        "credential add c --username u --password --from corp --path web/root --field pw --scope workspace",
        "credential add c --username u --key --from corp --path web/key",
        "credential add c --username u --certificate --from corp --path role",
        "credential edit c --from corp --path web/root --no-field --rename d",
        "source list",
        "source test corp --path web/root --field pw --key",
        "grant add --to '*' --hosts 'web-*' --allow shell,exec --commands f --from 192.0.2.0/24 --until 2026-12-31 --between 08:00-18:00 --max-session 8h",
        "grant list",
        "grant remove grt_0123456789abcdefghjkmnpqrs",
        "grant explain alice web-1 exec --from ::1",
        "session list --live",
        "session show ses_0123456789abcdefghjkmnpqrs",
        "session end ses_0123456789abcdefghjkmnpqrs",
        "audit list --since 2h --user alice --host web-1 --limit 5",
        "audit verify --checkpoint f",
        "audit export --format jsonl --since 2026-11-01",
        "ssh-config --user alice",
        "import known-hosts",
        "import known-hosts - --add-hosts --yes",
        "import known-hosts ./known_hosts --dry-run --json",
        "import ssh-config",
        "import ssh-config ./config --scope workspace --yes",
        "completions bash",
        "serve --config broker.toml --listen 127.0.0.1:2222 --home /tmp/x",
        "status --workspace default --quiet --color never",
    ] {
        if let Err(e) = parse(words) {
            panic!("{words}: {e}");
        }
    }
}

#[test]
fn words_that_make_no_sense_are_refused() {
    for words in [
        "",
        "frobnicate",
        "user add",
        "user add 'a b'",
        "user add a+b",
        "user add alice --role king",
        "host add web-1",
        "host add web-1 a:0",
        "host add web-1 a --tag novalue",
        "host add web-1 a --trust-first-use --host-key -",
        "host edit web-1 --credential c --no-credential",
        "host edit web-1 --strict --trust-first-use",
        "credential add c --username root",
        "credential add c --username root --password --key f",
        "credential add c --username root --password hunter2",
        "credential add c --username root --key 'ssh-ed25519 AAAA'",
        "credential attach c",
        "credential add c --username u --password --from corp",
        "credential add c --username u --password --path a",
        "credential add c --username u --password --from corp --path -rf",
        "credential edit c --certificate",
        "source test corp --path ../etc/passwd",
        "source add corp",
        "credential attach c --workspace-default --host h",
        "credential attach c --workspace-default --mine",
        "credential list --sort size",
        "credential list --unused-for soon",
        "workspace add a=b",
        "workspace remove",
        "grant add --to alice --hosts web-1",
        "grant add --to alice --hosts web-1 --allow root",
        "grant add --to alice --hosts 'a/b' --allow exec",
        "grant add --to alice --hosts web-1 --allow exec --max-session 8",
        "grant add --to alice --hosts web-1 --allow exec --until tomorrow",
        "grant remove 7",
        "session end x",
        "audit export --format xml",
        "status --quiet --verbose",
        "import",
        "import known-hosts a b",
        "import known-hosts --yes --dry-run",
        "import ssh-config --scope everybody",
    ] {
        assert!(parse(words).is_err(), "{words}");
    }
}

#[test]
fn no_argument_holds_a_secret() {
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2";
    let words = ["credential", "add", "c", "--username", "u", "--key", key].map(str::to_owned);
    let refused = Cli::try_parse_from(std::iter::once("keyward".to_owned()).chain(words.clone())).unwrap_err();
    let told = crate::cli::fail::usage(&refused, &words, &crate::fault::Calling::Local);
    assert!(told.contains("never arguments") && !told.contains("hunter2"), "{told}");
}

#[test]
fn calls_say_which_secret_they_need() {
    let add = call("credential add c --username root --key ./k --scope workspace", &[]);
    assert_eq!(add.secret, Wanted::Key(Source::File("./k".into())));
    assert!(matches!(add.command, Command::CredentialAdd { form: SecretForm::Key, scope: ScopeWord::Workspace, .. }));
    let edit = call("credential edit c --rename d", &[]);
    assert_eq!(edit.secret, Wanted::Nothing);
    let credential = CredentialRef { name: "c".parse().unwrap(), scope: None };
    assert_eq!(
        edit.command,
        Command::CredentialEdit { credential, username: None, form: None, rename: Some("d".parse().unwrap()), sudo: None, validity: None }
    );
    let set = call("credential edit c --sudo-password --rename d", &[]);
    assert_eq!(set.secret, Wanted::SudoPassword("c".parse().unwrap()));
    assert!(matches!(set.command, Command::CredentialEdit { form: None, rename: Some(_), sudo: Some(SudoChange::Set), .. }));
    let both = call("credential edit c --key ./k --no-sudo-password", &[]);
    assert_eq!(both.secret, Wanted::Key(Source::File("./k".into())));
    assert!(matches!(both.command, Command::CredentialEdit { form: Some(SecretForm::Key), sudo: Some(SudoChange::Remove), .. }));
    let refused = parse("credential add c --username u --password --sudo-password").unwrap().verb.call(vec![]).unwrap_err();
    assert!(refused.exit == crate::cli::fail::Exit::Usage && refused.hint.unwrap().contains("credential edit c --sudo-password"));
    let trust = call("host trust web-1", &[]);
    assert_eq!(trust.follow, Follow::Confirm("web-1".parse().unwrap()));
}

#[test]
fn texts_come_in_the_order_in_which_they_were_asked_for() {
    let cli = parse("user add alice --key a.pub --key - --key 'ssh-ed25519 AAAA x'").unwrap();
    let sources: Vec<Source> = cli.verb.sources().into_iter().cloned().collect();
    assert_eq!(sources, vec![Source::File("a.pub".into()), Source::Stdin, Source::Inline("ssh-ed25519 AAAA x".to_owned())]);
    let Call { command: Command::UserAdd { keys, .. }, .. } = call("user add alice --key a --key b", &["1", "2"]) else { panic!() };
    assert_eq!(keys, ["1", "2"]);
}

#[test]
fn durations_are_written_as_people_write_them() {
    for (text, s) in [("90s", 90), ("30m", 1800), ("8h", 28800), ("1h30m", 5400), ("2d", 172_800)] {
        assert_eq!(words::seconds(text), Ok(s));
    }
    for bad in ["", "8", "h", "8x", "-1s", "1h30", "99999999999999999999h"] {
        assert!(words::seconds(bad).is_err(), "{bad}");
    }
}

#[test]
fn under_the_heading_of_other_peoples_vaults_stands_what_is_about_them_and_nothing_else() {
    let cli = Cli::command();
    let credential = cli.find_subcommand("credential").unwrap();
    for (verb, about_them) in [("add", vec!["from", "path", "field"]), ("edit", vec!["from", "path", "field", "no_field", "certificate"])] {
        let verb = credential.find_subcommand(verb).unwrap();
        let under = verb.get_arguments().filter(|arg| arg.get_help_heading() == Some("In somebody else's vault"));
        assert_eq!(under.map(|arg| arg.get_id().as_str()).collect::<Vec<_>>(), about_them);
    }
}
