/*
 * The core under threads, to be built with ThreadSanitizer.
 *
 * Four threads replay on heaps of their own: the core shares nothing, so that no race may be
 * reported. Then each replays while another thread writes into its arena. That is a race by intent:
 * the writer is not instrumented. The replay must stay inside the regions and come to its end.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"

enum { THREADS = 4, EVENTS = 20000, SLOTS = 64, ARENA = 8192 };

void threads_trap(uint64_t base, uint64_t size, uint64_t address, uint64_t bytes) {
    if (address - base <= size && bytes <= size - (address - base)) return;
    fprintf(stderr, "an access outside the region: %#llx\n", (unsigned long long)address);
    abort();
}

struct worker {
    const struct rh_ops *ops;
    unsigned char *memory;
    unsigned char *shadow;
    void *state;
    uint8_t op[EVENTS];
    int32_t slot[EVENTS];
    uint64_t size[EVENTS];
    uint64_t seed;
    size_t done;
    enum rh_replay_result result;
};

static uint64_t next(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void prepare(struct worker *w, int kind, uint64_t seed) {
    bool live[SLOTS] = {false};
    w->ops = rh_ops_find(kind, 4);
    w->seed = seed;
    w->memory = calloc(1, ARENA);
    w->shadow = calloc(1, w->ops->shadow_bytes(ARENA, 8));
    w->state = calloc(1, w->ops->state_bytes(1));
    for (size_t i = 0; i < EVENTS; i++) {
        const int32_t slot = (int32_t)(next(&seed) % SLOTS);
        w->op[i] = live[slot] ? (next(&seed) % 4 == 0 ? RH_EVENT_REALLOC : RH_EVENT_FREE)
                              : RH_EVENT_MALLOC;
        w->slot[i] = slot;
        w->size[i] = w->op[i] == RH_EVENT_FREE ? 0 : next(&seed) % 300 + 1;
        live[slot] = w->op[i] != RH_EVENT_FREE;
    }
}

static void *replay(void *argument) {
    struct worker *w = argument;
    struct rh_setup_region region = {0x20000000, ARENA, w->memory, w->shadow};
    struct rh_setup setup = {
        .alignment = 8, .end_marker = 0x1FFFFFF0, .region_count = 1, .regions = &region};
    size_t wrong;
    struct rh_slot *slots = calloc(SLOTS, sizeof *slots);
    struct rh_replay run = {.ops = w->ops,
                            .state = w->state,
                            .op = w->op,
                            .slot = w->slot,
                            .size = w->size,
                            .events = EVENTS,
                            .slots = slots,
                            .slot_count = SLOTS};
    memset(w->shadow, 0, w->ops->shadow_bytes(ARENA, 8));
    if (w->ops->init(w->state, &setup, &wrong) != RH_OK) abort();
    rh_replay_begin(&run);
    w->result = rh_replay_run(&run, EVENTS, INT64_MAX);
    w->done = run.done;
    rh_replay_end(&run);
    free(slots);
    return NULL;
}

static atomic_bool stop;

__attribute__((no_sanitize("thread"))) static void *scribble(void *argument) {
    struct worker *w = argument;
    uint64_t seed = w->seed;
    while (!atomic_load(&stop)) {
        volatile unsigned char *memory = w->memory;
        memory[next(&seed) % ARENA] = (unsigned char)next(&seed);
    }
    return NULL;
}

int main(void) {
    static const int kinds[THREADS] = {4, 2, 3, 5};
    static struct worker workers[THREADS];
    pthread_t threads[THREADS], writers[THREADS];
    size_t corrupt = 0;
    for (int i = 0; i < THREADS; i++)
        prepare(&workers[i], kinds[i], 88172645463325252u + (uint64_t)i);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, replay, &workers[i]);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        if (workers[i].result != RH_REPLAY_OK || workers[i].done != EVENTS) return 1;
    }
    for (int round = 0; round < 30 || corrupt == 0; round++) { /* until a writer was in time */
        atomic_store(&stop, false);
        for (int i = 0; i < THREADS; i++) {
            workers[i].seed += (uint64_t)round;
            pthread_create(&writers[i], NULL, scribble, &workers[i]);
            pthread_create(&threads[i], NULL, replay, &workers[i]);
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        atomic_store(&stop, true);
        for (int i = 0; i < THREADS; i++) {
            pthread_join(writers[i], NULL);
            if (workers[i].result == RH_REPLAY_CORRUPT) corrupt++;
        }
    }
    for (int i = 0; i < THREADS; i++) {
        free(workers[i].memory);
        free(workers[i].shadow);
        free(workers[i].state);
    }
    printf("%zu\n", corrupt);
    return 0;
}
