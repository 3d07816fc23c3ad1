/* Which block is at an address: a table of the live blocks. An address is not 0, an id not below 0.
 */
#ifndef RTOSHEAP_LIVE_H
#define RTOSHEAP_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RH_LIVE_NONE = -1, RH_LIVE_FAILED = -2 };

struct rh_live {
    struct rh_live_block {
        uint64_t address; /* 0: a free place */
        int64_t id;
    } * table;
    size_t size; /* a power of 2, or 0 */
    size_t count;
    uint64_t seed; /* so that nobody can choose addresses that collide */
};

/* Puts a block there: the one that was there, or RH_LIVE_NONE; RH_LIVE_FAILED if there is no
 * memory. */
int64_t rh_live_put(struct rh_live *live, uint64_t address, int64_t id);

/* The block there; RH_LIVE_NONE if there is none. */
int64_t rh_live_at(const struct rh_live *live, uint64_t address);

/* Takes the block from there; RH_LIVE_NONE if there is none. */
int64_t rh_live_take(struct rh_live *live, uint64_t address);

/* Takes all. */
void rh_live_clear(struct rh_live *live);

#endif
