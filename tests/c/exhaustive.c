/*
 * Every sequence of operations up to a depth, on heap_2, heap_4 or heap_5 over a tiny arena.
 *
 * After each operation the heap is compared with a model that is kept here as plain lists: the
 * address returned, every block, the free list in its order, the free size; and held to check().
 * An operation is a malloc of one of some sizes or a free of any live block.
 *
 *     exhaustive KIND DEPTH WORD [KERNEL]     prints the number of sequences
 *
 * Of older kernels the model here knows two: heap_2 up to V10.4.2 (the first block is where an
 * aligned arena loses its first bytes; sizes wrap, and are held against the arena's; a block has no
 * mark), and heap_5 from V10.6.0 to V10.6.2 (what a split leaves takes the marker behind it in).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops.h"
#include "versions.h"

enum { BLOCKS = 48, LIVE = 16, ARENA = 256, REGIONS = 2 };

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct entry {
    uint64_t address;
    uint64_t size;
    bool allocated;
};

struct model {
    struct entry blocks[BLOCKS]; /* in address order */
    size_t count;
    struct entry list[BLOCKS]; /* the free list in its order, heap_5's inner marker included */
    size_t listed;
    uint64_t free_size;
    uint64_t nodes; /* entries of the free list that the last operation read */
};

struct world {
    struct model model;
    uint64_t live[LIVE];
    size_t live_count;
    unsigned char memory[REGIONS][ARENA];
    unsigned char shadow[REGIONS][2 * ARENA];
    unsigned char state[1024];
};

static const struct rh_ops *ops;
static uint64_t header, word, word_max;
static uint64_t sizes[6];
static size_t size_count = 4;
static bool early, absorbs; /* an older heap_2; an older heap_5 */
static uint64_t region_bytes;
static size_t region_count;
static uint64_t bases[REGIONS] = {0x20000000, 0x20000400};
static uint64_t sequences;

static void attach(struct world *w) {
    struct rh_setup_region regions[REGIONS];
    for (size_t i = 0; i < region_count; i++) {
        struct rh_setup_region region = {bases[i], region_bytes, w->memory[i], w->shadow[i]};
        regions[i] = region;
    }
    ops->attach(w->state, regions);
}

/* --- the model ---------------------------------------------------------------------------------
 */

static void insert(struct entry *entries, size_t *count, size_t at, struct entry entry) {
    REQUIRE(*count < BLOCKS);
    memmove(&entries[at + 1], &entries[at], (*count - at) * sizeof *entries);
    entries[at] = entry;
    ++*count;
}

static void erase(struct entry *entries, size_t *count, size_t at) {
    --*count;
    memmove(&entries[at], &entries[at + 1], (*count - at) * sizeof *entries);
}

static size_t find(const struct model *m, uint64_t address) {
    size_t i = 0;
    while (m->blocks[i].address != address)
        REQUIRE(++i < m->count);
    return i;
}

/* heap_2: by size, the newest first among equals; heap_4 and heap_5: by address. */
static void enlist(struct model *m, struct entry entry) {
    size_t at = 0;
    while (at < m->listed &&
           (ops->kind == 2 ? m->list[at].size < entry.size : m->list[at].address < entry.address))
        at++;
    m->nodes += at < m->listed ? at + 1 : at; /* heap_2: the one that stops the walk is read, too */
    insert(m->list, &m->listed, at, entry);
}

static bool unlist(struct model *m, uint64_t address) {
    for (size_t i = 0; i < m->listed; i++)
        if (m->list[i].address == address) {
            erase(m->list, &m->listed, i);
            return true;
        }
    return false;
}

static bool ends_at_marker(struct entry block) {
    return region_count > 1 && block.address + block.size == bases[0] + region_bytes - header;
}

/* 0: no block is as large. */
static uint64_t block_size(const struct model *m, uint64_t size) {
    if (!early) {
        const uint64_t wanted = (size + header + 7) / 8 * 8;
        return wanted <= m->free_size ? wanted : 0;
    }
    const uint64_t wanted = (((size + header) & word_max) + 7) / 8 * 8 & word_max;
    return wanted < region_bytes - 8 ? wanted : 0;
}

static uint64_t model_malloc(struct model *m, uint64_t size) {
    const uint64_t wanted = block_size(m, size);
    m->nodes = 0;
    if (size == 0 || wanted == 0) return 0;
    size_t at = 0;
    while (at < m->listed && m->list[at].size < wanted)
        at++;
    m->nodes = at;
    if (at == m->listed) return 0;
    m->nodes++;
    struct entry found = m->list[at];
    erase(m->list, &m->listed, at);
    const size_t place = find(m, found.address);
    if (found.size - wanted > 2 * header) {
        const struct entry rest = {found.address + wanted, found.size - wanted, false};
        found.size = wanted;
        insert(m->blocks, &m->count, place + 1, rest);
        const uint64_t nodes = m->nodes; /* heap_4, heap_5: the rest takes found's place */
        enlist(m, rest);
        if (ops->kind != 2) m->nodes = nodes;
        if (absorbs) { /* the rest is inserted, behind what the search has read */
            m->nodes += at;
            if (ends_at_marker(rest)) m->nodes += unlist(m, rest.address + rest.size);
        }
    }
    found.allocated = true;
    m->blocks[place] = found;
    m->free_size -= found.size;
    return found.address + header;
}

static void model_free(struct model *m, uint64_t payload) {
    size_t place = find(m, payload - header);
    struct entry *b = m->blocks;
    uint64_t nodes = 0; /* heap_4, heap_5: what lies before it, and what it swallows behind it */
    while (nodes < m->listed && m->list[nodes].address < b[place].address)
        nodes++;
    m->nodes = 0;
    b[place].allocated = false;
    m->free_size += b[place].size;
    if (ops->kind != 2) {
        const uint64_t end = b[place].address + b[place].size;
        if (place + 1 < m->count && !b[place + 1].allocated && b[place + 1].address == end) {
            nodes += unlist(m, end);
            b[place].size += b[place + 1].size;
            erase(b, &m->count, place + 1);
        } else if (ends_at_marker(b[place])) {
            nodes += unlist(m, end); /* the inner marker is absorbed */
        }
        if (place > 0 && !b[place - 1].allocated &&
            b[place - 1].address + b[place - 1].size == b[place].address) {
            unlist(m, b[place - 1].address);
            b[place - 1].size += b[place].size;
            erase(b, &m->count, place);
            place--;
        }
    }
    enlist(m, b[place]);
    if (ops->kind != 2) m->nodes = nodes;
}

/* --- the comparison ----------------------------------------------------------------------------
 */

struct listing {
    const struct entry *expected;
    size_t count;
    size_t seen;
    bool with_state;
};

static bool compare(void *context, uint64_t address, uint64_t size, bool allocated) {
    struct listing *l = context;
    REQUIRE(l->seen < l->count);
    const struct entry *e = &l->expected[l->seen++];
    REQUIRE(e->address == address && e->size == size);
    REQUIRE(allocated == (l->with_state && e->allocated));
    return true;
}

static void same(struct world *w) {
    struct listing blocks = {w->model.blocks, w->model.count, 0, true};
    struct listing list = {w->model.list, w->model.listed, 0, false};
    REQUIRE(ops->check(w->state) == RH_OK);
    REQUIRE(ops->walk(w->state, compare, &blocks) == RH_OK && blocks.seen == blocks.count);
    REQUIRE(ops->walk_free(w->state, compare, &list) == RH_OK && list.seen == list.count);
    REQUIRE(ops->free_size(w->state) == w->model.free_size);
}

static void same_nodes(struct world *w) {
    REQUIRE(ops->nodes(w->state) == w->model.nodes);
}

static void explore(const struct world *before, unsigned depth) {
    sequences++;
    if (depth == 0) return;
    for (size_t choice = 0; choice < size_count + before->live_count; choice++) {
        struct world w = *before;
        attach(&w);
        if (choice < size_count) {
            uint64_t payload;
            const uint64_t expected = model_malloc(&w.model, sizes[choice]);
            enum rh_status status = ops->malloc(w.state, sizes[choice], &payload);
            REQUIRE(expected != 0 ? status == RH_OK && payload == expected
                                  : status == RH_EXHAUSTED || status == RH_FRAGMENTED);
            if (expected != 0) w.live[w.live_count++] = payload;
            same_nodes(&w);
        } else {
            const uint64_t payload = w.live[choice - size_count];
            w.live[choice - size_count] = w.live[--w.live_count];
            model_free(&w.model, payload);
            REQUIRE(ops->free(w.state, payload) == RH_OK);
            same_nodes(&w);
            REQUIRE(ops->free(w.state, payload) == RH_DOUBLE_FREE);
            REQUIRE(ops->nodes(w.state) == 0);
        }
        same(&w);
        explore(&w, depth - 1);
    }
}

/* What an older kernel does otherwise, where the model here knows it. */
static unsigned old_rules(const char *kernel) {
    const size_t place = rh_find_kernel(kernel);
    REQUIRE(place < rh_kernel_count);
    const unsigned old = rh_kernels[place].old[ops->kind - 1];
    const unsigned unseen = RH_OLD_SMALLEST | RH_OLD_EMPTY | RH_OLD_PLAIN_LINK;
    if (ops->kind == 2) {
        REQUIRE(old == (RH_OLD_START | RH_OLD_UNBOUNDED | RH_OLD_UNMARKED));
        early = true;
        sizes[4] = region_bytes - 8 - header; /* the whole arena */
        sizes[5] = word_max;                  /* wraps to a header */
        size_count = 6;
    } else {
        REQUIRE(ops->kind == 5 && (old & ~unseen) == RH_OLD_ABSORB);
        absorbs = true;
    }
    return old;
}

int main(int argc, char **argv) {
    if (argc != 4 && argc != 5) return 2;
    const int kind = atoi(argv[1]);
    const unsigned depth = (unsigned)atoi(argv[2]);
    word = (uint64_t)atoi(argv[3]);
    word_max = UINT64_MAX >> (64 - 8 * word);
    header = 2 * word;
    ops = rh_ops_find(kind, (int)word);
    /* Four classes: one that is always cut, two between, and one that takes most of a region. */
    const uint64_t classes[6] = {1, word + 4, 3 * word + 4, 8 * word};
    memcpy(sizes, classes, sizeof sizes);
    region_count = kind == 5 ? 2 : 1;
    region_bytes = kind == 5 ? 12 * word : 20 * word + 8;
    const unsigned old = argc == 5 ? old_rules(argv[4]) : 0;

    static struct world w;
    struct rh_setup_region regions[REGIONS] = {
        {bases[0], region_bytes, w.memory[0], w.shadow[0]},
        {bases[1], region_bytes, w.memory[1], w.shadow[1]},
    };
    struct rh_setup setup = {.alignment = 8,
                             .end_marker = bases[0] - 16,
                             .old = old,
                             .region_count = region_count,
                             .regions = regions};
    size_t wrong;
    REQUIRE(ops->state_bytes(region_count) <= sizeof w.state);
    REQUIRE(ops->init(w.state, &setup, &wrong) == RH_OK);
    for (size_t i = 0; i < region_count; i++) {
        const struct entry whole = {bases[i] + (early ? 8 : 0),
                                    region_bytes - (kind == 2 ? 8 : header), false};
        w.model.blocks[w.model.count++] = whole;
        w.model.list[w.model.listed++] = whole;
        w.model.free_size += whole.size;
        const struct entry marker = {bases[i] + whole.size, 0, false};
        if (i + 1 < region_count) w.model.list[w.model.listed++] = marker;
    }
    same(&w);
    REQUIRE(ops->nodes(w.state) == 0);
    explore(&w, depth);
    printf("%llu\n", (unsigned long long)sequences - 1);
    return 0;
}
