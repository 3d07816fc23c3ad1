/*
 * Random events on the heaps that have a list, through a replay with the list and one with an
 * index, which must record the same and leave the same bytes.
 *
 *     test_engines EVENTS SEED [ALLOCATIONS]
 *
 * gives each heap so many events, and prints how many there were in all, and how many of them found
 * an index in use. With ALLOCATIONS so many allocations of the index's memory are served in each
 * replay, and those after them are refused; then one that chooses its engine is tried, not one that
 * must have an index.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"
#include "versions.h"

#define LIVE 3000
#define BATCH 1000

static long served = -1; /* allocations that are yet to succeed; negative: all */

/* The linker is told to --wrap=calloc. */
void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes) {
    if (served == 0) return NULL;
    if (served > 0) served--;
    return __real_calloc(count, bytes);
}

static uint64_t seed;

static uint64_t below(uint64_t limit) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % limit;
}

static void require(bool condition, const char *what, uint64_t event) {
    if (condition) return;
    fprintf(stderr, "%s, event %llu\n", what, (unsigned long long)event);
    exit(1);
}

/* Two heaps that are set up alike, and what a replay of each recorded. */
struct side {
    unsigned char *memory, *shadow;
    struct rh_setup_region regions[3];
    struct rh_replay replay;
    struct rh_slot slots[LIVE];
};

static uint8_t op[BATCH];
static int32_t slot[BATCH];
static uint64_t size[BATCH];
static bool is_live[LIVE];

static void start(struct side *side, const struct rh_ops *ops, struct rh_setup setup,
                  uint64_t bytes) {
    const size_t count = setup.region_count;
    size_t wrong, shadow = 0;
    side->memory = calloc(1, bytes + 64);
    side->shadow = calloc(1, 2 * bytes + 1024);
    memset(side->slots, 0, sizeof side->slots);
    for (size_t i = 0; i < count; i++) {
        const uint64_t part = bytes / count;
        /* The first two adjoin. */
        side->regions[i] =
            (struct rh_setup_region){0x20000008 + i * part + (i == 2 ? 4096u : 0), part,
                                     side->memory + i * part, side->shadow + shadow};
        shadow += ops->shadow_bytes(part, setup.alignment);
    }
    require(shadow <= 2 * bytes + 1024, "the shadow is too large", 0);
    setup.regions = side->regions;
    side->replay = (struct rh_replay){.ops = ops,
                                      .state = calloc(1, ops->state_bytes(count)),
                                      .op = op,
                                      .slot = slot,
                                      .size = size,
                                      .events = BATCH,
                                      .slots = side->slots,
                                      .slot_count = LIVE,
                                      .track_need = ops->has_need};
#define GIVE_COLUMN(type, name) side->replay.columns.name = calloc(BATCH, sizeof(type));
    RH_COLUMNS(GIVE_COLUMN)
#undef GIVE_COLUMN
    require(ops->init(side->replay.state, &setup, &wrong) == RH_OK, "no set-up", 0);
}

static void end(struct side *side) {
    rh_replay_end(&side->replay);
    free(side->memory);
    free(side->shadow);
    free(side->replay.state);
#define FREE_COLUMN(type, name) free(side->replay.columns.name);
    RH_COLUMNS(FREE_COLUMN)
#undef FREE_COLUMN
}

/* Sizes of a program: of a few classes, and now and then of any. */
static uint64_t some_size(const uint64_t *classes) {
    const uint64_t kind = below(100);
    if (kind < 60) return classes[below(8)];
    return kind < 97 ? below(400) : below(kind == 99 ? 60000 : 6000);
}

static void make_events(const uint64_t *classes) {
    for (size_t i = 0; i < BATCH; i++) {
        const size_t id = below(LIVE);
        slot[i] = (int32_t)id;
        op[i] = !is_live[id] ? RH_EVENT_MALLOC : below(10) == 0 ? RH_EVENT_REALLOC : RH_EVENT_FREE;
        size[i] = op[i] == RH_EVENT_FREE ? 0 : some_size(classes);
        is_live[id] = op[i] != RH_EVENT_FREE;
    }
}

static void same(const struct side *one, const struct side *other, uint64_t bytes, uint64_t event) {
    require(one->replay.done == other->replay.done, "another number of events", event);
#define SAME_COLUMN(type, name)                                                                    \
    require(memcmp(one->replay.columns.name, other->replay.columns.name, BATCH * sizeof(type)) ==  \
                0,                                                                                 \
            "another " #name, event);
    RH_COLUMNS(SAME_COLUMN)
#undef SAME_COLUMN
    require(one->replay.need.need == other->replay.need.need, "another need", event);
    require(memcmp(one->memory, other->memory, bytes) == 0, "other bytes", event);
    require(memcmp(one->shadow, other->shadow, 2 * bytes + 1024) == 0, "another shadow", event);
}

/* How many of the events had an index. */
static uint64_t try_heap(const struct rh_ops *ops, struct rh_setup setup, uint64_t events,
                         long allocations) {
    static struct side list, index;
    const uint64_t bytes = (40000 + below(300000)) / setup.region_count * setup.region_count;
    uint64_t classes[8], indexed = 0;
    for (int i = 0; i < 8; i++)
        classes[i] = 1 + below(300);
    memset(is_live, 0, sizeof is_live);
    served = -1;
    start(&list, ops, setup, bytes);
    start(&index, ops, setup, bytes);
    list.replay.engine = RH_ENGINE_LIST;
    index.replay.engine = allocations < 0 ? RH_ENGINE_INDEX : RH_ENGINE_CHOSEN;
    served = allocations;
    rh_replay_begin(&list.replay);
    rh_replay_begin(&index.replay);
    for (uint64_t event = 0; event < events; event += BATCH) {
        make_events(classes);
        list.replay.done = index.replay.done = 0;
        require(rh_replay_run(&list.replay, BATCH, INT64_MAX) == RH_REPLAY_OK, "list", event);
        require(rh_replay_run(&index.replay, BATCH, INT64_MAX) == RH_REPLAY_OK, "index", event);
        same(&list, &index, bytes, event);
        if (index.replay.index != NULL) indexed += BATCH;
        require(ops->check(index.replay.state) == RH_OK, "a fault", event);
    }
    end(&list);
    end(&index);
    return indexed;
}

int main(int argc, char **argv) {
    const uint64_t events = strtoull(argv[1], NULL, 10);
    const long allocations = argc > 3 ? strtol(argv[3], NULL, 10) : -1;
    const size_t kernels[] = {0, rh_find_kernel("V10.4.3"), rh_find_kernel("V10.6.0"),
                              rh_find_kernel("V11.1.0"), rh_kernel_count - 1};
    uint64_t all = 0, indexed = 0;
    seed = strtoull(argv[2], NULL, 10) * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (int kind = 2; kind <= 5; kind++)
        for (int word = 4; word <= 8; word += 4)
            for (size_t version = 0; version < 5; version++) {
                const struct rh_ops *ops = rh_ops_find(kind, word);
                if (ops == NULL) continue;
                const struct rh_setup setup = {
                    .alignment = kind == 3 ? 8u : (uint64_t)word << version % 3,
                    .canary = version % 2 != 0 && kind > 3 ? 0x5EEDCA9A : 0,
                    .end_marker = 0x1FFFFF00,
                    .clear_on_free = version == 2,
                    .old = kind == 3 ? 0 : rh_kernels[kernels[version]].old[kind - 1],
                    .newlib = (unsigned)version + (version >= 3),
                    .region_count = kind == 5 ? 1 + version % 3 : 1};
                indexed += try_heap(ops, setup, events, allocations);
                all += events;
            }
    printf("%llu events, %llu indexed\n", (unsigned long long)all, (unsigned long long)indexed);
    return 0;
}
