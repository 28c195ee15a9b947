//! One-time codes (RFC 6238: HMAC-SHA1, 30 s, 6 digits) and recovery codes: made and judged on the keeper's thread. The secret leaves it
//! once, to be shown to the person who enrols; whether a code was used already is the ledger's to say, and never decided here alone.

use aws_lc_rs::{constant_time, hmac};
use zeroize::Zeroizing;

use super::Vault;
use super::code;
use super::envelope::{self, Bytes, Place};
use super::error::{Error, Tampering};
use super::personal::Code;
use super::ring::{Ring, system};
use crate::clock::Time;
use crate::model::UserId;
use crate::secret::Secret;
use crate::store::second_factors::{self, Enrolment, FactorRow};
use crate::store::{self, state};

/// Bytes of the secret that the person's authenticator gets (RFC 4226 §4, R6: 160 bits).
const SECRET: usize = 20;
/// Bytes of the key under which recovery codes are hashed; it stands behind the secret, in the same envelope.
const HASH_KEY: usize = 32;
/// Seconds of a time step (RFC 6238 §5.2).
const STEP: u64 = 30;
/// Digits of a code.
const DIGITS: usize = 6;
/// Recovery codes that are made at a time.
pub const RECOVERY_CODES: usize = 8;

/// A second factor that was made just now: its secret in base32, to be shown once, and the secret as it is stored.
#[derive(Debug)]
pub struct NewFactor {
    /// RFC 4648 §6, without padding.
    pub secret: Zeroizing<String>,
    /// For the row.
    pub wrapped: Vec<u8>,
}

/// Recovery codes, to be shown once, and their hashes, to be stored.
pub type RecoveryCodes = (Vec<Code>, Vec<[u8; 32]>);

/// What something that was typed is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// The code of this time step, later than the last one that was used.
    Step(u64),
    /// The code of a step that was used, or passed over by using a later one.
    Used,
    /// A recovery code with this hash.
    Recovery([u8; 32]),
    /// Nothing that counts.
    Nothing,
}

impl Vault {
    /// Makes a second factor for a person.
    ///
    /// # Errors
    /// [`Error::System`], [`Error::KeeperStopped`].
    pub async fn new_factor(&self, user: UserId, made_at: Time) -> Result<NewFactor, Error> {
        let make = move |ring: &Ring| {
            let both = system(envelope::random(SECRET + HASH_KEY))?;
            let wrapped = system(envelope::seal(&ring.root, &Place::totp(&ring.vault, user, made_at), &both))?;
            let (secret, _) = both.split_at_checked(SECRET).ok_or(Error::System("a second factor"))?;
            Ok(NewFactor { secret: base32(secret), wrapped })
        };
        self.keeper.ask(make).await
    }

    /// Judges what a person typed, by their second factor at this stage, from one snapshot that is verified. `None`: they have none.
    /// Every step of the window is computed and compared, whatever the first one says.
    ///
    /// # Errors
    /// [`Error::Tampered`].
    pub async fn judge_code(&self, user: UserId, enrolment: Enrolment, typed: Secret) -> Result<Option<(FactorRow, Typed)>, Error> {
        let (floor, now, database) = (self.keeper.floor(), self.clock.now(), self.store.path().to_owned());
        let read = move |c: &rusqlite::Connection| -> Result<_, store::Error> {
            Ok((state::read(c)?, second_factors::of(c, user, enrolment)?, second_factors::codes(c, user)?))
        };
        let (state, row, hashes) = self.store.read(read).await?;
        let judge = move |ring: &Ring| {
            ring.verify(&state)?;
            if state.epoch < floor {
                return Err(Error::Tampered { database, found: Tampering::Rollback });
            }
            let Some(row) = row else { return Ok(None) };
            let verdict = ring.judge_code(&row, &hashes, typed.expose(), now)?;
            Ok(Some((row, verdict)))
        };
        self.keeper.ask(judge).await
    }

    /// Makes recovery codes for a second factor.
    ///
    /// # Errors
    /// [`Error::Tampered`] if the row does not open.
    pub async fn new_recovery_codes(&self, row: FactorRow) -> Result<RecoveryCodes, Error> {
        let make = move |ring: &Ring| {
            let both = ring.factor(&row)?;
            let (mut codes, mut hashes) = (Vec::with_capacity(RECOVERY_CODES), Vec::with_capacity(RECOVERY_CODES));
            for _ in 0..RECOVERY_CODES {
                let fresh = system(envelope::random(code::CODE))?;
                hashes.push(hash(&both, row.user, &fresh)?);
                codes.push(code::write(&fresh));
            }
            Ok((codes, hashes))
        };
        self.keeper.ask(make).await
    }
}

impl Ring {
    /// Opens a second factor: the secret, and the key of its recovery codes behind it.
    fn factor(&self, row: &FactorRow) -> Result<Bytes, Error> {
        let place = Place::totp(&self.vault, row.user, row.made_at);
        let opened = envelope::open(&self.root, &place, &row.wrapped).ok().or_else(|| self.open_beside(&place, &row.wrapped));
        opened.filter(|both| both.len() == SECRET + HASH_KEY).ok_or_else(|| self.tampered(Tampering::SecondFactor))
    }

    fn judge_code(&self, row: &FactorRow, hashes: &[Vec<u8>], typed: &[u8], now: Time) -> Result<Typed, Error> {
        let both = self.factor(row)?;
        let bare: Zeroizing<Vec<u8>> = Zeroizing::new(typed.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect());
        if bare.len() == DIGITS && bare.iter().all(u8::is_ascii_digit) {
            let (secret, _) = both.split_at_checked(SECRET).ok_or(Error::System("a second factor"))?;
            return Ok(judge_digits(secret, &bare, row.last_step, now));
        }
        let Some(code) = code::read(&bare) else { return Ok(Typed::Nothing) };
        let hash = hash(&both, row.user, &code)?;
        let mut found = false;
        for known in hashes {
            found |= constant_time::verify_slices_are_equal(known, &hash).is_ok();
        }
        Ok(if found { Typed::Recovery(hash) } else { Typed::Nothing })
    }
}

/// The step before, the one that runs, and the next: clocks differ, and people type slowly (RFC 6238 §5.2).
fn judge_digits(secret: &[u8], typed: &[u8], last: u64, now: Time) -> Typed {
    let current = u64::try_from(now.millis() / 1000).unwrap_or(0) / STEP;
    let mut verdict = Typed::Nothing;
    for step in [current.saturating_sub(1), current, current.saturating_add(1)] {
        let same = constant_time::verify_slices_are_equal(&digits(secret, step), typed).is_ok();
        verdict = match verdict {
            Typed::Nothing | Typed::Used if same => {
                if step > last {
                    Typed::Step(step)
                } else {
                    Typed::Used
                }
            }
            before => before,
        };
    }
    verdict
}

/// The code of a step (RFC 4226 §5.3), in digits.
fn digits(secret: &[u8], step: u64) -> [u8; DIGITS] {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let mac = tag.as_ref();
    let offset = usize::from(mac.last().copied().unwrap_or(0) & 0x0f);
    let taken: [u8; 4] = mac.get(offset..offset + 4).and_then(|four| four.try_into().ok()).unwrap_or([0; 4]);
    let mut number = u32::from_be_bytes(taken) & 0x7fff_ffff;
    let mut out = [b'0'; DIGITS];
    for digit in out.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
    out
}

/// How a recovery code is stored.
fn hash(both: &[u8], user: UserId, code: &[u8]) -> Result<[u8; 32], Error> {
    let (_, key) = both.split_at_checked(SECRET).ok_or(Error::System("a second factor"))?;
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    context.update(b"keyward/v1 recovery code");
    context.update(user.bytes());
    context.update(code);
    context.sign().as_ref().try_into().map_err(|_| Error::System("a digest"))
}

/// RFC 4648 §6, without padding, in a buffer that is wiped.
fn base32(bytes: &[u8]) -> Zeroizing<String> {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = Zeroizing::new(String::with_capacity((bytes.len() * 8).div_ceil(5)));
    let (mut held, mut bits) = (0u32, 0u32);
    let mut put = |digit: u32| out.push(ALPHABET.get(usize::try_from(digit & 31).unwrap_or(0)).map_or('A', |c| char::from(*c)));
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            put(held >> bits);
        }
    }
    if bits > 0 {
        put(held << (5 - bits));
    }
    out
}

#[cfg(test)]
#[path = "tests/totp.rs"]
mod tests;
