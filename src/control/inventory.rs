//! `credential list`: who uses which credential, how old its secret is, and which ones nobody uses any more. Shows times and
//! names, never anything of a secret.

use serde::{Deserialize, Serialize};

use super::api::Reply;
use super::credentials::credential_view;
use super::desk::Call;
use super::error::Error;
use super::view::{CredentialView, Data};
use crate::clock::Time;
use crate::model::{Credential, Name};
use crate::store::{self, credentials};

const DAY_S: u64 = 24 * 60 * 60;

/// Which credentials are listed, and in which order. Conditions are joined by "and".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialFilter {
    /// Only those that signed in nowhere for so many seconds; one that never did counts from when it was added.
    pub unused_for_s: Option<u64>,
    /// Only those whose secret is older than so many seconds.
    pub older_than_s: Option<u64>,
    /// Only those that are attached to this host.
    pub host: Option<Name>,
    /// The order.
    pub sort: CredentialSort,
}

/// An order of credentials. Where two are alike, their names decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialSort {
    /// By name.
    #[default]
    Name,
    /// The oldest secret first.
    Age,
    /// What was used longest ago first; what was never used before all others.
    LastUsed,
    /// What is attached to most hosts first.
    Hosts,
}

impl Call<'_> {
    pub(super) async fn credential_list(&self, filter: CredentialFilter) -> Result<Reply, Error> {
        // A host that the caller may not see is answered like one that is not there.
        if let Some(name) = &filter.host {
            self.host(name.clone()).await?;
        }
        let (workspace, eyes, now) = (self.workspace.clone(), self.eyes().await?, self.now());
        let (list, of) = self
            .parts
            .store
            .read(move |c| -> Result<(Vec<CredentialView>, Vec<Credential>), store::Error> {
                let (mut list, mut of) = (Vec::new(), Vec::new());
                for credential in credentials::visible(c, &workspace, eyes.me)? {
                    if eyes.see(c, &credential)? {
                        list.push(credential_view(c, &credential, &eyes.seen, now)?);
                        of.push(credential);
                    }
                }
                Ok((list, of))
            })
            .await?;
        let mut list = self.with_places(list, &of).await?;
        list.retain(|view| filter.takes(view, now));
        filter.sort.order(&mut list);
        Ok(Reply::of(Data::Credentials(list)))
    }
}

impl CredentialFilter {
    fn takes(&self, view: &CredentialView, now: Time) -> bool {
        let longer_ago = |at: Time, limit: Option<u64>| limit.is_none_or(|limit| now.since(at).as_secs() >= limit);
        longer_ago(view.last_used_at.unwrap_or(view.created_at), self.unused_for_s)
            && longer_ago(view.secret_changed_at, self.older_than_s)
            && self.host.as_ref().is_none_or(|host| view.hosts.contains(host))
    }
}

impl CredentialSort {
    fn order(self, list: &mut [CredentialView]) {
        match self {
            Self::Name => {}
            // Stable: they came by name.
            Self::Age => list.sort_by_key(|view| view.secret_changed_at),
            Self::LastUsed => list.sort_by_key(|view| view.last_used_at),
            Self::Hosts => list.sort_by_key(|view| std::cmp::Reverse(view.hosts.len())),
        }
    }
}

/// Whole days from `at` to `now`.
pub(super) fn days(at: Time, now: Time) -> u64 {
    now.since(at).as_secs() / DAY_S
}

#[cfg(test)]
mod tests {
    use super::super::view::SudoSource;
    use super::*;
    use crate::model::CredentialId;

    fn at(day: i64) -> Time {
        Time::from_millis(day * 86_400_000)
    }

    fn view(name: &str, added: i64, changed: i64, used: Option<i64>, hosts: &[&str]) -> CredentialView {
        CredentialView {
            id: CredentialId::from([7; 16]),
            name: name.parse().unwrap(),
            scope: "workspace".to_owned(),
            username: "root".parse().unwrap(),
            kind: "password".to_owned(),
            fingerprint: None,
            sudo_password: SudoSource::None,
            hosts: hosts.iter().map(|h| h.parse().unwrap()).collect(),
            updated_at: at(changed),
            last_used_at: used.map(at),
            created_at: at(added),
            secret_changed_at: at(changed),
            age_days: 0,
            default_on: Vec::new(),
            workspace_default: false,
            validity_s: None,
            rotation: None,
            reference: None,
            sealed: false,
        }
    }

    fn some() -> Vec<CredentialView> {
        vec![
            view("fresh", 395, 395, None, &[]),
            view("never", 10, 390, None, &["web-1"]),
            view("old", 10, 10, Some(399), &["web-1", "web-2"]),
            view("stale", 100, 100, Some(150), &["db-1", "web-1", "web-2"]),
        ]
    }

    fn names(filter: CredentialFilter) -> Vec<String> {
        let mut list = some();
        list.retain(|v| filter.takes(v, at(400)));
        filter.sort.order(&mut list);
        list.iter().map(|v| v.name.to_string()).collect()
    }

    #[test]
    fn what_is_unused_and_what_is_old_are_two_questions() {
        let all = CredentialFilter::default();
        assert_eq!(names(all.clone()), ["fresh", "never", "old", "stale"]);
        let unused = CredentialFilter { unused_for_s: Some(90 * DAY_S), ..all.clone() };
        assert_eq!(names(unused.clone()), ["never", "stale"], "what was added five days ago is not yet unused");
        let old = CredentialFilter { older_than_s: Some(300 * DAY_S), ..all.clone() };
        assert_eq!(names(old), ["old", "stale"], "a new secret is young, whenever the credential was added");
        assert_eq!(names(CredentialFilter { host: Some("web-2".parse().unwrap()), ..all.clone() }), ["old", "stale"]);
        assert_eq!(names(CredentialFilter { host: Some("db-1".parse().unwrap()), ..unused }), ["stale"], "conditions are joined");
        assert_eq!(names(CredentialFilter { unused_for_s: Some(u64::MAX), ..all }), Vec::<String>::new());
    }

    #[test]
    fn orders_put_first_what_wants_attention() {
        let sorted = |sort| names(CredentialFilter { sort, ..CredentialFilter::default() });
        assert_eq!(sorted(CredentialSort::Age), ["old", "stale", "never", "fresh"]);
        assert_eq!(sorted(CredentialSort::LastUsed), ["fresh", "never", "stale", "old"]);
        assert_eq!(sorted(CredentialSort::Hosts), ["stale", "old", "never", "fresh"]);
    }
}
