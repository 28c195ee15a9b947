//! Second factors as people read them: the QR code that an authenticator's camera takes, and codes to be written down.

use qrcode::{Color, EcLevel, QrCode};

use super::list::at;
use super::table::facts;
use super::{Style, line};
use crate::control::{TotpCodesView, TotpOfferView, TotpView};

/// Light modules around a code, on each side (ISO/IEC 18004 wants four; cameras take two, and terminals are narrow).
const QUIET: usize = 2;

/// `user totp enroll`.
pub(super) fn offer(v: &TotpOfferView, style: &Style) -> String {
    let code = QrCode::with_error_correction_level(&v.uri, EcLevel::L).ok();
    // A code that is broken over several lines is none.
    let code = code.filter(|code| style.width.is_none_or(|width| code.width() + 2 * QUIET <= usize::from(width)));
    let mut out = code.map(|code| drawn(code.width(), &code.to_colors(), style.color)).unwrap_or_default();
    out.push_str(&line(&v.uri));
    out.push_str(&facts(vec![("to type", grouped(&v.secret)), ("confirm until", at(v.confirm_until))], style));
    out
}

/// `user totp confirm`, `user totp recovery-codes`: one a line.
pub(super) fn codes(v: &TotpCodesView) -> String {
    v.recovery_codes.iter().map(|code| line(code)).collect()
}

/// `user totp show`.
pub(super) fn state(v: &TotpView, style: &Style) -> String {
    let enrolled = v.enrolled_at.is_some();
    let wanted = match v.wanted.as_deref() {
        Some("always") => "at every sign-in",
        Some(_) => "where a grant wants it",
        None => "",
    };
    let rows = vec![
        ("user", v.user.to_string()),
        ("enrolled", v.enrolled_at.map_or_else(|| "no".to_owned(), at)),
        ("asked for", wanted.to_owned()),
        ("last used", v.last_used_at.map(at).unwrap_or_default()),
        ("recovery codes", if enrolled { v.recovery_codes_left.to_string() } else { String::new() }),
        ("confirm until", v.confirm_until.map(at).unwrap_or_default()),
    ];
    facts(rows, style)
}

/// Two rows of modules a line. Light is what is drawn, as terminals are dark; with colours it is black on white whatever they are.
fn drawn(width: usize, modules: &[Color], color: bool) -> String {
    let whole = width + 2 * QUIET;
    let light = |x: usize, y: usize| {
        let at = |n: usize| n.checked_sub(QUIET).filter(|n| *n < width);
        match (at(x), at(y)) {
            (Some(x), Some(y)) => modules.get(y * width + x) != Some(&Color::Dark),
            _ => y < whole,
        }
    };
    let mut out = String::new();
    for y in (0..whole).step_by(2) {
        if color {
            out.push_str("\x1b[97;40m");
        }
        for x in 0..whole {
            out.push(match (light(x, y), light(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        out.push_str(if color { "\x1b[0m\n" } else { "\n" });
    }
    out
}

/// In groups of four, as one reads it off a screen.
fn grouped(secret: &str) -> String {
    let characters: Vec<char> = secret.chars().collect();
    characters.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;

    fn view() -> TotpOfferView {
        TotpOfferView {
            user: "alice".parse().unwrap(),
            uri: "otpauth://totp/Keyward:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Keyward&algorithm=SHA1&digits=6&period=30"
                .to_owned(),
            secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".to_owned(),
            always: false,
            confirm_until: Time::from_millis(0),
        }
    }

    /// The modules that a drawing shows, without what is around them.
    fn read(drawing: &str, width: usize) -> Vec<bool> {
        let rows: Vec<Vec<(bool, bool)>> =
            drawing.lines().map(|l| l.chars().map(|c| (matches!(c, ' ' | '▄'), matches!(c, ' ' | '▀'))).collect()).collect();
        let dark = |x: usize, y: usize| if y.is_multiple_of(2) { rows[y / 2][x].0 } else { rows[y / 2][x].1 };
        (0..width * width).map(|n| dark(n % width + QUIET, n / width + QUIET)).collect()
    }

    #[test]
    fn what_is_drawn_is_the_code() {
        let code = QrCode::with_error_correction_level(view().uri, EcLevel::L).unwrap();
        let drawing = drawn(code.width(), &code.to_colors(), false);
        let dark: Vec<bool> = code.to_colors().iter().map(|c| *c == Color::Dark).collect();
        assert_eq!(read(&drawing, code.width()), dark);
        assert!(drawing.lines().all(|l| l.chars().count() == code.width() + 2 * QUIET));
        assert!(drawing.lines().count() <= 26, "it fits where people read:\n{drawing}");
        let coloured = drawn(code.width(), &code.to_colors(), true).replace("\x1b[97;40m", "").replace("\x1b[0m", "");
        assert_eq!(coloured, drawing);
    }

    #[test]
    fn a_terminal_that_is_too_narrow_gets_the_text_alone() {
        let wide = offer(&view(), &Style::default());
        assert!(wide.contains('█') && wide.contains("GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"), "{wide}");
        let narrow = offer(&view(), &Style { width: Some(40), ..Style::default() });
        assert!(!narrow.contains('█') && narrow.contains("otpauth://totp/Keyward:alice?secret="), "{narrow}");
    }
}
