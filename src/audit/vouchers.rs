//! Whose signatures count on checkpoints: the key that signs now, for every entry, and the keys before it, each up to the
//! entry in which it handed over. A key that was stolen after its time vouches for nothing new.

use super::chain::hex;
use super::checkpoint::Checkpoint;
use crate::store::keys::RootRow;

/// The keys that vouch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouchers {
    current: [u8; 32],
    former: Vec<([u8; 32], u64)>,
}

impl Vouchers {
    /// The key that signs now, and from the ledger's rows those before it.
    pub fn new(current: [u8; 32], roots: &[RootRow]) -> Self {
        let former = roots.iter().filter(|r| r.checkpoint_key != current).filter_map(|r| Some((r.checkpoint_key, r.last_seq?))).collect();
        Self { current, former }
    }

    /// Whether a checkpoint counts.
    pub fn vouch_for(&self, checkpoint: &Checkpoint) -> bool {
        checkpoint.is_signed_by(&self.current)
            || self.former.iter().any(|(key, last)| checkpoint.seq <= *last && checkpoint.is_signed_by(key))
    }
}

impl From<&[u8; 32]> for Vouchers {
    fn from(current: &[u8; 32]) -> Self {
        Self { current: *current, former: Vec::new() }
    }
}

/// The text that both keys sign when one hands over to the other.
pub fn hand_over(vault: &[u8; 16], from: &[u8; 32], to: &[u8; 32]) -> Vec<u8> {
    format!("keyward checkpoint key handed over v1\n{}\n{}\n{}\n", hex(vault), hex(from), hex(to)).into_bytes()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

    use super::*;
    use crate::audit::Signer;
    use crate::clock::Time;
    use crate::store::audit_log::EntryRow;

    struct Key(Ed25519KeyPair);
    impl Signer for Key {
        fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
            Some(self.0.sign(message).as_ref().to_vec())
        }
        fn public_key(&self) -> [u8; 32] {
            self.0.public_key().as_ref().try_into().unwrap()
        }
    }

    #[test]
    fn a_former_key_vouches_up_to_the_entry_that_handed_over_and_no_further() {
        let (old, new, stranger) = (1u8, 2u8, 3u8).into_keys();
        let row = RootRow {
            id: "a".to_owned(),
            checkpoint_key: old.public_key(),
            made_at: None,
            retired_at: Some(Time::from_millis(5)),
            last_seq: Some(10),
            doomed: false,
        };
        let vouchers = Vouchers::new(new.public_key(), &[row]);
        let signed = |seq: u64, key: &Key| {
            let head = EntryRow { seq, at: Time::from_millis(0), body: String::new(), prev: vec![], hash: vec![7; 32] };
            Checkpoint::sign(&head, Time::from_millis(1), key).unwrap()
        };
        assert!(vouchers.vouch_for(&signed(10, &old)));
        assert!(!vouchers.vouch_for(&signed(11, &old)), "after its time");
        assert!(vouchers.vouch_for(&signed(3, &new)) && vouchers.vouch_for(&signed(11, &new)));
        assert!(!vouchers.vouch_for(&signed(3, &stranger)));
    }

    trait IntoKeys {
        fn into_keys(self) -> (Key, Key, Key);
    }
    impl IntoKeys for (u8, u8, u8) {
        fn into_keys(self) -> (Key, Key, Key) {
            let key = |seed: u8| Key(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap());
            (key(self.0), key(self.1), key(self.2))
        }
    }

    #[test]
    fn the_entry_of_a_message_is_read_back() {
        assert_eq!(Checkpoint::seq_of(&Checkpoint::message(42, "00", Time::from_millis(0))), Some(42));
        for other in [&b"keyward audit checkpoint v1\nx\n"[..], b"", b"keyward audit checkpoint v2\n7\n", b"\xff"] {
            assert_eq!(Checkpoint::seq_of(other), None);
        }
    }
}
