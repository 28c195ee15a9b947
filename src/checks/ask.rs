//! What a policy needs to know of a host, as probes. Never asks for a file's content where its existence is enough.

use std::collections::BTreeMap;

use super::policy::Policy;
use super::rule::Question;
use crate::probes::Probe;

/// Whether a path can be one of a Unix host: others, as of Windows, are not asked for.
pub(super) fn of_unix(path: &str) -> bool {
    path.starts_with('/')
}

impl Policy {
    /// Everything that it needs to know of a host, each once, sorted by id. The names in a folder are asked for even where its contents
    /// are, too: the answer with the contents is the first to be cut.
    pub fn probes(&self) -> Vec<Probe> {
        let mut probes: BTreeMap<String, Probe> = BTreeMap::new();
        let mut add = |probe: Probe| drop(probes.insert(probe.id.clone(), probe));
        for rule in self.rules() {
            match &rule.question {
                Question::File { paths, pattern } => {
                    let ask = if pattern.is_some() { Probe::file } else { Probe::exists };
                    paths.iter().filter(|p| of_unix(p)).for_each(|p| add(ask(p)));
                }
                Question::Folder { paths, names, pattern } => {
                    let ask = match (names, pattern) {
                        (None, _) => Probe::exists,
                        (Some(_), None) => Probe::folder_names,
                        (Some(_), Some(_)) => Probe::folder_contents,
                    };
                    paths.iter().filter(|p| of_unix(p)).for_each(|p| add(ask(p)));
                }
                Question::Process(_) => add(Probe::processes()),
                Question::Command { text, words, .. } => add(Probe::program(text, words)),
                Question::Registry | Question::Unreadable(_) => {}
            }
        }
        probes.into_values().collect()
    }
}
