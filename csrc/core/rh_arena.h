/*
 * The one file that casts the arena's bytes: every other goes through it.
 *
 * A region is passed to each access. Firmware has none (NULL) and needs none: an address is a
 * pointer. On a host the region says where the target's addresses lie; the buffer need not be
 * aligned, so words are copied. Defining RH_TRAP lets every access be watched: it is called with
 * the region, the address, the number of bytes and whether it writes, before each of them.
 */
#ifndef RH_ARENA_H
#define RH_ARENA_H

#include "rh_heap.h"

/* A freestanding compiler need not have the header, but must have the functions. */
#if defined(__has_include)
#if !__has_include(<string.h>)
#define RH_NO_STRING_H
#endif
#endif
#if defined(RH_NO_STRING_H)
void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memset(void *at, int byte, size_t bytes);
#else
#include <string.h>
#endif

#ifndef RH_TRAP
#define RH_TRAP(region, address, bytes, writes) ((void)0)
#endif

#if RH_HAS_REGIONS
/* In `bytes`, which are a region's, where an address in it lies: from where address 0 would, so
 * that it is one step. */
RH_INLINE unsigned char *rh_in(unsigned char *bytes, const struct rh_region *region,
                               rh_word address) {
    return (unsigned char *)((uintptr_t)bytes - (uintptr_t)region->base + (uintptr_t)address);
}
#endif

#if RH_HOSTED
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "headers are little-endian words, as on a Cortex-M; this host's are not"
#endif

RH_INLINE unsigned char *rh_at(const struct rh_region *region, rh_word address) {
    return rh_in(region->memory, region, address);
}
#else
RH_INLINE unsigned char *rh_at(const struct rh_region *region, rh_word address) {
    (void)region;
    return (unsigned char *)(uintptr_t)address;
}
#endif

/* After a loop over the list: where an address is a pointer, gcc carries it through the loop twice,
 * as the number and as the pointer, unless it is made to forget that the two are one. */
#if !RH_HOSTED && defined(__GNUC__)
#define RH_FORGET(address) __asm__ volatile("" : "+r"(address))
#else
#define RH_FORGET(address) ((void)0)
#endif

/* The word that lies `at` bytes, a constant, after an address. */
RH_INLINE rh_word rh_load_at(const struct rh_region *region, rh_word address, rh_word at) {
    RH_TRAP(region, address + at, sizeof(rh_word), false);
#if RH_HOSTED
    rh_word value;
    memcpy(&value, rh_at(region, address) + at, sizeof value);
    return value;
#else
    (void)region;
    return *(const rh_word *)(uintptr_t)(address + at);
#endif
}

RH_INLINE void rh_store_at(const struct rh_region *region, rh_word address, rh_word at,
                           rh_word value) {
    RH_TRAP(region, address + at, sizeof(rh_word), true);
#if RH_HOSTED
    memcpy(rh_at(region, address) + at, &value, sizeof value);
#else
    (void)region;
    *(rh_word *)(uintptr_t)(address + at) = value;
#endif
}

RH_INLINE rh_word rh_load(const struct rh_region *region, rh_word address) {
    return rh_load_at(region, address, 0);
}

#if !RH_HOSTED
/* A header as what it is: the compiler then reaches both words from one address. */
#define rh_header_at(address) ((struct rh_header *)(uintptr_t)(address))
#endif

RH_INLINE void rh_zero(const struct rh_region *region, rh_word address, rh_word bytes) {
    RH_TRAP(region, address, bytes, true);
    memset(rh_at(region, address), 0, (size_t)bytes);
}

/* Is [address, address + bytes) inside the region? */
RH_INLINE bool rh_inside(const struct rh_region *region, rh_word address, rh_word bytes) {
    return address - region->base <= region->size &&
           bytes <= region->size - (rh_word)(address - region->base);
}

#if RH_HAS_REGIONS
/* The region that holds an address, or NULL. Regions ascend. */
static inline struct rh_region *rh_find_region(const struct rh_common *common, rh_word address) {
    size_t low = 0, high = common->region_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (common->regions[middle].base <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0) return NULL;
    struct rh_region *region = &common->regions[low - 1];
    return address - region->base < region->size ? region : NULL;
}
#endif

/* The region of an address that a link gave, `near` being the last one's. `many` is a constant: a
 * heap with one region never looks. An address in no region stays with `near`: nothing follows
 * such a link at RH_CHECKS 2, and the access traps where accesses are watched. */
#if RH_HAS_REGIONS
#define RH_REGION_NEAR(heap, near, address, many)                                                  \
    rh_region_near(&(heap)->common, (near), (address), (many))
#define RH_FIRST_REGION(heap) (&(heap)->common.regions[0])
/* A copy of a region, and where it is: what is written to the arena need not make the compiler read
 * the region anew. */
#define RH_KEEP_REGION(kept, region) struct rh_region kept = *(region)
#define RH_KEPT(kept, region) (&(kept))

RH_INLINE struct rh_region *rh_region_near(const struct rh_common *common, struct rh_region *near,
                                           rh_word address, bool many) {
    if (!many || address - near->base < near->size) return near;
    struct rh_region *found = rh_find_region(common, address);
    return found != NULL ? found : near;
}
#else
#define RH_REGION_NEAR(heap, near, address, many)                                                  \
    ((void)(heap), (void)(address), (void)(many), (near))
#define RH_FIRST_REGION(heap) ((struct rh_region *)NULL)
#define RH_KEEP_REGION(kept, region) ((void)0)
#define RH_KEPT(kept, region) (region)
#endif

#endif
