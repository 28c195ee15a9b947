//! Every channel type, channel request and global request of the connection protocol, and what becomes of it. The one place
//! where that stands; whoever decides looks it up here. Moves no byte and knows no session.

use super::{Action, EventName};

/// What kind of word it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// A type of channel (`SSH_MSG_CHANNEL_OPEN`, RFC 4254 §5.1).
    Channel,
    /// A request on a channel (`SSH_MSG_CHANNEL_REQUEST`, RFC 4254 §5.4).
    Request,
    /// A request of the connection (`SSH_MSG_GLOBAL_REQUEST`, RFC 4254 §4).
    Global,
}

/// Who may send it. From the other side it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The person's client.
    Client,
    /// The host.
    Host,
    /// Either.
    Both,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is passed to the other side, and so is the answer.
    Relay,
    /// The broker answers it; the other side never hears of it.
    Answer,
    /// It is refused by name.
    Refuse,
}

/// What has to be granted for it to be relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing but the session.
    Nothing,
    /// This.
    Grant(Action),
    /// What its text says: `sftp` for the subsystem of that name; every other is refused.
    Subsystem,
}

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What kind of word.
    pub word: Word,
    /// The word itself, as it is on the wire.
    pub name: &'static str,
    /// Who may send it.
    pub from: Sender,
    /// What becomes of it.
    pub decision: Decision,
    /// What has to be granted.
    pub needs: Needs,
    /// What is recorded when it is granted, before the other side hears of it.
    pub event: Option<EventName>,
    /// What it is, for `docs/channels.md`.
    pub what: &'static str,
}

impl Row {
    /// Whether it is passed on to the host when the client sends it.
    pub fn relayed_from_client(&self) -> bool {
        self.decision == Decision::Relay && self.from != Sender::Host
    }

    /// Whether it is passed on to the client when the host sends it.
    pub fn relayed_from_host(&self) -> bool {
        self.decision == Decision::Relay && self.from != Sender::Client
    }

    /// The action that has to be granted, if it is one and the same for every text.
    pub fn action(&self) -> Option<Action> {
        match self.needs {
            Needs::Grant(action) => Some(action),
            Needs::Nothing | Needs::Subsystem => None,
        }
    }
}

const fn row(
    word: Word,
    name: &'static str,
    from: Sender,
    decision: Decision,
    needs: Needs,
    event: Option<EventName>,
    what: &'static str,
) -> Row {
    Row { word, name, from, decision, needs, event, what }
}

/// What a word comes to that is not in [`TABLE`]: it is refused.
const UNKNOWN: [Row; 3] = [
    row(Word::Channel, "", Sender::Both, Decision::Refuse, Needs::Nothing, None, "any other type of channel"),
    row(Word::Request, "", Sender::Both, Decision::Refuse, Needs::Nothing, None, "any other request"),
    row(Word::Global, "", Sender::Both, Decision::Refuse, Needs::Nothing, None, "any other request"),
];

/// The table: RFC 4254, RFC 4335, and the `PROTOCOL` of OpenSSH.
pub const TABLE: &[Row] = {
    use Action::{Exec, ForwardAgent, ForwardLocal, ForwardRemote, Shell, X11};
    use Decision::{Answer, Refuse, Relay};
    use EventName::{ChannelOpened, ForwardOpened};
    use Needs::{Grant, Nothing, Subsystem};
    use Sender::{Both, Client, Host};
    use Word::{Channel, Global, Request};
    &[
        row(Channel, "session", Client, Relay, Nothing, None, "a channel for a shell, a command or a subsystem"),
        row(
            Channel,
            "direct-tcpip",
            Client,
            Relay,
            Grant(ForwardLocal),
            Some(ForwardOpened),
            "to an address as the host reaches it: `-L`, `-D`, `-W`",
        ),
        row(
            Channel,
            "direct-streamlocal@openssh.com",
            Client,
            Relay,
            Grant(ForwardLocal),
            Some(ForwardOpened),
            "to a socket on the host: `-L port:/path`",
        ),
        row(
            Channel,
            "forwarded-tcpip",
            Host,
            Relay,
            Grant(ForwardRemote),
            Some(ForwardOpened),
            "somebody came to a port that the host listens on: `-R`",
        ),
        row(
            Channel,
            "forwarded-streamlocal@openssh.com",
            Host,
            Relay,
            Grant(ForwardRemote),
            Some(ForwardOpened),
            "somebody came to a socket that the host listens on",
        ),
        row(Channel, "x11", Host, Relay, Grant(X11), Some(ForwardOpened), "a program on the host opens a window: `-X`, `-Y`"),
        row(
            Channel,
            "auth-agent@openssh.com",
            Host,
            Relay,
            Grant(ForwardAgent),
            Some(ForwardOpened),
            "a program on the host asks the person's agent: `-A`",
        ),
        row(Channel, "tun@openssh.com", Client, Refuse, Nothing, None, "a network device: `-w`"),
        row(Request, "pty-req", Client, Relay, Nothing, None, "a terminal"),
        row(Request, "x11-req", Client, Relay, Grant(X11), Some(ForwardOpened), "the host may open windows: `-X`, `-Y`"),
        row(
            Request,
            "auth-agent-req@openssh.com",
            Client,
            Relay,
            Grant(ForwardAgent),
            Some(ForwardOpened),
            "the host may ask the agent: `-A`",
        ),
        row(Request, "env", Client, Relay, Nothing, None, "a variable of the environment"),
        row(Request, "shell", Client, Relay, Grant(Shell), Some(ChannelOpened), "a shell"),
        row(Request, "exec", Client, Relay, Grant(Exec), Some(ChannelOpened), "a command"),
        row(Request, "subsystem", Client, Relay, Subsystem, Some(ChannelOpened), "a subsystem, which is `sftp`"),
        row(Request, "window-change", Client, Relay, Nothing, None, "the size of the terminal"),
        row(Request, "signal", Client, Relay, Nothing, None, "a signal for the program"),
        row(Request, "break", Client, Relay, Nothing, None, "a break of so many milliseconds (RFC 4335)"),
        row(Request, "eow@openssh.com", Both, Relay, Nothing, None, "the sender reads no more"),
        row(Request, "xon-xoff", Host, Relay, Nothing, None, "whether the client does flow control"),
        row(Request, "exit-status", Host, Relay, Nothing, None, "how the program ended"),
        row(Request, "exit-signal", Host, Relay, Nothing, None, "which signal ended the program"),
        row(Global, "tcpip-forward", Client, Relay, Grant(ForwardRemote), Some(ForwardOpened), "the host is to listen on a port: `-R`"),
        row(Global, "cancel-tcpip-forward", Client, Relay, Grant(ForwardRemote), None, "the host is to listen there no more"),
        row(
            Global,
            "streamlocal-forward@openssh.com",
            Client,
            Relay,
            Grant(ForwardRemote),
            Some(ForwardOpened),
            "the host is to listen on a socket: `-R /path`",
        ),
        row(
            Global,
            "cancel-streamlocal-forward@openssh.com",
            Client,
            Relay,
            Grant(ForwardRemote),
            None,
            "the host is to listen there no more",
        ),
        row(Global, "no-more-sessions@openssh.com", Client, Answer, Nothing, None, "the client promises to open no further session"),
        row(
            Global,
            "keepalive@openssh.com",
            Both,
            Refuse,
            Nothing,
            None,
            "whether the other side is still there; the refusal is the answer, as OpenSSH's own",
        ),
        row(
            Global,
            "hostkeys-00@openssh.com",
            Host,
            Answer,
            Nothing,
            None,
            "keys of the host, which are its own: to OpenSSH's clients the broker announces the broker's",
        ),
        row(
            Global,
            "hostkeys-prove-00@openssh.com",
            Client,
            Answer,
            Nothing,
            None,
            "the client wants proof of the keys that the broker announced",
        ),
    ]
};

/// What becomes of a word. One that is not in the table is refused.
pub fn look_up(word: Word, name: &str) -> &'static Row {
    let [channel, request, global] = &UNKNOWN;
    TABLE.iter().find(|row| row.word == word && row.name == name).unwrap_or(match word {
        Word::Channel => channel,
        Word::Request => request,
        Word::Global => global,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_stands_once_and_what_is_unknown_is_refused() {
        for row in TABLE {
            let same = TABLE.iter().filter(|other| other.word == row.word && other.name == row.name);
            assert_eq!(same.count(), 1, "{} stands twice", row.name);
            // What the broker answers or refuses by itself needs no grant and opens nothing.
            let relayed = row.decision == Decision::Relay;
            assert!(relayed || (row.needs == Needs::Nothing && row.event.is_none()), "{}", row.name);
        }
        for word in [Word::Channel, Word::Request, Word::Global] {
            let row = look_up(word, "made-up@example.com");
            assert!(row.decision == Decision::Refuse && row.word == word && !row.relayed_from_client() && !row.relayed_from_host());
        }
        // A word is looked up as what it is: a request is no channel.
        assert_eq!(look_up(Word::Channel, "exec").decision, Decision::Refuse);
    }

    #[test]
    fn the_words_of_the_protocols_are_all_there() {
        let channels = "session direct-tcpip forwarded-tcpip x11 auth-agent@openssh.com direct-streamlocal@openssh.com \
                        forwarded-streamlocal@openssh.com tun@openssh.com";
        let requests = "pty-req x11-req env shell exec subsystem window-change xon-xoff signal exit-status exit-signal break \
                        auth-agent-req@openssh.com eow@openssh.com";
        let globals = "tcpip-forward cancel-tcpip-forward streamlocal-forward@openssh.com cancel-streamlocal-forward@openssh.com \
                       no-more-sessions@openssh.com keepalive@openssh.com hostkeys-00@openssh.com hostkeys-prove-00@openssh.com";
        for (word, names) in [(Word::Channel, channels), (Word::Request, requests), (Word::Global, globals)] {
            for name in names.split_whitespace() {
                assert_eq!(look_up(word, name).name, name, "it is missing");
            }
            let here = TABLE.iter().filter(|row| row.word == word).count();
            assert_eq!(here, names.split_whitespace().count(), "{word:?}: the table knows words that this test does not");
        }
    }
}
