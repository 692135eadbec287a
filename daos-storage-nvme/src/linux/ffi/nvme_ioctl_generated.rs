// The kernel's NVMe ioctl interface. Made by `cargo run -p daos-benches --features bindings --bin bindings write`.

pub type __u8 = ::core::ffi::c_uchar;
pub type __u16 = ::core::ffi::c_ushort;
pub type __u32 = ::core::ffi::c_uint;
pub type __u64 = ::core::ffi::c_ulonglong;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct nvme_passthru_cmd {
    pub opcode: __u8,
    pub flags: __u8,
    pub rsvd1: __u16,
    pub nsid: __u32,
    pub cdw2: __u32,
    pub cdw3: __u32,
    pub metadata: __u64,
    pub addr: __u64,
    pub metadata_len: __u32,
    pub data_len: __u32,
    pub cdw10: __u32,
    pub cdw11: __u32,
    pub cdw12: __u32,
    pub cdw13: __u32,
    pub cdw14: __u32,
    pub cdw15: __u32,
    pub timeout_ms: __u32,
    pub result: __u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of nvme_passthru_cmd"][::core::mem::size_of::<nvme_passthru_cmd>() - 72usize];
    ["Alignment of nvme_passthru_cmd"][::core::mem::align_of::<nvme_passthru_cmd>() - 8usize];
    ["Offset of field: nvme_passthru_cmd::opcode"]
        [::core::mem::offset_of!(nvme_passthru_cmd, opcode) - 0usize];
    ["Offset of field: nvme_passthru_cmd::flags"]
        [::core::mem::offset_of!(nvme_passthru_cmd, flags) - 1usize];
    ["Offset of field: nvme_passthru_cmd::rsvd1"]
        [::core::mem::offset_of!(nvme_passthru_cmd, rsvd1) - 2usize];
    ["Offset of field: nvme_passthru_cmd::nsid"]
        [::core::mem::offset_of!(nvme_passthru_cmd, nsid) - 4usize];
    ["Offset of field: nvme_passthru_cmd::cdw2"]
        [::core::mem::offset_of!(nvme_passthru_cmd, cdw2) - 8usize];
    ["Offset of field: nvme_passthru_cmd::cdw3"]
        [::core::mem::offset_of!(nvme_passthru_cmd, cdw3) - 12usize];
    ["Offset of field: nvme_passthru_cmd::metadata"]
        [::core::mem::offset_of!(nvme_passthru_cmd, metadata) - 16usize];
    ["Offset of field: nvme_passthru_cmd::addr"]
        [::core::mem::offset_of!(nvme_passthru_cmd, addr) - 24usize];
    ["Offset of field: nvme_passthru_cmd::metadata_len"]
        [::core::mem::offset_of!(nvme_passthru_cmd, metadata_len) - 32usize];
    ["Offset of field: nvme_passthru_cmd::data_len"]
        [::core::mem::offset_of!(nvme_passthru_cmd, data_len) - 36usize];
    ["Offset of field: nvme_passthru_cmd::cdw10"]
        [::core::mem::offset_of!(nvme_passthru_cmd, cdw10) - 40usize];
    ["Offset of field: nvme_passthru_cmd::cdw11"]
        [::core::mem::offset_of!(nvme_passthru_cmd, cdw11) - 44usize];
    ["Offset of field: nvme_passthru_cmd::cdw12"]
        [::core::mem::offset_of!(nvme_passthru_cmd, cdw12) - 48usize];
    ["Offset of field: nvme_passthru_cmd::cdw13"]
        [::core::mem::offset_of!(nvme_passthru_cmd, cdw13) - 52usize];
    ["Offset of field: nvme_passthru_cmd::cdw14"]
        [::core::mem::offset_of!(nvme_passthru_cmd, cdw14) - 56usize];
    ["Offset of field: nvme_passthru_cmd::cdw15"]
        [::core::mem::offset_of!(nvme_passthru_cmd, cdw15) - 60usize];
    ["Offset of field: nvme_passthru_cmd::timeout_ms"]
        [::core::mem::offset_of!(nvme_passthru_cmd, timeout_ms) - 64usize];
    ["Offset of field: nvme_passthru_cmd::result"]
        [::core::mem::offset_of!(nvme_passthru_cmd, result) - 68usize];
};
pub const IOCTL_ADMIN_COMMAND: ::core::ffi::c_uint = 3225964097;
