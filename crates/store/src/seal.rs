//! How payloads lie in the database: compressed when that helps, and encrypted when there is a key.

use crate::failure::{Failure, Tried};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Generate, Payload},
};
use std::cell::RefCell;
use uuid::Uuid;
use zstd::bulk::{Compressor, Decompressor};

/// Bits of the first byte of a sealed payload.
const COMPRESSED: u8 = 1;
const ENCRYPTED: u8 = 2;
const NONCE: usize = 24;
/// Quick rather than small: at level 1 the compressor took a seventh of all processor time, for a third less on disk.
const LEVEL: i32 = -1;
/// Shorter texts are not worth compressing.
const TOO_SHORT: usize = 96;
/// Nothing that was sealed is larger: what claims to be is damaged.
const LARGEST: usize = 256 << 20;

/// What a payload belongs to: with the id it is bound to the ciphertext, so that none can be put in place of another.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    Content,
    Action,
    Exchanges,
    KeyCheck,
    Documents,
    Note,
    Setting,
}

/// Seals and opens payloads.
pub(crate) struct Sealer(Option<XChaCha20Poly1305>);

impl Sealer {
    pub fn new(key: Option<[u8; 32]>) -> Self {
        Self(key.map(|key| XChaCha20Poly1305::new(&key.into())))
    }

    pub fn encrypts(&self) -> bool {
        self.0.is_some()
    }

    pub fn seal(&self, part: Part, id: Uuid, plain: &[u8]) -> Tried<Vec<u8>> {
        let (compressed, packed) = match compress(plain) {
            Some(packed) => (COMPRESSED, packed),
            None => (0, plain.to_vec()),
        };
        let Some(cipher) = &self.0 else { return Ok([&[compressed], &packed[..]].concat()) };
        let flags = compressed | ENCRYPTED;
        let nonce = XNonce::try_generate().map_err(|_| Failure::corrupt("the system gives no random numbers"))?;
        let sealed = cipher
            .encrypt(&nonce, Payload { msg: &packed, aad: &context(flags, part, id) })
            .map_err(|_| Failure::corrupt("a payload could not be encrypted"))?;
        Ok([&[flags], &nonce[..], &sealed[..]].concat())
    }

    pub fn open(&self, part: Part, id: Uuid, sealed: &[u8]) -> Tried<Vec<u8>> {
        let (&flags, rest) = sealed.split_first().ok_or_else(|| Failure::corrupt("an empty payload"))?;
        let packed = if flags & ENCRYPTED != 0 { self.decrypt(flags, part, id, rest)? } else { rest.to_vec() };
        if flags & COMPRESSED != 0 { decompress(&packed) } else { Ok(packed) }
    }

    fn decrypt(&self, flags: u8, part: Part, id: Uuid, rest: &[u8]) -> Tried<Vec<u8>> {
        let cipher = self
            .0
            .as_ref()
            .ok_or_else(|| Failure::corrupt("it is encrypted: set `store.encryption_key` to the key that it was written with"))?;
        let (nonce, sealed) = rest.split_at_checked(NONCE).ok_or_else(|| Failure::corrupt("a payload is cut short"))?;
        let nonce = XNonce::try_from(nonce).map_err(|_| Failure::corrupt("a payload is cut short"))?;
        cipher.decrypt(&nonce, Payload { msg: sealed, aad: &context(flags, part, id) }).map_err(|_| {
            Failure::corrupt(
                "a payload cannot be decrypted: `store.encryption_key` is not the key that it was written with, or it is damaged",
            )
        })
    }
}

/// What has a name and no id of its own.
pub(crate) fn id_of(part: Part, name: &str) -> Uuid {
    const NAMESPACE: Uuid = Uuid::from_u128(0x0da4_31a6_52c7_4f51_9a35_f6d2_1c2f_7a90);
    Uuid::new_v5(&NAMESPACE, format!("{}\n{name}", part as u8).as_bytes())
}

fn context(flags: u8, part: Part, id: Uuid) -> Vec<u8> {
    [&[flags, part as u8], &id.as_bytes()[..]].concat()
}

// Making a compressor takes longer than most payloads do.
thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = RefCell::new(Compressor::new(LEVEL).ok());
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = RefCell::new(Decompressor::new().ok());
}

/// The length of the text and its compressed form; `None` when that is not shorter.
fn compress(plain: &[u8]) -> Option<Vec<u8>> {
    if plain.len() < TOO_SHORT {
        return None;
    }
    let length = u32::try_from(plain.len()).ok()?;
    let packed = COMPRESSOR.with_borrow_mut(|it| it.as_mut()?.compress(plain).ok())?;
    (packed.len() + 4 < plain.len()).then(|| [&length.to_le_bytes(), &packed[..]].concat())
}

fn decompress(packed: &[u8]) -> Tried<Vec<u8>> {
    let damaged = || Failure::corrupt("a payload cannot be decompressed: it is damaged");
    let (length, packed) = packed.split_first_chunk::<4>().ok_or_else(damaged)?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > LARGEST {
        return Err(damaged());
    }
    DECOMPRESSOR.with_borrow_mut(|it| it.as_mut()?.decompress(packed, length).ok()).ok_or_else(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> Vec<u8> {
        r#"{"sku":"A-1","quantity":4}"#.repeat(40).into_bytes()
    }

    #[test]
    fn a_payload_comes_back_as_it_was() {
        for key in [None, Some([7; 32])] {
            let sealer = Sealer::new(key);
            for plain in [Vec::new(), b"short".to_vec(), text()] {
                let id = Uuid::now_v7();
                let sealed = sealer.seal(Part::Action, id, &plain).unwrap();
                assert_eq!(sealer.open(Part::Action, id, &sealed).unwrap(), plain);
            }
        }
    }

    #[test]
    fn compression_is_used_when_it_helps() {
        let sealed = Sealer::new(None).seal(Part::Content, Uuid::nil(), &text()).unwrap();
        assert!(sealed.len() < text().len() / 4);
    }

    #[test]
    fn a_payload_does_not_open_in_place_of_another_or_with_another_key() {
        let sealer = Sealer::new(Some([7; 32]));
        let id = Uuid::now_v7();
        let sealed = sealer.seal(Part::Action, id, &text()).unwrap();
        assert!(sealer.open(Part::Action, Uuid::now_v7(), &sealed).is_err());
        assert!(sealer.open(Part::Exchanges, id, &sealed).is_err());
        for other in [Sealer::new(Some([8; 32])), Sealer::new(None)] {
            let failure = other.open(Part::Action, id, &sealed).unwrap_err();
            assert!(failure.error.to_string().contains("store.encryption_key"), "{}", failure.error);
        }
    }

    #[test]
    fn a_damaged_payload_is_refused_without_being_read() {
        let sealer = Sealer::new(None);
        let huge = [&[COMPRESSED], &u32::MAX.to_le_bytes()[..], b"x"].concat();
        assert!(sealer.open(Part::Content, Uuid::nil(), &huge).is_err());
        assert!(sealer.open(Part::Content, Uuid::nil(), &[]).is_err());
    }
}
