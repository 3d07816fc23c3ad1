/*
 * The releases of the kernel and of newlib by name, with what a heap of each does otherwise than
 * the newest.
 */
#ifndef RH_VERSIONS_H
#define RH_VERSIONS_H

#include <stddef.h>

#include "rh_heap.h"

struct rh_kernel {
    const char *name;
    unsigned old[5]; /* enum rh_old, by the heap's number - 1 */
};

/* The releases after which newlib-nano's malloc changed. */
enum rh_nano_version {
    RH_NANO_3_3_0,
    RH_NANO_4_0_0,      /* realloc, calloc, memalign */
    RH_NANO_4_2_0,      /* a split hands out the front; the last free chunk is extended */
    RH_NANO_4_2_0_NULL, /* an empty list is no longer followed; in no release, but shipped */
    RH_NANO_4_3_0,
    RH_NANO_4_4_0,
    RH_NANO_VERSIONS
};

/* Ascending; the newest comes last. */
extern const struct rh_kernel rh_kernels[];
extern const size_t rh_kernel_count;
extern const char *const rh_nano_names[RH_NANO_VERSIONS];

/* The place of a name in its table, or the number of names. */
size_t rh_find_kernel(const char *name);
size_t rh_find_newlib(const char *name);

#endif
