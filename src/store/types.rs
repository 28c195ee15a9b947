//! How the nouns are stored: ids, names and words as text, times as milliseconds.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::clock::Time;
use crate::model::{
    ActDigest, AgentId, AuthorityStage, CredentialId, CredentialKind, EndReason, GrantId, GroupId, HostId, HostState, HostStep, Login,
    Name, PlanId, ProposalId, Role, RotationStage, RunState, ScanId, Scope, SessionId, SlotId, SlotKind, Stage, UserId,
};

macro_rules! as_text {
    ($($t:ty),*) => {$(
        impl ToSql for $t {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.to_string()))
            }
        }
        impl FromSql for $t {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str()?.parse().map_err(|_| FromSqlError::Other(concat!("no ", stringify!($t)).into()))
            }
        }
    )*};
}
as_text!(
    UserId,
    GroupId,
    HostId,
    CredentialId,
    GrantId,
    SessionId,
    AgentId,
    ProposalId,
    PlanId,
    Name,
    Login,
    Role,
    CredentialKind,
    EndReason,
    Stage,
    HostState,
    RunState,
    ScanId,
    AuthorityStage,
    HostStep,
    RotationStage,
    SlotId,
    SlotKind
);

impl ToSql for ActDigest {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(&self.bytes()[..]))
    }
}

impl FromSql for ActDigest {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 32]>::try_from(value.as_blob()?).map(Self::from).map_err(|_| FromSqlError::Other("no digest".into()))
    }
}

impl ToSql for Scope {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.key()))
    }
}

impl FromSql for Scope {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::from_key(value.as_str()?).ok_or_else(|| FromSqlError::Other("no scope".into()))
    }
}

impl ToSql for Time {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.millis()))
    }
}

impl FromSql for Time {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self::from_millis)
    }
}
