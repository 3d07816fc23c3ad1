/*
 * One trace of random sizes and lifetimes through heap_4, for a count of the instructions of
 * rh_replay_run(). Compiled once with RH_CHECKS=2 and once with RH_CHECKS=0: the loop is the same.
 *
 *     replay_driver LIVE EVENTS
 *
 * keeps about LIVE blocks live. It prints the events and the most nodes that one of them read.
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

int main(int argc, char **argv) {
    const size_t live = argc > 1 ? strtoul(argv[1], NULL, 10) : 50;
    const size_t events = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000000;
    const uint64_t arena = 4096 + (uint64_t)live * 160;
    const struct rh_ops *ops = rh_ops_find(4, 4);
    uint8_t *op = calloc(events, 1);
    int32_t *slot = calloc(events, sizeof *slot);
    uint64_t *size = calloc(events, sizeof *size);
    char *is_live = calloc(2 * live, 1);
    size_t count = 0;
    for (size_t i = 0; i < events; i++) {
        /* Twice as many ids as are to be live: a random one is freed if live, else allocated. */
        const size_t id = random_below(2 * live);
        slot[i] = (int32_t)id;
        op[i] = is_live[id] ? RH_EVENT_FREE : RH_EVENT_MALLOC;
        size[i] = is_live[id] ? 0 : 1 + random_below(128);
        is_live[id] = !is_live[id];
        count += op[i] == RH_EVENT_MALLOC;
    }
    const struct rh_setup_region region = {0x20000000u, arena, calloc(arena, 1),
                                           calloc(1, ops->shadow_bytes(arena, 8) + 1)};
    const struct rh_setup setup = {.alignment = 8, .region_count = 1, .regions = &region};
    struct rh_replay replay = {.ops = ops,
                               .state = calloc(1, ops->state_bytes(1)),
                               .op = op,
                               .slot = slot,
                               .size = size,
                               .events = events,
                               .slots = calloc(2 * live, sizeof *replay.slots),
                               .slot_count = 2 * live};
    size_t wrong;
    if (ops->init(replay.state, &setup, &wrong) != RH_OK) return 1;
    if (argc > 3) replay.engine = strcmp(argv[3], "index") == 0 ? RH_ENGINE_INDEX : RH_ENGINE_LIST;
    rh_replay_begin(&replay);
    if (rh_replay_run(&replay, events, INT64_MAX) != RH_REPLAY_OK) return 1;
    printf("%zu events, %llu most nodes, %llu failures\n", replay.done,
           (unsigned long long)replay.most_nodes, (unsigned long long)replay.failures);
    return 0;
}
