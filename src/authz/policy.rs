//! The decision, as a pure function: the same facts and request give the same answer.

use std::net::IpAddr;

use super::permit::{Decision, Denial, Permit, Reach};
use crate::clock::Time;
use crate::model::{
    Action, Actions, CredentialId, Grant, GrantId, GroupId, Host, Principal, SecondFactor, SessionId, Subject, Terms, User,
};

/// What the store says about a request, read in one snapshot.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The person.
    pub user: User,
    /// Their groups.
    pub groups: Vec<GroupId>,
    /// The host.
    pub host: Host,
    /// Every grant of the host's workspace.
    pub grants: Vec<Grant>,
    /// What the way in, by which they came, takes away of it.
    pub terms: Terms,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// With which credential.
    pub credential: CredentialId,
    /// For which session.
    pub session: SessionId,
    /// From where.
    pub client: IpAddr,
    /// When.
    pub now: Time,
    /// When the session began: now, if it begins with this.
    pub began: Time,
}

/// What was found of one grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Considered {
    /// It is given to somebody else.
    NotTheirs,
    /// It covers other hosts.
    OtherHosts,
    /// A condition does not hold.
    Condition(String),
    /// All conditions hold, but the second factor was not shown.
    SecondFactor,
    /// It allows these.
    Allows(Actions),
}

/// The whole reasoning, for `grant explain`.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// Each grant with what was found of it.
    pub considered: Vec<(Grant, Considered)>,
    /// What comes of them together; `Err` with the denial.
    pub result: Result<(Reach, Vec<GrantId>), Denial>,
}

/// Decides. A person needs at least one grant whose conditions all hold; what several grant adds up.
pub fn decide(facts: &Facts, request: &Request) -> Decision {
    match explain(facts, request.client, request.now, request.began).result {
        Ok((scope, grants)) => Decision::Allow(Permit {
            principal: Principal::Human(facts.user.id),
            host: facts.host.id,
            credential: request.credential,
            session: request.session,
            scope,
            grants,
            issued_at: request.now,
        }),
        Err(denial) => Decision::Deny(denial),
    }
}

/// The reasoning of [`decide`], grant by grant, at `now` for a session that began at `began`.
pub fn explain(facts: &Facts, client: IpAddr, now: Time, began: Time) -> Judgement {
    let considered: Vec<(Grant, Considered)> = facts.grants.iter().map(|g| (g.clone(), consider(g, facts, client, now, began))).collect();
    let result = match facts.terms.second {
        _ if facts.user.disabled => Err(Denial::Disabled),
        SecondFactor::Owed => Err(Denial::SecondFactor(None)),
        SecondFactor::NotShown | SecondFactor::Shown => combine(&considered, now, began),
    };
    let result = result.and_then(|(reach, grants)| Ok((under(&facts.terms, reach, now)?, grants)));
    Judgement { considered, result }
}

/// What is reached once the second factor was shown, and whether that is more than without, as they came; `None`: nothing is.
pub fn with_second(facts: &Facts, client: IpAddr, now: Time) -> Option<(Reach, bool)> {
    let terms = Terms { second: SecondFactor::Shown, ..facts.terms.clone() };
    let reach = |facts: &Facts| explain(facts, client, now, now).result.map(|(reach, _)| reach).ok();
    let shown = reach(&Facts { terms, ..facts.clone() })?;
    let gains = reach(facts).as_ref() != Some(&shown);
    Some((shown, gains))
}

/// Whether somebody reaches more, on the host or on one of the jump hosts on the way there, once they gave a one-time code. Of a way that
/// leads nowhere for them either way nothing is said.
pub fn gains_by_a_code(facts: &Facts, route: &[Host], client: IpAddr, now: Time) -> bool {
    let gains = |host: &Host| {
        let facts = Facts { host: host.clone(), ..facts.clone() };
        with_second(&facts, client, now).map(|(_, gains)| gains)
    };
    let all: Option<Vec<bool>> = std::iter::once(&facts.host).chain(route).map(gains).collect();
    all.is_some_and(|all| all.contains(&true))
}

fn consider(grant: &Grant, facts: &Facts, client: IpAddr, now: Time, began: Time) -> Considered {
    let theirs = match &grant.to {
        Subject::Everyone => true,
        Subject::User(id) => *id == facts.user.id,
        Subject::Group(id) => facts.groups.contains(id),
    };
    if !theirs {
        return Considered::NotTheirs;
    }
    if grant.workspace != facts.host.workspace || !grant.hosts.covers(&facts.host.name, &facts.host.tags) {
        return Considered::OtherHosts;
    }
    if let Some(network) = grant.from
        && !network.contains(&canonical(client))
    {
        return Considered::Condition(format!("holds only from {network}"));
    }
    if let Some(until) = grant.until
        && now >= until
    {
        return Considered::Condition(format!("ran out at {until}"));
    }
    if let Some(daily) = grant.between
        && !daily.contains(now)
    {
        return Considered::Condition(format!("holds only {daily} UTC"));
    }
    if let Some(most) = grant.max_session
        && now.since(began) >= most
    {
        return Considered::Condition(format!("allows {most:?} a session"));
    }
    if !grant.second_factor {
        return Considered::Allows(grant.allow);
    }
    if facts.terms.second != SecondFactor::Shown {
        return Considered::SecondFactor;
    }
    // A scan runs where nobody could be asked.
    Considered::Allows(grant.allow.iter().filter(|action| *action != Action::Scan).fold(Actions::default(), Actions::with))
}

/// An IPv4 address that came over an IPv6 socket is the IPv4 address.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn combine(considered: &[(Grant, Considered)], now: Time, began: Time) -> Result<(Reach, Vec<GrantId>), Denial> {
    let mut actions = Actions::default();
    let mut commands: Option<Vec<String>> = Some(Vec::new());
    let mut ends: Option<Option<Time>> = None;
    let mut recheck_at: Option<Time> = None;
    let mut grants = Vec::new();
    let (mut condition, mut second) = (None, None);
    for (grant, found) in considered {
        match found {
            Considered::Allows(allowed) => {
                actions = actions.union(*allowed);
                if allowed.has(Action::Exec) {
                    commands = match (commands, &grant.commands) {
                        (Some(mut sum), Some(more)) => {
                            sum.extend(more.iter().cloned());
                            Some(sum)
                        }
                        _ => None,
                    };
                }
                let end = [grant.until, grant.between.and_then(|b| b.closes(now)), grant.max_session.map(|d| began.plus(d))]
                    .into_iter()
                    .flatten()
                    .min();
                recheck_at = recheck_at.into_iter().chain(end).min();
                // What one grant allows for longer, another one's end does not shorten.
                ends = Some(match ends {
                    None => end,
                    Some(before) => before.zip(end).map(|(a, b)| a.max(b)),
                });
                grants.push(grant.id);
            }
            Considered::SecondFactor => second = Some(Denial::SecondFactor(Some(grant.id))),
            Considered::Condition(why) => condition = Some(Denial::Condition { grant: grant.id, why: why.clone() }),
            Considered::NotTheirs | Considered::OtherHosts => {}
        }
    }
    if grants.is_empty() || actions.is_empty() {
        return Err(second.or(condition).unwrap_or(Denial::NoGrant));
    }
    if !actions.has(Action::Exec) {
        commands = None;
    }
    Ok((Reach { actions, commands, no_pty: false, ends_at: ends.flatten(), recheck_at }, grants))
}

/// What is left of a reach under the terms of the way in: they take away, end earlier, and never give.
fn under(terms: &Terms, reach: Reach, now: Time) -> Result<Reach, Denial> {
    if terms.are_over(now) {
        return Err(Denial::Terms("the certificate that signed them in has run out"));
    }
    let actions = terms.left_of(reach.actions);
    if actions.is_empty() {
        return Err(Denial::Terms("the certificate that signed them in allows nothing of what is granted"));
    }
    let commands = match (&terms.command, reach.commands) {
        (Some(forced), granted) => {
            let may = granted.is_none_or(|list| list.contains(forced));
            Some(may.then(|| forced.clone()).into_iter().collect())
        }
        (None, granted) => granted.filter(|_| actions.has(Action::Exec)),
    };
    Ok(Reach {
        actions,
        commands,
        no_pty: reach.no_pty || terms.no_pty,
        ends_at: reach.ends_at.into_iter().chain(terms.until).min(),
        recheck_at: reach.recheck_at.into_iter().chain(terms.until).min(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::model::{GroupId, HostId, Role, UserId};

    fn facts(grants: Vec<Grant>) -> Facts {
        Facts {
            user: User {
                id: UserId::from([1; 16]),
                name: "alice".parse().unwrap(),
                role: Role::Member,
                uid: None,
                disabled: false,
                created_at: Time::from_millis(0),
            },
            groups: vec![GroupId::from([7; 16])],
            host: Host {
                id: HostId::from([2; 16]),
                name: "web-1".parse().unwrap(),
                workspace: "default".parse().unwrap(),
                address: "127.0.0.1".parse().unwrap(),
                tags: BTreeMap::from([("env".to_owned(), "prod".to_owned())]),
                trust_first_use: false,
                host_keys: vec![],
                via: None,
                legacy: crate::model::Legacy::default(),
                created_at: Time::from_millis(0),
            },
            grants,
            terms: Terms::default(),
        }
    }

    fn grant(to: Subject, hosts: &str, allow: &str) -> Grant {
        Grant {
            id: GrantId::from([3; 16]),
            workspace: "default".parse().unwrap(),
            to,
            hosts: hosts.parse().unwrap(),
            allow: allow.parse().unwrap(),
            commands: None,
            from: None,
            until: None,
            between: None,
            max_session: None,
            second_factor: false,
            created_at: Time::from_millis(0),
            created_by: "root".parse().unwrap(),
        }
    }

    fn request(now: &str) -> Request {
        Request {
            credential: CredentialId::from([4; 16]),
            session: SessionId::from([5; 16]),
            client: "192.0.2.1".parse().unwrap(),
            now: Time::parse(now).unwrap(),
            began: Time::parse(now).unwrap(),
        }
    }

    const NOON: &str = "2026-11-23T12:00:00Z";

    fn allowed(f: &Facts, now: &str) -> Option<Reach> {
        match decide(f, &request(now)) {
            Decision::Allow(p) => Some(p.reach().clone()),
            Decision::Deny(_) => None,
        }
    }

    #[test]
    fn nothing_is_granted_by_default() {
        assert!(allowed(&facts(vec![]), NOON).is_none());
        assert!(allowed(&facts(vec![grant(Subject::User(UserId::from([9; 16])), "*", "shell")]), NOON).is_none());
        assert!(allowed(&facts(vec![grant(Subject::Everyone, "db-*", "shell")]), NOON).is_none());
    }

    #[test]
    fn a_disabled_person_is_denied_whatever_is_granted() {
        let mut f = facts(vec![grant(Subject::Everyone, "*", "shell")]);
        assert!(allowed(&f, NOON).is_some());
        f.user.disabled = true;
        assert!(allowed(&f, NOON).is_none());
    }

    #[test]
    fn groups_tags_and_everyone_count() {
        for g in [
            grant(Subject::Everyone, "web-1", "exec"),
            grant(Subject::Group(GroupId::from([7; 16])), "tag:env=prod", "exec"),
            grant(Subject::User(UserId::from([1; 16])), "web-*", "exec"),
        ] {
            let reach = allowed(&facts(vec![g]), NOON).unwrap();
            assert!(reach.allows(Action::Exec) && !reach.allows(Action::Shell));
        }
    }

    #[test]
    fn each_condition_must_hold() {
        let base = grant(Subject::Everyone, "*", "shell");
        let cases = [
            Grant { from: Some("198.51.100.0/24".parse().unwrap()), ..base.clone() },
            Grant { until: Some(Time::parse("2026-11-23T11:00:00Z").unwrap()), ..base.clone() },
            Grant { between: Some("13:00-14:00".parse().unwrap()), ..base.clone() },
        ];
        for g in cases {
            assert!(allowed(&facts(vec![g.clone()]), NOON).is_none(), "{g:?}");
            // A second grant without the condition is enough.
            assert!(allowed(&facts(vec![g, base.clone()]), NOON).is_some());
        }
        let mapped = Request { client: "::ffff:192.0.2.1".parse().unwrap(), ..request(NOON) };
        let f = facts(vec![Grant { from: Some("192.0.2.0/24".parse().unwrap()), ..base }]);
        assert!(matches!(decide(&f, &mapped), Decision::Allow(_)));
    }

    #[test]
    fn the_longest_of_several_grants_sets_the_end() {
        let hour = Grant { max_session: Some(Duration::from_secs(3600)), ..grant(Subject::Everyone, "*", "shell") };
        let day = Grant { until: Some(Time::parse("2026-11-24T00:00:00Z").unwrap()), ..hour.clone() };
        assert_eq!(allowed(&facts(vec![hour.clone()]), NOON).unwrap().ends_at.unwrap().to_string(), "2026-11-23T13:00:00Z");
        let day = Grant { max_session: None, ..day };
        assert_eq!(allowed(&facts(vec![hour.clone(), day]), NOON).unwrap().ends_at.unwrap().to_string(), "2026-11-24T00:00:00Z");
        assert_eq!(allowed(&facts(vec![hour, grant(Subject::Everyone, "*", "shell")]), NOON).unwrap().ends_at, None);
    }

    #[test]
    fn what_runs_out_first_is_looked_at_first_and_a_session_gets_its_time_once() {
        let hour = Grant { max_session: Some(Duration::from_secs(3600)), ..grant(Subject::Everyone, "*", "shell") };
        let open = grant(Subject::Everyone, "*", "sftp");
        let f = facts(vec![hour, open]);
        let began = Time::parse(NOON).unwrap();
        let at = |minutes: u64| {
            explain(&f, "192.0.2.1".parse().unwrap(), began.plus(Duration::from_secs(60 * minutes)), began).result.unwrap().0
        };
        assert_eq!((at(0).ends_at, at(0).recheck_at), (None, Some(began.plus(Duration::from_secs(3600)))));
        assert_eq!(at(59).recheck_at, at(0).recheck_at, "asking again prolongs nothing");
        assert!(at(59).allows(Action::Shell));
        assert!(!at(60).allows(Action::Shell) && at(60).allows(Action::Sftp));
        assert_eq!(at(60).recheck_at, None);
    }

    #[test]
    fn listed_commands_are_compared_byte_by_byte() {
        let only = Grant { commands: Some(vec!["df -h".to_owned()]), ..grant(Subject::Everyone, "*", "exec") };
        let reach = allowed(&facts(vec![only.clone()]), NOON).unwrap();
        assert!(reach.allows_command(b"df -h"));
        for other in [&b"df -h "[..], b"df  -h", b"df -h;id", b"df", b"df -h\xff"] {
            assert!(!reach.allows_command(other));
        }
        // A grant of a shell beside it does not widen `exec`.
        let both = facts(vec![only.clone(), grant(Subject::Everyone, "*", "shell")]);
        assert!(!allowed(&both, NOON).unwrap().allows_command(b"id"));
        let wide = facts(vec![only, grant(Subject::Everyone, "*", "exec")]);
        assert!(allowed(&wide, NOON).unwrap().allows_command(b"id"));
    }

    #[test]
    fn a_way_in_takes_away_and_never_gives() {
        let until = |t: &str| Terms { until: Some(Time::parse(t).unwrap()), ..Terms::default() };
        let with = |terms: Terms, grants: Vec<Grant>| Facts { terms, ..facts(grants) };
        let wide = || vec![grant(Subject::Everyone, "*", "shell,exec,sftp,forward-local")];
        let reach = allowed(&with(until("2026-11-23T12:05:00Z"), wide()), NOON).unwrap();
        assert_eq!(reach.ends_at, Some(Time::parse("2026-11-23T12:05:00Z").unwrap()));
        assert_eq!(reach.recheck_at, reach.ends_at);
        assert!(allowed(&with(until(NOON), wide()), NOON).is_none(), "not at the end itself");
        let forced = Terms { command: Some("df -h".to_owned()), no_pty: true, ..Terms::default() };
        let reach = allowed(&with(forced.clone(), wide()), NOON).unwrap();
        assert!(reach.allows_command(b"df -h") && !reach.allows_command(b"id") && reach.no_pty);
        assert!(!reach.allows(Action::Shell) && !reach.allows(Action::Sftp) && !reach.allows(Action::ForwardLocal));
        let other = Grant { commands: Some(vec!["id".to_owned()]), ..grant(Subject::Everyone, "*", "exec") };
        let reach = allowed(&with(forced.clone(), vec![other]), NOON).unwrap();
        assert!(!reach.allows_command(b"df -h") && !reach.allows_command(b"id"), "neither alone is enough");
        assert!(allowed(&with(forced, vec![grant(Subject::Everyone, "*", "shell")]), NOON).is_none());
        assert!(allowed(&with(Terms::default(), vec![]), NOON).is_none());
    }

    #[test]
    fn a_grant_that_wants_the_second_factor_holds_only_where_it_was_shown() {
        let with = |second, grants: Vec<Grant>| Facts { terms: Terms { second, ..Terms::default() }, ..facts(grants) };
        let plain = grant(Subject::Everyone, "*", "exec");
        let wants = Grant { id: GrantId::from([8; 16]), second_factor: true, ..grant(Subject::Everyone, "*", "shell,scan,propose") };
        assert!(allowed(&with(SecondFactor::NotShown, vec![wants.clone()]), NOON).is_none());
        let denied = match decide(&with(SecondFactor::NotShown, vec![wants.clone()]), &request(NOON)) {
            Decision::Deny(why) => why,
            Decision::Allow(_) => panic!("allowed"),
        };
        assert_eq!(denied, Denial::SecondFactor(Some(wants.id)));
        let reach = allowed(&with(SecondFactor::Shown, vec![wants.clone()]), NOON).unwrap();
        assert_eq!(reach.actions.to_string(), "shell,propose", "it carries no scan");
        // Beside one that wants none, it adds what it allows, and takes nothing away.
        let both = vec![plain.clone(), wants];
        let wanting = both.clone();
        assert_eq!(allowed(&with(SecondFactor::NotShown, both.clone()), NOON).unwrap().actions.to_string(), "exec");
        assert_eq!(allowed(&with(SecondFactor::Shown, both), NOON).unwrap().actions.to_string(), "shell,exec,propose");
        // What a code changes for whoever has shown none yet.
        let gains = |second, grants: &[Grant]| {
            let found = with_second(&with(second, grants.to_vec()), "192.0.2.1".parse().unwrap(), request(NOON).now);
            found.map(|(reach, gains)| (reach.actions.to_string(), gains))
        };
        assert_eq!(gains(SecondFactor::NotShown, &wanting), Some(("shell,exec,propose".to_owned(), true)));
        assert_eq!(gains(SecondFactor::Shown, &wanting), Some(("shell,exec,propose".to_owned(), false)));
        assert_eq!(gains(SecondFactor::Owed, std::slice::from_ref(&plain)), Some(("exec".to_owned(), true)));
        assert_eq!(
            (gains(SecondFactor::NotShown, std::slice::from_ref(&plain)), gains(SecondFactor::NotShown, &[])),
            (Some(("exec".to_owned(), false)), None)
        );
        // Whoever is let do nothing without it has no grant that holds.
        assert!(allowed(&with(SecondFactor::Owed, vec![plain.clone()]), NOON).is_none());
        assert!(allowed(&with(SecondFactor::Shown, vec![plain]), NOON).is_some());
        // Another condition is told first where it does not hold either.
        let past = Grant { until: Some(Time::parse("2026-11-23T11:00:00Z").unwrap()), ..grant(Subject::Everyone, "*", "shell") };
        let past = Grant { second_factor: true, ..past };
        let judged = explain(&with(SecondFactor::NotShown, vec![past]), "192.0.2.1".parse().unwrap(), request(NOON).now, request(NOON).now);
        assert!(matches!(judged.result, Err(Denial::Condition { .. })));
    }

    #[test]
    fn a_permit_is_good_for_thirty_seconds() {
        let Decision::Allow(p) = decide(&facts(vec![grant(Subject::Everyone, "*", "shell")]), &request(NOON)) else { panic!("denied") };
        let at = p.issued_at();
        assert!(p.is_fresh(at) && p.is_fresh(at.plus(Duration::from_secs(30))));
        assert!(!p.is_fresh(at.plus(Duration::from_millis(30_001))));
        assert!(!p.is_fresh(Time::from_millis(at.millis() - 1)), "a clock that was set back opens nothing");
    }
}
