//! One-time codes against the vectors of the RFCs, and second factors in a real ledger.

use std::time::Duration;

use super::{RECOVERY_CODES, Typed, base32, digits, judge_digits};
use crate::clock::Time;
use crate::store::second_factors::{self, Enrolment};
use crate::vault::tests::{World, secret};
use crate::vault::{Error, Tampering};

/// The secret of RFC 4226, appendix D, and of RFC 6238, appendix B, for SHA-1.
const RFC: &[u8] = b"12345678901234567890";

fn at(seconds: i64) -> Time {
    Time::from_millis(seconds * 1000)
}

#[test]
fn codes_are_those_of_the_rfcs() {
    let hotp = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
    for (counter, code) in (0u64..).zip(hotp) {
        assert_eq!(digits(RFC, counter), code.as_bytes(), "{counter}");
    }
    // Eight digits there, of which the last six are those of a code of six.
    for (seconds, code) in [(59u64, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")] {
        assert_eq!(digits(RFC, seconds / 30), code.as_bytes(), "{seconds}");
    }
}

#[test]
fn base32_is_that_of_the_rfc() {
    for (plain, text) in
        [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB"), ("foobar", "MZXW6YTBOI")]
    {
        assert_eq!(base32(plain.as_bytes()).as_str(), text);
    }
    assert_eq!(base32(&[0xff; 20]).len(), 32);
}

#[test]
fn the_window_is_one_step_on_each_side_and_no_step_counts_twice() {
    let now = at(1_111_111_109);
    let current = 1_111_111_109 / 30;
    for (step, counts) in [(current - 2, false), (current - 1, true), (current, true), (current + 1, true), (current + 2, false)] {
        let verdict = judge_digits(RFC, &digits(RFC, step), 0, now);
        assert_eq!(verdict, if counts { Typed::Step(step) } else { Typed::Nothing }, "{step}");
    }
    assert_eq!(judge_digits(RFC, &digits(RFC, current), current, now), Typed::Used);
    assert_eq!(judge_digits(RFC, &digits(RFC, current - 1), current, now), Typed::Used, "nor one from before");
    assert_eq!(judge_digits(RFC, &digits(RFC, current + 1), current, now), Typed::Step(current + 1));
}

impl World {
    /// Alice's second factor, in force: its secret's code for a step, as her authenticator computes it.
    async fn enrolled(&self) -> impl Fn(u64) -> String + use<> {
        let (user, made_at) = (self.user.id, self.clock.now());
        let new = self.vault.new_factor(user, made_at).await.unwrap();
        self.change(move |c| {
            second_factors::offer(c, user, made_at, &new.wrapped, false)?;
            assert!(second_factors::enrol(c, user, made_at, 1, &[], made_at)?);
            Ok(())
        })
        .await;
        let secret = unbase32(&new.secret);
        move |step| String::from_utf8(digits(&secret, step).to_vec()).unwrap()
    }

    async fn judge(&self, typed: &str) -> Result<Option<Typed>, Error> {
        Ok(self.vault.judge_code(self.user.id, Enrolment::InForce, secret(typed)).await?.map(|(_, verdict)| verdict))
    }

    fn step(&self) -> u64 {
        u64::try_from(self.clock.now().millis()).unwrap() / 30_000
    }
}

fn unbase32(text: &str) -> Vec<u8> {
    let bits: String =
        text.bytes().map(|c| if c.is_ascii_digit() { c - b'2' + 26 } else { c - b'A' }).map(|d| format!("{d:05b}")).collect();
    bits.as_bytes().chunks_exact(8).map(|b| u8::from_str_radix(std::str::from_utf8(b).unwrap(), 2).unwrap()).collect()
}

#[tokio::test]
async fn a_code_counts_once_whatever_is_asked_of_the_ledger() {
    let w = World::new().await;
    assert_eq!(w.judge("123456").await.unwrap(), None);
    let code = w.enrolled().await;
    let (user, step, now) = (w.user.id, w.step(), w.clock.now());
    let spaced = format!(" {} {}\n", &code(step)[..3], &code(step)[3..]);
    assert_eq!(w.judge(&spaced).await.unwrap(), Some(Typed::Step(step)), "as authenticators show it");
    for other in ["", "12345", "1234567", "abcdef", "correct horse battery staple"] {
        assert_eq!(w.judge(other).await.unwrap(), Some(Typed::Nothing), "{other}");
    }
    let row = w.store.read(move |c| second_factors::of(c, user, Enrolment::InForce)).await.unwrap().unwrap();
    assert!(w.change(move |c| second_factors::use_step(c, user, row.made_at, step, now)).await);
    assert!(!w.change(move |c| second_factors::use_step(c, user, row.made_at, step, now)).await, "two at the same moment");
    assert_eq!(w.judge(&code(step)).await.unwrap(), Some(Typed::Used));
    w.clock.advance(Duration::from_secs(90));
    assert_eq!(w.judge(&code(step)).await.unwrap(), Some(Typed::Nothing));
    assert_eq!(w.judge(&code(w.step())).await.unwrap(), Some(Typed::Step(w.step())));
}

#[tokio::test]
async fn a_recovery_code_counts_once_and_only_for_its_person() {
    let w = World::new().await;
    let _code = w.enrolled().await;
    let (user, now) = (w.user.id, w.clock.now());
    let row = w.store.read(move |c| second_factors::of(c, user, Enrolment::InForce)).await.unwrap().unwrap();
    let (codes, hashes) = w.vault.new_recovery_codes(row.clone()).await.unwrap();
    assert_eq!((codes.len(), hashes.len()), (RECOVERY_CODES, RECOVERY_CODES));
    let first = hashes[0];
    w.change(move |c| second_factors::renew_codes(c, user, &hashes)).await;
    assert_eq!(w.judge(&codes[0].to_lowercase()).await.unwrap(), Some(Typed::Recovery(first)));
    let made_at = row.made_at;
    assert!(w.change(move |c| second_factors::use_code(c, user, made_at, &first, now)).await);
    assert!(!w.change(move |c| second_factors::use_code(c, user, made_at, &first, now)).await);
    assert_eq!(w.judge(&codes[0]).await.unwrap(), Some(Typed::Nothing));
    assert!(matches!(w.judge(&codes[1]).await.unwrap(), Some(Typed::Recovery(_))));
    // The ones of another second factor have another key.
    let other = w.vault.new_factor(user, now.plus(Duration::from_secs(1))).await.unwrap();
    let other = second_factors::FactorRow { made_at: now.plus(Duration::from_secs(1)), wrapped: other.wrapped, ..row };
    let (codes, _) = w.vault.new_recovery_codes(other).await.unwrap();
    assert_eq!(w.judge(&codes[0]).await.unwrap(), Some(Typed::Nothing));
}

#[tokio::test]
async fn a_row_that_was_changed_moved_or_set_back_is_noticed() {
    let w = World::new().await;
    let code = w.enrolled().await;
    let step = w.step();
    for sql in [
        "UPDATE second_factors SET last_step = 0",
        "UPDATE second_factors SET always = 1 - always",
        "DELETE FROM second_factors",
        "INSERT INTO recovery_codes(user, hash) SELECT user, zeroblob(32) FROM second_factors",
    ] {
        // Each behind the broker's back, and undone the same way.
        w.tamper("CREATE TEMP TABLE IF NOT EXISTS kept AS SELECT * FROM second_factors").await;
        w.tamper(sql).await;
        let found = w.judge(&code(step)).await;
        assert!(matches!(found, Err(Error::Tampered { found: Tampering::State, .. })), "{sql}: {found:?}");
        w.tamper("DELETE FROM recovery_codes; DELETE FROM second_factors; INSERT INTO second_factors SELECT * FROM kept").await;
        assert_eq!(w.judge(&code(step)).await.unwrap(), Some(Typed::Step(step)));
    }
    // Bound to its person and to when it was made: sealed anew with one of them changed, it does not open.
    let user = w.user.id;
    w.change(move |c| Ok(c.execute("UPDATE second_factors SET made_at = made_at + 1 WHERE user = ?1", [user])?)).await;
    assert!(matches!(w.judge(&code(step)).await, Err(Error::Tampered { found: Tampering::SecondFactor, .. })));
}
