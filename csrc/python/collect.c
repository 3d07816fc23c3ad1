/* A growing array of numbers that a walk fills. */
#include "extension.h"

static bool append(struct collected *collected, uint64_t value) {
    if (collected->count == collected->room) {
        size_t room = collected->room == 0 ? 64 : 2 * collected->room;
        uint64_t *values = PyMem_Realloc(collected->values, room * sizeof *values);
        if (values == NULL) {
            collected->failed = true;
            return false;
        }
        collected->values = values;
        collected->room = room;
    }
    collected->values[collected->count++] = value;
    return true;
}

bool collect_block(void *collected, uint64_t address, uint64_t size, bool allocated) {
    return append(collected, address) && append(collected, size) && append(collected, allocated);
}

bool collect_entry(void *collected, uint64_t address, uint64_t size, bool allocated) {
    (void)size;
    (void)allocated;
    return append(collected, address);
}

bool collect_address(void *collected, uint64_t address) {
    return append(collected, address);
}

void collect_drop(struct collected *collected) {
    PyMem_Free(collected->values);
    collected->values = NULL;
    collected->count = collected->room = 0;
}
