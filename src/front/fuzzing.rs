//! Lets `fuzz/` reach what reads a client's first bytes. Serves nobody, and is in no build that is run.

/// What is made of the first bytes of a client: whether it speaks AES-GCM, or `None` while more is needed.
pub fn first_bytes(bytes: &[u8]) -> Option<bool> {
    super::peek::known(bytes)
}
