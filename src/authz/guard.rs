//! What is in force changes while people are connected: whoever changes it rings here, sessions listen and decide anew.

use tokio::sync::watch;

/// The bell. Clones ring and hear the same one.
#[derive(Clone, Debug)]
pub struct Guard(watch::Sender<u64>);

impl Default for Guard {
    fn default() -> Self {
        Self(watch::channel(0).0)
    }
}

impl Guard {
    /// What says that persons, groups, hosts, credentials or grants changed. It is handed to whoever commits the change and called there:
    /// a caller who leaves between the two cannot leave sessions untold.
    pub fn bell<T: 'static>(&self) -> impl FnOnce(&T) + Send + 'static + use<T> {
        let bell = self.0.clone();
        move |_| bell.send_modify(|n| *n = n.wrapping_add(1))
    }

    /// Hears every ring from now on; several at once count as one.
    pub fn listen(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}
