//! Answers of Identify, read from their bytes (NVMe base specification, Identify Controller and Namespace data structures).

use super::AdminError;
use crate::model::FormatAbility;

/// Every answer of Identify has this many bytes.
pub(super) const BYTES: usize = 4096;
/// Controller or namespace structure (CNS) values.
pub(super) const NAMESPACE: u32 = 0x00;
pub(super) const CONTROLLER: u32 = 0x01;
pub(super) const ACTIVE_NAMESPACES: u32 = 0x02;
pub(super) const ALLOCATED_NAMESPACES: u32 = 0x10;

/// What Identify Controller says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::linux) struct ControllerFacts {
    pub(in crate::linux) model: String,
    pub(in crate::linux) serial: String,
    pub(in crate::linux) firmware: String,
    /// Format NVM is there (OACS bit 1).
    format: bool,
    /// Namespaces can be made, removed, attached (OACS bit 3), so some may exist that are not active here.
    manages_namespaces: bool,
    /// A format reaches all namespaces (FNA bit 0).
    format_reaches_all: bool,
    /// Others may hold namespaces of the same drive: another port, another controller, virtual functions (CMIC bits 0-2).
    shares_subsystem: bool,
    /// A format may name all namespaces at once (FNA bit 3 says that it may not).
    pub(in crate::linux) formats_by_broadcast: bool,
}

impl ControllerFacts {
    /// What it can format. `lists` asks for the ids of the namespaces that are active here, and of all that exist, where the
    /// controller can tell both. What cannot be told counts as hidden: then nothing is formatted that no plan has shown.
    pub(in crate::linux) fn ability(
        &self,
        lists: impl FnOnce() -> Option<(Vec<u32>, Vec<u32>)>,
    ) -> FormatAbility {
        let hidden = || match self.manages_namespaces {
            true => lists().is_none_or(|(active, existing)| active != existing),
            false => self.shares_subsystem,
        };
        match (self.format, self.format_reaches_all) {
            (false, _) => FormatAbility::None,
            (true, false) => FormatAbility::EachNamespace,
            (true, true) if hidden() => FormatAbility::None,
            (true, true) => FormatAbility::AllTogether,
        }
    }
}

/// What Identify Namespace says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::linux) struct NamespaceFacts {
    pub(in crate::linux) blocks: u64,
    pub(in crate::linux) block_bytes: u32,
    pub(in crate::linux) metadata_bytes: u16,
    pub(in crate::linux) lba_format: u8,
}

pub(super) fn controller(data: &[u8]) -> Result<ControllerFacts, AdminError> {
    let supports = u16::from_le_bytes(array(data, 256)?);
    let [attributes] = array(data, 524)?;
    let [multi_path] = array(data, 76)?;
    Ok(ControllerFacts {
        serial: text(data, 4, 20)?,
        model: text(data, 24, 40)?,
        firmware: text(data, 64, 8)?,
        format: supports & 1 << 1 != 0,
        manages_namespaces: supports & 1 << 3 != 0,
        format_reaches_all: attributes & 1 != 0,
        shares_subsystem: multi_path & 0b111 != 0,
        formats_by_broadcast: attributes & 1 << 3 == 0,
    })
}

pub(super) fn namespace(data: &[u8]) -> Result<NamespaceFacts, AdminError> {
    let blocks = u64::from_le_bytes(array(data, 0)?);
    let [flags] = array::<1>(data, 26)?;
    // Bits 5-6 extend the index beyond 16 formats; they are zero where there are no more.
    let lba_format = flags & 0xf | (flags >> 5 & 0x3) << 4;
    let entry = u32::from_le_bytes(array(data, 128 + 4 * usize::from(lba_format))?);
    let shift = entry >> 16 & 0xff;
    if !(9..=31).contains(&shift) {
        return Err(AdminError::Answer { command: "Identify", detail: "block size" });
    }
    Ok(NamespaceFacts {
        blocks,
        block_bytes: 1 << shift,
        metadata_bytes: u16::try_from(entry & 0xffff).unwrap_or(0),
        lba_format,
    })
}

/// A list of namespace ids: ascending, ended by the first zero.
pub(in crate::linux) fn active_namespaces(data: &[u8]) -> Vec<u32> {
    let (ids, _) = data.as_chunks::<4>();
    ids.iter().map(|id| u32::from_le_bytes(*id)).take_while(|id| *id != 0).collect()
}

fn array<const N: usize>(data: &[u8], at: usize) -> Result<[u8; N], AdminError> {
    let bytes = data.get(at..at + N).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(AdminError::Answer { command: "Identify", detail: "too short" })
}

/// ASCII padded with blanks.
fn text(data: &[u8], at: usize, length: usize) -> Result<String, AdminError> {
    let bytes = data.get(at..at + length);
    let bytes = bytes.ok_or(AdminError::Answer { command: "Identify", detail: "too short" })?;
    let text = String::from_utf8_lossy(bytes);
    Ok(text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controller_page(oacs: u16, fna: u8) -> Vec<u8> {
        let mut page = vec![0; BYTES];
        page[4..24].copy_from_slice(b"SERIAL-1            ");
        page[24..32].copy_from_slice(b"A model ");
        page[64..68].copy_from_slice(b"1.0 ");
        page[256..258].copy_from_slice(&oacs.to_le_bytes());
        page[524] = fna;
        page
    }

    #[test]
    fn a_controller_is_read_without_its_padding() {
        let facts = controller(&controller_page(0b1010, 0)).unwrap();
        assert_eq!(
            (&*facts.serial, &*facts.model, &*facts.firmware),
            ("SERIAL-1", "A model", "1.0")
        );
        assert!(facts.manages_namespaces && facts.formats_by_broadcast);
        assert!(!controller(&controller_page(0b1010, 0b1001)).unwrap().formats_by_broadcast);
        assert!(controller(&[0; 300]).is_err());
    }

    #[test]
    fn a_format_is_used_only_where_it_reaches_nothing_else() {
        let ability = |oacs, fna, cmic, lists: Option<(&[u32], &[u32])>| {
            let mut page = controller_page(oacs, fna);
            page[76] = cmic;
            let lists = lists.map(|(active, existing)| (active.to_vec(), existing.to_vec()));
            controller(&page).unwrap().ability(|| lists)
        };
        assert_eq!(ability(0, 0, 0, None), FormatAbility::None);
        assert_eq!(ability(0b10, 0, 0b111, None), FormatAbility::EachNamespace);
        assert_eq!(ability(0b10, 1, 0, None), FormatAbility::AllTogether);
        // Another controller of the same drive may have namespaces of its own.
        for shared in [0b001, 0b010, 0b100] {
            assert_eq!(ability(0b10, 1, shared, None), FormatAbility::None);
        }
        assert_eq!(ability(0b10, 1, 0b1000, None), FormatAbility::AllTogether, "no sharing");
        // One that manages namespaces tells them all, whoever has them.
        let all = |active, existing| ability(0b1010, 1, 0b010, Some((active, existing)));
        assert_eq!(all(&[1, 2], &[1, 2]), FormatAbility::AllTogether);
        assert_eq!(all(&[1], &[1, 2]), FormatAbility::None);
        assert_eq!(ability(0b1010, 1, 0, None), FormatAbility::None, "not told");
    }

    #[test]
    fn the_block_format_in_use_is_found_beyond_sixteen_too() {
        let mut page = vec![0; BYTES];
        page[0..8].copy_from_slice(&1000u64.to_le_bytes());
        for (index, shift) in [(2usize, 12u32), (17, 9)] {
            let entry = shift << 16 | 8;
            page[128 + 4 * index..132 + 4 * index].copy_from_slice(&entry.to_le_bytes());
        }
        page[26] = 2;
        let facts = namespace(&page).unwrap();
        assert_eq!((facts.blocks, facts.block_bytes, facts.metadata_bytes), (1000, 4096, 8));
        page[26] = 1 | 1 << 5;
        let facts = namespace(&page).unwrap();
        assert_eq!((facts.lba_format, facts.block_bytes), (17, 512));
        page[26] = 0; // a format that does not exist
        assert!(namespace(&page).is_err());
    }

    #[test]
    fn a_list_of_ids_ends_at_zero() {
        let mut page = vec![0; BYTES];
        page[0] = 1;
        page[4] = 3;
        page[12] = 9;
        assert_eq!(active_namespaces(&page), [1, 3]);
        assert!(active_namespaces(&[]).is_empty());
    }
}
