#include "runs.h"

#include <stdlib.h>

void *rh_grown(void *items, size_t count, size_t *room, size_t bytes) {
    if (count < *room) return items;
    const size_t more = *room == 0 ? 64 : 2 * *room;
    if (more > SIZE_MAX / bytes) return NULL;
    void *grown = realloc(items, more * bytes);
    if (grown != NULL) *room = more;
    return grown;
}

bool rh_runs_add(struct rh_runs *runs, uint64_t first, uint64_t last, int64_t failed) {
    struct rh_run *before = runs->count > 0 ? &runs->run[runs->count - 1] : NULL;
    if (before != NULL && before->failed == failed && before->last + 1 == first) {
        before->last = last;
        return true;
    }
    if (before != NULL && before->failed == failed && last + 1 == before->first) {
        before->first = first;
        return true;
    }
    void *grown = rh_grown(runs->run, runs->count, &runs->room, sizeof *runs->run);
    if (grown == NULL) return false;
    runs->run = grown;
    const struct rh_run run = {first, last, failed};
    runs->run[runs->count++] = run;
    return true;
}
