//! Certificates say one account, one address and one moment, and only rows that were sealed so sign one.

use crate::vault::Way;
use std::net::IpAddr;
use std::time::Duration;

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{HashAlg, PublicKey};

use super::*;
use crate::fault::{Fault, Kind};
use crate::store::authorities;
use crate::vault::{Mark, Means, NewAuthority, SealedAuthority, Signer, Tampering};

const HERE: &str = "192.0.2.99";

impl World {
    async fn authority(&self, generation: u32, stage: AuthorityStage, kind: KeyKind) -> Authority {
        let new = NewAuthority { scope: workspace(), generation, stage, kind };
        let SealedAuthority { row, new_kek } = self.vault.generate_authority(new, self.kek(workspace()).await).await.unwrap();
        let meta = row.meta.clone();
        self.change(move |c| {
            if let Some(kek) = &new_kek {
                credentials::insert_kek(c, kek)?;
            }
            authorities::insert(c, &row)
        })
        .await;
        meta
    }

    /// A credential that stands on it, attached to the host.
    async fn certified(&self, authority: &Authority, login: &str, validity: u64) -> CredentialId {
        let draft = Draft { username: login.parse().unwrap(), ..self.draft("deploy", Form::PrivateKey) };
        let sealed = self.vault.seal_certificate(draft, authority, self.kek(workspace()).await).await.unwrap();
        let meta = &sealed.row.meta;
        assert_eq!((meta.kind, meta.public_key.as_ref()), (CredentialKind::Certificate, Some(&authority.public_key)));
        let id = meta.id;
        let kek = self.kek(workspace()).await.unwrap();
        let hosts = vec![(self.host.id, self.binding(&meta.username))];
        let bindings = self.vault.bind(sealed.row.clone(), kek, hosts).await.unwrap();
        self.change(move |c| {
            credentials::insert(c, &sealed.row)?;
            authorities::set_validity(c, id, Validity::of_seconds(validity).unwrap())?;
            bindings.iter().try_for_each(|b| credentials::bind(c, b))
        })
        .await;
        id
    }

    async fn certify(&self, id: CredentialId, allow: &str, source: Option<&str>) -> Result<(Signer, Mark), Error> {
        let permit = self.permit_to(&self.user, id, allow).await;
        let mark = Mark::new(permit.get().session(), &self.user.name, &"deploy".parse().unwrap()).unwrap();
        let source: Option<IpAddr> = source.map(|text| text.parse().unwrap());
        let lease = self.vault.certify(permit, PIN, Way::Standing, source, mark.clone()).await?;
        assert_eq!(lease.credential(), id);
        match lease.into_means() {
            Means::Key(signer) => Ok((signer, mark)),
            Means::Password(_) | Means::Either(..) => panic!("a password"),
        }
    }
}

async fn standing(kind: KeyKind) -> (World, Authority, CredentialId) {
    let world = World::new().await;
    let authority = world.authority(1, AuthorityStage::Signing, kind).await;
    let id = world.certified(&authority, "root", 90).await;
    (world, authority, id)
}

fn tampering<T: std::fmt::Debug>(result: Result<T, Error>) -> Tampering {
    match result.unwrap_err() {
        Error::Tampered { found, .. } => found,
        other => panic!("{other}"),
    }
}

/// What `ssh-keygen -L` reads of a certificate.
fn read_by_openssh(line: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("c.pub"), line).unwrap();
    let read =
        std::process::Command::new("ssh-keygen").args(["-L", "-f", "c.pub"]).current_dir(dir.path()).env("TZ", "UTC").output().unwrap();
    assert!(read.status.success(), "{read:?}");
    String::from_utf8(read.stdout).unwrap()
}

#[tokio::test]
async fn a_certificate_says_one_account_one_address_and_one_moment() {
    for kind in [KeyKind::Ed25519, KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::EcdsaP521] {
        let (world, authority, id) = standing(kind).await;
        let (signer, mark) = world.certify(id, "shell,forward", Some(HERE)).await.unwrap();
        let certificate = signer.certificate().unwrap();
        let now = u64::try_from(world.clock.now().millis() / 1000).unwrap();
        assert_eq!((certificate.valid_after(), certificate.valid_before()), (now - 30, now + 90));
        assert_eq!(certificate.cert_type(), CertType::User);
        assert_eq!(certificate.valid_principals(), ["root"]);
        assert_eq!((certificate.serial(), certificate.key_id()), (mark.serial(), mark.key_id()));
        assert!(mark.key_id().starts_with("keyward ses_") && mark.key_id().ends_with(" alice deploy"), "{}", mark.key_id());
        assert_eq!(certificate.public_key(), signer.public_key().key_data());
        let options: Vec<_> = certificate.critical_options().iter().collect();
        assert_eq!(options, [(&"source-address".to_owned(), &HERE.to_owned())]);
        let extensions: Vec<&str> = certificate.extensions().keys().map(String::as_str).collect();
        assert_eq!(extensions, ["permit-port-forwarding", "permit-pty"]);
        // The library's own judgement: the signature is the authority's, and the moment is over when it is over.
        let ca = PublicKey::from_openssh(&authority.public_key).unwrap().fingerprint(HashAlg::Sha256);
        for (at, good) in [(now - 31, false), (now - 30, true), (now + 89, true), (now + 90, false)] {
            assert_eq!(certificate.validate_at(at, [&ca]).is_ok(), good, "{kind:?} at {at}");
        }
        let other = signer.public_key().fingerprint(HashAlg::Sha256);
        assert!(certificate.validate_at(now, [&other]).is_err());
        // OpenSSH reads the same.
        let shown = read_by_openssh(&certificate.to_openssh().unwrap());
        for line in [
            "user certificate".to_owned(),
            format!("Key ID: \"{}\"", mark.key_id()),
            format!("Serial: {}", mark.serial()),
            "Valid: from 2026-11-23T11:59:30 to 2026-11-23T12:01:30".to_owned(),
            format!("source-address {HERE}"),
            "permit-pty".to_owned(),
            authority.fingerprint.clone(),
        ] {
            assert!(shown.contains(&line), "{line} is not in\n{shown}");
        }
    }
}

#[tokio::test]
async fn an_rsa_authority_signs_with_sha_2() {
    let (world, authority, id) = standing(KeyKind::Rsa).await;
    let (signer, _) = world.certify(id, "shell", None).await.unwrap();
    let shown = read_by_openssh(&signer.certificate().unwrap().to_openssh().unwrap());
    assert!(shown.contains(&authority.fingerprint) && shown.contains("(using rsa-sha2-512)"), "{shown}");
    assert!(!shown.contains("source-address"), "{shown}");
}

#[tokio::test]
async fn what_is_not_granted_is_not_in_a_certificate() {
    let (world, _, id) = standing(KeyKind::Ed25519).await;
    for (allow, extensions) in [
        ("sftp", &[][..]),
        ("scan", &[]),
        ("propose", &[]),
        ("exec", &["permit-pty"]),
        ("forward", &["permit-port-forwarding"]),
        ("forward-remote", &["permit-port-forwarding"]),
        ("forward-agent", &["permit-agent-forwarding"]),
        ("x11", &["permit-X11-forwarding"]),
        ("shell,exec,sftp,forward,propose,scan", &["permit-port-forwarding", "permit-pty"]),
    ] {
        let (signer, _) = world.certify(id, allow, None).await.unwrap();
        let found: Vec<&str> = signer.certificate().unwrap().extensions().keys().map(String::as_str).collect();
        assert_eq!(found, extensions, "{allow}");
    }
}

#[tokio::test]
async fn addresses_are_written_as_hosts_see_them() {
    let (world, _, id) = standing(KeyKind::Ed25519).await;
    for (source, written) in [("::ffff:192.0.2.4", "192.0.2.4"), ("2001:db8::1", "2001:db8::1"), ("127.0.0.1", "127.0.0.1")] {
        let (signer, _) = world.certify(id, "shell", Some(source)).await.unwrap();
        assert_eq!(signer.certificate().unwrap().critical_options().get("source-address").map(String::as_str), Some(written));
    }
}

#[tokio::test]
async fn every_certificate_is_another_one() {
    let (world, _, id) = standing(KeyKind::Ed25519).await;
    let (one, first) = world.certify(id, "shell", None).await.unwrap();
    let (other, second) = world.certify(id, "shell", None).await.unwrap();
    assert_ne!((first.serial(), first.key_id()), (second.serial(), second.key_id()));
    let (one, other) = (one.certificate().unwrap(), other.certificate().unwrap());
    assert!(one.public_key() != other.public_key() && one.nonce() != other.nonce());
}

#[tokio::test]
async fn a_certificate_is_made_for_its_own_session_and_a_fresh_permit() {
    let (world, _, id) = standing(KeyKind::Ed25519).await;
    let permit = world.permit(&world.user, id).await;
    let mark = Mark::new(world.clock.fresh(), &world.user.name, &"deploy".parse().unwrap()).unwrap();
    assert!(matches!(world.vault.certify(permit, PIN, Way::Standing, None, mark).await, Err(Error::Misused(_))));
    let permit = world.permit(&world.user, id).await;
    let mark = Mark::new(permit.get().session(), &world.user.name, &"deploy".parse().unwrap()).unwrap();
    world.clock.advance(Duration::from_millis(30_001));
    assert!(matches!(world.vault.certify(permit, PIN, Way::Standing, None, mark).await, Err(Error::StalePermit)));
    let permit = world.permit(&world.user, id).await;
    let mark = Mark::new(permit.get().session(), &world.user.name, &"deploy".parse().unwrap()).unwrap();
    let e = world.vault.certify(permit, "SHA256:another", Way::Standing, None, mark).await.unwrap_err();
    assert!(matches!(e, Error::HostKeyNotPinned { .. }));
    // The other door does not open for it, and this one not for others.
    assert!(matches!(world.lease(id).await, Err(Error::Misused(_))));
    let password = world.add(world.draft("password", Form::Password), secret("hunter2")).await;
    assert!(matches!(world.certify(password, "shell", None).await, Err(Error::Misused(_))));
}

#[tokio::test]
async fn accounts_that_would_be_several_get_no_certificate() {
    let world = World::new().await;
    let authority = world.authority(1, AuthorityStage::Signing, KeyKind::Ed25519).await;
    for login in ["root,admin", "a\"b", "root\\"] {
        let draft = Draft { username: login.parse().unwrap(), ..world.draft("deploy", Form::PrivateKey) };
        let e = world.vault.seal_certificate(draft, &authority, world.kek(workspace()).await).await.unwrap_err();
        assert!(matches!(e, Error::Principal) && e.kind() == Kind::Invalid, "{login}: {e}");
    }
    // Also if a row came to say so later.
    let id = world.certified(&authority, "root", 120).await;
    world.change(|c| Ok(c.execute("UPDATE credentials SET username = 'root,admin'", []).map(drop)?)).await;
    assert!(matches!(world.certify(id, "shell", None).await, Err(Error::Principal)));
}

#[tokio::test]
async fn a_persons_own_is_never_certified() {
    let world = World::new().await;
    let authority = world.authority(1, AuthorityStage::Signing, KeyKind::Ed25519).await;
    let draft = Draft { scope: Scope::Personal(world.user.id), ..world.draft("mine", Form::PrivateKey) };
    assert!(matches!(world.vault.seal_certificate(draft, &authority, None).await, Err(Error::Misused(_))));
    let new = NewAuthority { scope: Scope::Personal(world.user.id), generation: 1, stage: AuthorityStage::Signing, kind: KeyKind::Ed25519 };
    assert!(matches!(world.vault.generate_authority(new, None).await, Err(Error::Misused(_))));
}

#[tokio::test]
async fn an_edited_row_of_an_authority_signs_nothing() {
    let (world, _, id) = standing(KeyKind::Ed25519).await;
    assert!(world.certify(id, "shell", None).await.is_ok());
    for sql in [
        "UPDATE authorities SET stage = 'old'",
        "UPDATE authorities SET public_key = public_key || ' '",
        "UPDATE authorities SET generation = 2",
        "DELETE FROM authorities",
        "UPDATE certificate_terms SET validity_s = 300",
        "DELETE FROM certificate_terms",
    ] {
        world.tamper("CREATE TABLE a AS SELECT * FROM authorities; CREATE TABLE t AS SELECT * FROM certificate_terms").await;
        world.tamper(sql).await;
        assert_eq!(tampering(world.certify(id, "shell", None).await), Tampering::State, "{sql}");
        world
            .tamper(
                "DELETE FROM authorities; INSERT INTO authorities SELECT * FROM a; DROP TABLE a;
                 DELETE FROM certificate_terms; INSERT INTO certificate_terms SELECT * FROM t; DROP TABLE t",
            )
            .await;
        assert!(world.certify(id, "shell", None).await.is_ok(), "{sql}");
    }
}

#[tokio::test]
async fn a_sealed_row_opens_in_its_own_place_alone() {
    // As if whoever edits the rows could also seal the state: what lies in the wrong place does not open.
    for (sql, found) in [
        (
            "UPDATE authorities SET sealed = (SELECT sealed FROM authorities WHERE generation = 2) WHERE generation = 1",
            Tampering::Authority,
        ),
        (
            "UPDATE authorities SET wrapped_dek = (SELECT wrapped_dek FROM authorities WHERE generation = 2) WHERE generation = 1",
            Tampering::Authority,
        ),
        ("DELETE FROM authorities WHERE generation = 2; UPDATE authorities SET generation = 2", Tampering::Authority),
        (
            "UPDATE authorities SET public_key = (SELECT public_key FROM authorities WHERE generation = 2) WHERE generation = 1",
            Tampering::Authority,
        ),
        (
            "UPDATE authorities SET stage = 'old' WHERE generation = 1; UPDATE authorities SET stage = 'signing' WHERE generation = 2",
            Tampering::PublicKey,
        ),
        ("UPDATE credentials SET public_key = (SELECT public_key FROM authorities WHERE generation = 2)", Tampering::PublicKey),
        ("UPDATE bindings SET wrapped_dek = (SELECT wrapped_dek FROM credentials)", Tampering::DataKey),
        ("UPDATE credentials SET username = 'admin'", Tampering::DataKey),
        ("UPDATE hosts SET port = 2222", Tampering::DataKey),
    ] {
        let (world, _, id) = standing(KeyKind::Ed25519).await;
        world.authority(2, AuthorityStage::Next, KeyKind::Ed25519).await;
        world.change(move |c| Ok(c.execute_batch(sql)?)).await;
        assert_eq!(tampering(world.certify(id, "shell", None).await), found, "{sql}");
    }
}

#[tokio::test]
async fn an_authority_of_another_workspace_does_not_open_here() {
    let (world, _, id) = standing(KeyKind::Ed25519).await;
    let elsewhere = Scope::Workspace("elsewhere".parse().unwrap());
    let new = NewAuthority { scope: elsewhere.clone(), generation: 1, stage: AuthorityStage::Signing, kind: KeyKind::Ed25519 };
    let made = world.vault.generate_authority(new, None).await.unwrap();
    let theirs = made.row.meta.public_key.clone();
    world
        .change(move |c| {
            credentials::insert_kek(c, made.new_kek.as_ref().unwrap())?;
            authorities::insert(c, &made.row)
        })
        .await;
    world
        .change(move |c| {
            c.execute_batch(
                "DELETE FROM authorities WHERE scope = 'workspace/default'; UPDATE authorities SET scope = 'workspace/default'",
            )?;
            Ok(c.execute("UPDATE credentials SET public_key = ?1", [theirs]).map(drop)?)
        })
        .await;
    assert_eq!(tampering(world.certify(id, "shell", None).await), Tampering::Authority);
    world.change(|c| Ok(c.execute("DELETE FROM authorities", []).map(drop)?)).await;
    let e = world.certify(id, "shell", None).await.unwrap_err();
    assert!(matches!(e, Error::NoAuthority) && e.kind() == Kind::NotFound);
}

/// What a client signs for `user`, offering these bytes.
fn request(user: &str, algorithm: &str, offered: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    crate::vault::wire::put_string(&mut out, &[7; 32]);
    out.push(50);
    for field in [user, "ssh-connection", "publickey"] {
        crate::vault::wire::put_string(&mut out, field.as_bytes());
    }
    out.push(1);
    crate::vault::wire::put_string(&mut out, algorithm.as_bytes());
    crate::vault::wire::put_string(&mut out, offered);
    out
}

#[tokio::test]
async fn the_key_of_a_certificate_signs_one_sign_in_with_it() {
    use crate::vault::SignFault;
    let (world, authority, id) = standing(KeyKind::Ed25519).await;
    let algorithm = "ssh-ed25519-cert-v01@openssh.com";
    let fresh = async || world.certify(id, "shell", None).await.unwrap().0;
    let fault = |result: Result<Vec<u8>, Error>| match result.unwrap_err() {
        Error::Sign(fault) => fault,
        other => panic!("{other}"),
    };
    let mut signer = fresh().await;
    let offered = signer.certificate().unwrap().to_bytes().unwrap();
    let signed = signer.sign(request("root", algorithm, &offered)).await.unwrap();
    assert!(signed.len() > offered.len());
    assert_eq!(fault(signer.sign(request("root", algorithm, &offered)).await), SignFault::Spent);
    // Another account, another certificate, the bare key, the authority itself.
    let mut signer = fresh().await;
    let own = signer.certificate().unwrap().to_bytes().unwrap();
    assert_eq!(fault(signer.sign(request("admin", algorithm, &own)).await), SignFault::OtherUser);
    assert_eq!(fault(fresh().await.sign(request("root", algorithm, &offered)).await), SignFault::OtherKey);
    let mut signer = fresh().await;
    let bare = signer.public_key().to_bytes().unwrap();
    assert_eq!(fault(signer.sign(request("root", "ssh-ed25519", &bare)).await), SignFault::OtherKey);
    let ca = PublicKey::from_openssh(&authority.public_key).unwrap().to_bytes().unwrap();
    assert_eq!(fault(fresh().await.sign(request("root", "ssh-ed25519", &ca)).await), SignFault::OtherKey);
    let mut late = fresh().await;
    let offered = late.certificate().unwrap().to_bytes().unwrap();
    world.clock.advance(Duration::from_millis(120_001));
    assert_eq!(fault(late.sign(request("root", algorithm, &offered)).await), SignFault::Late);
}

#[tokio::test]
async fn a_new_key_is_made_in_every_kind_and_signs() {
    let world = World::new().await;
    for kind in [KeyKind::Ed25519, KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::EcdsaP521, KeyKind::Rsa] {
        let draft = world.draft(&format!("k-{kind:?}"), Form::PrivateKey);
        let login = draft.username.clone();
        let hosts = vec![(world.host.id, world.binding(&login))];
        let sealed = world.vault.generate(draft, kind, world.kek(workspace()).await, hosts).await.unwrap();
        assert_eq!(sealed.row.meta.kind, CredentialKind::Key(kind));
        let public = PublicKey::from_openssh(sealed.row.meta.public_key.as_deref().unwrap()).unwrap();
        assert_eq!(sealed.row.meta.fingerprint, Some(public.fingerprint(HashAlg::Sha256).to_string()));
        let id = sealed.row.meta.id;
        world
            .change(move |c| {
                if let Some(kek) = &sealed.new_kek {
                    credentials::insert_kek(c, kek)?;
                }
                credentials::insert(c, &sealed.row)?;
                sealed.bindings.iter().try_for_each(|b| credentials::bind(c, b))
            })
            .await;
        let Means::Key(mut signer) = world.lease(id).await.unwrap().into_means() else { panic!("a password") };
        let algorithm = match kind {
            KeyKind::Rsa => "rsa-sha2-512".to_owned(),
            _ => public.algorithm().to_string(),
        };
        signer.sign(request("root", &algorithm, &public.to_bytes().unwrap())).await.unwrap();
    }
}
