//! Slots: what a person knows or has becomes a key pair, and the scope's key is sealed to its public half – so that a new scope's key
//! reaches every slot without anybody at hand. Keeps no key.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{HashAlg, PublicKey};
use zeroize::Zeroizing;

use super::code;
use super::crossing::Pair;
use super::envelope::{self, Broken, Bytes, KEY, Place};
use super::wire::{Reader, put_string};
use crate::model::{Scope, Slot, SlotId, SlotKind, UserId};
use crate::secret::Secret;

/// What a passphrase costs: RFC 9106, section 4, the second choice.
pub(super) const COST: Cost = Cost { memory: 64 * 1024, passes: 3, lanes: 4 };
/// The least that is believed: a slot that says less was made by somebody who wants to guess.
const FLOOR: Cost = COST;
/// The most: a slot that says more was made to tie up the broker.
const CEILING: Cost = Cost { memory: 1024 * 1024, passes: 16, lanes: 16 };
/// The shortest passphrase, in bytes.
pub const MIN_PASSPHRASE: usize = 12;
/// The longest.
pub const MAX_PASSPHRASE: usize = 1024;
const VERSION: u8 = 1;
const SALT: usize = 32;
const SIGNATURE: usize = 64;

/// The cost of a derivation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    /// KiB.
    pub(super) memory: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
}

/// A slot as it lies under the root key. Nothing of it opens the scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Body {
    pub(super) kind: SlotKind,
    pub(super) salt: Vec<u8>,
    /// Of a passphrase.
    pub(super) cost: Cost,
    /// Of an agent: the public key, as in `authorized_keys`.
    pub(super) agent: String,
    /// The public half of the slot's key pair.
    pub(super) public: Vec<u8>,
    /// The version of the scope's key.
    pub(super) version: u32,
    /// The scope's key, sealed to `public`.
    pub(super) kek: Vec<u8>,
}

/// Why a passphrase cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PassphraseFault {
    /// Too short.
    #[error("it has fewer than {MIN_PASSPHRASE} bytes")]
    Short,
    /// Too long.
    #[error("it has more than {MAX_PASSPHRASE} bytes")]
    Long,
    /// What no prompt can take: not UTF-8, or with a control character.
    #[error("it has characters that cannot be typed at a prompt")]
    Untypable,
    /// It would be taken for a recovery code.
    #[error("it looks like a recovery code")]
    Code,
}

/// Why an agent's key cannot be a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgentFault {
    /// The text is no public key.
    #[error("that is no public key")]
    NotAKey,
    /// A security key.
    #[error("a security key counts its signatures, so no two are the same, and no key can be made of them")]
    SecurityKey,
    /// ECDSA or DSA.
    #[error("its signatures are random, so no key can be made of them")]
    Random,
    /// Not ed25519.
    #[error("only an ed25519 key is taken")]
    NotEd25519,
    /// The two signatures differ.
    #[error("the agent signed twice and gave two signatures: nothing can be made of them")]
    Unsteady,
    /// The signature does not verify.
    #[error("the agent's signature does not verify")]
    Wrong,
}

impl Body {
    /// For the row's `wrapped`, before the root key wraps it.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_string(&mut out, self.kind.as_str().as_bytes());
        put_string(&mut out, &self.salt);
        for number in [self.cost.memory, self.cost.passes, self.cost.lanes, self.version] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        put_string(&mut out, self.agent.as_bytes());
        put_string(&mut out, &self.public);
        put_string(&mut out, &self.kek);
        out
    }

    /// The inverse. `None` also where the cost is not within its bounds: that was not written by the broker.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut r = Reader(bytes);
        if r.byte()? != VERSION {
            return None;
        }
        let kind: SlotKind = r.text()?.parse().ok()?;
        let salt = r.string()?.to_vec();
        let cost = Cost { memory: r.u32()?, passes: r.u32()?, lanes: r.u32()? };
        let version = r.u32()?;
        let agent = r.text()?.to_owned();
        let (public, kek) = (r.string()?.to_vec(), r.string()?.to_vec());
        let within = |f: fn(&Cost) -> u32| (f(&FLOOR)..=f(&CEILING)).contains(&f(&cost));
        let fits = r.is_empty() && salt.len() == SALT && within(|c| c.memory) && within(|c| c.passes) && within(|c| c.lanes);
        fits.then_some(Self { kind, salt, cost, agent, public, version, kek })
    }
}

/// What is bound into everything of one slot.
pub(super) fn place(vault: &[u8; 16], what: &str, slot: &Slot) -> Place {
    let scope = Scope::Personal(slot.user).key();
    Place::personal(vault, what, &[scope.as_bytes(), slot.id.bytes(), slot.kind.as_str().as_bytes(), slot.label.as_bytes()])
}

/// Where the scope's key lies in a slot.
pub(super) fn kek_place(vault: &[u8; 16], slot: &Slot, version: u32) -> Place {
    let scope = Scope::Personal(slot.user).key();
    Place::personal(vault, "slot key", &[scope.as_bytes(), slot.id.bytes(), slot.kind.as_str().as_bytes(), &version.to_be_bytes()])
}

/// The slot's private key of what was typed or signed.
fn pair_from(material: &[u8], vault: &[u8; 16], slot: SlotId, salt: &[u8], kind: SlotKind) -> Result<Pair, Broken> {
    let salt = [salt, vault, slot.bytes()].concat();
    let info = match kind {
        SlotKind::Passphrase => "keyward/v1 slot passphrase",
        SlotKind::Recovery => "keyward/v1 slot recovery",
        SlotKind::Agent => "keyward/v1 slot agent",
    };
    Pair::of(envelope::derive(material, &salt, info, KEY)?)
}

/// The pair of a passphrase. Takes `cost.memory` KiB and a fraction of a second.
pub(super) fn of_passphrase(passphrase: &[u8], vault: &[u8; 16], slot: SlotId, salt: &[u8], cost: Cost) -> Result<Pair, Broken> {
    let params = Params::new(cost.memory, cost.passes, cost.lanes, Some(KEY)).map_err(|_| Broken)?;
    // Ours, so that it is wiped whatever becomes of the derivation.
    let mut blocks = Zeroizing::new(vec![Block::new(); params.block_count()]);
    let mut out = Zeroizing::new(vec![0u8; KEY]);
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon.hash_password_into_with_memory(passphrase, salt, &mut out, blocks.as_mut_slice()).map_err(|_| Broken)?;
    drop(blocks);
    pair_from(&out, vault, slot, salt, SlotKind::Passphrase)
}

/// The pair of a recovery code.
pub(super) fn of_code(code: &[u8], vault: &[u8; 16], slot: SlotId, salt: &[u8]) -> Result<Pair, Broken> {
    pair_from(code, vault, slot, salt, SlotKind::Recovery)
}

/// The pair of an agent's signature. The signature is verified before: what an agent says instead must not become a key.
pub(super) fn of_signature(
    signature: &[u8],
    vault: &[u8; 16],
    user: UserId,
    slot: SlotId,
    body: (&str, &[u8]),
) -> Result<Pair, AgentFault> {
    let (key, salt) = body;
    let data = signed_data(vault, user, slot, salt);
    let public = ed25519(key)?;
    // It refuses an S that is not below the group's order, too: a signature has one form.
    UnparsedPublicKey::new(&ED25519, public).verify(&data, signature).map_err(|_| AgentFault::Wrong)?;
    pair_from(signature, vault, slot, salt, SlotKind::Agent).map_err(|_| AgentFault::Wrong)
}

/// The one signature of two that must be the same.
pub(super) fn steady(twice: &Secret) -> Result<&[u8], AgentFault> {
    let (first, second) = twice.expose().split_at_checked(SIGNATURE).ok_or(AgentFault::Wrong)?;
    if second.len() != SIGNATURE {
        return Err(AgentFault::Wrong);
    }
    aws_lc_rs::constant_time::verify_slices_are_equal(first, second).map_err(|_| AgentFault::Unsteady)?;
    Ok(first)
}

/// The namespace of the signatures: of this vault and of nothing else.
pub(super) fn namespace(vault: &[u8; 16]) -> String {
    let id: String = vault.iter().map(|b| format!("{b:02x}")).collect();
    format!("personal@{id}.keyward")
}

/// What the agent signs: OpenSSH's PROTOCOL.sshsig over the salt, the person and the slot.
pub(super) fn signed_data(vault: &[u8; 16], user: UserId, slot: SlotId, salt: &[u8]) -> Vec<u8> {
    let message = [salt, user.bytes(), slot.bytes()].concat();
    let mut out = b"SSHSIG".to_vec();
    put_string(&mut out, namespace(vault).as_bytes());
    put_string(&mut out, b"");
    put_string(&mut out, b"sha512");
    put_string(&mut out, aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, &message).as_ref());
    out
}

/// The 32 bytes of an ed25519 key, or why it can be no slot.
pub(super) fn ed25519(key: &str) -> Result<[u8; 32], AgentFault> {
    let key = PublicKey::from_openssh(key).map_err(|_| AgentFault::NotAKey)?;
    match key.key_data() {
        KeyData::Ed25519(key) => Ok(key.0),
        KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_) => Err(AgentFault::SecurityKey),
        KeyData::Ecdsa(_) | KeyData::Dsa(_) => Err(AgentFault::Random),
        _ => Err(AgentFault::NotEd25519),
    }
}

/// The fingerprint of an agent's key, as it is listed.
pub(super) fn fingerprint(key: &str) -> Result<String, AgentFault> {
    ed25519(key)?;
    let key = PublicKey::from_openssh(key).map_err(|_| AgentFault::NotAKey)?;
    Ok(key.fingerprint(HashAlg::Sha256).to_string())
}

/// Whether this can be a passphrase.
pub(super) fn judge(passphrase: &[u8]) -> Result<(), PassphraseFault> {
    let text = std::str::from_utf8(passphrase).map_err(|_| PassphraseFault::Untypable)?;
    if passphrase.len() < MIN_PASSPHRASE {
        Err(PassphraseFault::Short)
    } else if passphrase.len() > MAX_PASSPHRASE {
        Err(PassphraseFault::Long)
    } else if text.chars().any(char::is_control) {
        Err(PassphraseFault::Untypable)
    } else if code::read(passphrase).is_some() {
        Err(PassphraseFault::Code)
    } else {
        Ok(())
    }
}

/// A new salt.
pub(super) fn fresh_salt() -> Result<Bytes, Broken> {
    envelope::random(SALT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> Body {
        Body {
            kind: SlotKind::Passphrase,
            salt: vec![1; SALT],
            cost: COST,
            agent: String::new(),
            public: vec![2; 32],
            version: 3,
            kek: vec![4; 100],
        }
    }

    #[test]
    fn a_slot_is_read_as_it_was_written_and_nothing_else_is() {
        let bytes = body().encode();
        assert_eq!(Body::decode(&bytes).unwrap(), body());
        for length in 0..bytes.len() {
            assert!(Body::decode(&bytes[..length]).is_none());
        }
        assert!(Body::decode(&[&bytes[..], b"x"].concat()).is_none());
    }

    #[test]
    fn a_cost_below_the_floor_or_above_the_ceiling_is_not_believed() {
        let costs = [
            Cost { memory: 64 * 1024 - 1, ..COST },
            Cost { passes: 2, ..COST },
            Cost { lanes: 3, ..COST },
            Cost { memory: u32::MAX, ..COST },
            Cost { passes: u32::MAX, ..COST },
            Cost { lanes: 17, ..COST },
        ];
        for cost in costs {
            assert!(Body::decode(&Body { cost, ..body() }.encode()).is_none(), "{cost:?}");
        }
    }

    #[test]
    fn keys_that_sign_at_random_are_refused_with_the_reason() {
        let sk = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIJvJnXfLhr7o5w7r3Jd0m2y4o6G0Z7o3m5p9kq5y1v2dAAAABHNzaDo=";
        assert_eq!(ed25519(sk).unwrap_err(), AgentFault::SecurityKey);
        assert_eq!(ed25519("nonsense").unwrap_err(), AgentFault::NotAKey);
        let twice = |a: u8, b: u8| Secret::new([[a; 64], [b; 64]].concat());
        assert_eq!(steady(&twice(1, 1)).unwrap(), [1; 64]);
        assert_eq!(steady(&twice(1, 2)).unwrap_err(), AgentFault::Unsteady);
        assert_eq!(steady(&Secret::new(vec![1; 127])).unwrap_err(), AgentFault::Wrong);
    }

    #[test]
    fn what_can_be_a_passphrase() {
        assert_eq!(judge(b"correct horse"), Ok(()));
        assert_eq!(judge("ein längerer Satz".as_bytes()), Ok(()));
        assert_eq!(judge(b"short"), Err(PassphraseFault::Short));
        assert_eq!(judge(&[b'x'; MAX_PASSPHRASE + 1]), Err(PassphraseFault::Long));
        assert_eq!(judge(b"with a \x07 bell in it"), Err(PassphraseFault::Untypable));
        assert_eq!(judge(&[0xff; 20]), Err(PassphraseFault::Untypable));
        assert_eq!(judge(code::write(&[9; 16]).as_bytes()), Err(PassphraseFault::Code));
    }

    #[test]
    fn a_slot_of_another_person_vault_or_id_gives_another_key() {
        let id = |n: u8| SlotId::from([n; 16]);
        let public = |vault: u8, slot: u8| of_code(&[5; 16], &[vault; 16], id(slot), &[1; SALT]).unwrap().public;
        assert_eq!(public(1, 1), public(1, 1));
        assert_ne!(public(1, 1), public(2, 1));
        assert_ne!(public(1, 1), public(1, 2));
        let user = |n: u8| UserId::from([n; 16]);
        let data = |v: u8, u: u8, s: u8| signed_data(&[v; 16], user(u), id(s), &[1; SALT]);
        assert!(data(1, 1, 1) != data(2, 1, 1) && data(1, 1, 1) != data(1, 2, 1) && data(1, 1, 1) != data(1, 1, 2));
    }
}
