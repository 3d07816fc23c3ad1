/*
 * Which events of a trace belong to the same block, and whether they may, in one pass.
 *
 * Knows no Python; an event's op is its letter: m, r (realloc) or f.
 */
#ifndef RTOSHEAP_LINK_H
#define RTOSHEAP_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rh_links {
    const uint8_t *op;
    const int64_t *id; /* from 0 to below `room` */
    const uint64_t *size;
    size_t events;
    size_t room;
    /* What is found. Of each event, the event on its id before it, or -1; 32 bits or 64 each. */
    int32_t *previous32;
    int64_t *previous64;
    uint8_t *bad;        /* 1 for a malloc of a live id, a realloc or free of another; or NULL */
    int64_t first_bad;   /* the first of these, or -1 */
    int64_t first_sized; /* the first free that has a size, or -1 */
};

/* False where an id is not below `room`. `last`: of each id 4 bytes with previous32 and 8 with
 * previous64, all zero. */
bool rh_link(struct rh_links *links, void *last);

/* The first of the letters that is none; `count` if all are. */
size_t rh_find_no_op(const uint8_t *op, size_t count);

/* Numbers for ids in the order of their first appearance. */
struct rh_ranks {
    int64_t *ids; /* by number */
    size_t count;
    size_t capacity;
    size_t *table;     /* number + 1, or 0 */
    size_t table_size; /* a power of 2 */
    uint64_t seed;     /* so that nobody can choose ids that collide */
};

/* False when there is no memory; what `ranks` holds is to be freed with rh_ranks_drop(). */
bool rh_rank(struct rh_ranks *ranks, const int64_t *id, size_t events, int64_t *rank);
void rh_ranks_drop(struct rh_ranks *ranks);

#endif
