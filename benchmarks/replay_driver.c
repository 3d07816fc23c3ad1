/*
 * A trace through a heap, for a count of the instructions of measured(). Compiled once with
 * RH_CHECKS=2 and once with RH_CHECKS=0: the loop is the same.
 *
 *     replay_driver HEAP ENGINE EVENTS LIVE [BEFORE]
 *     replay_driver HEAP ENGINE FILE ARENA
 *
 * HEAP is a number, or a policy: FIT/ORDER/COALESCE.
 *
 * The trace is one of random sizes and lifetimes, with about LIVE blocks at a time, of which BEFORE
 * events are run with an index before it is measured; or that of a FILE: the numbers of its events
 * and ids, 8 bytes each, and its columns. ENGINE is list, index or chosen. It prints the events and
 * the most nodes that one of them read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"

static uint64_t random_state = 0x9E3779B97F4A7C15u;

/* xorshift64: the same trace in every build. */
static uint64_t random_below(uint64_t limit) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % limit;
}

struct trace {
    uint64_t events;
    uint64_t ids;
    uint8_t *op;
    int32_t *slot;
    uint64_t *size;
};

static void make_room(struct trace *trace) {
    trace->op = calloc(trace->events, 1);
    trace->slot = calloc(trace->events, sizeof *trace->slot);
    trace->size = calloc(trace->events, sizeof *trace->size);
}

static void make_events(struct trace *trace) {
    char *is_live = calloc(trace->ids, 1);
    make_room(trace);
    for (size_t i = 0; i < trace->events; i++) {
        /* Twice as many ids as are to be live: a random one is freed if live, else allocated. */
        const size_t id = random_below(trace->ids);
        trace->slot[i] = (int32_t)id;
        trace->op[i] = is_live[id] ? RH_EVENT_FREE : RH_EVENT_MALLOC;
        trace->size[i] = is_live[id] ? 0 : 1 + random_below(128);
        is_live[id] = !is_live[id];
    }
    free(is_live);
}

static bool read_events(struct trace *trace, const char *name) {
    FILE *file = fopen(name, "rb");
    if (file == NULL || fread(&trace->events, 8, 1, file) != 1) return false;
    if (fread(&trace->ids, 8, 1, file) != 1) return false;
    make_room(trace);
    const size_t events = trace->events;
    return fread(trace->op, 1, events, file) == events &&
           fread(trace->slot, 4, events, file) == events &&
           fread(trace->size, 8, events, file) == events;
}

/* How many characters of a text the name is that it begins with, of which *place is set; 0: none.
 */
static size_t name_of(const char *text, const char *const *names, int count, int *place) {
    for (int i = 0; i < count; i++) {
        const size_t length = strlen(names[i]);
        if (strncmp(text, names[i], length) != 0) continue;
        *place = i;
        return length + (text[length] == '/');
    }
    return 0;
}

static int kind_of(const char *heap, struct rh_policy *policy) {
    static const char *const fits[] = RH_FIT_NAMES, *const orders[] = RH_ORDER_NAMES,
                             *const coalesces[] = RH_COALESCE_NAMES;
    int fit = 0, order = 0, coalesce = 0;
    if (strchr(heap, '/') == NULL) return atoi(heap);
    heap += name_of(heap, fits, RH_FITS, &fit);
    heap += name_of(heap, orders, RH_ORDERS, &order);
    name_of(heap, coalesces, RH_COALESCES, &coalesce);
    policy->fit = (enum rh_fit)fit;
    policy->order = (enum rh_order)order;
    policy->coalesce = (enum rh_coalesce)coalesce;
    policy->class_bits = policy->fit == RH_FIT_GOOD ? RH_MOST_CLASS_BITS : 0;
    return RH_KIND_POLICY;
}

static enum rh_engine engine_of(const char *name) {
    if (strcmp(name, "list") == 0) return RH_ENGINE_LIST;
    return strcmp(name, "index") == 0 ? RH_ENGINE_INDEX : RH_ENGINE_CHOSEN;
}

__attribute__((noinline)) static enum rh_replay_result measured(struct rh_replay *replay) {
    return rh_replay_run(replay, replay->events, INT64_MAX);
}

/* The events from the replay's first one on. */
static bool run(struct rh_replay *replay, size_t events, bool measures) {
    replay->events = events;
    rh_replay_begin(replay);
    const enum rh_replay_result result =
        measures ? measured(replay) : rh_replay_run(replay, events, INT64_MAX);
    rh_replay_end(replay);
    replay->op += events;
    replay->slot += events;
    replay->size += events;
    return result == RH_REPLAY_OK;
}

int main(int argc, char **argv) {
    if (argc < 5) return 2;
    struct rh_policy policy = {RH_FIT_FIRST, RH_ORDER_ADDRESS, RH_COALESCE_FREE, 0, false, 0};
    const struct rh_ops *ops = rh_ops_find(kind_of(argv[1], &policy), 4);
    const bool is_random = argv[3][0] >= '0' && argv[3][0] <= '9';
    const size_t before = argc > 5 ? strtoul(argv[5], NULL, 10) : 0;
    const uint64_t last = strtoul(argv[4], NULL, 10);
    const uint64_t arena = is_random ? 4096 + last * 160 : last;
    struct trace trace = {.events = before + strtoul(argv[3], NULL, 10), .ids = 2 * last};
    if (is_random)
        make_events(&trace);
    else if (!read_events(&trace, argv[3]))
        return 2;
    const struct rh_setup_region region = {0x20000000u, arena, calloc(arena, 1),
                                           calloc(1, ops->shadow_bytes(arena, 8) + 1)};
    const struct rh_setup setup = {.alignment = 8,
                                   .end_marker = 0x1FFFFFF0u,
                                   .newlib = 5,
                                   .policy = &policy,
                                   .region_count = 1,
                                   .regions = &region};
    struct rh_replay replay = {.ops = ops,
                               .state = calloc(1, ops->state_bytes(1)),
                               .engine = RH_ENGINE_INDEX,
                               .op = trace.op,
                               .slot = trace.slot,
                               .size = trace.size,
                               .slots = calloc(trace.ids, sizeof *replay.slots),
                               .slot_count = trace.ids};
    size_t wrong;
    if (ops->init(replay.state, &setup, &wrong) != RH_OK) return 1;
    if (!run(&replay, before, false)) return 1;
    replay.engine = engine_of(argv[2]);
    if (!run(&replay, trace.events - before, true)) return 1;
    printf("%zu events, %llu most nodes, %llu failures\n", replay.done,
           (unsigned long long)replay.most_nodes, (unsigned long long)replay.failures);
    return 0;
}
