/* The fuzzer's configuration of the core: every access to an arena is watched, and loops count. */
#ifndef FUZZ_CONFIG_H
#define FUZZ_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

struct rh_region;
void fuzz_trap(const struct rh_region *region, uint64_t address, uint64_t bytes, bool writes);

#define RH_HOSTED 1
#define RH_CHECKS 2
#define RH_CHECK_LOOPS 1
#define RH_TRAP(region, address, bytes, writes) fuzz_trap((region), (address), (bytes), (writes))

#endif
