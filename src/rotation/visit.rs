//! A sign-in for something that a verb wants to know through a host: as the person would sign in there, with what they are granted.
//! Runs nothing on the host.

use super::desk::{Rotations, Who};
use super::error::Error;
use crate::custody::{self, Purpose};
use crate::model::{Action, Name};
use crate::sessions::{Gates, Steps, UpkeepSite};

impl Rotations {
    /// Signs in to a host with the person's credential there, has work done on the connection, and leaves. Recorded as a session.
    ///
    /// # Errors
    /// [`Error::Custody`] if `needs` is not granted, nothing can sign in, or it cannot be recorded: then nothing was dialled.
    pub async fn visit<T, W>(
        &self,
        who: Who,
        host: Name,
        needs: Action,
        work: impl FnOnce(UpkeepSite) -> W + Send + 'static,
    ) -> Result<(Steps, Option<T>), Error>
    where
        T: Send + 'static,
        W: Future<Output = T> + Send + 'static,
    {
        let desk = self.clone();
        let visit = async move { desk.enter(&who, &host, Purpose::Look, Some(needs), &Gates::default(), work).await };
        // Whoever asks knows the host: it is no secret that it is there.
        self.whole(visit).await.map_err(|e| match e {
            Error::Custody(custody::Error::NoSuchHost(host)) => custody::Error::NotGranted { action: needs, host }.into(),
            other => other,
        })
    }
}
