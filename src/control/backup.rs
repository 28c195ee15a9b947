//! `backup`: a copy of the database, checked, witnessed, and then handed out in pieces. The root key is never in it, nor are
//! rows that were deleted.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use aws_lc_rs::digest::{Context, SHA256};

use super::api::Reply;
use super::desk::{Call, Output, Piece};
use super::error::Error;
use super::view::{BackupView, Data};
use crate::audit::hex;
use crate::model::EventName;
use crate::store::backup::{self, Copy, Look};

/// Bytes that travel at a time.
const PIECE: usize = 256 * 1024;

impl Call<'_> {
    pub(super) async fn backup(&self, out: &Output) -> Result<Reply, Error> {
        self.parts.store.room()?;
        let root_key = self.parts.custody.stand().await?.root.id;
        let copy = self.parts.store.copy().await?;
        let (copy, look) = aside(move || {
            let look = backup::look(copy.path())?;
            backup::has_our_schema(copy.path())?;
            Ok((copy, look))
        })
        .await?;
        let Look { vault, schema, epoch, head, state } = look;
        let state = state.ok_or_else(|| crate::store::Error::Malformed("a copy of another schema".to_owned()))?;
        // A forged row must not become a backup that verifies nowhere.
        self.parts.custody.holds(&state).await?;
        let (mut file, bytes, sha256) = aside(move || opened(copy)).await?;
        let head = head.ok_or_else(|| crate::store::Error::Malformed("a copy without an audit log".to_owned()))?;
        let view = BackupView {
            vault: hex(&vault),
            root_key,
            epoch,
            audit_seq: head.seq,
            audit_hash: hex(&head.hash),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            schema,
            made_at: self.now(),
            bytes,
            sha256,
        };
        let mut event = self
            .event(EventName::VaultBackedUp)
            .with("sha256", &view.sha256)
            .with("root_key", &view.root_key)
            .count("epoch", view.epoch)
            .count("audit_seq", view.audit_seq)
            .count("bytes", view.bytes);
        if let Some(client) = self.client {
            event = event.with("client", client);
        }
        self.parts.log.record(event).await?;
        loop {
            let (back, piece) = aside(move || piece_of(file)).await?;
            file = back;
            if piece.is_empty() {
                break;
            }
            out.send(Piece::Bytes(piece)).await.map_err(|_| Error::Gone)?;
        }
        let done = format!("backed up: {} bytes, epoch {}, audit entry {}, sha256 {}", view.bytes, view.epoch, view.audit_seq, view.sha256);
        let note = format!("the root key {} is not in it, and without it nothing opens: keep both, and apart", view.root_key);
        Ok(Reply::done(Data::BackedUp(view), done).note(note))
    }
}

/// Opens the copy and takes away its name: whatever happens now, nothing is left of it.
fn opened(copy: Copy) -> Result<(File, u64, String), crate::store::Error> {
    let path = copy.path().to_owned();
    let io = |error| crate::store::Error::Io { path: path.clone(), error };
    let mut file = File::open(copy.path()).map_err(io)?;
    drop(copy);
    let (mut digest, mut bytes, mut piece) = (Context::new(&SHA256), 0u64, vec![0u8; PIECE]);
    loop {
        let read = file.read(&mut piece).map_err(io)?;
        if read == 0 {
            break;
        }
        digest.update(piece.get(..read).unwrap_or_default());
        bytes += u64::try_from(read).unwrap_or(0);
    }
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    Ok((file, bytes, hex(digest.finish().as_ref())))
}

fn piece_of(mut file: File) -> Result<(File, Vec<u8>), crate::store::Error> {
    let mut piece = Vec::with_capacity(PIECE);
    let limit = u64::try_from(PIECE).unwrap_or(u64::MAX);
    let read = file.by_ref().take(limit).read_to_end(&mut piece);
    read.map_err(|error| crate::store::Error::Io { path: "the copy".into(), error })?;
    Ok((file, piece))
}

/// Work with the disk, beside the runtime.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T, crate::store::Error> + Send + 'static) -> Result<T, Error> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(|_| crate::store::Error::Closed)??)
}
