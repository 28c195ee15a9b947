//! One text out of a JSON document, without a copy of anything else: a pull parser that borrows, checks the whole document,
//! and decodes the one text into a buffer of its exact length. Never builds a tree, never grows a buffer, never recurses.

use zeroize::Zeroizing;

/// The deepest nesting.
const DEPTH: usize = 32;
/// The most members of objects and elements of arrays, altogether.
const MEMBERS: usize = 10_000;

/// Why there is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The bytes are no JSON, or more of it than is read.
    NotJson,
    /// A name of the path is not there, or stands for no object.
    Missing,
    /// What is there is no text.
    NotText,
}

/// The text at `path`, one name per nested object.
///
/// # Errors
/// [`Fault`]. A name that stands twice beside the path's is no JSON here: which of the two counts would be a guess.
pub(super) fn text(document: &[u8], path: &[&str]) -> Result<Zeroizing<Vec<u8>>, Fault> {
    std::str::from_utf8(document).map_err(|_| Fault::NotJson)?;
    let mut reader = Reader { bytes: document, at: 0, members: 0 };
    let found = reader.find(path)?;
    reader.space();
    if reader.at != document.len() {
        return Err(Fault::NotJson);
    }
    match found {
        Found::Text(from, to) => decode(document.get(from..to).ok_or(Fault::NotJson)?),
        Found::Other => Err(Fault::NotText),
        Found::Nothing => Err(Fault::Missing),
    }
}

/// What stands at the path.
#[derive(Clone, Copy, PartialEq)]
enum Found {
    Text(usize, usize),
    Other,
    Nothing,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    members: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, Fault> {
        let byte = self.peek().ok_or(Fault::NotJson)?;
        self.at += 1;
        Ok(byte)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.next()? == byte { Ok(()) } else { Err(Fault::NotJson) }
    }

    fn count(&mut self) -> Result<(), Fault> {
        self.members += 1;
        if self.members > MEMBERS { Err(Fault::NotJson) } else { Ok(()) }
    }

    /// Reads one value. At most [`DEPTH`] names deep: one call per name of the path, never per nesting of the document.
    fn find(&mut self, path: &[&str]) -> Result<Found, Fault> {
        self.space();
        let Some((name, rest)) = path.split_first() else {
            if self.peek() == Some(b'"') {
                let (from, to) = self.string()?;
                return Ok(Found::Text(from, to));
            }
            self.skip()?;
            return Ok(Found::Other);
        };
        if self.peek() != Some(b'{') {
            self.skip()?;
            return Ok(Found::Nothing);
        }
        self.at += 1;
        let mut found = None;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Found::Nothing);
        }
        loop {
            self.count()?;
            self.space();
            let (from, to) = self.string()?;
            self.space();
            self.expect(b':')?;
            let spelled = self.bytes.get(from..to).ok_or(Fault::NotJson)?;
            // A name in escapes could be the path's own a second time.
            let same = if spelled.contains(&b'\\') { decode(spelled)?.as_slice() == name.as_bytes() } else { spelled == name.as_bytes() };
            if same {
                if found.is_some() {
                    return Err(Fault::NotJson);
                }
                found = Some(self.find(rest)?);
            } else {
                self.skip()?;
            }
            self.space();
            match self.next()? {
                b',' => {}
                b'}' => return Ok(found.unwrap_or(Found::Nothing)),
                _ => return Err(Fault::NotJson),
            }
        }
    }

    /// The text between two quotes, still in escapes; the escapes are valid.
    fn string(&mut self) -> Result<(usize, usize), Fault> {
        self.expect(b'"')?;
        let from = self.at;
        loop {
            match self.next()? {
                b'"' => return Ok((from, self.at - 1)),
                b'\\' => match self.next()? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    b'u' => {
                        for _ in 0..4 {
                            if !self.next()?.is_ascii_hexdigit() {
                                return Err(Fault::NotJson);
                            }
                        }
                    }
                    _ => return Err(Fault::NotJson),
                },
                0..=0x1f => return Err(Fault::NotJson),
                _ => {}
            }
        }
    }

    /// Passes over one value, whatever it is. What is open is remembered as bits, so nothing recurses.
    fn skip(&mut self) -> Result<(), Fault> {
        let mut open = [false; DEPTH]; // whether it is an object
        let mut depth = 0usize;
        loop {
            self.space();
            let mut inside = false;
            match self.peek().ok_or(Fault::NotJson)? {
                b'"' => drop(self.string()?),
                byte @ (b'{' | b'[') => {
                    self.at += 1;
                    *open.get_mut(depth).ok_or(Fault::NotJson)? = byte == b'{';
                    depth += 1;
                    self.space();
                    let end = if byte == b'{' { b'}' } else { b']' };
                    if self.peek() == Some(end) {
                        self.at += 1;
                        depth -= 1;
                    } else {
                        self.count()?;
                        if byte == b'{' {
                            self.name()?;
                        }
                        inside = true;
                    }
                }
                _ => self.bare()?,
            }
            if inside {
                continue;
            }
            // A value has ended: what is around it goes on or ends, too.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let object = open.get(depth - 1).copied().unwrap_or(false);
                self.space();
                match (self.next()?, object) {
                    (b',', object) => {
                        self.count()?;
                        if object {
                            self.name()?;
                        }
                        break;
                    }
                    (b'}', true) | (b']', false) => depth -= 1,
                    _ => return Err(Fault::NotJson),
                }
            }
        }
    }

    fn name(&mut self) -> Result<(), Fault> {
        self.space();
        self.string()?;
        self.space();
        self.expect(b':')
    }

    /// A number, `true`, `false` or `null`.
    fn bare(&mut self) -> Result<(), Fault> {
        let from = self.at;
        while matches!(self.peek(), Some(b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'-' | b'.')) {
            self.at += 1;
        }
        let word = self.bytes.get(from..self.at).unwrap_or_default();
        if matches!(word, b"true" | b"false" | b"null") || is_number(word) { Ok(()) } else { Err(Fault::NotJson) }
    }
}

fn is_number(word: &[u8]) -> bool {
    let digits = |bytes: &[u8]| bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    let rest = word.strip_prefix(b"-").unwrap_or(word);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.first() == Some(&b'0')) {
        return false;
    }
    let mut rest = rest.get(whole..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix(b".") {
        let n = digits(fraction);
        if n == 0 {
            return false;
        }
        rest = fraction.get(n..).unwrap_or_default();
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let exponent = exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        let n = digits(exponent);
        return n > 0 && n == exponent.len();
    }
    rest.is_empty()
}

/// Decodes the escapes of a text, once to measure and once to write, so that the buffer has its exact length.
fn decode(spelled: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let mut length = 0;
    unescape(spelled, |bytes| length += bytes.len())?;
    let mut out = Zeroizing::new(Vec::with_capacity(length));
    unescape(spelled, |bytes| out.extend_from_slice(bytes))?;
    Ok(out)
}

fn unescape(spelled: &[u8], mut put: impl FnMut(&[u8])) -> Result<(), Fault> {
    let mut rest = spelled;
    while let Some(at) = rest.iter().position(|b| *b == b'\\') {
        let (plain, escape) = rest.split_at(at);
        put(plain);
        let (_, escape) = escape.split_at_checked(1).ok_or(Fault::NotJson)?;
        let (kind, after) = escape.split_first().ok_or(Fault::NotJson)?;
        rest = after;
        match kind {
            b'b' => put(b"\x08"),
            b'f' => put(b"\x0c"),
            b'n' => put(b"\n"),
            b'r' => put(b"\r"),
            b't' => put(b"\t"),
            b'u' => {
                let mut code = unit(&mut rest)?;
                if (0xd800..0xdc00).contains(&code) {
                    rest = rest.strip_prefix(b"\\u").ok_or(Fault::NotJson)?;
                    let low = unit(&mut rest)?.checked_sub(0xdc00).filter(|low| *low < 0x400).ok_or(Fault::NotJson)?;
                    code = 0x10000 + ((code - 0xd800) << 10) + low;
                }
                let c = char::from_u32(code).ok_or(Fault::NotJson)?;
                let mut spelled = Zeroizing::new([0u8; 4]);
                put(c.encode_utf8(&mut spelled[..]).as_bytes());
            }
            other => put(std::slice::from_ref(other)),
        }
    }
    put(rest);
    Ok(())
}

fn unit(rest: &mut &[u8]) -> Result<u32, Fault> {
    let (digits, after) = rest.split_at_checked(4).ok_or(Fault::NotJson)?;
    *rest = after;
    let value = |b: &u8| char::from(*b).to_digit(16).ok_or(Fault::NotJson);
    digits.iter().try_fold(0, |sum, b| Ok(sum << 4 | value(b)?))
}

#[cfg(test)]
#[path = "tests/json.rs"]
mod tests;
