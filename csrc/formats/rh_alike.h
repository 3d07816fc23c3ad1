/* Kinds of blocks that a log tells apart, but not the blocks of one: the youngest is the next
 * freed. */
#ifndef RTOSHEAP_ALIKE_H
#define RTOSHEAP_ALIKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RH_ALIKE_NONE = -1 };

struct rh_alike {
    struct rh_alike_kind {
        uint64_t size;
        int64_t youngest; /* live block, or none */
    } * kinds;
    size_t count, room;
    int64_t *older; /* of each block by its id, the next older one of its kind, or none */
    size_t ids;     /* that have room there */
};

/* Adds a kind, which is number `count`; false if there is no memory. */
bool rh_alike_add(struct rh_alike *alike, uint64_t size);

/* A block of a kind below `count`; false if there is no memory. */
bool rh_alike_put(struct rh_alike *alike, size_t kind, int64_t id);

/* Takes the youngest block of a kind, or none, and says whether it could have been another. */
int64_t rh_alike_take(struct rh_alike *alike, size_t kind, bool *ambiguous);

void rh_alike_drop(struct rh_alike *alike);

#endif
