// The kernel's VFIO interface. Made by `cargo run -p daos-benches --features bindings --bin bindings write`.

pub type __u32 = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct vfio_group_status {
    pub argsz: __u32,
    pub flags: __u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of vfio_group_status"][::core::mem::size_of::<vfio_group_status>() - 8usize];
    ["Alignment of vfio_group_status"][::core::mem::align_of::<vfio_group_status>() - 4usize];
    ["Offset of field: vfio_group_status::argsz"]
        [::core::mem::offset_of!(vfio_group_status, argsz) - 0usize];
    ["Offset of field: vfio_group_status::flags"]
        [::core::mem::offset_of!(vfio_group_status, flags) - 4usize];
};
pub const IOCTL_GROUP_GET_STATUS: ::core::ffi::c_uint = 15207;
pub const GROUP_VIABLE: ::core::ffi::c_uint = 1;
