/* A number's place in a table: mixed with a seed, so that no file can be made to collide. */
#ifndef RTOSHEAP_HASH_H
#define RTOSHEAP_HASH_H

#include <stddef.h>
#include <stdint.h>

static inline size_t rh_hash(uint64_t key, uint64_t seed) {
    uint64_t mixed = (key ^ seed) * UINT64_C(0x9E3779B97F4A7C15);
    mixed = (mixed ^ (mixed >> 32) ^ seed >> 7) * UINT64_C(0xD6E8FEB86659FD93);
    return (size_t)(mixed ^ (mixed >> 32));
}

#endif
