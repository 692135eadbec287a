//! From the options of a prepare to the request of the storage crate. Pure.

use daos_storage_nvme::{NodeHugepages, PciAddress, PrepareRequest, ResetRequest};

use crate::needs::{PagesAsk, never_fewer, spread_pages};
use crate::scan::memory::SystemMemory;

/// Pages when `-p` is absent, zero or negative (R76).
const DEFAULT_PAGES: u64 = 1024;

/// What an administrator said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NvmePrepareAsk {
    /// Addresses separated by blanks or commas (R77, R78); `None` for all.
    pub allow: Option<String>,
    /// Addresses never touched.
    pub block: Option<String>,
    /// Huge pages; without a number the default, and no node gets fewer than it has.
    pub pages: Option<PagesAsk>,
    /// User that will run the engines (R74, R75).
    pub user: Option<String>,
    /// Bind to uio although VFIO would work.
    pub disable_vfio: bool,
    /// Leave huge pages as they are.
    pub keep_hugepages: bool,
    /// Addresses that the configuration of the host keeps from every prepare (`bdev_exclude`).
    pub kept: Vec<PciAddress>,
    /// Leave volume management devices and what is behind them alone.
    pub disable_vmd: bool,
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
    /// The request for a host with this memory, and what was passed over.
    #[must_use]
    pub fn request(&self, memory: &SystemMemory) -> (PrepareRequest, Vec<String>) {
        let (include, mut exclude, skipped) = self.lists();
        exclude.extend(&self.kept);
        let request = PrepareRequest {
            hugepages: if self.keep_hugepages { Vec::new() } else { self.hugepages(memory) },
            include,
            exclude,
            user: self.user.clone().filter(|name| !name.is_empty()),
            disable_vfio: self.disable_vfio,
            disable_vmd: self.disable_vmd,
        };
        (request, skipped)
    }

    fn hugepages(&self, memory: &SystemMemory) -> Vec<NodeHugepages> {
        let spread = |pages| spread_pages(pages, &memory.nodes_with_memory());
        match &self.pages {
            Some(PagesAsk::Nodes(nodes)) => nodes.clone(),
            Some(PagesAsk::Total(pages)) if *pages > 0 => spread(*pages),
            // Nobody said how many, so nobody wants what engines have to go.
            _ => never_fewer(spread(DEFAULT_PAGES), memory),
        }
    }

    /// The reset with the same lists, and what was passed over. Of the addresses that the host keeps from a prepare, only those given
    /// here are left out: what no prepare took needs no reset either.
    #[must_use]
    pub fn reset(&self, kept: &[PciAddress]) -> (ResetRequest, Vec<String>) {
        let (include, mut exclude, skipped) = self.lists();
        exclude.extend(kept);
        (ResetRequest { include, exclude }, skipped)
    }

    /// Whether neither list says anything: everything is meant.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        let (include, exclude, _) = self.lists();
        include.is_none() && exclude.is_empty()
    }

    /// Whether the configuration of the host keeps this controller from every prepare.
    #[must_use]
    pub fn keeps(&self, address: PciAddress) -> bool {
        self.kept.contains(&address) || (self.disable_vmd && address.vmd().is_some())
    }

    /// Addresses that are named although the host keeps them from every prepare.
    #[must_use]
    pub fn named_and_kept(&self) -> Vec<PciAddress> {
        let named = self.lists().0.unwrap_or_default();
        named.into_iter().filter(|address| self.keeps(*address)).collect()
    }

    /// Whether the lists choose this controller.
    #[must_use]
    pub fn chooses(&self, address: PciAddress) -> bool {
        let (include, exclude, _) = self.lists();
        let named = include.is_none_or(|named| named.contains(&address));
        named && !exclude.contains(&address) && !self.keeps(address)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::memory::NodeMemory;

    /// Nodes with their huge pages and memory in KiB.
    fn memory(nodes: &[(u32, u64, u64)]) -> SystemMemory {
        let node = |(node, hugepages_total, total_kib): &(u32, u64, u64)| NodeMemory {
            node: *node,
            hugepages_total: *hugepages_total,
            total_kib: *total_kib,
            ..NodeMemory::default()
        };
        SystemMemory { nodes: nodes.iter().map(node).collect(), ..SystemMemory::default() }
    }

    fn one_node() -> SystemMemory {
        memory(&[(0, 0, 1 << 20)])
    }

    fn ask(allow: &str) -> NvmePrepareAsk {
        NvmePrepareAsk { allow: Some(allow.to_owned()), ..NvmePrepareAsk::default() }
    }

    #[test]
    fn r78_several_addresses_stand_in_one_argument() {
        let (request, skipped) = ask("0000:81:00.0 0000:82:00.0").request(&one_node());
        let addresses = request.include.expect("a list");
        assert_eq!(addresses.len(), 2);
        assert_eq!(addresses[1].to_string(), "0000:82:00.0");
        assert!(skipped.is_empty());
    }

    #[test]
    fn r79_an_invalid_address_is_passed_over_and_told() {
        let (request, skipped) = ask("0000:81:00.0 000:2").request(&one_node());
        assert_eq!(request.include.expect("a list").len(), 1);
        assert_eq!(skipped, ["000:2"]);
    }

    #[test]
    fn r80_a_list_without_any_valid_address_means_none_and_no_list_means_all() {
        assert_eq!(ask("none").request(&one_node()).0.include, Some(Vec::new()));
        assert_eq!(ask("  ").request(&one_node()).0.include, None);
        assert_eq!(NvmePrepareAsk::default().request(&one_node()).0.include, None);
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
        assert_eq!(keep.request(&one_node()).0.hugepages, []);
    }

    fn pages(asked: Option<&str>, memory: &SystemMemory) -> Vec<(u32, u64)> {
        let pages = asked.map(|text| text.parse().unwrap());
        let (request, _) = NvmePrepareAsk { pages, ..NvmePrepareAsk::default() }.request(memory);
        request.hugepages.iter().map(|node| (node.node, node.pages)).collect()
    }

    #[test]
    fn r76_pages_are_a_count_over_all_nodes_with_a_default() {
        let two = memory(&[(0, 0, 1 << 20), (2, 0, 1 << 20)]);
        assert_eq!(pages(Some("4096"), &one_node()), [(0, 4096)]);
        assert_eq!(pages(Some("5"), &two), [(0, 3), (2, 2)]);
        for default in [None, Some("0"), Some("-3")] {
            assert_eq!(pages(default, &two), [(0, 512), (2, 512)]);
        }
        assert_eq!(pages(Some("8"), &SystemMemory::default()), [(0, 8)], "no nodes are known");
    }

    #[test]
    fn pages_can_be_given_by_node_and_other_nodes_keep_theirs() {
        let two = memory(&[(0, 70, 1 << 20), (1, 0, 1 << 20)]);
        assert_eq!(pages(Some("1:4096"), &two), [(1, 4096)]);
        assert_eq!(pages(Some("0:10, 1:20"), &two), [(0, 10), (1, 20)]);
        let read = |text: &str| text.parse::<PagesAsk>();
        for bad in ["x", "1:", ":4", "1:2:3", "0:1,0:2", "0:-1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        for good in ["7", "0:10,1:20"] {
            assert_eq!(read(good).unwrap().to_string(), good);
        }
    }

    #[test]
    fn without_a_number_no_node_gets_fewer_pages_than_it_has() {
        let engines_run = memory(&[(0, 16384, 1 << 20), (1, 4, 1 << 20)]);
        assert_eq!(pages(None, &engines_run), [(0, 16384), (1, 512)]);
        assert_eq!(pages(Some("0"), &engines_run), [(0, 16384), (1, 512)]);
        assert_eq!(pages(Some("8"), &engines_run), [(0, 4), (1, 4)], "said is said");
    }

    #[test]
    fn a_node_without_memory_gets_no_pages() {
        let with_empty = memory(&[(0, 0, 1 << 20), (1, 0, 0)]);
        assert_eq!(pages(None, &with_empty), [(0, 1024)]);
        assert_eq!(pages(Some("64"), &with_empty), [(0, 64)]);
    }

    #[test]
    fn what_the_host_keeps_to_itself_is_not_chosen() {
        let address = |text: &str| text.parse::<PciAddress>().unwrap();
        let kept = vec![address("0000:05:00.0")];
        let all = NvmePrepareAsk { kept: kept.clone(), ..NvmePrepareAsk::default() };
        assert_eq!(all.request(&one_node()).0.exclude, kept);
        assert!(!all.chooses(kept[0]) && all.chooses(address("0000:81:00.0")));
        assert_eq!((all.named_and_kept(), all.is_everything()), (Vec::new(), true));
        assert_eq!(all.reset(&[]).0, ResetRequest::default(), "everything that a prepare took");
        assert_eq!(all.reset(&kept).0.exclude, kept);
        let named = NvmePrepareAsk { kept: kept.clone(), ..ask("0000:05:00.0 0000:81:00.0") };
        assert_eq!(named.named_and_kept(), kept);
        let behind = NvmePrepareAsk { disable_vmd: true, ..ask("5d0505:01:00.0") };
        assert_eq!(behind.named_and_kept().len(), 1);
        assert!(behind.request(&one_node()).0.disable_vmd);
    }
}
