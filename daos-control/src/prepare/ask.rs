//! From the options of a prepare to the request of the storage crate. Pure.

use daos_storage_nvme::{NodeHugepages, PciAddress, PrepareRequest, ResetRequest};

/// Pages when `-p` is absent, zero or negative (R76).
const DEFAULT_PAGES: u64 = 1024;

/// What an administrator said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NvmePrepareAsk {
    /// Addresses separated by blanks or commas (R77, R78); `None` for all.
    pub allow: Option<String>,
    /// Addresses never touched.
    pub block: Option<String>,
    /// Huge pages of the default size, over all NUMA nodes; zero and negative numbers mean the default (R76).
    pub pages: Option<i64>,
    /// User that will run the engines (R74, R75).
    pub user: Option<String>,
    /// Bind to uio although VFIO would work.
    pub disable_vfio: bool,
    /// Leave huge pages as they are.
    pub keep_hugepages: bool,
}

/// Addresses of a list, and the words in it that are none (R79).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParsedAddresses {
    /// The addresses in the order of the list.
    pub addresses: Vec<PciAddress>,
    /// What was passed over.
    pub skipped: Vec<String>,
}

impl ParsedAddresses {
    /// Reads a list. A word that is no full address is passed over, since an abbreviated one never meant a device.
    #[must_use]
    pub fn read(list: &str) -> Self {
        let mut parsed = Self::default();
        let words = list.split(|c: char| c.is_whitespace() || c == ',');
        for word in words.filter(|word| !word.is_empty()) {
            match word.parse() {
                Ok(address) => parsed.addresses.push(address),
                Err(_) => parsed.skipped.push(word.to_owned()),
            }
        }
        parsed
    }
}

impl NvmePrepareAsk {
    /// The request for a host with these NUMA nodes, and what was passed over.
    #[must_use]
    pub fn request(&self, nodes: &[u32]) -> (PrepareRequest, Vec<String>) {
        let (include, exclude, skipped) = self.lists();
        let pages =
            self.pages.and_then(|pages| u64::try_from(pages).ok()).filter(|pages| *pages > 0);
        let nodes = if self.keep_hugepages { &[] } else { nodes };
        let request = PrepareRequest {
            hugepages: spread_pages(pages.unwrap_or(DEFAULT_PAGES), nodes),
            include,
            exclude,
            user: self.user.clone().filter(|name| !name.is_empty()),
            disable_vfio: self.disable_vfio,
            disable_vmd: false,
        };
        (request, skipped)
    }

    /// The reset with the same lists, and what was passed over.
    #[must_use]
    pub fn reset(&self) -> (ResetRequest, Vec<String>) {
        let (include, exclude, skipped) = self.lists();
        (ResetRequest { include, exclude }, skipped)
    }

    /// Whether the lists choose this controller.
    #[must_use]
    pub fn chooses(&self, address: PciAddress) -> bool {
        let (include, exclude, _) = self.lists();
        include.is_none_or(|named| named.contains(&address)) && !exclude.contains(&address)
    }

    fn lists(&self) -> (Option<Vec<PciAddress>>, Vec<PciAddress>, Vec<String>) {
        // An empty word is no list.
        let list = |text: &Option<String>| {
            text.as_deref().filter(|text| !text.trim().is_empty()).map(ParsedAddresses::read)
        };
        let (allow, block) = (list(&self.allow), list(&self.block));
        let mut skipped = allow.as_ref().map(|list| list.skipped.clone()).unwrap_or_default();
        skipped.extend(block.iter().flat_map(|list| list.skipped.clone()));
        let exclude = block.map(|list| list.addresses).unwrap_or_default();
        (allow.map(|list| list.addresses), exclude, skipped)
    }
}

/// The same number on each node; the first ones get what is left over.
#[must_use]
pub fn spread_pages(pages: u64, nodes: &[u32]) -> Vec<NodeHugepages> {
    let count = u64::try_from(nodes.len()).unwrap_or(1).max(1);
    let share = |place: u64| pages / count + u64::from(place < pages % count);
    nodes
        .iter()
        .zip(0..)
        .map(|(node, place)| NodeHugepages { node: *node, pages: share(place) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(allow: &str) -> NvmePrepareAsk {
        NvmePrepareAsk { allow: Some(allow.to_owned()), ..NvmePrepareAsk::default() }
    }

    #[test]
    fn r78_several_addresses_stand_in_one_argument() {
        let (request, skipped) = ask("0000:81:00.0 0000:82:00.0").request(&[0]);
        let addresses = request.include.expect("a list");
        assert_eq!(addresses.len(), 2);
        assert_eq!(addresses[1].to_string(), "0000:82:00.0");
        assert!(skipped.is_empty());
    }

    #[test]
    fn r79_an_invalid_address_is_passed_over_and_told() {
        let (request, skipped) = ask("0000:81:00.0 000:2").request(&[0]);
        assert_eq!(request.include.expect("a list").len(), 1);
        assert_eq!(skipped, ["000:2"]);
    }

    #[test]
    fn r80_a_list_without_any_valid_address_means_none_and_no_list_means_all() {
        assert_eq!(ask("none").request(&[0]).0.include, Some(Vec::new()));
        assert_eq!(ask("  ").request(&[0]).0.include, None);
        assert_eq!(NvmePrepareAsk::default().request(&[0]).0.include, None);
    }

    #[test]
    fn controllers_are_chosen_by_both_lists() {
        let address = "0000:81:00.0".parse().unwrap();
        assert!(NvmePrepareAsk::default().chooses(address));
        assert!(ask("0000:81:00.0").chooses(address) && !ask("none").chooses(address));
        let block = Some("0000:81:00.0".to_owned());
        assert!(!NvmePrepareAsk { block, ..NvmePrepareAsk::default() }.chooses(address));
    }

    #[test]
    fn huge_pages_can_be_left_as_they_are() {
        let keep = NvmePrepareAsk { keep_hugepages: true, ..NvmePrepareAsk::default() };
        assert_eq!(keep.request(&[0, 1]).0.hugepages, []);
    }

    #[test]
    fn r76_pages_are_a_count_over_all_nodes_with_a_default() {
        let pages = |asked: Option<i64>, nodes: &[u32]| {
            let ask = NvmePrepareAsk { pages: asked, ..NvmePrepareAsk::default() };
            let (request, _) = ask.request(nodes);
            request.hugepages.iter().map(|node| (node.node, node.pages)).collect::<Vec<_>>()
        };
        assert_eq!(pages(Some(4096), &[0]), [(0, 4096)]);
        assert_eq!(pages(Some(5), &[0, 1]), [(0, 3), (1, 2)]);
        for default in [None, Some(0), Some(-3)] {
            assert_eq!(pages(default, &[0, 2]), [(0, 512), (2, 512)]);
        }
    }
}
