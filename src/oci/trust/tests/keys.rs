//! Key files, and what OpenSSL signed with them.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::TrustedKeys;
use super::{MadeSignature, made, trusted};
use crate::errors::chain;

#[test]
fn every_kind_of_key_verifies_what_openssl_signed_and_nothing_else() {
    let made = made();
    for MadeSignature {
        made: how,
        key,
        signature,
    } in &made.signatures
    {
        let keys = trusted("release.pub", key);
        let signature = STANDARD.decode(signature).unwrap();
        assert!(keys.verify(made.payload.as_bytes(), &signature), "{how}");
        let mut changed = made.payload.clone().into_bytes();
        changed[0] ^= 1;
        assert!(!keys.verify(&changed, &signature), "{how}: the payload");
        let mut changed = signature.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(
            !keys.verify(made.payload.as_bytes(), &changed),
            "{how}: the signature"
        );
        assert!(!keys.verify(made.payload.as_bytes(), b""), "{how}: none");
    }
    // Any of the keys of a file, and no other.
    let [first, second, third] = [0, 1, 2].map(|at| &made.signatures[at]);
    let two = trusted("two.pub", &format!("{}{}", first.key, second.key));
    let verifies = |made_by: &MadeSignature| {
        two.verify(
            made.payload.as_bytes(),
            &STANDARD.decode(&made_by.signature).unwrap(),
        )
    };
    assert_eq!([first, second, third].map(verifies), [true, true, false]);
}

#[test]
fn a_file_without_a_usable_public_key_says_what_it_needs() {
    let refused = made().refused;
    for (text, word) in [
        ("", "holds no public key"),
        (
            "-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----\neyJ9\n-----END ENCRYPTED COSIGN PRIVATE KEY-----\n",
            "a private key",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "a certificate",
        ),
        (
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "another kind",
        ),
        (
            "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n",
            "not valid PEM",
        ),
        (&refused["RSA"], "has 1024 bits"),
        (&refused["X25519"], "another kind"),
    ] {
        let error = TrustedKeys::parse(None, Path::new("a.pub"), text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a=b.pub");
    std::fs::write(&file, &made().signatures[0].key).unwrap();
    let read = |text: String| text.parse::<TrustedKeys>().map(|keys| keys.to_string());
    let path = file.display().to_string();
    assert_eq!(read(format!("*={path}")).unwrap(), path);
    assert!(read(path).unwrap_err().to_string().contains("\"*=FILE\""));
    assert!(
        chain(&read("gone.pub".to_owned()).unwrap_err()).contains("gone.pub can't be read: No such file")
    );
}
