#include "rh_alike.h"

#include <stdlib.h>

bool rh_alike_add(struct rh_alike *alike, uint64_t size) {
    if (alike->count == alike->room) {
        const size_t room = alike->room != 0 ? 2 * alike->room : 256;
        struct rh_alike_kind *wider = realloc(alike->kinds, room * sizeof *wider);
        if (wider == NULL) return false;
        alike->kinds = wider;
        alike->room = room;
    }
    alike->kinds[alike->count++] = (struct rh_alike_kind){size, RH_ALIKE_NONE};
    return true;
}

bool rh_alike_put(struct rh_alike *alike, size_t kind, int64_t id) {
    if ((size_t)id >= alike->ids) {
        const size_t ids = 2 * (size_t)id + 256;
        int64_t *wider = realloc(alike->older, ids * sizeof *wider);
        if (wider == NULL) return false;
        alike->older = wider;
        alike->ids = ids;
    }
    alike->older[id] = alike->kinds[kind].youngest;
    alike->kinds[kind].youngest = id;
    return true;
}

int64_t rh_alike_take(struct rh_alike *alike, size_t kind, bool *ambiguous) {
    const int64_t id = alike->kinds[kind].youngest;
    if (id == RH_ALIKE_NONE) return id;
    alike->kinds[kind].youngest = alike->older[id];
    *ambiguous = alike->older[id] != RH_ALIKE_NONE;
    return id;
}

void rh_alike_drop(struct rh_alike *alike) {
    free(alike->kinds);
    free(alike->older);
    *alike = (struct rh_alike){0};
}
