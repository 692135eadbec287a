/* See shim.h. Written for the public headers spdk/env.h and spdk/nvme.h. */
#include "shim.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "spdk/env.h"
#include "spdk/nvme.h"
#include "spdk/version.h"

/* How long a controller may take for its log. */
#define LOG_SECONDS 10

_Static_assert(DAOS_SPDK_MODEL == SPDK_NVME_CTRLR_MN_LEN, "length of the model");
_Static_assert(DAOS_SPDK_SERIAL == SPDK_NVME_CTRLR_SN_LEN, "length of the serial number");
_Static_assert(DAOS_SPDK_FIRMWARE == SPDK_NVME_CTRLR_FR_LEN, "length of the firmware revision");

struct answer {
	bool arrived;
	bool failed;
};

int daos_spdk_start(const char *name, int memory_mib)
{
	struct spdk_env_opts opts;

	memset(&opts, 0, sizeof(opts));
	/* Since 24.09 the defaults are filled in up to this size. */
#if SPDK_VERSION >= SPDK_VERSION_NUM(24, 9, 0)
	opts.opts_size = sizeof(opts);
#endif
	spdk_env_opts_init(&opts);
	opts.name = name;
	/* Nothing is shared with engines, and one core is enough. */
	opts.shm_id = -1;
	opts.core_mask = "0x1";
	opts.mem_size = memory_mib;
	opts.unlink_hugepage = true;
	return spdk_env_init(&opts);
}

static void on_answer(void *arg, const struct spdk_nvme_cpl *completion)
{
	struct answer *answer = arg;

	answer->failed = spdk_nvme_cpl_is_error(completion);
	answer->arrived = true;
}

static uint64_t counter(const uint64_t halves[2])
{
	return halves[1] == 0 ? halves[0] : UINT64_MAX;
}

static void copy_health(const struct spdk_nvme_health_information_page *page, struct daos_spdk_health *out)
{
	out->warnings = page->critical_warning.raw;
	out->temperature_kelvin = page->temperature;
	out->warning_minutes = page->warning_temp_time;
	out->critical_minutes = page->critical_temp_time;
	out->busy_minutes = counter(page->controller_busy_time);
	out->power_cycles = counter(page->power_cycles);
	out->power_on_hours = counter(page->power_on_hours);
	out->unsafe_shutdowns = counter(page->unsafe_shutdowns);
	out->media_errors = counter(page->media_errors);
	out->error_log_entries = counter(page->num_error_info_log_entries);
}

/* The answer must have arrived, or never arrive, before this frame and the buffer go: the controller writes into both. When it does
 * not arrive in time the controller is detached first, and what it might still write to is given up. */
static bool read_health(struct spdk_nvme_ctrlr *ctrlr, struct daos_spdk_health *out, bool *lost)
{
	static struct answer answer;
	struct spdk_nvme_health_information_page *page;
	time_t deadline = time(NULL) + LOG_SECONDS;
	bool good;

	memset(&answer, 0, sizeof(answer));
	/* -1: on any node. */
	page = spdk_zmalloc(sizeof(*page), 4096, NULL, -1, SPDK_MALLOC_DMA);
	if (page == NULL) {
		return false;
	}
	if (spdk_nvme_ctrlr_cmd_get_log_page(ctrlr, SPDK_NVME_LOG_HEALTH_INFORMATION, SPDK_NVME_GLOBAL_NS_TAG, page,
					     sizeof(*page), 0, on_answer, &answer) != 0) {
		spdk_free(page);
		return false;
	}
	while (!answer.arrived) {
		if (spdk_nvme_ctrlr_process_admin_completions(ctrlr) < 0 || time(NULL) > deadline) {
			*lost = true;
			return false;
		}
	}
	good = !answer.failed;
	if (good) {
		copy_health(page, out);
	}
	spdk_free(page);
	return good;
}

static void copy_namespaces(struct spdk_nvme_ctrlr *ctrlr, struct daos_spdk_controller *out)
{
	uint32_t id;

	for (id = spdk_nvme_ctrlr_get_first_active_ns(ctrlr); id != 0; id = spdk_nvme_ctrlr_get_next_active_ns(ctrlr, id)) {
		struct spdk_nvme_ns *ns = spdk_nvme_ctrlr_get_ns(ctrlr, id);

		if (ns == NULL) {
			continue;
		}
		if (out->namespaces < DAOS_SPDK_NAMESPACES) {
			struct daos_spdk_namespace *one = &out->namespace_[out->namespaces];

			one->id = id;
			one->block_bytes = spdk_nvme_ns_get_sector_size(ns);
			one->bytes = spdk_nvme_ns_get_size(ns);
		}
		out->namespaces++;
	}
}

int daos_spdk_look(const char *address, int health, struct daos_spdk_controller *out)
{
	struct spdk_nvme_transport_id id;
	struct spdk_nvme_ctrlr *ctrlr;
	const struct spdk_nvme_ctrlr_data *data;
	char text[64];
	bool lost = false;
	int written, detached;

	memset(out, 0, sizeof(*out));
	memset(&id, 0, sizeof(id));
	written = snprintf(text, sizeof(text), "trtype:PCIe traddr:%s", address);
	if (written < 0 || (size_t)written >= sizeof(text) || spdk_nvme_transport_id_parse(&id, text) != 0) {
		return -EINVAL;
	}
	ctrlr = spdk_nvme_connect(&id, NULL, 0);
	if (ctrlr == NULL) {
		return -ENODEV;
	}
	data = spdk_nvme_ctrlr_get_data(ctrlr);
	memcpy(out->model, data->mn, sizeof(out->model));
	memcpy(out->serial, data->sn, sizeof(out->serial));
	memcpy(out->firmware, data->fr, sizeof(out->firmware));
	copy_namespaces(ctrlr, out);
	if (health != 0) {
		out->has_health = read_health(ctrlr, &out->health, &lost) ? 1 : 0;
	}
	detached = spdk_nvme_detach(ctrlr);
	/* The page that an answer may still be on its way to is left to the controller. */
	return lost ? -ETIMEDOUT : detached;
}
