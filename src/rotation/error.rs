//! Why a credential was not tried, installed or rotated.

use crate::fault::{Fault, Kind};
use crate::model::Name;
use crate::{audit, custody};

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing of this kind can be installed or rotated.
    #[error("{what}")]
    Unfit {
        /// What does not fit.
        what: String,
        /// What to do.
        hint: String,
    },
    /// Somebody rotates it now.
    #[error("credential {0} is being rotated at this moment")]
    Busy(Name),
    /// No rotation stands open.
    #[error("no rotation of credential {0} stands open")]
    NotOpen(Name),
    /// It is too late to give it up.
    #[error("the next secret of credential {0} is in force already: there is nothing to give up")]
    Switched(Name),
    /// The host refused the credential twice a short while ago.
    #[error("credential {0} was refused twice within some minutes: it is not tried again yet, so that no account is locked")]
    Barred(Name),
    /// A defect ended it.
    #[error("a defect of the broker ended it; what was done stands in the database")]
    Broken,
    /// The witness could not write.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// Custody refused.
    #[error(transparent)]
    Custody(#[from] custody::Error),
}

impl Error {
    pub(super) fn unfit(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Unfit { what: what.into(), hint: hint.into() }
    }
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Unfit { .. } => Kind::Invalid,
            Self::Busy(_) | Self::Switched(_) => Kind::Conflict,
            Self::NotOpen(_) => Kind::NotFound,
            Self::Barred(_) => Kind::Limit,
            Self::Broken => Kind::Bug,
            Self::Audit(e) => e.kind(),
            Self::Custody(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unfit { hint, .. } => Some(hint.clone()),
            Self::Busy(name) => Some(format!("wait for its end, and look: keyward credential show {name}")),
            Self::NotOpen(name) => Some(format!("begin one: keyward credential rotate {name}")),
            Self::Switched(name) => Some(format!("bring it to its end: keyward credential rotate {name}")),
            Self::Barred(name) => Some(format!("is it right? Give it anew: keyward credential edit {name}; or wait ten minutes")),
            Self::Broken => Some("tell whoever runs this broker; its log knows more".to_owned()),
            Self::Audit(e) => e.hint(),
            Self::Custody(e) => e.hint(),
        }
    }
}
