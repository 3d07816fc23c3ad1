/*
 * The two instructions with which the index compares several sizes at once, for a host: each lane
 * of `a` less that of `b`, but not less than 0.
 */
#ifndef INDEX_SIMD_H
#define INDEX_SIMD_H

#include <stdint.h>

#define RH_INDEX_SIMD 1
#define RH_LESS_16(a, b) lanes_less((a), (b), 16)
#define RH_LESS_8(a, b) lanes_less((a), (b), 8)

static inline uint32_t lanes_less(uint32_t a, uint32_t b, unsigned bits) {
    const uint32_t lane = ((uint32_t)1 << bits) - 1;
    uint32_t less = 0;
    for (unsigned at = 0; at < 32; at += bits) {
        const uint32_t x = a >> at & lane, y = b >> at & lane;
        if (x > y) less |= (x - y) << at;
    }
    return less;
}

#endif
