//! The table of what is masked. A new kind of secret is a line here, with an example and something like it that is none;
//! the tests run both. The examples are written in halves, so that no scanner takes this file for a leak.

use super::begin::Class;

/// A kind of secret.
#[derive(Debug)]
pub struct Rule {
    /// What stands in the place of the secret, as in `[masked: private key]`.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// Output in which it is masked.
    pub example: &'static str,
    /// Output that looks like it and passes untouched.
    pub passes: &'static str,
    pub(super) how: How,
}

/// How a rule knows its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// By a line `BEGIN … PRIVATE KEY`.
    Block,
    /// By `Private-Lines: n`.
    Lines,
    /// By its first characters, and how many follow of which class.
    Token { prefixes: &'static [&'static str], class: Class, least: usize },
    /// By two parts of base64url, the first of which begins a JSON object.
    Jwt,
    /// By `$id$`.
    Crypt,
    /// By `://user:` before and `@` behind.
    UserInfo,
    /// By the four fields before it on its line.
    PgPass,
    /// By the words before it.
    Netrc,
    /// By the word before `=` or `:`; one that ends in these, without `_`, `-`, `.` and capitals.
    Key(&'static [&'static str]),
    /// As `Key`, with the name of a scheme before the value.
    Authorization,
}

/// All kinds; where two could match, the first one does.
pub const RULES: &[Rule] = &[
    Rule {
        name: "private key",
        what: "PEM, OpenSSH, PGP and SSH2 blocks of a private key, to their END line",
        example: concat!(
            "-----BEGIN OPENSSH PRIV",
            "ATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n-----END OPENSSH PRIV",
            "ATE KEY-----\n"
        ),
        passes: "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ\n-----END CERTIFICATE-----\n-----BEGIN PUBLIC KEY-----\n",
        how: How::Block,
    },
    Rule {
        name: "PuTTY private key",
        what: "the private lines of a .ppk file",
        example: "Public-Lines: 1\nAAAAC3NzaC1lZDI1NTE5\nPrivate-Lines: 1\nAAAAIJ5k3mVqGk0\nPrivate-MAC: 00\n",
        passes: "Private-Lines: none\nPublic-Lines: 1\nAAAAC3NzaC1lZDI1NTE5\n",
        how: How::Lines,
    },
    Rule {
        name: "age secret key",
        what: "an identity of age",
        example: concat!("AGE-SECRET", "-KEY-1QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQS"),
        passes: "age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs AGE-SECRET-KEY-1 is how it begins",
        how: How::Token { prefixes: &["AGE-SECRET-KEY-1"], class: Class::Upper, least: 40 },
    },
    Rule {
        name: "AWS access key id",
        what: "the name of a key of AWS, permanent or temporary",
        example: concat!("id AK", "IAQYLPMN5HHHFPZAM2"),
        passes: "AKIAQYLP AKIAlowercaseletters xAKIAQYLPMN5HHHFPZAM2 AKIAQYLPMN5HHHFPZAM2LONGER",
        how: How::Token { prefixes: &["AKIA", "ASIA"], class: Class::Upper, least: 16 },
    },
    Rule {
        name: "GitHub token",
        what: "personal, OAuth, app and refresh tokens of GitHub",
        example: concat!("gh", "p_0123456789abcdefABCDEF0123456789abcd"),
        passes: "ghp_short github_pat_ 0ghp_0123456789abcdefABCDEF0123456789abcd",
        how: How::Token { prefixes: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"], class: Class::Word, least: 22 },
    },
    Rule {
        name: "GitLab token",
        what: "personal, deploy, runner, pipeline and agent tokens of GitLab",
        example: concat!("gl", "pat-0123456789abcdefABCD"),
        passes: "glpat-short glrt-",
        how: How::Token {
            prefixes: &["glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glsoat-", "glagent-", "glimt-"],
            class: Class::Dotted,
            least: 20,
        },
    },
    Rule {
        name: "Slack token",
        what: "bot, user, app and refresh tokens of Slack",
        example: concat!("xox", "b-123456789012-abcdefABCDEF"),
        passes: "xoxb-12 xoxo",
        how: How::Token {
            prefixes: &["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxe-", "xoxe.", "xapp-"],
            class: Class::Dotted,
            least: 16,
        },
    },
    Rule {
        name: "Stripe key",
        what: "secret and restricted keys of Stripe, and of its webhooks",
        example: concat!("sk_li", "ve_0123456789abcdefABCDEF"),
        passes: "pk_live_0123456789abcdefABCDEF sk_live_",
        how: How::Token { prefixes: &["sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"], class: Class::Word, least: 16 },
    },
    Rule {
        name: "Google key",
        what: "API keys, client secrets and access tokens of Google",
        example: concat!("AI", "zaSyA-0123456789abcdefABCDEF_0123456789"),
        passes: "AIzaShort ya29.",
        how: How::Token { prefixes: &["AIza", "GOCSPX-", "ya29."], class: Class::Dotted, least: 28 },
    },
    Rule {
        name: "npm token",
        what: "access tokens of npm",
        example: concat!("np", "m_0123456789abcdefABCDEF0123456789abcd"),
        passes: "npm_config_registry npm_lifecycle_event",
        how: How::Token { prefixes: &["npm_"], class: Class::Alnum, least: 30 },
    },
    Rule {
        name: "PyPI token",
        what: "upload tokens of PyPI",
        example: concat!("py", "pi-AgEIcHlwaS5vcmcCJDAxMjM0NTY3ODlhYmNkZWZBQkNERUYwMTIzNDU2Nzg5YWJjZA"),
        passes: "pypi-mirror pypi-server-of-the-company",
        how: How::Token { prefixes: &["pypi-"], class: Class::Base64Url, least: 48 },
    },
    Rule {
        name: "Vault token",
        what: "service, batch and recovery tokens of HashiCorp Vault and OpenBao",
        example: concat!("hv", "s.0123456789abcdefABCDEF0123"),
        passes: "hvs.short the hvs. prefix",
        how: How::Token { prefixes: &["hvs.", "hvb.", "hvr."], class: Class::Base64Url, least: 24 },
    },
    Rule {
        name: "model provider key",
        what: "keys of Anthropic, OpenAI and others that begin alike",
        example: concat!("sk-", "ant-api03-0123456789abcdefABCDEF"),
        passes: "sk-learn sk-ant-colony sk-proj-notes",
        how: How::Token { prefixes: &["sk-ant-", "sk-proj-", "sk-svcacct-", "sk-admin-", "sk-or-v1-"], class: Class::Base64Url, least: 20 },
    },
    Rule {
        name: "model provider key",
        what: "keys of the older form",
        example: concat!("sk-", "0123456789abcdefABCDEF0123456789abcd"),
        passes: "sk-0123456789 sk-some-words-that-are-joined-by-dashes-to-a-name",
        how: How::Token { prefixes: &["sk-"], class: Class::Alnum, least: 30 },
    },
    Rule {
        name: "service token",
        what: "tokens of Hugging Face, DigitalOcean, Docker, Tailscale, Grafana, Linear, Shopify, Atlassian, SendGrid",
        example: concat!("h", "f_0123456789abcdefABCDEF0123456789"),
        passes: "hf_model SG.1 tskey-short dop_v1_",
        how: How::Token {
            prefixes: &[
                "hf_",
                "dop_v1_",
                "doo_v1_",
                "dckr_pat_",
                "tskey-",
                "glsa_",
                "glc_",
                "lin_api_",
                "shpat_",
                "shpss_",
                "ATATT3",
                "SG.",
            ],
            class: Class::Dotted,
            least: 28,
        },
    },
    Rule {
        name: "JSON web token",
        what: "a signed or encrypted token, header and all",
        example: concat!("ey", "JhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"),
        passes: "eyJhbGciOiJIUzI1NiJ9 eyJ.eyJ eyJhIjoxfQ==",
        how: How::Jwt,
    },
    Rule {
        name: "password hash",
        what: "hashes of /etc/shadow and of programs that use its form",
        example: "root:$6$rounds=5000$saltsalt$0123456789abcdefABCDEF./:19000:0:99999:7:::",
        passes: "root:x:0:0:root:/root:/bin/bash daemon:*:19000:0:99999:7::: $1$2 cost $5$",
        how: How::Crypt,
    },
    Rule {
        name: "password",
        what: "the password in a URL",
        example: "postgres://app:hunter2@db.internal:5432/app",
        passes: "http://localhost:8080/@scope/name git@host.example:path/name.git ssh://git@host.example/name http://[::1]:80/",
        how: How::UserInfo,
    },
    Rule {
        name: "password",
        what: "the last field of a line of .pgpass",
        example: "db.internal:5432:app:deploy:hunter2\n",
        passes: "src/main.rs:1234:use a\nmain.c:1234:a:b:c:d\nroot:x:0:0:root\n10:12:30:01:02\nhost:5432:app:deploy:two words\n",
        how: How::PgPass,
    },
    Rule {
        name: "password",
        what: "the password of a machine in .netrc",
        example: "machine ftp.example\n  login bob\n  password hunter2\n",
        passes: "login shells\nFailed password for root from 192.0.2.1 port 4711 ssh2\n",
        how: How::Netrc,
    },
    Rule {
        name: "AWS secret key",
        what: "the value of a secret key of AWS",
        example: "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCY",
        passes: "aws_access_key_id and aws_secret_access_key are needed",
        how: How::Key(&["secretaccesskey"]),
    },
    Rule {
        name: "private key",
        what: "the value of a private or shared key: WireGuard, kubeconfig, service accounts",
        example: "PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\nclient-key-data: LS0tLS1CRUdJTiBFQyBQUklWQVRF",
        passes: "PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\nPrivateKeyFile = /etc/wg.key\n",
        how: How::Key(&["privatekey", "privatekeydata", "clientkeydata", "presharedkey"]),
    },
    Rule {
        name: "password",
        what: "the value of a password or passphrase",
        example: "DB_PASSWORD='hunter2' passwd: hunter3 {\"password\": \"hunter4\"} --db_pass=hunter5 <password>hunter6</password>",
        passes: "Password: \nPasswordAuthentication=no PWD=/root password: null passwd: files systemd\nif password == other",
        how: How::Key(&["password", "passwd", "passphrase", "_pass", "_pwd"]),
    },
    Rule {
        name: "secret",
        what: "the value of something called a secret",
        example: "secret_key=abc123 CLIENT_SECRET: abc123",
        passes: "secretName: web-tls secret: \nsecrets: 3",
        how: How::Key(&["secret", "secretkey", "secretkeybase"]),
    },
    Rule {
        name: "API key",
        what: "the value of a key of an interface or an account",
        example: "api_key: abc123 X-Api-Key: abc123 AccountKey=abc123==",
        passes: "api_keys: 2 monkey=1 keyboard: us AccessKeyId",
        how: How::Key(&["apikey", "accesskey", "accountkey", "encryptionkey", "masterkey", "signingkey"]),
    },
    Rule {
        name: "token",
        what: "the value of something called a token",
        example: "X-Vault-Token: abc123 GET /?access_token=abc123 //registry.example/:_authToken=abc123",
        passes: "tokens: 17 max_tokens=100 token: null fn f(token: &str) Token::new",
        how: How::Key(&["token"]),
    },
    Rule {
        name: "authorization",
        what: "what an HTTP header authorises with",
        example: "> Authorization: Basic Ym9iOmh1bnRlcjI=\n-H 'authorization: Bearer abc.def'",
        passes: "Authorization: \nauthorization was refused",
        how: How::Authorization,
    },
];

/// Values that are no secrets: they say that there is none, or which kind, or where to look. In small letters.
pub(super) const PLAIN: &[&str] = &[
    "",
    "*",
    "x",
    "!",
    "-",
    "true",
    "false",
    "yes",
    "no",
    "null",
    "none",
    "nil",
    "undefined",
    "string",
    "str",
    "text",
    "bool",
    "int",
    "option",
    "password",
    "required",
    "optional",
    "unset",
    "empty",
    "never",
    "locked",
    "expired",
    "changed",
    "|",
    "|-",
    ">",
    ">-",
    "enabled",
    "disabled",
    "[masked:",
    // The sources of /etc/nsswitch.conf.
    "files",
    "compat",
    "systemd",
    "sss",
    "ldap",
    "nis",
    "db",
    "winbind",
    "dns",
    "myhostname",
    "mymachines",
    // How passwd(1) begins what it says.
    "authentication",
    "all",
    "user",
    "you",
    "only",
    "unrecognized",
    "invalid",
    "permission",
];

/// Schemes that stand before the value of an authorization. In small letters.
pub(super) const SCHEMES: &[&str] = &["basic", "bearer", "digest", "token", "negotiate", "ntlm", "apikey", "aws4-hmac-sha256"];
