//! How the nouns are stored: ids, names and words as text, times as milliseconds.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::clock::Time;
use crate::model::{CredentialId, CredentialKind, EndReason, GrantId, GroupId, HostId, Login, Name, Role, Scope, SessionId, UserId};

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
as_text!(UserId, GroupId, HostId, CredentialId, GrantId, SessionId, Name, Login, Role, CredentialKind, EndReason);

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
