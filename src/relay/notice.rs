//! Tells a person at a shell on a terminal that something waits for them, and lends their screen to whoever shows it. Knows
//! nothing of what waits; while nothing does, no byte is touched.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Mutex, MutexGuard, Notify, mpsc, watch};

use super::say::ToClient;
use super::tracker::{Place, Tracker};

/// How long a host may be inside a sequence until the screen is lent all the same.
const PATIENCE: Duration = Duration::from_secs(1);
/// The first screen, a cursor, and pastes without brackets.
const LEAVE: &str = "\x1b[0m\x1b[?2004l\x1b[?25h\x1b[?1049l";
/// Keeps the title that is there, for [`TITLE_BACK`].
const TITLE_AWAY: &str = "\x1b[22;2t";
/// Brings it back; a terminal that keeps none shows a harmless one.
const TITLE_BACK: &str = "\x1b]2;keyward\x07\x1b[23;2t";

/// What waits for a person, as their terminal tells it. The texts are printable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// How much waits; with nothing the rest means nothing.
    pub waiting: usize,
    /// For the terminal's title.
    pub title: String,
    /// For a line of its own.
    pub line: String,
    /// Grows with every news; each is told once.
    pub number: u64,
}

/// How a person is told.
#[derive(Clone, Debug)]
pub struct Notices {
    /// What waits now.
    pub now: watch::Receiver<Notice>,
    /// Who shows more when the person asks for it.
    pub interludes: mpsc::Sender<Interlude>,
    /// The key that, with `i` behind it, asks for it; alive only while something waits.
    pub escape: Option<u8>,
}

/// A person's terminal, lent.
#[derive(Debug)]
pub struct Interlude {
    /// What they type.
    pub keys: mpsc::Receiver<Bytes>,
    /// What is shown to them. Dropped: it is over.
    pub screen: mpsc::Sender<Bytes>,
    /// Columns and rows of their terminal.
    pub size: watch::Receiver<(u16, u16)>,
    /// Whether they want no colours.
    pub plain: bool,
}

/// The other ends of an [`Interlude`].
pub(super) struct Lent {
    pub(super) keys: mpsc::Sender<Bytes>,
    pub(super) screen: mpsc::Receiver<Bytes>,
}

/// The terminal of one channel, looked after.
#[derive(Debug)]
pub(super) struct Lookout {
    notices: Notices,
    live: AtomicBool,
    plain: AtomicBool,
    dumb: AtomicBool,
    lent: AtomicBool,
    armed: AtomicBool,
    /// Whoever writes on the person's screen holds it.
    screen: Mutex<Tracker>,
    /// Rung when the host's output has come to the end of something.
    ground: Notify,
    size: watch::Sender<(u16, u16)>,
}

impl Lookout {
    pub(super) fn new(notices: Notices) -> Self {
        Self {
            notices,
            live: AtomicBool::new(false),
            plain: AtomicBool::new(false),
            dumb: AtomicBool::new(false),
            lent: AtomicBool::new(false),
            armed: AtomicBool::new(false),
            screen: Mutex::default(),
            ground: Notify::new(),
            size: watch::channel((80, 24)).0,
        }
    }

    /// A shell has started on a terminal.
    pub(super) fn shell_begins(&self) {
        self.live.store(!self.dumb.load(Ordering::Relaxed), Ordering::SeqCst);
    }

    pub(super) fn is_live(&self) -> bool {
        self.live.load(Ordering::SeqCst)
    }

    pub(super) fn terminal(&self, kind: &str) {
        self.dumb.store(matches!(kind, "" | "dumb"), Ordering::Relaxed);
    }

    pub(super) fn variable(&self, name: &str, value: &str) {
        if name == "NO_COLOR" && !value.is_empty() {
            self.plain.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn resized(&self, columns: u32, rows: u32) {
        let cells = |n: u32, usual: u16| u16::try_from(n).ok().filter(|n| *n > 0).unwrap_or(usual);
        self.size.send_replace((cells(columns, 80), cells(rows, 24)));
    }

    /// What of these typed bytes goes to the host. With a second part the person has asked to look, and typed that since.
    pub(super) fn typed(&self, data: &Bytes) -> (Bytes, Option<Bytes>) {
        let Some(escape) = self.notices.escape else { return (data.clone(), None) };
        let alive = self.notices.now.borrow().waiting > 0;
        let mut armed = self.armed.swap(false, Ordering::Relaxed);
        if !armed && (!alive || !data.contains(&escape)) {
            return (data.clone(), None);
        }
        let mut pass = Vec::with_capacity(data.len() + 1);
        for (i, byte) in data.iter().enumerate() {
            match (std::mem::take(&mut armed), *byte) {
                (true, b'i') => return (pass.into(), Some(data.slice(i + 1..))),
                // Twice is once.
                (true, byte) if byte == escape => pass.push(escape),
                (true, byte) => pass.extend([escape, byte]),
                (false, byte) if byte == escape && alive => armed = true,
                (false, byte) => pass.push(byte),
            }
        }
        self.armed.store(armed, Ordering::Relaxed);
        (pass.into(), None)
    }

    /// The escape that nothing came behind, when nothing more can come.
    pub(super) fn held_back(&self) -> Option<Bytes> {
        let armed = self.armed.swap(false, Ordering::Relaxed);
        self.notices.escape.filter(|_| armed).map(|escape| Bytes::from(vec![escape]))
    }

    /// Asks for somebody who shows what waits; nobody may have time.
    pub(super) fn call(&self) -> Option<Lent> {
        let ((keys, typed), (shown, screen)) = (mpsc::channel(64), mpsc::channel(4));
        let plain = self.plain.load(Ordering::Relaxed);
        let interlude = Interlude { keys: typed, screen: shown, size: self.size.subscribe(), plain };
        self.notices.interludes.try_send(interlude).ok()?;
        Some(Lent { keys, screen })
    }

    /// The screen, between two whole things of the host. Its output is held back until the guard is dropped.
    pub(super) async fn lend(&self, to: &ToClient) -> MutexGuard<'_, Tracker> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let grounded = self.ground.notified();
            let tracker = self.screen.lock().await;
            if tracker.is_at(Place::Ground, Instant::now()) {
                self.lent.store(true, Ordering::SeqCst);
                return tracker;
            }
            drop(tracker);
            if tokio::time::timeout_at(deadline, grounded).await.is_err() {
                // It may never end: the terminal is told to forget its beginning.
                let tracker = self.screen.lock().await;
                let _ = to.data_bytes(&b"\x18"[..]).await;
                self.lent.store(true, Ordering::SeqCst);
                return tracker;
            }
        }
    }

    /// The screen comes back.
    pub(super) async fn returned(&self, tracker: MutexGuard<'_, Tracker>, to: &ToClient) {
        let _ = to.data_bytes(tracker.restored().into_bytes()).await;
        self.lent.store(false, Ordering::SeqCst);
    }

    /// The channel ends: if the screen is lent, it is put back first.
    pub(super) async fn ends(&self, to: &ToClient) {
        if self.lent.load(Ordering::SeqCst) {
            let _ = to.data_bytes(LEAVE.as_bytes()).await;
        }
    }

    pub(super) fn columns_and_rows(&self) -> (u16, u16) {
        *self.size.borrow()
    }
}

/// What a person was told on one channel.
#[derive(Debug)]
pub(super) struct Teller<'a> {
    lookout: &'a Lookout,
    now: watch::Receiver<Notice>,
    rung: u64,
    lined: u64,
    titled: usize,
}

impl<'a> Teller<'a> {
    pub(super) fn new(lookout: &'a Lookout) -> Self {
        Self { lookout, now: lookout.notices.now.clone(), rung: 0, lined: 0, titled: 0 }
    }

    /// Resolves when there is something else to tell.
    pub(super) async fn changed(&mut self) {
        if self.now.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Passes what the host wrote to the client, every byte as it is, and tells in between what is to be told.
    pub(super) async fn pass(&mut self, mut data: Bytes, to: &ToClient) -> Result<(), russh::Error> {
        let mut tracker = self.lookout.screen.lock().await;
        while let Some(place) = self.due() {
            if let Some(text) = self.telling(&tracker) {
                to.data_bytes(text.into_bytes()).await?;
                continue;
            }
            match tracker.feed_to(&data, place, Instant::now()) {
                Some(length) => to.data_bytes(data.split_to(length.min(data.len()))).await?,
                // All of it is followed, and no such place was in it.
                None => return self.rest(data, &tracker, to).await,
            }
        }
        tracker.feed(&data, Instant::now());
        self.rest(data, &tracker, to).await
    }

    async fn rest(&self, data: Bytes, tracker: &Tracker, to: &ToClient) -> Result<(), russh::Error> {
        if tracker.is_at(Place::Ground, Instant::now()) {
            self.lookout.ground.notify_waiters();
        }
        if data.is_empty() { Ok(()) } else { to.data_bytes(data).await }
    }

    /// Tells what can be told where the output stands now.
    pub(super) async fn tell(&mut self, to: &ToClient) {
        let tracker = self.lookout.screen.lock().await;
        while let Some(text) = self.telling(&tracker) {
            if to.data_bytes(text.into_bytes()).await.is_err() {
                return;
            }
        }
    }

    /// The host's program has ended: the title is the person's again.
    pub(super) async fn ends(&mut self, to: &ToClient) {
        if std::mem::take(&mut self.titled) > 0 {
            let _ = to.data_bytes(TITLE_BACK.as_bytes()).await;
        }
    }

    /// Where the next thing that is due can be told.
    fn due(&self) -> Option<Place> {
        let now = self.now.borrow();
        if now.waiting != self.titled || (now.waiting > 0 && now.number > self.rung) {
            return Some(Place::Ground);
        }
        (now.waiting > 0 && now.number > self.lined).then_some(Place::Line)
    }

    /// What is due and can be told right here.
    fn telling(&mut self, tracker: &Tracker) -> Option<String> {
        let place = self.due().filter(|place| tracker.is_at(*place, Instant::now()))?;
        let now = self.now.borrow().clone();
        if place == Place::Line {
            self.lined = now.number;
            return Some(format!("{}\r\n", now.line));
        }
        let mut text = String::new();
        match (self.titled, now.waiting) {
            (0, 0) => {}
            (_, 0) => text.push_str(TITLE_BACK),
            (before, _) => {
                if before == 0 {
                    text.push_str(TITLE_AWAY);
                }
                text.push_str(&format!("\x1b]2;{}\x07", now.title));
            }
        }
        self.titled = now.waiting;
        if now.waiting > 0 && now.number > self.rung {
            self.rung = now.number;
            text.push('\x07');
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookout(waiting: usize) -> (watch::Sender<Notice>, Lookout) {
        let (say, now) = watch::channel(Notice { waiting, title: "t".to_owned(), line: "l".to_owned(), number: 1 });
        (say, Lookout::new(Notices { now, interludes: mpsc::channel(1).0, escape: Some(0x1d) }))
    }

    fn typed(lookout: &Lookout, text: &'static [u8]) -> (Vec<u8>, Option<Vec<u8>>) {
        let (pass, keys) = lookout.typed(&Bytes::from_static(text));
        (pass.to_vec(), keys.map(|k| k.to_vec()))
    }

    #[test]
    fn the_escape_lives_only_while_something_waits() {
        let (say, lookout) = lookout(0);
        assert_eq!(typed(&lookout, b"a\x1dib"), (b"a\x1dib".to_vec(), None));
        say.send_modify(|n| n.waiting = 1);
        assert_eq!(typed(&lookout, b"a\x1dib"), (b"a".to_vec(), Some(b"b".to_vec())));
        assert_eq!(typed(&lookout, b"a\x1d"), (b"a".to_vec(), None));
        assert_eq!(typed(&lookout, b"i"), (vec![], Some(vec![])));
        assert_eq!(typed(&lookout, b"\x1d\x1dx\x1dy"), (b"\x1dx\x1dy".to_vec(), None));
        assert_eq!(typed(&lookout, b"\x1d"), (vec![], None));
        say.send_modify(|n| n.waiting = 0);
        assert_eq!(typed(&lookout, b"z\x1d"), (b"\x1dz\x1d".to_vec(), None), "what was held back is not lost");
        say.send_modify(|n| n.waiting = 1);
        assert_eq!(typed(&lookout, b"\x1d").0, b"");
        assert_eq!(lookout.held_back().as_deref(), Some(&b"\x1d"[..]));
        assert_eq!(lookout.held_back(), None);
    }

    #[test]
    fn each_news_is_told_once_and_where_it_fits() {
        let (say, lookout) = lookout(1);
        let mut teller = Teller::new(&lookout);
        let mut tracker = Tracker::default();
        tracker.feed(b"$ l", Instant::now());
        assert_eq!(teller.telling(&tracker).as_deref(), Some("\x1b[22;2t\x1b]2;t\x07\x07"));
        assert_eq!((teller.telling(&tracker), teller.due()), (None, Some(Place::Line)));
        tracker.feed(b"s\r\n", Instant::now());
        assert_eq!(teller.telling(&tracker).as_deref(), Some("l\r\n"));
        assert_eq!((teller.telling(&tracker), teller.due()), (None, None));
        say.send_modify(|n| (n.waiting, n.number) = (2, 2));
        tracker.feed(b"\x1b[", Instant::now());
        assert_eq!(teller.telling(&tracker), None, "inside a sequence");
        tracker.feed(b"m", Instant::now());
        assert_eq!(teller.telling(&tracker).as_deref(), Some("\x1b]2;t\x07\x07"));
        say.send_modify(|n| n.waiting = 0);
        assert_eq!(teller.telling(&tracker).as_deref(), Some(TITLE_BACK));
        assert_eq!(teller.due(), None, "a line about what waits no more is not told");
    }
}
