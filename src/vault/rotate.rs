//! Keys are replaced: scopes' keys batch by batch, the root key in one transaction of the caller's. What was wrapped leaves
//! the keeper only wrapped anew. Never writes a row itself; writes the root key's file, in steps that a crash may cut anywhere.

use std::path::{Path, PathBuf};

use super::envelope::{self, KEY, Place};
use super::error::Error;
use super::exchange::RootName;
use super::keeper::Keeper;
use super::ring::{Ring, system};
use super::root::{Source, file};
use super::wrapped::{Renewed, Search, UNDER_KEK, UNDER_ROOT};
use super::{Vault, root_file};
use crate::audit::hand_over;
use crate::model::Scope;
use crate::store::credentials::KekRow;
use crate::store::{self, keys, state};

/// Blobs that the keeper wraps anew in one go: sign-ins wait for it no longer than a millisecond or two.
const PIECE: usize = 256;

/// A root key that is to take another one's place.
#[derive(Clone, Debug)]
pub struct Handover {
    /// The one in force.
    pub from: RootName,
    /// The one that follows.
    pub to: RootName,
    /// The old checkpoint key's signature over [`hand_over`], in which it names the new one.
    pub from_signs: Vec<u8>,
    /// The new checkpoint key's over the same.
    pub to_signs: Vec<u8>,
}

impl Vault {
    /// The root key in force.
    ///
    /// # Errors
    /// [`Error::KeeperStopped`].
    pub async fn root_name(&self) -> Result<RootName, Error> {
        self.keeper.ask(Ring::root_name).await
    }

    /// A new version of a scope's key.
    ///
    /// # Errors
    /// [`Error::System`].
    pub async fn new_kek(&self, scope: Scope, version: u32) -> Result<KekRow, Error> {
        let make = move |ring: &Ring| {
            let key = system(envelope::random(KEY))?;
            let wrapped = system(envelope::seal(&ring.root, &Place::kek(&ring.vault, &scope, version), &key))?;
            Ok(KekRow { scope, version, wrapped })
        };
        self.keeper.ask(make).await
    }

    /// Wraps anew, with `newest`, at most `most` of what older versions of its scope's key wrap. Nothing: all is done.
    /// The caller writes what comes back, and keeps others from sealing with an older version meanwhile.
    ///
    /// # Errors
    /// [`Error::Tampered`] if something does not open.
    pub async fn renew(&self, newest: KekRow, most: u32) -> Result<Vec<Renewed>, Error> {
        for table in UNDER_KEK {
            let (scope, version) = (newest.scope.clone(), newest.version);
            let read = move |c: &rusqlite::Connection| -> Result<_, store::Error> {
                let vault = keys::vault_id(c)?;
                let search = Search { vault: &vault, scope: &scope, newest: version, most };
                Ok((table.stale(c, &search)?, keys::versions(c, &scope)?))
            };
            let (stale, versions) = self.store.read(read).await?;
            if stale.is_empty() {
                continue;
            }
            let mut renewed = Vec::with_capacity(stale.len());
            let mut rest = stale.into_iter().peekable();
            while rest.peek().is_some() {
                let piece: Vec<_> = rest.by_ref().take(PIECE).collect();
                let (versions, newest) = (versions.clone(), newest.clone());
                let work = move |ring: &Ring| {
                    let new = ring.kek(&newest)?;
                    let olds = versions.iter().map(|v| Ok((v.version, ring.kek(v)?))).collect::<Result<Vec<_>, Error>>()?;
                    piece
                        .into_iter()
                        .map(|stale| {
                            let old = olds.iter().find(|(version, _)| *version == stale.version);
                            let (_, old) = old.ok_or_else(|| ring.tampered(super::error::Tampering::Kek))?;
                            let blob = ring.rewrap(old, &new, &stale.before, &stale.after, &stale.blob)?;
                            Ok(table.renewed(stale, newest.version, blob))
                        })
                        .collect::<Result<Vec<_>, Error>>()
                };
                renewed.extend(self.keeper.ask(work).await?);
            }
            return Ok(renewed);
        }
        Ok(Vec::new())
    }

    /// Whether a version of the scope's key before this one still wraps something, in the caller's snapshot.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn wraps_before(c: &rusqlite::Connection, newest: &KekRow) -> Result<bool, store::Error> {
        let vault = keys::vault_id(c)?;
        let search = Search { vault: &vault, scope: &newest.scope, newest: newest.version, most: 1 };
        UNDER_KEK.iter().try_fold(false, |found, table| Ok(found || !table.stale(c, &search)?.is_empty()))
    }

    /// Makes the next root key, in a file beside the one in use. Nothing hangs on it yet; [`Vault::give_up_root`] takes it back.
    ///
    /// # Errors
    /// [`Error::RootKey`]: for instance because a rotation that a crash cut off has left its file there.
    pub async fn next_root(&self) -> Result<Handover, Error> {
        let path = self.root_file()?;
        let make = move |ring: &mut Ring| {
            let from = ring.root_name()?;
            let next = root_file::next(&path);
            if file::exists(&next)? {
                return Err(Error::RotationCutOff { next });
            }
            // First the file that a crash may leave without harm, then the key.
            root_file::keep(&path, &from.id)?;
            let to = Source::File(next).make(None).map_err(Error::from).and_then(|root| ring.expect(root));
            let to = match to {
                Ok(to) => to,
                Err(e) => {
                    let _ = root_file::undo(&path, &from.id);
                    return Err(e);
                }
            };
            let message = hand_over(&ring.vault, &from.checkpoint_key, &to.checkpoint_key);
            let (from_signs, to_signs) = ring.hand_over(&message).ok_or(Error::System("a signature"))?;
            Ok(Handover { from, to, from_signs, to_signs })
        };
        self.keeper.ask_mut(make).await
    }

    /// Wraps with the next root key everything that the one in force wraps, as it stands now.
    ///
    /// # Errors
    /// [`Error::Tampered`] if something does not open.
    pub async fn renew_under_root(&self) -> Result<Vec<Renewed>, Error> {
        let mut renewed = Vec::new();
        for table in UNDER_ROOT {
            let rows = self.store.read(move |c| table.all(c, &keys::vault_id(c)?)).await?;
            let mut rest = rows.into_iter().peekable();
            while rest.peek().is_some() {
                let piece: Vec<_> = rest.by_ref().take(PIECE).collect();
                let work = move |ring: &Ring| {
                    let wrap = |row: super::wrapped::Rooted| {
                        let blob = ring.rewrap_root(&row.place, &row.blob)?;
                        Ok(table.renewed(row, blob))
                    };
                    piece.into_iter().map(wrap).collect::<Result<Vec<_>, Error>>()
                };
                renewed.extend(self.keeper.ask(work).await?);
            }
        }
        Ok(renewed)
    }

    /// How many blobs the root key wraps, in the caller's transaction: as many must have been renewed.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn under_root(c: &rusqlite::Connection) -> Result<usize, store::Error> {
        UNDER_ROOT.iter().try_fold(0, |sum, table| Ok(sum + usize::try_from(table.count(c)?).unwrap_or(usize::MAX)))
    }

    /// The transaction that is open is sealed with the next root key, which is in force from audit entry `seq` on. To be called
    /// last in it, on the ledger's thread. `false`: the keeper has stopped, or there is no next root key.
    #[must_use]
    pub fn arm_root(&self, seq: u64) -> bool {
        self.keeper.ask_now(move |ring| ring.arm(seq)).is_some()
    }

    /// After that transaction, however it seemed to end: looks which root key is in force, and gives the files their names.
    /// `true`: it is the next one.
    ///
    /// # Errors
    /// [`Error::RootKey`] if it is, and its file could not take the old one's place: the next start does it.
    pub async fn settle_root(&self, handover: &Handover) -> Result<bool, Error> {
        // The ledger's thread has done what came before when it answers this.
        self.store.checkpoint().await?;
        let state = self.store.read(state::read).await?;
        let (path, from, to) = (self.root_file()?, handover.from.id.clone(), handover.to.id.clone());
        let settle = move |ring: &mut Ring| {
            ring.settle(&state);
            if ring.root_name()?.id == to {
                root_file::replace(&path)?;
                return Ok(true);
            }
            ring.verify(&state)?;
            ring.give_up_next();
            root_file::undo(&path, &from)?;
            Ok(false)
        };
        self.keeper.ask_mut(settle).await
    }

    /// Takes back [`Vault::next_root`], before anything was armed.
    ///
    /// # Errors
    /// [`Error::RootKey`].
    pub async fn give_up_root(&self, handover: &Handover) -> Result<(), Error> {
        let (path, from) = (self.root_file()?, handover.from.id.clone());
        self.keeper
            .ask_mut(move |ring| {
                ring.give_up_next();
                Ok(root_file::undo(&path, &from)?)
            })
            .await
    }

    /// Forgets the root key before the one in force; until then it opened what had been read under it.
    ///
    /// # Errors
    /// [`Error::KeeperStopped`].
    pub async fn retire_root(&self) -> Result<(), Error> {
        self.keeper
            .ask_mut(|ring| {
                ring.retire();
                Ok(())
            })
            .await
    }

    /// Destroys the files of root keys that are not in use any more, by their ids; how many there were.
    ///
    /// # Errors
    /// [`Error::RootKey`].
    pub async fn destroy_roots(&self, ids: Vec<String>) -> Result<usize, Error> {
        let path = self.root_file()?;
        let destroyed = tokio::task::spawn_blocking(move || destroy_doomed(&path, &ids)).await;
        destroyed.map_err(|_| Error::System("a thread"))?
    }

    /// Where the root key comes from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Whether a rotation can replace the root key.
    ///
    /// # Errors
    /// [`Error::RootElsewhere`].
    pub fn replaces_root(&self) -> Result<(), Error> {
        self.root_file().map(drop)
    }

    /// The file of the root key, which a rotation replaces. What others keep, they have to replace.
    fn root_file(&self) -> Result<PathBuf, Error> {
        match &self.source {
            Source::File(path) => Ok(path.clone()),
            other => Err(Error::RootElsewhere(other.clone())),
        }
    }
}

fn destroy_doomed(path: &Path, ids: &[String]) -> Result<usize, Error> {
    let mut count = 0;
    for id in ids.iter().filter(|id| id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit())) {
        count += usize::from(root_file::destroy(&root_file::former(path, id))?);
    }
    Ok(count)
}

/// At the start: a rotation of the root key that was cut off is finished or undone. Which of both, the seal of the database
/// says. Where neither key made it, both files stay.
pub(super) async fn finish_rotation(keeper: &Keeper, path: &Path, state: &state::Sealed) -> Result<(), Error> {
    let next = root_file::next(path);
    if !file::exists(&next)? {
        return Ok(());
    }
    let (path, state) = (path.to_owned(), state.clone());
    let finish = move |ring: &mut Ring| {
        let in_force = ring.verify(&state).is_ok();
        let to = match file::load(&next) {
            Ok(root) => Some(ring.expect(root)?),
            // A file that is not whole was never armed: the key is on the disk before anything hangs on it.
            Err(_) if in_force => None,
            Err(e) => return Err(e.into()),
        };
        let from = ring.root_name()?;
        if in_force {
            ring.give_up_next();
            if let Some(to) = to {
                // Not destroyed: if an older database was put here, the newer one hangs on this key.
                root_file::lay_aside(&path, &to.id)?;
            }
            root_file::undo(&path, &from.id)?;
            tracing::warn!(target: "keyward::vault", root_key = %from.id, "a rotation of the root key was cut off before it counted; it was undone");
        } else if ring.adopt_if_sealed(&state) {
            root_file::keep(&path, &from.id)?;
            root_file::replace(&path)?;
            tracing::warn!(target: "keyward::vault", root_key = %ring.root_name()?.id, "a rotation of the root key was cut off after it counted; it was finished");
        } else {
            ring.give_up_next();
        }
        Ok(())
    };
    keeper.ask_mut(finish).await
}

/// At the start: root keys that were to be destroyed, and whose files a crash has left, are destroyed.
pub(super) fn finish_destruction(path: &Path, roots: &[keys::RootRow]) -> Result<(), Error> {
    let doomed: Vec<String> = roots.iter().filter(|root| root.doomed).map(|root| root.id.clone()).collect();
    match destroy_doomed(path, &doomed)? {
        0 => {}
        count => {
            tracing::warn!(target: "keyward::vault", count, "root keys that were to be destroyed were still there; they are not any more")
        }
    }
    Ok(())
}
