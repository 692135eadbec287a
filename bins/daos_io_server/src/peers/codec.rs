//! Numbers and short texts as bytes, little end first; reading checks every bound.
//!
//! Used by `message`. Knows no message.

/// Bytes that are no message of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no message of this version: {0}")]
pub struct Malformed(pub &'static str);

/// Reads from the front of a slice.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Malformed("too short"))?;
        self.0 = rest;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A text of at most 255 bytes behind its length.
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = usize::from(self.u8()?);
        let (text, rest) = self.0.split_at_checked(length).ok_or(Malformed("too short"))?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| Malformed("a text is not UTF-8"))
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.0.len()
    }

    /// Nothing may be left.
    pub fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("too long")) }
    }
}

/// Appends a text behind its length; what is beyond 255 bytes is cut off at a character.
pub fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let mut length = text.len().min(255);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    bytes.push(u8::try_from(length).unwrap_or(u8::MAX));
    bytes.extend_from_slice(&text.as_bytes()[..length]);
}
