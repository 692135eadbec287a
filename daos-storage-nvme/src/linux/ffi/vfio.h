/* What the bindings of the kernel's VFIO interface are made from: the one question that prepare asks. */
#include <sys/ioctl.h>
#include <linux/vfio.h>

const unsigned int IOCTL_GROUP_GET_STATUS = VFIO_GROUP_GET_STATUS;
const unsigned int GROUP_VIABLE = VFIO_GROUP_FLAGS_VIABLE;
