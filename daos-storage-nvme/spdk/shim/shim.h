/* What the Rust side knows of SPDK: plain values and two functions. SPDK's own structures have bit fields and packing that do
 * not survive a translation, and change between versions; they stay on the C side. */
#ifndef DAOS_SPDK_SHIM_H
#define DAOS_SPDK_SHIM_H

#include <stdint.h>

#define DAOS_SPDK_MODEL 40
#define DAOS_SPDK_SERIAL 20
#define DAOS_SPDK_FIRMWARE 8
#define DAOS_SPDK_NAMESPACES 64

/* Units are those of the NVMe base specification, SMART log page; counters of 128 bits end at 2^64 - 1. */
struct daos_spdk_health {
	uint8_t warnings;
	uint16_t temperature_kelvin;
	uint32_t warning_minutes;
	uint32_t critical_minutes;
	uint64_t busy_minutes;
	uint64_t power_cycles;
	uint64_t power_on_hours;
	uint64_t unsafe_shutdowns;
	uint64_t media_errors;
	uint64_t error_log_entries;
};

struct daos_spdk_namespace {
	uint32_t id;
	uint32_t block_bytes;
	uint64_t bytes;
};

/* Texts are padded with blanks and have no end mark, as the controller tells them. */
struct daos_spdk_controller {
	uint8_t model[DAOS_SPDK_MODEL];
	uint8_t serial[DAOS_SPDK_SERIAL];
	uint8_t firmware[DAOS_SPDK_FIRMWARE];
	/* Active namespaces; those beyond DAOS_SPDK_NAMESPACES are counted and not described. */
	uint32_t namespaces;
	struct daos_spdk_namespace namespace_[DAOS_SPDK_NAMESPACES];
	/* 1 when the SMART log could be read. */
	uint8_t has_health;
	struct daos_spdk_health health;
};

/* Starts the environment of SPDK in this process, once, on the thread that will make all other calls. Takes memory_mib of huge
 * pages. 0, or a negative errno. */
int daos_spdk_start(const char *name, int memory_mib);

/* Attaches one controller by its PCI address, copies what it says of itself, and lets it go. 0, or a negative errno: -ENODEV when
 * it cannot be attached, as when another program has it. */
int daos_spdk_look(const char *address, int health, struct daos_spdk_controller *out);

#endif
