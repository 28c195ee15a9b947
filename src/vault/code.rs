//! Recovery codes: 128 random bits as seven groups of four characters, the last two of which find a typing mistake. Pure; what is
//! written and read lies in buffers that are wiped.

use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

use super::envelope::Bytes;

/// Bytes of a code.
pub(super) const CODE: usize = 16;
/// Characters of a code without its dashes: 26 for the bits, 2 to check them.
const CHARACTERS: usize = 28;
/// Crockford's base32: nothing in it is taken for something else.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The text of a code.
pub(super) fn write(code: &[u8]) -> Zeroizing<String> {
    let digits = digits(code);
    let mut out = Zeroizing::new(String::with_capacity(CHARACTERS + CHARACTERS / 4));
    for (at, digit) in digits.iter().enumerate() {
        if at > 0 && at % 4 == 0 {
            out.push('-');
        }
        out.push(ALPHABET.get(usize::from(*digit)).map_or('0', |c| char::from(*c)));
    }
    out
}

/// The code of a text; `None`: it is none, or mistyped. Upper and lower case, spaces and dashes make no difference, and letters that
/// look like digits are read as those.
pub(super) fn read(text: &[u8]) -> Option<Bytes> {
    let mut typed = Zeroizing::new(Vec::with_capacity(CHARACTERS));
    for byte in text.iter().filter(|b| !matches!(b, b'-' | b' ')) {
        if typed.len() == CHARACTERS {
            return None;
        }
        let byte = match byte.to_ascii_uppercase() {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            other => other,
        };
        typed.push(u8::try_from(ALPHABET.iter().position(|a| *a == byte)?).ok()?);
    }
    if typed.len() != CHARACTERS {
        return None;
    }
    let mut code = Zeroizing::new(vec![0u8; CODE]);
    for (at, digit) in typed.iter().take(26).enumerate() {
        for bit in 0..5usize {
            // 130 digits' bits for 128: the first two are zero.
            let place = (at * 5 + bit).checked_sub(2);
            let set = (digit >> (4 - bit)) & 1;
            match place.and_then(|p| code.get_mut(p / 8).map(|byte| (byte, p % 8))) {
                Some((byte, shift)) => *byte |= set << (7 - shift),
                None if set == 1 => return None,
                None => {}
            }
        }
    }
    let same = digits(&code).iter().eq(typed.iter());
    same.then_some(code)
}

/// The code in base32, with the check behind it.
fn digits(code: &[u8]) -> Bytes {
    let mut out = Zeroizing::new(Vec::with_capacity(CHARACTERS));
    for at in 0..26usize {
        let mut digit = 0u8;
        for bit in 0..5usize {
            let place = (at * 5 + bit).checked_sub(2);
            let set = place.and_then(|p| code.get(p / 8).map(|byte| (byte >> (7 - p % 8)) & 1)).unwrap_or(0);
            digit = (digit << 1) | set;
        }
        out.push(digit);
    }
    // Of 128 random bits ten bits of a digest tell nothing that could be guessed from.
    let check = digest(&SHA256, code);
    let (a, b) = match check.as_ref() {
        [a, b, ..] => (*a, *b),
        _ => (0, 0),
    };
    out.push(a >> 3);
    out.push(((a & 7) << 2) | (b >> 6));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_it_was_written() {
        for seed in [0u8, 1, 0x5a, 0xff] {
            let code: Vec<u8> = (0..16).map(|i| seed.wrapping_mul(i + 1).wrapping_add(i)).collect();
            let text = write(&code);
            assert_eq!(text.len(), 34);
            assert_eq!(read(text.as_bytes()).unwrap().as_slice(), code);
            assert_eq!(read(text.to_lowercase().replace('-', " ").as_bytes()).unwrap().as_slice(), code);
            assert_eq!(read(text.replace('0', "o").replace('1', "l").as_bytes()).unwrap().as_slice(), code);
        }
    }

    #[test]
    fn a_mistyped_code_is_none() {
        let text = write(&[0x5a; 16]);
        let bytes = text.as_bytes();
        let mut read_anyway = 0;
        for at in (0..bytes.len()).filter(|at| bytes[*at] != b'-') {
            for other in ALPHABET.iter().filter(|a| **a != bytes[at]) {
                let mut typed = bytes.to_vec();
                typed[at] = *other;
                read_anyway += usize::from(read(&typed).is_some());
            }
        }
        assert!(read_anyway <= 4, "{read_anyway} of 868 single mistakes are not found");
        for text in ["", "-", "0000", "correct horse battery staple", &"0".repeat(29), &"U".repeat(28), &"7".repeat(28)] {
            assert!(read(text.as_bytes()).is_none(), "{text}");
        }
    }
}
