//! Answers become facts. Pure: asks nothing and trusts nothing; what is not there is said to be missing, with the reason.

use super::reading::Reading;
use super::types::{Facts, VERSION};
use super::{accounts, kernel, keys, listening, packages, reboot, rules, services, system};
use crate::probes::Answers;

/// Reads the answers to [`super::inventory`]. Never fails: a group that was not answered, or not whole, stands in `missing` with the
/// reason; part of a group may stand there under `GROUP.PART`, the group itself being complete then.
///
/// Lists hold at most 20,000 entries, texts 4,096 characters; control and invisible characters are written as escapes.
pub fn gather(answers: &Answers) -> Facts {
    let mut reading = Reading::new(answers);
    let (os, mut system, build) = system::read(&mut reading);
    let packages = packages::read(&mut reading);
    reboot::read(&mut reading, &os, &build, &packages, &mut system);
    let darwin = os.family == "darwin";
    let facts = Facts {
        version: VERSION,
        listening: listening::read(&mut reading, system::big_endian(&system.machine)),
        os,
        system,
        packages,
        services: services::services(&mut reading),
        users: accounts::users(&mut reading, darwin),
        groups: accounts::groups(&mut reading, darwin),
        sudoers: rules::sudoers(&mut reading),
        authorized_keys: keys::read(&mut reading),
        sshd: kernel::sshd(&mut reading),
        mounts: kernel::mounts(&mut reading),
        modules: kernel::modules(&mut reading),
        cron: rules::cron(&mut reading),
        timers: services::timers(&mut reading),
        sysctl: kernel::sysctl(&mut reading),
        ..Facts::default()
    };
    let (missing, inapplicable) = reading.gaps();
    Facts { missing, inapplicable, ..facts }
}
