//! The encoding of SSH (RFC 4251, section 5), as far as keys and sign-in requests need it. Never allocates for what it
//! has not seen: every length is checked against what is left.

/// Takes fields off the front of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.string()?).ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Appends a string with its length.
pub(super) fn put_string(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    to.extend_from_slice(bytes);
}

/// Appends an unsigned number: no leading zeros, but one if its highest bit is set.
pub(super) fn put_mpint(to: &mut Vec<u8>, big_endian: &[u8]) {
    let zeros = big_endian.iter().take_while(|b| **b == 0).count();
    let digits = big_endian.get(zeros..).unwrap_or_default();
    let pad = digits.first().is_some_and(|b| b & 0x80 != 0);
    to.extend_from_slice(&u32::try_from(digits.len() + usize::from(pad)).unwrap_or(u32::MAX).to_be_bytes());
    if pad {
        to.push(0);
    }
    to.extend_from_slice(digits);
}

/// What an SSH client signs to sign in with a key (RFC 4252, section 7).
#[derive(Clone, Copy, Debug)]
pub(super) struct SignIn<'a> {
    /// The account.
    pub(super) user: &'a str,
    /// The signature algorithm.
    pub(super) algorithm: &'a str,
    /// The public key.
    pub(super) key: &'a [u8],
}

impl<'a> SignIn<'a> {
    /// Reads the whole of `bytes`; `None` if it is anything else, so that the keeper signs nothing but sign-ins.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        const USERAUTH_REQUEST: u8 = 50;
        let mut from = Reader(bytes);
        // The session id is a hash of the key exchange: SHA-1 to SHA-512.
        let session = from.string()?;
        let fits = (20..=64).contains(&session.len()) && from.byte()? == USERAUTH_REQUEST;
        let user = from.text()?;
        let fits = fits && from.string()? == b"ssh-connection" && from.string()? == b"publickey" && from.byte()? == 1;
        let (algorithm, key) = (from.text()?, from.string()?);
        (fits && from.is_empty()).then_some(Self { user, algorithm, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign_in(session: &[u8], kind: u8, method: &[u8], signed: u8) -> Vec<u8> {
        let mut out = Vec::new();
        put_string(&mut out, session);
        out.push(kind);
        put_string(&mut out, b"root");
        put_string(&mut out, b"ssh-connection");
        put_string(&mut out, method);
        out.push(signed);
        put_string(&mut out, b"ssh-ed25519");
        put_string(&mut out, b"KEY");
        out
    }

    #[test]
    fn only_a_whole_sign_in_request_is_taken() {
        let good = sign_in(&[7; 32], 50, b"publickey", 1);
        let parsed = SignIn::parse(&good).unwrap();
        assert_eq!((parsed.user, parsed.algorithm, parsed.key), ("root", "ssh-ed25519", &b"KEY"[..]));
        for cut in 0..good.len() {
            assert!(SignIn::parse(&good[..cut]).is_none(), "{cut}");
        }
        let longer = [&good[..], b"x"].concat();
        for bad in [
            longer,
            sign_in(&[], 50, b"publickey", 1),
            sign_in(&[7; 65], 50, b"publickey", 1),
            sign_in(&[7; 32], 51, b"publickey", 1),
            sign_in(&[7; 32], 50, b"hostbased", 1),
            sign_in(&[7; 32], 50, b"publickey", 0),
            b"SSHSIG\0\0\0\x04file".to_vec(),
        ] {
            assert!(SignIn::parse(&bad).is_none());
        }
    }

    #[test]
    fn numbers_are_minimal_and_positive() {
        for (given, want) in [(&[0u8, 0, 1][..], &[0u8, 0, 0, 1, 1][..]), (&[0x80], &[0, 0, 0, 2, 0, 0x80]), (&[0, 0], &[0, 0, 0, 0])] {
            let mut out = Vec::new();
            put_mpint(&mut out, given);
            assert_eq!(out, want);
        }
    }
}
