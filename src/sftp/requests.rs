//! What a client asks for (draft-02 §6, and OpenSSH's PROTOCOL §4).

use super::fields::Fields;
use super::frames::WRITE;
use super::seen::{Act, End, Seen, Text};
use super::tap::{Asked, Doing, Opening, Stage, Tap};

impl Tap {
    /// A request, from its type on.
    pub(super) fn request(&mut self, body: &[u8], cut: bool) -> Result<(), String> {
        let mut fields = Fields::new(body, cut);
        let kind = fields.u8()?;
        if kind == 1 {
            if self.stage != Stage::New {
                return Err("the client greets twice".to_owned());
            }
            self.stage = Stage::Asked;
            return Ok(());
        }
        if self.stage == Stage::New {
            return Err("the client does not begin with SFTP's greeting".to_owned());
        }
        let id = fields.u32()?;
        let asked = match kind {
            3 => {
                let path = fields.text()?;
                // Of a path that was cut, the flags are not known: as if for all.
                let flags = fields.u32().unwrap_or(3);
                self.opening(path, Some(flags))
            }
            4 => self.on_file(fields, |file, _| Ok(Asked::Close { file }))?,
            5 => self.on_file(fields, |file, rest| Ok(Asked::Read { file, offset: rest.u64()?, length: rest.u32()? }))?,
            WRITE => self.write(fields)?,
            8 => self.on_file(fields, |file, _| Ok(Asked::Size { file }))?,
            9 => {
                let path = fields.text()?;
                self.changing(path, &mut fields, None)
            }
            10 => {
                let handle = fields.bytes()?;
                self.changing(self.path_of(handle), &mut fields, self.file(handle))
            }
            11 => {
                let path = fields.text()?;
                self.opening(path, None)
            }
            13 => self.one(Act::Removed, fields.text()?),
            14 => self.one(Act::MadeDirectory, fields.text()?),
            15 => self.one(Act::RemovedDirectory, fields.text()?),
            18 => self.two(Act::Renamed, &mut fields)?,
            // The draft has the link first; OpenSSH, and who wants to be understood by it, what it leads to.
            20 => self.link(Act::Symlinked, &mut fields)?,
            200 => self.extended(&mut fields)?,
            _ => Asked::Other,
        };
        self.ask(id, asked)
    }

    fn extended(&mut self, fields: &mut Fields<'_>) -> Result<Asked, String> {
        Ok(match fields.bytes()? {
            b"posix-rename@openssh.com" => self.two(Act::Renamed, fields)?,
            b"hardlink@openssh.com" => self.link(Act::Hardlinked, fields)?,
            b"lsetstat@openssh.com" => {
                let path = fields.text()?;
                self.changing(path, fields, None)
            }
            b"copy-data" => {
                let from = self.path_of(fields.bytes()?);
                let (_, length) = (fields.u64()?, fields.u64()?);
                let handle = fields.bytes()?;
                let to = self.path_of(handle);
                if let Some(open) = self.file(handle).and_then(|file| self.open.get_mut(&file)) {
                    // Content that the host puts there itself is in no digest.
                    open.written.disorder();
                }
                let seen = Seen { to: Some(to), bytes: (length > 0).then_some(length), ..Seen::new(Act::Copied, from, End::Done) };
                self.doing(seen)
            }
            _ => Asked::Other,
        })
    }

    /// A request that begins with a handle; one that nobody knows is the host's to refuse.
    fn on_file(&self, mut fields: Fields<'_>, then: impl FnOnce(u32, &mut Fields<'_>) -> Result<Asked, String>) -> Result<Asked, String> {
        let handle = fields.bytes()?;
        self.file(handle).map_or(Ok(Asked::Other), |file| then(file, &mut fields))
    }

    fn write(&mut self, mut fields: Fields<'_>) -> Result<Asked, String> {
        let handle = fields.bytes()?;
        let (offset, length) = (fields.u64()?, fields.u32()?);
        self.writes = self.file(handle);
        let Some(file) = self.writes else { return Ok(Asked::Other) };
        if let Some(open) = self.open.get_mut(&file) {
            open.written.begins(offset, length);
        }
        Ok(Asked::Write { file })
    }

    fn opening(&self, path: Text, flags: Option<u32>) -> Asked {
        Asked::Open(Box::new(Opening { path, flags, since: self.now }))
    }

    fn doing(&self, seen: Seen) -> Asked {
        Asked::Act(Box::new(Doing { seen, since: self.now, sets_size: None }))
    }

    fn one(&self, act: Act, path: Text) -> Asked {
        self.doing(Seen::new(act, path, End::Done))
    }

    fn two(&self, act: Act, fields: &mut Fields<'_>) -> Result<Asked, String> {
        let path = fields.text()?;
        Ok(self.doing(Seen { to: Some(fields.text()?), ..Seen::new(act, path, End::Done) }))
    }

    fn link(&self, act: Act, fields: &mut Fields<'_>) -> Result<Asked, String> {
        let target = fields.text()?;
        Ok(self.doing(Seen { to: Some(target), ..Seen::new(act, fields.text()?, End::Done) }))
    }

    fn changing(&self, path: Text, fields: &mut Fields<'_>, file: Option<u32>) -> Asked {
        let attributes = fields.attributes();
        let seen = Seen { changes: Some(attributes.words).filter(|w| !w.is_empty()), ..Seen::new(Act::Changed, path, End::Done) };
        Asked::Act(Box::new(Doing { seen, since: self.now, sets_size: file.zip(attributes.size) }))
    }
}
