//! `vault status` and `vault rotate`: how the keys stand, and new ones for old. Who has personal credentials is never told.

use serde::Deserialize;
use tokio::sync::mpsc;

use super::api::Reply;
use super::desk::{Call, Output, Piece};
use super::error::Error;
use super::view::{AnchorView, Data, FormerRootView, KekView, PendingView, PeopleView, RootView, RotatedView, VaultView};
use crate::clock::Time;
use crate::custody::{Renewal, RenewalStep};
use crate::model::Scope;
use crate::store::{self, slots};

/// What `--shred` does to everything that was copied before.
const WHAT_SHRED_MEANS: &str = "every older copy of the database becomes unreadable for ever, your backups included, because the root key \
     that opens them is destroyed";

/// As much of the anchor as is shown.
#[derive(Deserialize)]
struct Anchor {
    epoch: u64,
    checkpoint: Head,
}

#[derive(Deserialize)]
struct Head {
    seq: u64,
    at: Time,
}

impl Call<'_> {
    pub(super) async fn vault_status(&self) -> Result<Reply, Error> {
        let stand = self.parts.custody.stand().await?;
        let path = self.parts.facts.anchor.clone();
        let anchor = tokio::task::spawn_blocking(move || anchor(&path)).await.unwrap_or_default();
        let half_done = stand.keks.iter().any(|k| k.half_done);
        let (mut keys, mut people) = (Vec::new(), PeopleView { count: 0, oldest_made_at: None });
        for kek in stand.keks {
            match kek.scope {
                Scope::Workspace(workspace) => keys.push(KekView { workspace, version: kek.version, made_at: kek.made_at }),
                Scope::Personal(_) => {
                    people.count += 1;
                    people.oldest_made_at = [people.oldest_made_at, kek.made_at].into_iter().flatten().min();
                }
            }
        }
        let former = stand.former.into_iter().map(|r| FormerRootView { id: r.id, retired_at: r.retired_at, destroyed: r.doomed }).collect();
        let mut reply = Reply::of(Data::Vault(VaultView {
            root: RootView { id: stand.root.id, path: stand.root_key, made_at: stand.root_made_at },
            former_roots: former,
            keys,
            people,
            half_done,
            epoch: stand.epoch,
            anchor,
            pending_shreds: PendingView { count: stand.pending.count, since: stand.pending.since },
        }));
        if half_done {
            reply = reply.note("a rotation was cut off; every credential opens, and this goes on with it: keyward vault rotate");
        }
        Ok(reply)
    }

    pub(super) async fn vault_rotate(&self, root: bool, shred: bool, sure: bool, out: &Output) -> Result<Reply, Error> {
        if shred && !sure {
            return Err(Error::unfit(
                format!("nothing was done: {WHAT_SHRED_MEANS}"),
                "if you mean it: keyward vault rotate --shred --yes; then make a backup at once: keyward backup FILE",
            ));
        }
        let (tell, mut told) = mpsc::unbounded_channel();
        let work = self.parts.custody.rotate(Renewal { root, shred }, self.actor.name.to_string(), tell);
        let pump = async {
            while let Some(step) = told.recv().await {
                // Whoever has gone does not stop it.
                let _ = out.send(Piece::Step(said(&step))).await;
            }
        };
        let (rotated, ()) = tokio::join!(work, pump);
        let rotated = rotated?;
        let mut done = format!(
            "{} and {} have a new key; {} wrapped anew",
            counted(rotated.workspaces, "workspace", "workspaces"),
            counted(rotated.people, "person", "people"),
            counted(rotated.data_keys, "data key", "data keys")
        );
        if let Some(id) = &rotated.root {
            done.push_str(&format!("; the root key is {id}"));
        }
        let stand = self.parts.custody.stand().await?;
        let scopes: Vec<Scope> = stand.keks.iter().map(|k| k.scope.clone()).filter(|s| matches!(s, Scope::Personal(_))).collect();
        let count = move |c: &rusqlite::Connection| -> Result<u64, store::Error> {
            scopes.iter().try_fold(0, |count, scope| Ok(count + u64::from(slots::is_sealed(c, scope)?)))
        };
        let people_sealed = self.parts.store.read(count).await?;
        let path = stand.root_key;
        let view = RotatedView {
            workspaces: rotated.workspaces,
            people: rotated.people,
            people_sealed,
            data_keys: rotated.data_keys,
            root: rotated.root,
            destroyed: u64::try_from(rotated.destroyed).unwrap_or(u64::MAX),
            pending_shreds: rotated.pending,
        };
        let (replaced, pending) = (view.root.is_some(), view.pending_shreds > 0);
        let mut reply = Reply::done(Data::Rotated(view), done);
        if people_sealed > 0 {
            let whose = match people_sealed {
                1 => "1 person sealed their credentials, and that key was left as it is: only its owner opens it. They make".to_owned(),
                n => format!(
                    "{n} people sealed their credentials, and those keys were left as they are: only their owners open them. They make"
                ),
            };
            reply = reply.note(format!("{whose} a new one by removing a slot: keyward personal slot remove ID"));
        }
        if replaced {
            reply = reply.note(format!("keep a copy of the new root key elsewhere: without {} nothing opens", path));
        }
        reply = match (replaced, shred) {
            (_, true) => reply
                .note(format!("{WHAT_SHRED_MEANS}: make a backup now: keyward backup FILE"))
                .note("what a file system, a snapshot or the flash beneath keeps of overwritten blocks is out of reach; so are copies of the old root key that you made"),
            (true, false) => reply.note(format!("backups from before open with the old root key alone, which is kept: ls {}.old-*", path)),
            (false, false) => reply,
        };
        if pending {
            reply = reply.note("the old keys may still lie in the write-ahead log, because something reads the database; it is tried again: keyward vault status");
        }
        Ok(reply)
    }
}

fn anchor(path: &std::path::Path) -> Option<AnchorView> {
    let Anchor { epoch, checkpoint } = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    Some(AnchorView { path: path.display().to_string(), epoch, seq: checkpoint.seq, at: checkpoint.at })
}

fn said(step: &RenewalStep) -> String {
    match step {
        RenewalStep::DataKeys(count) => format!("{} wrapped anew so far", counted(*count, "data key", "data keys")),
        RenewalStep::RootInForce => "the new root key is in force; what began under the old one ends".to_owned(),
        RenewalStep::Destroying => "former root keys are overwritten and removed".to_owned(),
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
