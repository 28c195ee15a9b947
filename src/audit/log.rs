//! The log: writes entries, in the transaction of the change that they tell of.

use rusqlite::Connection;

use super::chain;
use crate::clock::Clock;
use crate::fault::{Fault, Kind};
use crate::model::Event;
use crate::store::{self, Store, audit_log};

/// A value whose audit entry is on the disk. Only this room makes one.
#[must_use]
#[derive(Debug)]
pub struct Audited<T> {
    subject: T,
    seq: u64,
}

impl<T> Audited<T> {
    /// What was audited.
    pub fn get(&self) -> &T {
        &self.subject
    }
    /// What was audited; the proof is spent.
    pub fn into_inner(self) -> T {
        self.subject
    }
    /// The number of its entry.
    pub fn seq(&self) -> u64 {
        self.seq
    }
}

/// Why nothing could be witnessed. Whoever gets it must not go on.
#[derive(Debug, thiserror::Error)]
#[error("the audit log cannot be written: {0}")]
pub struct Error(#[from] pub store::Error);

impl Fault for Error {
    fn kind(&self) -> Kind {
        Kind::Unavailable
    }
    fn hint(&self) -> Option<String> {
        self.0.hint()
    }
}

/// The log. Clones write the same one.
#[derive(Clone, Debug)]
pub struct Log {
    store: Store,
    clock: Clock,
}

impl Log {
    /// The log in this ledger.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Records something that happened.
    ///
    /// # Errors
    /// [`Error`]: nothing was recorded.
    pub async fn record(&self, event: Event) -> Result<u64, Error> {
        Ok(self.commit(event, ()).await?.seq)
    }

    /// Records what is about to be done, and has it done: `act` is called once the entry is on the disk, by the ledger's writer, whether
    /// or not the caller is still there. Whoever leaves in between leaves no entry of what was not done. It must not block.
    ///
    /// # Errors
    /// [`Error`]: nothing was recorded, and `act` is not called; unless the ledger was too slow to say so in time.
    pub async fn record_then(&self, event: Event, act: impl FnOnce() + Send + 'static) -> Result<u64, Error> {
        let clock = self.clock.clone();
        let recorded = self.store.append_heard(move |c| append(c, &clock, &event), move |_| act());
        Ok(recorded.await?)
    }

    /// Records an intent; the value comes back as a proof once the entry is durable.
    ///
    /// # Errors
    /// [`Error`]: nothing was recorded, and there is no proof.
    pub async fn commit<T>(&self, event: Event, subject: T) -> Result<Audited<T>, Error> {
        self.commit_with(event, subject, |_| Ok(())).await
    }

    /// As [`Log::commit`], with rows that are not sealed written in the same transaction.
    ///
    /// # Errors
    /// [`Error`]: neither rows nor entry were written.
    pub async fn commit_with<T>(
        &self,
        event: Event,
        subject: T,
        rows: impl FnOnce(&Connection) -> Result<(), store::Error> + Send + 'static,
    ) -> Result<Audited<T>, Error> {
        let clock = self.clock.clone();
        let seq = self
            .store
            .append(move |c| -> Result<u64, store::Error> {
                rows(c)?;
                append(c, &clock, &event)
            })
            .await?;
        Ok(Audited { subject, seq })
    }

    /// As [`Log::commit_with`], with several entries: all of them, with the rows, or none.
    ///
    /// # Errors
    /// [`Error`]: neither rows nor entries were written.
    pub async fn commit_all<T>(
        &self,
        events: Vec<Event>,
        subject: T,
        rows: impl FnOnce(&Connection) -> Result<(), store::Error> + Send + 'static,
    ) -> Result<Audited<T>, Error> {
        let clock = self.clock.clone();
        let seq = self
            .store
            .append(move |c| -> Result<u64, store::Error> {
                rows(c)?;
                events.iter().try_fold(0, |_, event| append(c, &clock, event))
            })
            .await?;
        Ok(Audited { subject, seq })
    }

    /// Changes sealed rows and records the change, in one transaction. `change` returns what it made and the events that tell of it.
    ///
    /// # Errors
    /// `change`'s error, or the store's: then neither rows nor entries were written.
    pub async fn change<T, E>(
        &self,
        change: impl FnOnce(&Connection) -> Result<(T, Vec<Event>), E> + Send + 'static,
    ) -> Result<Audited<T>, E>
    where
        T: Send + 'static,
        E: From<store::Error> + Send + 'static,
    {
        self.change_heard(|_| (), change).await
    }

    /// As [`Log::change`], for a change that others must hear of. `committed` is called with what `change` made once that is on the
    /// disk, whether or not the caller is still there: whoever leaves in between leaves nobody untold. It must not block.
    ///
    /// # Errors
    /// As [`Log::change`]; then `committed` is not called.
    pub async fn change_heard<T, E>(
        &self,
        committed: impl FnOnce(&T) + Send + 'static,
        change: impl FnOnce(&Connection) -> Result<(T, Vec<Event>), E> + Send + 'static,
    ) -> Result<Audited<T>, E>
    where
        T: Send + 'static,
        E: From<store::Error> + Send + 'static,
    {
        self.changed(committed, change, |_| Ok(())).await
    }

    /// As [`Log::change`], with something to be done last in the transaction, when nothing can fail any more but the commit.
    /// It gets the number of the newest entry.
    ///
    /// # Errors
    /// As [`Log::change`]; `last`'s error.
    pub async fn change_then<T, E>(
        &self,
        change: impl FnOnce(&Connection) -> Result<(T, Vec<Event>), E> + Send + 'static,
        last: impl FnOnce(u64) -> Result<(), E> + Send + 'static,
    ) -> Result<Audited<T>, E>
    where
        T: Send + 'static,
        E: From<store::Error> + Send + 'static,
    {
        self.changed(|_| (), change, last).await
    }

    async fn changed<T, E>(
        &self,
        committed: impl FnOnce(&T) + Send + 'static,
        change: impl FnOnce(&Connection) -> Result<(T, Vec<Event>), E> + Send + 'static,
        last: impl FnOnce(u64) -> Result<(), E> + Send + 'static,
    ) -> Result<Audited<T>, E>
    where
        T: Send + 'static,
        E: From<store::Error> + Send + 'static,
    {
        let clock = self.clock.clone();
        let (subject, seq) = self
            .store
            .change_heard(
                move |c| -> Result<(T, u64), E> {
                    let (subject, events) = change(c)?;
                    let mut seq = 0;
                    for event in &events {
                        seq = append(c, &clock, event)?;
                    }
                    last(seq)?;
                    Ok((subject, seq))
                },
                move |(subject, _)| committed(subject),
            )
            .await?;
        Ok(Audited { subject, seq })
    }

    /// The number of the newest entry; 0 if there is none.
    ///
    /// # Errors
    /// What the store says.
    pub async fn newest(&self) -> Result<u64, store::Error> {
        self.store.read(|c| Ok::<_, store::Error>(audit_log::last(c)?.map_or(0, |e| e.seq))).await
    }
}

fn append(c: &Connection, clock: &Clock, event: &Event) -> Result<u64, store::Error> {
    let entry = chain::next(audit_log::last(c)?.as_ref(), clock.now(), chain::body(event));
    audit_log::insert(c, &entry)?;
    Ok(entry.seq)
}
