//! The picker on a person's channel: what they type chooses a host, and then the same channel is the host's. Owns the channel's
//! reading end until then and gives it away whole, with every byte behind the choice; puts the terminal back before. Decides nothing.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ratatui::Terminal;
use ratatui::layout::Size;
use russh::{ChannelMsg, server};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::config::Config;
use super::handler::Doorway;
use super::notices;
use super::verbs::cells;
use crate::cli::fail::{Exit, Failure};
use crate::control::{Caller, Choices, Error};
use crate::fault::{Calling, Fault, Kind};
use crate::model::{Action, EndReason, User, printable};
use crate::picker::{Picker, Target, Wish};
use crate::relay::{self, ClientChannel, Held, Interlude};
use crate::screen::{ENTER, Keys, LEAVE, Screen};
use crate::sessions::{self, Arrival, Asks, Back, Chosen, Seat, Visit, open};

/// How long an escape waits for what may belong to it.
const ESCAPE: Duration = Duration::from_millis(50);
/// How often times are drawn anew.
const TICK: Duration = Duration::from_secs(10);
/// So many of these later the hosts are asked for anew, though nobody said that they changed: hours begin and end.
const LOOK: u32 = 6;
/// How long the list rests once it was read: whoever imports a thousand hosts has nobody read them a thousand times.
const REST: Duration = Duration::from_secs(1);
/// The status of a channel that reaches no host, as ssh itself has it.
const NO_HOST: u32 = 255;
/// The longest line of a sentence, in characters.
const LONGEST: usize = 1000;

/// A person at the console.
#[derive(Clone)]
pub(super) struct AtConsole {
    pub(super) door: Arc<Doorway>,
    pub(super) config: Arc<Config>,
    pub(super) caller: Caller,
    pub(super) user: User,
    /// What signed them in.
    pub(super) key: String,
    /// From where.
    pub(super) client: SocketAddr,
    pub(super) calling: Calling,
    pub(super) handle: server::Handle,
    pub(super) sitting: Sitting,
}

impl AtConsole {
    /// Answers the oldest request of a channel that waits for an answer.
    async fn answer(&self, channel: &ClientChannel, granted: bool) {
        let _ = match granted {
            true => self.handle.channel_success(channel.id()).await,
            false => self.handle.channel_failure(channel.id()).await,
        };
    }
}

/// The sessions that were opened from one connection's pickers: each hears when the client is gone.
#[derive(Clone, Debug, Default)]
pub(super) struct Sitting(Arc<Mutex<Vec<mpsc::Sender<Arrival>>>>);

impl Sitting {
    fn add(&self, arrive: mpsc::Sender<Arrival>) {
        if let Ok(mut all) = self.0.lock() {
            all.retain(|other| !other.is_closed());
            all.push(arrive);
        }
    }

    /// The client is gone.
    pub(super) fn left(&self, why: EndReason) {
        if let Ok(mut all) = self.0.lock() {
            for arrive in all.drain(..) {
                // If the queue is full, dropping the sender says it as well.
                let _ = arrive.try_send(Arrival::Left(why));
            }
        }
    }
}

/// What comes after the screen.
enum Next {
    /// This host, and what was typed behind the choice.
    Connect(Target, Vec<u8>),
    /// The person has left.
    Left,
    /// Their client has.
    Gone,
    /// It cannot go on.
    Failed(Failure),
}

/// Whether a client asked for a shell on a terminal that can place a cursor.
pub(super) fn on_terminal(held: &Held) -> bool {
    let shell = held.messages.iter().any(|m| matches!(m, ChannelMsg::RequestShell { .. }));
    shell && held.messages.iter().any(|m| matches!(m, ChannelMsg::RequestPty { term, .. } if !matches!(term.as_str(), "" | "dumb")))
}

/// Shows the hosts on a channel that has a terminal and asked for a shell, until its person leaves or a host's session on it ends. The
/// bell rings when they change, from before they were read.
pub(super) async fn stand(
    guest: AtConsole,
    channel: ClientChannel,
    held: Held,
    seat: Seat,
    (choices, bell): (Choices, watch::Receiver<u64>),
) {
    let mut asked = Asked { messages: Vec::new(), window: None, plain: false, x11: false };
    for message in held.messages {
        if let Some(granted) = asked.takes(message) {
            guest.answer(&channel, granted).await;
        }
    }
    let picker = Picker::new(!asked.plain, guest.door.desk.clock().now(), choices);
    let mut stand =
        Stand { size: watch::channel(asked.cells()).0, guest, channel, seat, asked, picker, keys: Keys::default(), bell, stale: false };
    loop {
        match stand.show().await {
            Next::Connect(target, typed) => {
                let Some(back) = Box::pin(stand.connect(target, typed)).await else { return };
                stand = back;
            }
            Next::Left => return stand.end(0, "").await,
            Next::Gone => return stand.end(u32::from(Exit::Failed.status()), "").await,
            Next::Failed(failure) => {
                let text = failure.render(false, &stand.guest.calling).replace('\n', "\r\n");
                return stand.end(u32::from(failure.exit.status()), &text).await;
            }
        }
    }
}

/// What a client asked for before there was a host: the host is to have it once there is one.
struct Asked {
    messages: Vec<ChannelMsg>,
    /// Columns, rows, and both in pixels.
    window: Option<(u32, u32, u32, u32)>,
    plain: bool,
    x11: bool,
}

impl Asked {
    /// Keeps a message; the answer to it, if the client waits for one. Whether a host grants it is seen there.
    fn takes(&mut self, message: ChannelMsg) -> Option<bool> {
        let answer = match &message {
            ChannelMsg::RequestPty { want_reply, col_width, row_height, pix_width, pix_height, .. } => {
                self.window = Some((*col_width, *row_height, *pix_width, *pix_height));
                want_reply.then_some(true)
            }
            ChannelMsg::SetEnv { want_reply, variable_name, variable_value } => {
                self.plain |= variable_name == "NO_COLOR" && !variable_value.is_empty();
                want_reply.then_some(true)
            }
            ChannelMsg::RequestX11 { want_reply, .. } => {
                self.x11 = true;
                want_reply.then_some(true)
            }
            ChannelMsg::RequestShell { want_reply } => want_reply.then_some(true),
            // Answered by the handler already.
            ChannelMsg::AgentForward { .. } => None,
            ChannelMsg::Request { want_reply, .. } => {
                return want_reply.then_some(false);
            }
            ChannelMsg::WindowChange { col_width, row_height, pix_width, pix_height } => {
                self.window = Some((*col_width, *row_height, *pix_width, *pix_height));
                return None;
            }
            _ => return None,
        };
        self.messages.push(message);
        answer
    }

    fn cells(&self) -> (u16, u16) {
        let (columns, rows, ..) = self.window.unwrap_or_default();
        cells(columns, rows)
    }

    /// All of it for a host, with the terminal's size of now, and what was typed.
    fn held(&mut self, typed: Vec<u8>) -> Held {
        let mut messages = std::mem::take(&mut self.messages);
        for message in &mut messages {
            if let (ChannelMsg::RequestPty { col_width, row_height, pix_width, pix_height, .. }, Some(window)) = (message, self.window) {
                (*col_width, *row_height, *pix_width, *pix_height) = window;
            }
        }
        if !typed.is_empty() {
            messages.push(ChannelMsg::Data { data: Bytes::from(typed) });
        }
        let answered = messages.len();
        Held { messages, pty: true, asked: true, gone: false, answered }
    }
}

fn defect() -> Failure {
    Failure::new(Exit::Failed, "a defect of the broker ended this screen", "tell whoever runs this broker")
}

/// Sends, unless the client is gone: it opens its window for nobody then.
async fn send(channel: &ClientChannel, seat: &Seat, bytes: Bytes) -> bool {
    tokio::select! {
        biased;
        () = seat.closed().cancelled() => false,
        sent = channel.data_bytes(bytes) => sent.is_ok(),
    }
}

/// A channel with a picker on it.
struct Stand {
    guest: AtConsole,
    channel: ClientChannel,
    seat: Seat,
    asked: Asked,
    picker: Picker,
    keys: Keys,
    size: watch::Sender<(u16, u16)>,
    bell: watch::Receiver<u64>,
    /// Whether the hosts are to be read anew, whatever the bell says.
    stale: bool,
}

impl Stand {
    /// The screen, until something comes of it.
    async fn show(&mut self) -> Next {
        if !self.write(ENTER.to_owned()).await {
            return Next::Gone;
        }
        let (desk, user) = (self.guest.door.desk.clone(), self.guest.caller.user);
        let mut inbox = desk.inbox(user);
        let mut loads: JoinSet<Result<Choices, Error>> = JoinSet::new();
        let (mut again, mut rung) = (std::mem::take(&mut self.stale), true);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut since_look, mut rest) = (0, Instant::now());
        let mut ended = false;
        let mut at = Instant::now();
        let (columns, rows) = *self.size.borrow();
        let Ok::<_, Infallible>(mut terminal) = Terminal::new(Screen::new(Size::new(columns, rows)));
        loop {
            while let Some(key) = self.keys.take() {
                let picker = &mut self.picker;
                let Ok(wish) = catch_unwind(AssertUnwindSafe(|| picker.key(&key, at))) else { return Next::Failed(defect()) };
                match wish {
                    Some(Wish::Connect(target)) => return Next::Connect(target, self.keys.rest()),
                    Some(Wish::Leave) => return Next::Left,
                    Some(Wish::Anew) => again = true,
                    Some(Wish::Inbox) => {
                        if let Some(next) = self.inbox().await {
                            return next;
                        }
                        if !self.write(ENTER.to_owned()).await {
                            return Next::Gone;
                        }
                    }
                    None => continue,
                }
                let (columns, rows) = *self.size.borrow();
                let Ok::<_, Infallible>(fresh) = Terminal::new(Screen::new(Size::new(columns, rows)));
                terminal = fresh;
                if !self.write("\x1b[0m\x1b[H\x1b[2J".to_owned()).await {
                    return Next::Gone;
                }
            }
            if ended {
                return Next::Left;
            }
            if again && loads.is_empty() {
                again = false;
                let (desk, caller) = (desk.clone(), self.guest.caller.clone());
                let pause = rest.saturating_duration_since(Instant::now());
                loads.spawn(async move {
                    tokio::time::sleep(pause).await;
                    desk.choices(&caller).await
                });
            }
            self.picker.tick(desk.clock().now(), desk.waiting(user).0);
            let picker = &mut self.picker;
            let drawn = catch_unwind(AssertUnwindSafe(|| {
                let Ok::<_, Infallible>(_) = terminal.draw(|frame| picker.draw(frame));
            }));
            if drawn.is_err() {
                return Next::Failed(defect());
            }
            if !self.write(terminal.backend_mut().take()).await {
                return Next::Gone;
            }
            self.picker.drawn(Instant::now());
            tokio::select! {
                message = self.channel.wait() => {
                    at = Instant::now();
                    match message {
                        Some(ChannelMsg::Data { data }) => self.keys.push(&data),
                        Some(ChannelMsg::Eof) => ended = true,
                        Some(ChannelMsg::Close) | None => return Next::Gone,
                        Some(message) => {
                            self.late(message).await;
                            let (columns, rows) = *self.size.borrow();
                            terminal.backend_mut().resize(Size::new(columns, rows));
                        }
                    }
                }
                () = tokio::time::sleep(ESCAPE), if self.keys.waits() => {
                    at = Instant::now();
                    if let Some(key) = self.keys.idle()
                        && self.picker.key(&key, at) == Some(Wish::Leave)
                    {
                        return Next::Left;
                    }
                }
                changed = self.bell.changed(), if rung => {
                    rung = changed.is_ok();
                    again = true;
                }
                changed = inbox.changed() => if changed.is_err() {
                    return Next::Gone;
                },
                _ = ticks.tick() => {
                    since_look += 1;
                    if since_look >= LOOK {
                        since_look = 0;
                        again = true;
                    }
                }
                Some(loaded) = loads.join_next() => {
                    rest = Instant::now() + REST;
                    match loaded {
                        Ok(Ok(choices)) => self.picker.changed(choices),
                        // The list is a help: whoever connects is decided about, or is told the same.
                        Ok(Err(error)) if error.kind() == Kind::Unavailable => self.picker.told(&error.to_string()),
                        Ok(Err(error)) => return Next::Failed(Failure::of(&error)),
                        Err(_) => return Next::Failed(defect()),
                    }
                }
            }
        }
    }

    /// The inbox in the picker's place. `Some`: nobody types any more, so no picker stands behind it.
    async fn inbox(&mut self) -> Option<Next> {
        let (keys, typed) = mpsc::channel(16);
        let (screen, mut shown) = mpsc::channel(4);
        let interlude = Interlude { keys: typed, screen, size: self.size.subscribe(), plain: self.asked.plain };
        let showing = notices::show(Arc::clone(&self.guest.door), self.guest.caller.clone(), interlude);
        tokio::pin!(showing);
        let rest = self.keys.rest();
        let mut keys = Some(keys);
        if let (Some(keys), false) = (&keys, rest.is_empty()) {
            let _ = keys.try_send(Bytes::from(rest));
        }
        let (mut runs, mut next) = (true, None);
        loop {
            tokio::select! {
                piece = shown.recv() => match piece {
                    Some(piece) => if !send(&self.channel, &self.seat, piece).await {
                        return Some(Next::Gone);
                    },
                    None if self.seat.closed().is_cancelled() => return Some(Next::Gone),
                    None => return next,
                },
                () = &mut showing, if runs => runs = false,
                message = self.channel.wait(), if keys.is_some() => match message {
                    // Keys that nobody takes in time are dropped: they were typed at a screen that was not there yet.
                    Some(ChannelMsg::Data { data }) => drop(keys.as_ref().map(|keys| keys.try_send(data))),
                    Some(ChannelMsg::Eof) => (keys, next) = (None, Some(Next::Left)),
                    Some(ChannelMsg::Close) | None => (keys, next) = (None, Some(Next::Gone)),
                    Some(message) => drop(self.late(message).await),
                },
            }
        }
    }

    /// Gives the channel to the host. It comes back if there is no connection; `None`: the channel has its end, or the session that
    /// took it ends it.
    async fn connect(mut self, target: Target, typed: Vec<u8>) -> Option<Self> {
        let guest = &self.guest;
        let Target { workspace, host, credential, actions } = target;
        let mut line = match &credential {
            Some(credential) => format!("{LEAVE}keyward: connecting to {host} with {credential} (Ctrl-C: back)\r\n"),
            None => format!("{LEAVE}keyward: connecting to {host} (Ctrl-C: back)\r\n"),
        };
        if self.asked.x11 && !actions.has(Action::X11) {
            line.push_str(&format!("keyward: X11 is not granted to you on {host}\r\n"));
        }
        let _ = send(&self.channel, &self.seat, Bytes::from(line)).await;
        let door = &guest.door;
        let (arrive, arrivals) = mpsc::channel(4);
        guest.sitting.add(arrive);
        // From before it is opened until the session is over.
        let _visiting = sessions::visiting(&door.rooms, guest.user.id);
        // What belongs to no channel was asked for before there was a host, and answered.
        let (_asks, asks) = Asks::new();
        let (back, returned) = oneshot::channel();
        let held = self.asked.held(typed);
        let chosen = Chosen { channel: self.channel, held, seat: self.seat, back };
        let visit = Visit {
            asked: asks,
            by_agent: None,
            chosen: Some((chosen, guest.user.clone())),
            notices: notices::begin(door, Caller { workspace: workspace.clone(), ..guest.caller.clone() }, &guest.config.tuning),
            user: guest.user.id,
            user_name: guest.user.name.clone(),
            key: guest.key.clone(),
            workspace,
            host: host.clone(),
            credential,
            client: guest.client,
            calling: guest.calling.clone(),
            arrivals,
            handle: guest.handle.clone(),
            login: None,
        };
        #[allow(clippy::disallowed_methods)] // `open` sees the panics of the session
        tokio::spawn(open(door.rooms.clone(), visit));
        let Back { channel, held, seat, sentence } = returned.await.ok()?;
        let mut stand = Self { channel, seat, keys: Keys::default(), stale: true, ..self };
        let mut text = String::new();
        for line in sentence.iter().flat_map(|sentence| sentence.lines()) {
            text.push_str(&format!("keyward: {}\r\n", printable(line, LONGEST)));
        }
        if !stand.returns(held).await {
            // Nobody is left to choose another host, and the client waits for an end, or for the answer to its own.
            stand.closes(NO_HOST, &text).await;
            return None;
        }
        if let Some(sentence) = sentence {
            stand.write(text).await;
            stand.picker.failed(&host, &sentence);
        }
        Some(stand)
    }

    /// Takes up again what a host was to have. What was typed for it chooses no other host. False: the client is gone.
    async fn returns(&mut self, held: Held) -> bool {
        let gone = held.gone;
        let mut late = Vec::new();
        for (at, message) in held.messages.into_iter().enumerate() {
            // What is kept has its answer, and data is nobody's any more.
            if at < held.answered {
                let _ = self.asked.takes(message);
            } else {
                late.push(message);
            }
        }
        for message in late {
            if !self.late(message).await {
                return false;
            }
        }
        loop {
            let message = tokio::select! {
                biased;
                message = self.channel.wait() => message.unwrap_or(ChannelMsg::Close),
                () = std::future::ready(()) => break,
            };
            if !self.late(message).await {
                return false;
            }
        }
        !gone && !self.seat.closed().is_cancelled()
    }

    /// Takes what comes when the picker stands already: the size of the terminal. What no host will hear of is refused. False: it was
    /// the last.
    async fn late(&mut self, message: ChannelMsg) -> bool {
        match message {
            ChannelMsg::Close | ChannelMsg::Eof => return false,
            message @ ChannelMsg::WindowChange { .. } => {
                let _ = self.asked.takes(message);
                self.size.send_replace(self.asked.cells());
            }
            // Answered by the handler already.
            ChannelMsg::AgentForward { .. } => {}
            message if relay::wants_reply(&message) => self.guest.answer(&self.channel, false).await,
            _ => {}
        }
        true
    }

    /// Leaves the screen and ends the channel.
    async fn end(self, status: u32, text: &str) {
        self.closes(status, &format!("{LEAVE}{text}")).await;
    }

    /// Ends the channel. russh closes none by itself: one that is only dropped stays open, and its client waits.
    async fn closes(self, status: u32, text: &str) {
        self.write(text.to_owned()).await;
        let _ = self.channel.exit_status(status).await;
        let _ = self.channel.eof().await;
        let _ = self.channel.close().await;
    }

    /// Writes on the person's screen. False: the client is gone.
    async fn write(&self, text: String) -> bool {
        text.is_empty() || send(&self.channel, &self.seat, Bytes::from(text)).await
    }
}
