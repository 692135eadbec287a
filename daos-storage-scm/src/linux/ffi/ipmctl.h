/* What the bindings of Intel's library for persistent memory modules are made from. Its answers are an
 * anonymous enumeration of hundreds, of which these are told apart. */
#include <nvm_types.h>
#include <nvm_management.h>

const unsigned int ANSWER_OK = NVM_SUCCESS;
const unsigned int ANSWER_POWER_CYCLE = NVM_SUCCESS_REQUIRES_POWER_CYCLE;
const unsigned int ANSWER_NO_GOAL = NVM_ERR_REGION_NO_GOAL_EXISTS_ON_DIMM;
const unsigned int ANSWER_NOT_FOUND = NVM_ERR_DIMM_NOT_FOUND;
const unsigned int ANSWER_NAMESPACE_EXISTS = NVM_ERR_REGION_GOAL_NAMESPACE_EXISTS;
const unsigned int ANSWER_UNSUPPORTED = NVM_ERR_PLATFORM_NOT_SUPPORT_PM_MODE;
const unsigned int ANSWER_NO_PERMISSION = NVM_ERR_INVALID_PERMISSIONS;
const unsigned int ANSWER_UNKNOWN = NVM_ERR_UNKNOWN;
