//! Nothing without the feature `installed`; with it, an installed SPDK is found and bound to.

#[cfg(feature = "installed")]
#[path = "build/installed.rs"]
mod installed;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    #[cfg(feature = "installed")]
    installed::build()?;
    Ok(())
}
