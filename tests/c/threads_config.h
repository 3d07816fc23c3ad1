/* threads.c's configuration of the core: every access is held to the region's bounds. */
#ifndef THREADS_CONFIG_H
#define THREADS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

void threads_trap(uint64_t base, uint64_t size, uint64_t address, uint64_t bytes);

#define RH_HOSTED 1
#define RH_CHECKS 2
#define RH_TRAP(region, at, bytes, writes)                                                         \
    ((void)(writes), threads_trap((region)->base, (region)->size, (at), (bytes)))

#endif
