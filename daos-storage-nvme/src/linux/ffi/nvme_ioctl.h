/* What the bindings of the kernel's NVMe ioctl interface are made from.
 * The kernel's header does not include what its own macros need, and bindgen does not see
 * macros that take arguments: so the request codes are spelled as constants. */
#include <sys/ioctl.h>
#include <linux/nvme_ioctl.h>

const unsigned int IOCTL_ADMIN_COMMAND = NVME_IOCTL_ADMIN_CMD;
