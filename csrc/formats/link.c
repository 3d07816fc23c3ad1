#include "rh_link.h"

#include <stdlib.h>
#include <string.h>

#include "rh_hash.h"

/* An event that cannot be, or a free with a size: seldom, and so apart from the loop. */
static void note_bad(struct rh_links *links, size_t event) {
    if (links->first_bad < 0) links->first_bad = (int64_t)event;
    if (links->bad != NULL) links->bad[event] = 1;
}

static void note_sized(struct rh_links *links, size_t event) {
    if (links->first_sized < 0) links->first_sized = (int64_t)event;
}

/* `seen`: of an id its last event + 1, and in the lowest bit whether it is live. */
#define LINK(word, index, out)                                                                     \
    word *const seen = last;                                                                       \
    index *const previous = links->out;                                                            \
    const uint8_t *const op = links->op;                                                           \
    const int64_t *const id = links->id;                                                           \
    const uint64_t *const size = links->size;                                                      \
    const size_t events = links->events, room = links->room;                                       \
    for (size_t i = 0; i < events; i++) {                                                          \
        const size_t at = (size_t)id[i];                                                           \
        if (at >= room) return false;                                                              \
        const word before = seen[at], live = before & 1, now = ((word)i + 1) << 1;                 \
        previous[i] = (index)(before >> 1) - 1;                                                    \
        if (op[i] == 'm') {                                                                        \
            seen[at] = now | 1;                                                                    \
            if (live) note_bad(links, i);                                                          \
            continue;                                                                              \
        }                                                                                          \
        if (!live) note_bad(links, i);                                                             \
        seen[at] = op[i] == 'r' ? now | live : now;                                                \
        if (size[i] != 0 && op[i] == 'f') note_sized(links, i);                                    \
    }                                                                                              \
    return true

static bool link32(struct rh_links *links, void *last) {
    LINK(uint32_t, int32_t, previous32);
}

static bool link64(struct rh_links *links, void *last) {
    LINK(uint64_t, int64_t, previous64);
}

bool rh_link(struct rh_links *links, void *last) {
    links->first_bad = links->first_sized = -1;
    return links->previous32 != NULL ? link32(links, last) : link64(links, last);
}

size_t rh_find_no_op(const uint8_t *op, size_t count) {
    static const bool known[256] = {['m'] = true, ['r'] = true, ['f'] = true};
    size_t i = 0;
    while (i < count && known[op[i]])
        i++;
    return i;
}

static bool grow_table(struct rh_ranks *ranks) {
    const size_t size = ranks->table_size != 0 ? 2 * ranks->table_size : 1024;
    size_t *table = calloc(size, sizeof *table);
    if (table == NULL) return false;
    free(ranks->table);
    ranks->table = table;
    ranks->table_size = size;
    for (size_t number = 0; number < ranks->count; number++) {
        size_t at = rh_hash((uint64_t)ranks->ids[number], ranks->seed) & (size - 1);
        while (table[at] != 0)
            at = (at + 1) & (size - 1);
        table[at] = number + 1;
    }
    return true;
}

static bool add_id(struct rh_ranks *ranks, int64_t id) {
    if (ranks->count == ranks->capacity) {
        const size_t capacity = ranks->capacity != 0 ? 2 * ranks->capacity : 512;
        int64_t *ids = realloc(ranks->ids, capacity * sizeof *ids);
        if (ids == NULL) return false;
        ranks->ids = ids;
        ranks->capacity = capacity;
    }
    ranks->ids[ranks->count++] = id;
    return true;
}

bool rh_rank(struct rh_ranks *ranks, const int64_t *id, size_t events, int64_t *rank) {
    for (size_t i = 0; i < events; i++) {
        if (2 * ranks->count >= ranks->table_size && !grow_table(ranks)) return false;
        const size_t mask = ranks->table_size - 1;
        size_t at = rh_hash((uint64_t)id[i], ranks->seed) & mask;
        while (ranks->table[at] != 0 && ranks->ids[ranks->table[at] - 1] != id[i])
            at = (at + 1) & mask;
        if (ranks->table[at] == 0) {
            if (!add_id(ranks, id[i])) return false;
            ranks->table[at] = ranks->count;
        }
        rank[i] = (int64_t)ranks->table[at] - 1;
    }
    return true;
}

void rh_ranks_drop(struct rh_ranks *ranks) {
    free(ranks->ids);
    free(ranks->table);
    *ranks = (struct rh_ranks){0};
}
