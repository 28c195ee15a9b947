//! 0023: a client that host keys are announced to by a request that wants an answer gives one, in its turn.

use russh::keys::PublicKey;
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{Learns, key, lets_in, read, send, string, within};

#[tokio::test]
async fn an_announcement_is_answered_when_that_is_wanted_and_else_not() {
    let (to, mut announced) = unbounded_channel();
    let mut far = lets_in(Learns(to)).await;
    let keys = [key(1), key(2)].map(|key| key.public_key().clone());
    let blob = |key: &PublicKey| {
        let bytes = key.to_bytes().unwrap();
        [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat()
    };
    for wanted in [true, false, true] {
        send(
            &mut far,
            &[vec![80], string("hostkeys-00@openssh.com"), vec![u8::from(wanted)], keys.iter().flat_map(blob).collect()].concat(),
        )
        .await;
        if wanted {
            assert_eq!(within("an answer", read(&mut far)).await, [81]);
        }
        assert_eq!(within("the keys", announced.recv()).await.unwrap(), keys);
        // And what comes then answers what is asked then.
        send(&mut far, &[vec![80], string("nothing@example.com"), vec![1]].concat()).await;
        assert_eq!(within("a refusal", read(&mut far)).await, [82]);
    }
}
