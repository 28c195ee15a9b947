//! Packing of what is stored: deflate. Only what this broker packed is unpacked, and bounded all the same.

use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;

/// The most that a packed text may unpack to.
const MOST: usize = 256 * 1024 * 1024;
/// How hard it is tried: beyond this it takes longer and saves little.
const LEVEL: u8 = 4;

/// Packs bytes.
pub(super) fn pack(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec_zlib(bytes, LEVEL)
}

/// Packs a value as JSON.
pub(super) fn pack_json(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    Ok(pack(&serde_json::to_vec(value).map_err(|e| Error::Damaged(e.to_string()))?))
}

/// Unpacks bytes.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<u8>, Error> {
    decompress_to_vec_zlib_with_limit(packed, MOST).map_err(|e| Error::Damaged(e.to_string()))
}

/// Unpacks a value.
pub(super) fn unpack_json<T: DeserializeOwned>(packed: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(&unpack(packed)?).map_err(|e| Error::Damaged(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back_and_what_is_not_is_said() {
        let text = "x".repeat(100_000);
        let packed = pack(text.as_bytes());
        assert!(packed.len() < 1000 && unpack(&packed).unwrap() == text.as_bytes());
        assert_eq!(unpack_json::<Vec<u8>>(&pack_json(&vec![1, 2, 3]).unwrap()).unwrap(), [1, 2, 3]);
        assert!(unpack(b"no zlib").is_err());
        assert!(unpack(&packed[..packed.len() / 2]).is_err());
    }
}
