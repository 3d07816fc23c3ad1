#include "rh_live.h"

#include <stdlib.h>

#include "rh_hash.h"

static inline size_t home_of(const struct rh_live *live, uint64_t address) {
    return rh_hash(address, live->seed) & (live->size - 1);
}

static inline struct rh_live_block *place_of(const struct rh_live *live, uint64_t address) {
    size_t at = home_of(live, address);
    while (live->table[at].address != address && live->table[at].address != 0)
        at = (at + 1) & (live->size - 1);
    return &live->table[at];
}

static bool grow(struct rh_live *live) {
    struct rh_live wider = *live;
    wider.size = live->size != 0 ? 2 * live->size : 1024;
    wider.table = calloc(wider.size, sizeof *wider.table);
    if (wider.table == NULL) return false;
    for (size_t i = 0; i < live->size; i++)
        if (live->table[i].address != 0) *place_of(&wider, live->table[i].address) = live->table[i];
    free(live->table);
    *live = wider;
    return true;
}

int64_t rh_live_put(struct rh_live *live, uint64_t address, int64_t id) {
    if (2 * live->count >= live->size && !grow(live)) return RH_LIVE_FAILED;
    struct rh_live_block *place = place_of(live, address);
    const int64_t before = place->address != 0 ? place->id : RH_LIVE_NONE;
    live->count += place->address == 0;
    *place = (struct rh_live_block){address, id};
    return before;
}

int64_t rh_live_at(const struct rh_live *live, uint64_t address) {
    const struct rh_live_block *place = live->count != 0 ? place_of(live, address) : NULL;
    return place != NULL && place->address != 0 ? place->id : RH_LIVE_NONE;
}

int64_t rh_live_take(struct rh_live *live, uint64_t address) {
    if (live->count == 0) return RH_LIVE_NONE;
    struct rh_live_block *place = place_of(live, address);
    if (place->address == 0) return RH_LIVE_NONE;
    const int64_t id = place->id;
    const size_t mask = live->size - 1;
    size_t hole = (size_t)(place - live->table);
    for (size_t at = (hole + 1) & mask; live->table[at].address != 0; at = (at + 1) & mask) {
        const size_t home = home_of(live, live->table[at].address);
        if (((at - home) & mask) < ((at - hole) & mask)) continue; /* it is not to be found there */
        live->table[hole] = live->table[at];
        hole = at;
    }
    live->table[hole].address = 0;
    live->count--;
    return id;
}

void rh_live_clear(struct rh_live *live) {
    free(live->table);
    *live = (struct rh_live){.seed = live->seed};
}
