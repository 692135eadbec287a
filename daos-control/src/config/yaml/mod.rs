//! Strict reading of a YAML file into a typed structure, with the place of every key.
//!
//! Owns size limits, the wording of syntax and type faults and the guess at what a misspelt key meant. Used
//! for the server's and for the client's file. Knows no key by name; callers pass their hints.

mod diagnostic;
mod nearest;
mod outline;

use serde::de::DeserializeOwned;

pub use diagnostic::{Diagnostic, Problem};
pub use nearest::nearest;
pub use outline::{Outline, Position};

/// Largest file read, in bytes. A configuration of a hundred engines has a tenth of it.
pub const MAX_BYTES: usize = 1 << 20;

/// What a caller knows about keys that are not keys: `(written, what to say instead)`.
///
/// A renamed key's hint names the new one, a removed key's says that it has no effect any more. Keys without
/// an entry get the nearest valid name.
pub type Hints = &'static [(&'static str, &'static str)];

/// A file's content and where in it each key stands.
#[derive(Debug, Clone)]
pub struct Document<T> {
    /// The typed content; the default when the file has no content at all.
    pub value: T,
    /// Places of the keys.
    pub outline: Outline,
}

/// Reads one YAML document into `T`.
///
/// `source_name` is how the text is called in messages, usually its path. Unknown keys are refused when `T`
/// says `deny_unknown_fields`; duplicate keys, a second document and more than [`MAX_BYTES`] always are.
///
/// # Errors
/// The first fault, with line, column, key path and the lines around it (R40).
///
/// ```
/// use daos_control::config::yaml;
///
/// #[derive(Debug, Default, serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Client {
///     port: Option<u16>,
/// }
///
/// let file = yaml::load::<Client>(b"port: 10002\n", "daos_control.yml", &[]).unwrap();
/// assert_eq!(file.value.port, Some(10002));
/// let fault = yaml::load::<Client>(b"prot: 10002\n", "daos_control.yml", &[]).unwrap_err();
/// assert_eq!(fault.position.unwrap().line, 1);
/// assert!(fault.message.contains("did you mean `port`"));
/// ```
pub fn load<T: DeserializeOwned + Default>(
    bytes: &[u8],
    source_name: &str,
    hints: Hints,
) -> Result<Document<T>, Box<Diagnostic>> {
    if bytes.len() > MAX_BYTES {
        return Err(Box::new(Diagnostic::too_large(source_name, bytes.len())));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Box::new(Diagnostic::not_utf8(source_name, bytes, error.valid_up_to())))?;
    let outline = Outline::of(text);
    match serde_saphyr::from_str::<Option<T>>(text) {
        Ok(value) => Ok(Document { value: value.unwrap_or_default(), outline }),
        Err(error) => Err(Box::new(Diagnostic::of(&error, source_name, &outline, hints))),
    }
}

#[cfg(test)]
mod tests;
