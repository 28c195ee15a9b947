//! Commands that move files: which of them, and which way. Recognised by their first word, for the record only.

use super::seen::{Direction, Text};

/// A command that moves files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// `scp`, `rsync` or `sftp-server`.
    pub name: &'static str,
    /// Which way, where the command says it.
    pub direction: Option<Direction>,
    /// The path that it names, quotes taken away; several with a space between.
    pub path: Option<Text>,
}

/// The program that this command starts, if it is one that moves files and the client's own word for it.
pub fn recognise(command: &[u8]) -> Option<Program> {
    let text = std::str::from_utf8(command).ok()?;
    let words = shell_words::split(text).ok()?;
    let (program, rest) = words.split_first()?;
    match program.rsplit('/').next()? {
        "sftp-server" => Some(Program { name: "sftp-server", direction: None, path: None }),
        "scp" => scp(rest),
        "rsync" if rest.first().is_some_and(|word| word == "--server") => {
            let from_host = rest.iter().any(|word| word == "--sender");
            // Options, a dot, paths.
            let paths: Vec<&str> = rest.iter().skip_while(|word| *word != ".").skip(1).map(String::as_str).collect();
            Some(Program {
                name: "rsync",
                direction: Some(if from_host { Direction::FromHost } else { Direction::ToHost }),
                path: path(&paths.join(" ")),
            })
        }
        _ => None,
    }
}

/// `scp -t PATH` takes files, `scp -f PATH …` gives them; what people type has neither.
fn scp(words: &[String]) -> Option<Program> {
    let mut direction = None;
    let mut paths = Vec::new();
    let mut options = true;
    for word in words {
        match word.strip_prefix('-') {
            Some("-") if options => options = false,
            Some(letters) if options && !letters.is_empty() => {
                for letter in letters.chars() {
                    match letter {
                        't' => direction = Some(Direction::ToHost),
                        'f' => direction = Some(Direction::FromHost),
                        _ => {}
                    }
                }
            }
            _ => {
                options = false;
                paths.push(word.as_str());
            }
        }
    }
    direction.map(|direction| Program { name: "scp", direction: Some(direction), path: path(&paths.join(" ")) })
}

fn path(text: &str) -> Option<Text> {
    (!text.is_empty()).then(|| Text::new(text.as_bytes(), false))
}
