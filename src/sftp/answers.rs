//! What a host answers (draft-02 §7).

use super::fields::Fields;
use super::frames::DATA;
use super::seen::End;
use super::tap::{Asked, Stage, Tap};

/// SSH_FX_EOF.
const EOF: u32 = 1;

impl Tap {
    /// An answer, from its type on.
    pub(super) fn answer(&mut self, body: &[u8], cut: bool) -> Result<(), String> {
        let mut fields = Fields::new(body, cut);
        let kind = fields.u8()?;
        match (self.stage, kind) {
            (Stage::Asked, 2) => {
                let version = fields.u32()?;
                if version != 3 {
                    return Err(format!("the host speaks version {version} of SFTP"));
                }
                self.stage = Stage::Agreed;
                return Ok(());
            }
            (Stage::Agreed, 2) => return Err("the host greets twice".to_owned()),
            (Stage::Agreed, _) => {}
            (Stage::New | Stage::Asked, _) => return Err("the host does not begin with SFTP's greeting".to_owned()),
        }
        let asked = self.asked(fields.u32()?)?;
        match kind {
            101 => self.status(asked, &mut fields),
            102 => match asked {
                Asked::Open(opening) => self.opened(fields.bytes()?, *opening),
                _ => Err("a handle that was not asked for".to_owned()),
            },
            DATA => match asked {
                Asked::Read { file, offset, length: wanted } => {
                    let length = fields.u32()?;
                    self.reads = Some(file);
                    if let Some(open) = self.open.get_mut(&file) {
                        open.read.begins(offset, length);
                        if length < wanted {
                            // Of a file, fewer bytes than were asked for are the last ones.
                            open.read.ends_at(offset.saturating_add(u64::from(length)));
                        }
                    }
                    Ok(())
                }
                // Read from a handle that nobody opened here.
                Asked::Other => {
                    self.reads = None;
                    Err("content of a file that was not seen to be opened".to_owned())
                }
                _ => Err("content that was not asked for".to_owned()),
            },
            105 => {
                if let Asked::Size { file } = asked
                    && fields.u32()? & 1 != 0
                {
                    let size = fields.u64()?;
                    if let Some(open) = self.open.get_mut(&file) {
                        open.read.ends_at(size);
                    }
                }
                Ok(())
            }
            _ => match asked {
                Asked::Other => Ok(()),
                // An answer of a kind that tells no end: it is taken for one, since no other will come.
                Asked::Open(opening) => {
                    self.opened_not(*opening, End::Unseen);
                    Ok(())
                }
                Asked::Act(doing) => {
                    self.did(*doing, End::Unseen);
                    Ok(())
                }
                _ => Ok(()),
            },
        }
    }

    fn status(&mut self, asked: Asked, fields: &mut Fields<'_>) -> Result<(), String> {
        let code = fields.u32()?;
        // Old hosts send no words.
        let words = fields.text().map(|t| t.to_string()).unwrap_or_default();
        let end = if code == 0 { End::Done } else { End::Failed(reason(code, &words)) };
        match (asked, end) {
            (Asked::Act(doing), end) => self.did(*doing, end),
            (Asked::Open(opening), End::Done) => self.opened_not(*opening, End::Unseen),
            (Asked::Open(opening), end) => self.opened_not(*opening, end),
            (Asked::Close { file }, end) => self.closed(file, end),
            (Asked::Read { file, offset, .. }, _) if code == EOF => {
                if let Some(open) = self.open.get_mut(&file) {
                    open.read.ends_at(offset);
                }
            }
            (Asked::Read { file, .. }, End::Failed(why)) => {
                if let Some(open) = self.open.get_mut(&file) {
                    open.read.fails(why);
                }
            }
            (Asked::Write { file }, End::Failed(why)) => {
                if let Some(open) = self.open.get_mut(&file) {
                    open.written.fails(why);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// A status in words; the host's own behind it where they say something else.
fn reason(code: u32, words: &str) -> String {
    let ours = match code {
        1 => "end of file",
        2 => "no such file",
        3 => "permission denied",
        4 => "failure",
        5 => "bad message",
        6 => "no connection",
        7 => "connection lost",
        8 => "operation unsupported",
        _ => return format!("status {code}: {words}").trim_end_matches([':', ' ']).to_owned(),
    };
    let theirs = words.trim();
    if theirs.is_empty() || theirs.eq_ignore_ascii_case(ours) { ours.to_owned() } else { format!("{ours}: {theirs}") }
}
