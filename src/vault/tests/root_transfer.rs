//! From one source to another, also when it was cut off in between.

use std::path::PathBuf;

use super::*;
use crate::vault::root::{GivenUp, Program};

fn pass(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

#[test]
fn a_key_goes_from_place_to_place_and_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { dir.path().join(name) };
    let (file, wrapped, back) = (Source::File(at("a/root.key")), Source::Passphrase(at("b/root.wrapped")), Source::File(at("c/root.key")));
    let key = file.make(None).unwrap();
    let phrase = pass("correct horse battery staple");
    assert_eq!(transfer((&file, None), (&wrapped, Some(&phrase))).unwrap(), Moved::Written);
    // Cut off after that, and done again.
    assert_eq!(transfer((&file, None), (&wrapped, Some(&phrase))).unwrap(), Moved::Found);
    assert!(matches!(transfer((&file, None), (&wrapped, Some(&pass("another passphrase")))), Err(Error::WrongPassphrase)));
    forget(file.own_file().unwrap()).unwrap();
    forget(file.own_file().unwrap()).unwrap();
    assert_eq!(transfer((&wrapped, Some(&phrase)), (&back, None)).unwrap(), Moved::Written);
    assert_eq!(back.obtain(None).unwrap(), key);
    // A program is not written to; it has to give the same key already.
    let cat = |path: &PathBuf| {
        Source::Command(Program {
            path: "/bin/cat".into(),
            arguments: vec![path.display().to_string()],
            environment: vec![],
            given_up: GivenUp::default(),
        })
    };
    assert_eq!(transfer((&wrapped, Some(&phrase)), (&cat(back.own_file().unwrap()), None)).unwrap(), Moved::Found);
}

#[test]
fn another_key_in_the_new_place_stays_and_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (Source::File(dir.path().join("one")), Source::File(dir.path().join("two")));
    let (first, second) = (one.make(None).unwrap(), two.make(None).unwrap());
    assert!(matches!(transfer((&one, None), (&two, None)), Err(Error::Other(_))));
    assert_eq!((one.obtain(None).unwrap(), two.obtain(None).unwrap()), (first, second));
}

#[test]
fn a_new_key_is_one_line_that_is_read_again() {
    let (mut one, mut two) = (Vec::new(), Vec::new());
    print_new(&mut one).unwrap();
    print_new(&mut two).unwrap();
    assert!(text::parse(&one).is_some() && text::parse(&two).is_some() && one != two);
}
