// Intel's library for persistent memory modules. Made by `cargo run -p daos-benches --features bindings --bin bindings write`.
pub type NVM_NFIT_DEVICE_HANDLE = u32;

pub const NVM_VERSION_LEN: u32 = 25;
pub const NVM_MAX_UID_LEN: u32 = 22;
pub const MAX_IS_PER_DIMM: u32 = 2;
pub type NVM_SIZE = usize;
pub type NVM_INT16 = ::core::ffi::c_short;
pub type NVM_BOOL = ::core::ffi::c_uchar;
pub type NVM_UINT8 = ::core::ffi::c_uchar;
pub type NVM_UINT16 = ::core::ffi::c_ushort;
pub type NVM_UINT32 = ::core::ffi::c_uint;
pub type NVM_UINT64 = ::core::ffi::c_ulonglong;
pub type NVM_VERSION = [::core::ffi::c_char; 25usize];
pub type NVM_UID = [::core::ffi::c_char; 22usize];
pub type NVM_MANUFACTURER = [::core::ffi::c_uchar; 2usize];
pub type NVM_SERIAL_NUMBER = [::core::ffi::c_uchar; 4usize];
pub const region_type_REGION_TYPE_UNKNOWN: region_type = 0;
pub const region_type_REGION_TYPE_PERSISTENT: region_type = 1;
pub const region_type_REGION_TYPE_VOLATILE: region_type = 2;
pub type region_type = ::core::ffi::c_uint;
pub const region_health_REGION_HEALTH_NORMAL: region_health = 1;
pub const region_health_REGION_HEALTH_ERROR: region_health = 2;
pub const region_health_REGION_HEALTH_UNKNOWN: region_health = 3;
pub const region_health_REGION_HEALTH_PENDING: region_health = 4;
pub const region_health_REGION_HEALTH_LOCKED: region_health = 5;
pub type region_health = ::core::ffi::c_uint;
pub const interleave_size_INTERLEAVE_SIZE_NONE: interleave_size = 0;
pub const interleave_size_INTERLEAVE_SIZE_64B: interleave_size = 1;
pub const interleave_size_INTERLEAVE_SIZE_128B: interleave_size = 2;
pub const interleave_size_INTERLEAVE_SIZE_256B: interleave_size = 4;
pub const interleave_size_INTERLEAVE_SIZE_4KB: interleave_size = 64;
pub const interleave_size_INTERLEAVE_SIZE_1GB: interleave_size = 128;
pub type interleave_size = ::core::ffi::c_uint;
pub const interleave_type_INTERLEAVE_TYPE_DEFAULT: interleave_type = 0;
pub const interleave_type_INTERLEAVE_TYPE_INTERLEAVED: interleave_type = 1;
pub const interleave_type_INTERLEAVE_TYPE_NOT_INTERLEAVED: interleave_type = 2;
pub type interleave_type = ::core::ffi::c_uint;
pub const manageability_state_MANAGEMENT_UNKNOWN: manageability_state = 0;
pub const manageability_state_MANAGEMENT_VALIDCONFIG: manageability_state = 1;
pub const manageability_state_MANAGEMENT_INVALIDCONFIG: manageability_state = 2;
pub const manageability_state_MANAGEMENT_NON_FUNCTIONAL: manageability_state = 3;
pub type manageability_state = ::core::ffi::c_uint;
pub const lock_state_LOCK_STATE_UNKNOWN: lock_state = 0;
pub const lock_state_LOCK_STATE_DISABLED: lock_state = 1;
pub const lock_state_LOCK_STATE_UNLOCKED: lock_state = 2;
pub const lock_state_LOCK_STATE_LOCKED: lock_state = 3;
pub const lock_state_LOCK_STATE_FROZEN: lock_state = 4;
pub const lock_state_LOCK_STATE_PASSPHRASE_LIMIT: lock_state = 5;
pub const lock_state_LOCK_STATE_NOT_SUPPORTED: lock_state = 6;
pub type lock_state = ::core::ffi::c_uint;
pub const memory_type_MEMORY_TYPE_UNKNOWN: memory_type = 0;
pub const memory_type_MEMORY_TYPE_DDR4: memory_type = 1;
pub const memory_type_MEMORY_TYPE_NVMDIMM: memory_type = 2;
pub const memory_type_MEMORY_TYPE_DDR5: memory_type = 3;
pub type memory_type = ::core::ffi::c_uint;
pub const device_ars_status_DEVICE_ARS_STATUS_UNKNOWN: device_ars_status = 0;
pub const device_ars_status_DEVICE_ARS_STATUS_NOTSTARTED: device_ars_status = 1;
pub const device_ars_status_DEVICE_ARS_STATUS_INPROGRESS: device_ars_status = 2;
pub const device_ars_status_DEVICE_ARS_STATUS_COMPLETE: device_ars_status = 3;
pub const device_ars_status_DEVICE_ARS_STATUS_ABORTED: device_ars_status = 4;
pub type device_ars_status = ::core::ffi::c_uint;
pub const device_overwritedimm_status_DEVICE_OVERWRITEDIMM_STATUS_UNKNOWN:
    device_overwritedimm_status = 0;
pub const device_overwritedimm_status_DEVICE_OVERWRITEDIMM_STATUS_NOTSTARTED:
    device_overwritedimm_status = 1;
pub const device_overwritedimm_status_DEVICE_OVERWRITEDIMM_STATUS_INPROGRESS:
    device_overwritedimm_status = 2;
pub const device_overwritedimm_status_DEVICE_OVERWRITEDIMM_STATUS_COMPLETE:
    device_overwritedimm_status = 3;
pub type device_overwritedimm_status = ::core::ffi::c_uint;
pub const config_status_CONFIG_STATUS_NOT_CONFIGURED: config_status = 0;
pub const config_status_CONFIG_STATUS_VALID: config_status = 1;
pub const config_status_CONFIG_STATUS_ERR_CORRUPT: config_status = 2;
pub const config_status_CONFIG_STATUS_ERR_BROKEN_INTERLEAVE: config_status = 3;
pub const config_status_CONFIG_STATUS_ERR_REVERTED: config_status = 4;
pub const config_status_CONFIG_STATUS_ERR_NOT_SUPPORTED: config_status = 5;
pub const config_status_CONFIG_STATUS_UNKNOWN: config_status = 6;
pub type config_status = ::core::ffi::c_uint;
pub const config_goal_status_CONFIG_GOAL_STATUS_NO_GOAL_OR_SUCCESS: config_goal_status = 0;
pub const config_goal_status_CONFIG_GOAL_STATUS_UNKNOWN: config_goal_status = 1;
pub const config_goal_status_CONFIG_GOAL_STATUS_NEW: config_goal_status = 2;
pub const config_goal_status_CONFIG_GOAL_STATUS_ERR_BADREQUEST: config_goal_status = 3;
pub const config_goal_status_CONFIG_GOAL_STATUS_ERR_INSUFFICIENTRESOURCES: config_goal_status = 4;
pub const config_goal_status_CONFIG_GOAL_STATUS_ERR_FW: config_goal_status = 5;
pub const config_goal_status_CONFIG_GOAL_STATUS_ERR_UNKNOWN: config_goal_status = 6;
pub type config_goal_status = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct device_security_capabilities {
    pub passphrase_capable: NVM_BOOL,
    pub unlock_device_capable: NVM_BOOL,
    pub erase_crypto_capable: NVM_BOOL,
    pub master_passphrase_capable: NVM_BOOL,
    pub reserved: [NVM_UINT8; 4usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of device_security_capabilities"]
        [::core::mem::size_of::<device_security_capabilities>() - 8usize];
    ["Alignment of device_security_capabilities"]
        [::core::mem::align_of::<device_security_capabilities>() - 1usize];
    ["Offset of field: device_security_capabilities::passphrase_capable"]
        [::core::mem::offset_of!(device_security_capabilities, passphrase_capable) - 0usize];
    ["Offset of field: device_security_capabilities::unlock_device_capable"]
        [::core::mem::offset_of!(device_security_capabilities, unlock_device_capable) - 1usize];
    ["Offset of field: device_security_capabilities::erase_crypto_capable"]
        [::core::mem::offset_of!(device_security_capabilities, erase_crypto_capable) - 2usize];
    ["Offset of field: device_security_capabilities::master_passphrase_capable"]
        [::core::mem::offset_of!(device_security_capabilities, master_passphrase_capable) - 3usize];
    ["Offset of field: device_security_capabilities::reserved"]
        [::core::mem::offset_of!(device_security_capabilities, reserved) - 4usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct device_capabilities {
    pub package_sparing_capable: NVM_BOOL,
    pub memory_mode_capable: NVM_BOOL,
    pub app_direct_mode_capable: NVM_BOOL,
    pub reserved: [NVM_UINT8; 5usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of device_capabilities"][::core::mem::size_of::<device_capabilities>() - 8usize];
    ["Alignment of device_capabilities"][::core::mem::align_of::<device_capabilities>() - 1usize];
    ["Offset of field: device_capabilities::package_sparing_capable"]
        [::core::mem::offset_of!(device_capabilities, package_sparing_capable) - 0usize];
    ["Offset of field: device_capabilities::memory_mode_capable"]
        [::core::mem::offset_of!(device_capabilities, memory_mode_capable) - 1usize];
    ["Offset of field: device_capabilities::app_direct_mode_capable"]
        [::core::mem::offset_of!(device_capabilities, app_direct_mode_capable) - 2usize];
    ["Offset of field: device_capabilities::reserved"]
        [::core::mem::offset_of!(device_capabilities, reserved) - 3usize];
};
#[repr(C)]
pub struct device_discovery {
    pub all_properties_populated: NVM_BOOL,
    pub device_handle: NVM_NFIT_DEVICE_HANDLE,
    pub physical_id: NVM_UINT16,
    pub vendor_id: NVM_UINT16,
    pub device_id: NVM_UINT16,
    pub revision_id: NVM_UINT16,
    pub channel_pos: NVM_UINT16,
    pub channel_id: NVM_UINT16,
    pub memory_controller_id: NVM_UINT16,
    pub socket_id: NVM_UINT16,
    pub node_controller_id: NVM_UINT16,
    pub memory_type: memory_type,
    pub dimm_sku: NVM_UINT32,
    pub manufacturer: NVM_MANUFACTURER,
    pub serial_number: NVM_SERIAL_NUMBER,
    pub subsystem_vendor_id: NVM_UINT16,
    pub subsystem_device_id: NVM_UINT16,
    pub subsystem_revision_id: NVM_UINT16,
    pub manufacturing_info_valid: NVM_BOOL,
    pub manufacturing_location: NVM_UINT8,
    pub manufacturing_date: NVM_UINT16,
    pub part_number: [::core::ffi::c_char; 21usize],
    pub fw_revision: NVM_VERSION,
    pub fw_api_version: NVM_VERSION,
    pub capacity: NVM_UINT64,
    pub interface_format_codes: [NVM_UINT16; 9usize],
    pub security_capabilities: device_security_capabilities,
    pub device_capabilities: device_capabilities,
    pub uid: NVM_UID,
    pub lock_state: lock_state,
    pub manageability: manageability_state,
    pub controller_revision_id: NVM_UINT16,
    pub master_passphrase_enabled: NVM_BOOL,
    pub reserved: [NVM_UINT8; 47usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of device_discovery"][::core::mem::size_of::<device_discovery>() - 256usize];
    ["Alignment of device_discovery"][::core::mem::align_of::<device_discovery>() - 8usize];
    ["Offset of field: device_discovery::all_properties_populated"]
        [::core::mem::offset_of!(device_discovery, all_properties_populated) - 0usize];
    ["Offset of field: device_discovery::device_handle"]
        [::core::mem::offset_of!(device_discovery, device_handle) - 4usize];
    ["Offset of field: device_discovery::physical_id"]
        [::core::mem::offset_of!(device_discovery, physical_id) - 8usize];
    ["Offset of field: device_discovery::vendor_id"]
        [::core::mem::offset_of!(device_discovery, vendor_id) - 10usize];
    ["Offset of field: device_discovery::device_id"]
        [::core::mem::offset_of!(device_discovery, device_id) - 12usize];
    ["Offset of field: device_discovery::revision_id"]
        [::core::mem::offset_of!(device_discovery, revision_id) - 14usize];
    ["Offset of field: device_discovery::channel_pos"]
        [::core::mem::offset_of!(device_discovery, channel_pos) - 16usize];
    ["Offset of field: device_discovery::channel_id"]
        [::core::mem::offset_of!(device_discovery, channel_id) - 18usize];
    ["Offset of field: device_discovery::memory_controller_id"]
        [::core::mem::offset_of!(device_discovery, memory_controller_id) - 20usize];
    ["Offset of field: device_discovery::socket_id"]
        [::core::mem::offset_of!(device_discovery, socket_id) - 22usize];
    ["Offset of field: device_discovery::node_controller_id"]
        [::core::mem::offset_of!(device_discovery, node_controller_id) - 24usize];
    ["Offset of field: device_discovery::memory_type"]
        [::core::mem::offset_of!(device_discovery, memory_type) - 28usize];
    ["Offset of field: device_discovery::dimm_sku"]
        [::core::mem::offset_of!(device_discovery, dimm_sku) - 32usize];
    ["Offset of field: device_discovery::manufacturer"]
        [::core::mem::offset_of!(device_discovery, manufacturer) - 36usize];
    ["Offset of field: device_discovery::serial_number"]
        [::core::mem::offset_of!(device_discovery, serial_number) - 38usize];
    ["Offset of field: device_discovery::subsystem_vendor_id"]
        [::core::mem::offset_of!(device_discovery, subsystem_vendor_id) - 42usize];
    ["Offset of field: device_discovery::subsystem_device_id"]
        [::core::mem::offset_of!(device_discovery, subsystem_device_id) - 44usize];
    ["Offset of field: device_discovery::subsystem_revision_id"]
        [::core::mem::offset_of!(device_discovery, subsystem_revision_id) - 46usize];
    ["Offset of field: device_discovery::manufacturing_info_valid"]
        [::core::mem::offset_of!(device_discovery, manufacturing_info_valid) - 48usize];
    ["Offset of field: device_discovery::manufacturing_location"]
        [::core::mem::offset_of!(device_discovery, manufacturing_location) - 49usize];
    ["Offset of field: device_discovery::manufacturing_date"]
        [::core::mem::offset_of!(device_discovery, manufacturing_date) - 50usize];
    ["Offset of field: device_discovery::part_number"]
        [::core::mem::offset_of!(device_discovery, part_number) - 52usize];
    ["Offset of field: device_discovery::fw_revision"]
        [::core::mem::offset_of!(device_discovery, fw_revision) - 73usize];
    ["Offset of field: device_discovery::fw_api_version"]
        [::core::mem::offset_of!(device_discovery, fw_api_version) - 98usize];
    ["Offset of field: device_discovery::capacity"]
        [::core::mem::offset_of!(device_discovery, capacity) - 128usize];
    ["Offset of field: device_discovery::interface_format_codes"]
        [::core::mem::offset_of!(device_discovery, interface_format_codes) - 136usize];
    ["Offset of field: device_discovery::security_capabilities"]
        [::core::mem::offset_of!(device_discovery, security_capabilities) - 154usize];
    ["Offset of field: device_discovery::device_capabilities"]
        [::core::mem::offset_of!(device_discovery, device_capabilities) - 162usize];
    ["Offset of field: device_discovery::uid"]
        [::core::mem::offset_of!(device_discovery, uid) - 170usize];
    ["Offset of field: device_discovery::lock_state"]
        [::core::mem::offset_of!(device_discovery, lock_state) - 192usize];
    ["Offset of field: device_discovery::manageability"]
        [::core::mem::offset_of!(device_discovery, manageability) - 196usize];
    ["Offset of field: device_discovery::controller_revision_id"]
        [::core::mem::offset_of!(device_discovery, controller_revision_id) - 200usize];
    ["Offset of field: device_discovery::master_passphrase_enabled"]
        [::core::mem::offset_of!(device_discovery, master_passphrase_enabled) - 202usize];
    ["Offset of field: device_discovery::reserved"]
        [::core::mem::offset_of!(device_discovery, reserved) - 203usize];
};
impl Default for device_discovery {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct device_status {
    pub health: NVM_UINT8,
    pub is_new: NVM_BOOL,
    pub is_configured: NVM_BOOL,
    pub is_missing: NVM_BOOL,
    pub package_spares_available: NVM_UINT8,
    pub last_shutdown_status_details: NVM_UINT32,
    pub config_status: config_status,
    pub last_shutdown_time: NVM_UINT64,
    pub mixed_sku: NVM_BOOL,
    pub sku_violation: NVM_BOOL,
    pub viral_state: NVM_BOOL,
    pub ars_status: device_ars_status,
    pub overwritedimm_status: device_overwritedimm_status,
    pub ait_dram_enabled: NVM_BOOL,
    pub boot_status: NVM_UINT64,
    pub injected_media_errors: NVM_UINT32,
    pub injected_non_media_errors: NVM_UINT32,
    pub unlatched_last_shutdown_status_details: NVM_UINT32,
    pub thermal_throttle_performance_loss_pcnt: NVM_UINT8,
    pub reserved: [NVM_UINT8; 64usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of device_status"][::core::mem::size_of::<device_status>() - 128usize];
    ["Alignment of device_status"][::core::mem::align_of::<device_status>() - 8usize];
    ["Offset of field: device_status::health"]
        [::core::mem::offset_of!(device_status, health) - 0usize];
    ["Offset of field: device_status::is_new"]
        [::core::mem::offset_of!(device_status, is_new) - 1usize];
    ["Offset of field: device_status::is_configured"]
        [::core::mem::offset_of!(device_status, is_configured) - 2usize];
    ["Offset of field: device_status::is_missing"]
        [::core::mem::offset_of!(device_status, is_missing) - 3usize];
    ["Offset of field: device_status::package_spares_available"]
        [::core::mem::offset_of!(device_status, package_spares_available) - 4usize];
    ["Offset of field: device_status::last_shutdown_status_details"]
        [::core::mem::offset_of!(device_status, last_shutdown_status_details) - 8usize];
    ["Offset of field: device_status::config_status"]
        [::core::mem::offset_of!(device_status, config_status) - 12usize];
    ["Offset of field: device_status::last_shutdown_time"]
        [::core::mem::offset_of!(device_status, last_shutdown_time) - 16usize];
    ["Offset of field: device_status::mixed_sku"]
        [::core::mem::offset_of!(device_status, mixed_sku) - 24usize];
    ["Offset of field: device_status::sku_violation"]
        [::core::mem::offset_of!(device_status, sku_violation) - 25usize];
    ["Offset of field: device_status::viral_state"]
        [::core::mem::offset_of!(device_status, viral_state) - 26usize];
    ["Offset of field: device_status::ars_status"]
        [::core::mem::offset_of!(device_status, ars_status) - 28usize];
    ["Offset of field: device_status::overwritedimm_status"]
        [::core::mem::offset_of!(device_status, overwritedimm_status) - 32usize];
    ["Offset of field: device_status::ait_dram_enabled"]
        [::core::mem::offset_of!(device_status, ait_dram_enabled) - 36usize];
    ["Offset of field: device_status::boot_status"]
        [::core::mem::offset_of!(device_status, boot_status) - 40usize];
    ["Offset of field: device_status::injected_media_errors"]
        [::core::mem::offset_of!(device_status, injected_media_errors) - 48usize];
    ["Offset of field: device_status::injected_non_media_errors"]
        [::core::mem::offset_of!(device_status, injected_non_media_errors) - 52usize];
    ["Offset of field: device_status::unlatched_last_shutdown_status_details"]
        [::core::mem::offset_of!(device_status, unlatched_last_shutdown_status_details) - 56usize];
    ["Offset of field: device_status::thermal_throttle_performance_loss_pcnt"]
        [::core::mem::offset_of!(device_status, thermal_throttle_performance_loss_pcnt) - 60usize];
    ["Offset of field: device_status::reserved"]
        [::core::mem::offset_of!(device_status, reserved) - 61usize];
};
impl Default for device_status {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct region {
    pub isetId: NVM_UINT64,
    pub type_: region_type,
    pub capacity: NVM_UINT64,
    pub free_capacity: NVM_UINT64,
    pub socket_id: NVM_INT16,
    pub dimm_count: NVM_UINT16,
    pub dimms: [NVM_UINT16; 24usize],
    pub health: region_health,
    pub reserved: [NVM_UINT8; 40usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of region"][::core::mem::size_of::<region>() - 128usize];
    ["Alignment of region"][::core::mem::align_of::<region>() - 8usize];
    ["Offset of field: region::isetId"][::core::mem::offset_of!(region, isetId) - 0usize];
    ["Offset of field: region::type_"][::core::mem::offset_of!(region, type_) - 8usize];
    ["Offset of field: region::capacity"][::core::mem::offset_of!(region, capacity) - 16usize];
    ["Offset of field: region::free_capacity"]
        [::core::mem::offset_of!(region, free_capacity) - 24usize];
    ["Offset of field: region::socket_id"][::core::mem::offset_of!(region, socket_id) - 32usize];
    ["Offset of field: region::dimm_count"][::core::mem::offset_of!(region, dimm_count) - 34usize];
    ["Offset of field: region::dimms"][::core::mem::offset_of!(region, dimms) - 36usize];
    ["Offset of field: region::health"][::core::mem::offset_of!(region, health) - 84usize];
    ["Offset of field: region::reserved"][::core::mem::offset_of!(region, reserved) - 88usize];
};
impl Default for region {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct config_goal_input {
    pub persistent_mem_type: NVM_UINT8,
    pub volatile_percent: NVM_UINT32,
    pub reserved_percent: NVM_UINT32,
    pub reserve_dimm: NVM_UINT32,
    pub namespace_label_major: NVM_UINT16,
    pub namespace_label_minor: NVM_UINT16,
    pub reserved: [NVM_UINT8; 44usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of config_goal_input"][::core::mem::size_of::<config_goal_input>() - 64usize];
    ["Alignment of config_goal_input"][::core::mem::align_of::<config_goal_input>() - 4usize];
    ["Offset of field: config_goal_input::persistent_mem_type"]
        [::core::mem::offset_of!(config_goal_input, persistent_mem_type) - 0usize];
    ["Offset of field: config_goal_input::volatile_percent"]
        [::core::mem::offset_of!(config_goal_input, volatile_percent) - 4usize];
    ["Offset of field: config_goal_input::reserved_percent"]
        [::core::mem::offset_of!(config_goal_input, reserved_percent) - 8usize];
    ["Offset of field: config_goal_input::reserve_dimm"]
        [::core::mem::offset_of!(config_goal_input, reserve_dimm) - 12usize];
    ["Offset of field: config_goal_input::namespace_label_major"]
        [::core::mem::offset_of!(config_goal_input, namespace_label_major) - 16usize];
    ["Offset of field: config_goal_input::namespace_label_minor"]
        [::core::mem::offset_of!(config_goal_input, namespace_label_minor) - 18usize];
    ["Offset of field: config_goal_input::reserved"]
        [::core::mem::offset_of!(config_goal_input, reserved) - 20usize];
};
impl Default for config_goal_input {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct config_goal {
    pub dimm_uid: NVM_UID,
    pub socket_id: NVM_UINT16,
    pub persistent_regions: NVM_UINT32,
    pub volatile_size: NVM_UINT64,
    pub storage_capacity: NVM_UINT64,
    pub interleave_set_type: [interleave_type; 2usize],
    pub appdirect_size: [NVM_UINT64; 2usize],
    pub imc_interleaving: [interleave_size; 2usize],
    pub channel_interleaving: [interleave_size; 2usize],
    pub appdirect_index: [NVM_UINT8; 2usize],
    pub status: config_goal_status,
    pub reserved: [NVM_UINT8; 32usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of config_goal"][::core::mem::size_of::<config_goal>() - 128usize];
    ["Alignment of config_goal"][::core::mem::align_of::<config_goal>() - 8usize];
    ["Offset of field: config_goal::dimm_uid"]
        [::core::mem::offset_of!(config_goal, dimm_uid) - 0usize];
    ["Offset of field: config_goal::socket_id"]
        [::core::mem::offset_of!(config_goal, socket_id) - 22usize];
    ["Offset of field: config_goal::persistent_regions"]
        [::core::mem::offset_of!(config_goal, persistent_regions) - 24usize];
    ["Offset of field: config_goal::volatile_size"]
        [::core::mem::offset_of!(config_goal, volatile_size) - 32usize];
    ["Offset of field: config_goal::storage_capacity"]
        [::core::mem::offset_of!(config_goal, storage_capacity) - 40usize];
    ["Offset of field: config_goal::interleave_set_type"]
        [::core::mem::offset_of!(config_goal, interleave_set_type) - 48usize];
    ["Offset of field: config_goal::appdirect_size"]
        [::core::mem::offset_of!(config_goal, appdirect_size) - 56usize];
    ["Offset of field: config_goal::imc_interleaving"]
        [::core::mem::offset_of!(config_goal, imc_interleaving) - 72usize];
    ["Offset of field: config_goal::channel_interleaving"]
        [::core::mem::offset_of!(config_goal, channel_interleaving) - 80usize];
    ["Offset of field: config_goal::appdirect_index"]
        [::core::mem::offset_of!(config_goal, appdirect_index) - 88usize];
    ["Offset of field: config_goal::status"]
        [::core::mem::offset_of!(config_goal, status) - 92usize];
    ["Offset of field: config_goal::reserved"]
        [::core::mem::offset_of!(config_goal, reserved) - 96usize];
};
impl Default for config_goal {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
pub const ANSWER_OK: ::core::ffi::c_uint = 0;
pub const ANSWER_POWER_CYCLE: ::core::ffi::c_uint = 76;
pub const ANSWER_NO_GOAL: ::core::ffi::c_uint = 122;
pub const ANSWER_NOT_FOUND: ::core::ffi::c_uint = 11;
pub const ANSWER_NAMESPACE_EXISTS: ::core::ffi::c_uint = 124;
pub const ANSWER_UNSUPPORTED: ::core::ffi::c_uint = 114;
pub const ANSWER_NO_PERMISSION: ::core::ffi::c_uint = 268;
pub const ANSWER_UNKNOWN: ::core::ffi::c_uint = 267;
pub struct LibIpmctl {
    __library: ::libloading::Library,
    pub nvm_init: Result<unsafe extern "C" fn() -> ::core::ffi::c_int, ::libloading::Error>,
    pub nvm_uninit: Result<unsafe extern "C" fn(), ::libloading::Error>,
    pub nvm_get_number_of_devices: Result<
        unsafe extern "C" fn(count: *mut ::core::ffi::c_uint) -> ::core::ffi::c_int,
        ::libloading::Error,
    >,
    pub nvm_get_devices: Result<
        unsafe extern "C" fn(
            p_devices: *mut device_discovery,
            count: NVM_UINT8,
        ) -> ::core::ffi::c_int,
        ::libloading::Error,
    >,
    pub nvm_get_device_status: Result<
        unsafe extern "C" fn(
            device_uid: *const ::core::ffi::c_char,
            p_status: *mut device_status,
        ) -> ::core::ffi::c_int,
        ::libloading::Error,
    >,
    pub nvm_get_number_of_regions: Result<
        unsafe extern "C" fn(count: *mut NVM_UINT8) -> ::core::ffi::c_int,
        ::libloading::Error,
    >,
    pub nvm_get_regions: Result<
        unsafe extern "C" fn(p_regions: *mut region, count: *mut NVM_UINT8) -> ::core::ffi::c_int,
        ::libloading::Error,
    >,
    pub nvm_create_config_goal: Result<
        unsafe extern "C" fn(
            p_device_uids: *mut NVM_UID,
            device_uids_count: NVM_UINT32,
            p_goal: *mut config_goal_input,
        ) -> ::core::ffi::c_int,
        ::libloading::Error,
    >,
    pub nvm_get_config_goal: Result<
        unsafe extern "C" fn(
            p_device_uids: *mut NVM_UID,
            device_uids_count: NVM_UINT32,
            p_goal: *mut config_goal,
        ) -> ::core::ffi::c_int,
        ::libloading::Error,
    >,
    pub nvm_delete_config_goal: Result<
        unsafe extern "C" fn(
            p_device_uids: *mut NVM_UID,
            device_uids_count: NVM_UINT32,
        ) -> ::core::ffi::c_int,
        ::libloading::Error,
    >,
    pub nvm_get_version: Result<
        unsafe extern "C" fn(
            version_str: *mut ::core::ffi::c_char,
            str_len: NVM_SIZE,
        ) -> ::core::ffi::c_int,
        ::libloading::Error,
    >,
}
impl LibIpmctl {
    pub unsafe fn new<P>(path: P) -> Result<Self, ::libloading::Error>
    where
        P: AsRef<::std::ffi::OsStr>,
    {
        let path = path.as_ref();
        let library = unsafe { ::libloading::Library::new(path) }?;
        unsafe { Self::from_library(library) }
    }
    pub unsafe fn from_library<L>(library: L) -> Result<Self, ::libloading::Error>
    where
        L: Into<::libloading::Library>,
    {
        let __library = library.into();
        let nvm_init = unsafe { __library.get(b"nvm_init\0") }.map(|sym| *sym);
        let nvm_uninit = unsafe { __library.get(b"nvm_uninit\0") }.map(|sym| *sym);
        let nvm_get_number_of_devices =
            unsafe { __library.get(b"nvm_get_number_of_devices\0") }.map(|sym| *sym);
        let nvm_get_devices = unsafe { __library.get(b"nvm_get_devices\0") }.map(|sym| *sym);
        let nvm_get_device_status =
            unsafe { __library.get(b"nvm_get_device_status\0") }.map(|sym| *sym);
        let nvm_get_number_of_regions =
            unsafe { __library.get(b"nvm_get_number_of_regions\0") }.map(|sym| *sym);
        let nvm_get_regions = unsafe { __library.get(b"nvm_get_regions\0") }.map(|sym| *sym);
        let nvm_create_config_goal =
            unsafe { __library.get(b"nvm_create_config_goal\0") }.map(|sym| *sym);
        let nvm_get_config_goal =
            unsafe { __library.get(b"nvm_get_config_goal\0") }.map(|sym| *sym);
        let nvm_delete_config_goal =
            unsafe { __library.get(b"nvm_delete_config_goal\0") }.map(|sym| *sym);
        let nvm_get_version = unsafe { __library.get(b"nvm_get_version\0") }.map(|sym| *sym);
        Ok(LibIpmctl {
            __library,
            nvm_init,
            nvm_uninit,
            nvm_get_number_of_devices,
            nvm_get_devices,
            nvm_get_device_status,
            nvm_get_number_of_regions,
            nvm_get_regions,
            nvm_create_config_goal,
            nvm_get_config_goal,
            nvm_delete_config_goal,
            nvm_get_version,
        })
    }
    pub unsafe fn nvm_init(&self) -> ::core::ffi::c_int {
        unsafe { (self.nvm_init.as_ref().expect("Expected function, got error."))() }
    }
    pub unsafe fn nvm_uninit(&self) {
        unsafe { (self.nvm_uninit.as_ref().expect("Expected function, got error."))() }
    }
    pub unsafe fn nvm_get_number_of_devices(
        &self,
        count: *mut ::core::ffi::c_uint,
    ) -> ::core::ffi::c_int {
        unsafe {
            (self.nvm_get_number_of_devices.as_ref().expect("Expected function, got error."))(count)
        }
    }
    pub unsafe fn nvm_get_devices(
        &self,
        p_devices: *mut device_discovery,
        count: NVM_UINT8,
    ) -> ::core::ffi::c_int {
        unsafe {
            (self.nvm_get_devices.as_ref().expect("Expected function, got error."))(
                p_devices, count,
            )
        }
    }
    pub unsafe fn nvm_get_device_status(
        &self,
        device_uid: *const ::core::ffi::c_char,
        p_status: *mut device_status,
    ) -> ::core::ffi::c_int {
        unsafe {
            (self.nvm_get_device_status.as_ref().expect("Expected function, got error."))(
                device_uid, p_status,
            )
        }
    }
    pub unsafe fn nvm_get_number_of_regions(&self, count: *mut NVM_UINT8) -> ::core::ffi::c_int {
        unsafe {
            (self.nvm_get_number_of_regions.as_ref().expect("Expected function, got error."))(count)
        }
    }
    pub unsafe fn nvm_get_regions(
        &self,
        p_regions: *mut region,
        count: *mut NVM_UINT8,
    ) -> ::core::ffi::c_int {
        unsafe {
            (self.nvm_get_regions.as_ref().expect("Expected function, got error."))(
                p_regions, count,
            )
        }
    }
    pub unsafe fn nvm_create_config_goal(
        &self,
        p_device_uids: *mut NVM_UID,
        device_uids_count: NVM_UINT32,
        p_goal: *mut config_goal_input,
    ) -> ::core::ffi::c_int {
        unsafe {
            (self.nvm_create_config_goal.as_ref().expect("Expected function, got error."))(
                p_device_uids,
                device_uids_count,
                p_goal,
            )
        }
    }
    pub unsafe fn nvm_get_config_goal(
        &self,
        p_device_uids: *mut NVM_UID,
        device_uids_count: NVM_UINT32,
        p_goal: *mut config_goal,
    ) -> ::core::ffi::c_int {
        unsafe {
            (self.nvm_get_config_goal.as_ref().expect("Expected function, got error."))(
                p_device_uids,
                device_uids_count,
                p_goal,
            )
        }
    }
    pub unsafe fn nvm_delete_config_goal(
        &self,
        p_device_uids: *mut NVM_UID,
        device_uids_count: NVM_UINT32,
    ) -> ::core::ffi::c_int {
        unsafe {
            (self.nvm_delete_config_goal.as_ref().expect("Expected function, got error."))(
                p_device_uids,
                device_uids_count,
            )
        }
    }
    pub unsafe fn nvm_get_version(
        &self,
        version_str: *mut ::core::ffi::c_char,
        str_len: NVM_SIZE,
    ) -> ::core::ffi::c_int {
        unsafe {
            (self.nvm_get_version.as_ref().expect("Expected function, got error."))(
                version_str,
                str_len,
            )
        }
    }
}
