/* A growing array of numbers that a walk fills. */
#include "extension.h"

static bool append(struct numbers *numbers, uint64_t value) {
    if (numbers->count == numbers->room) {
        size_t room = numbers->room == 0 ? 64 : 2 * numbers->room;
        uint64_t *values = PyMem_Realloc(numbers->values, room * sizeof *values);
        if (values == NULL) {
            numbers->failed = true;
            return false;
        }
        numbers->values = values;
        numbers->room = room;
    }
    numbers->values[numbers->count++] = value;
    return true;
}

bool collect_block(void *numbers, uint64_t address, uint64_t size, bool allocated) {
    return append(numbers, address) && append(numbers, size) && append(numbers, allocated);
}

bool collect_entry(void *numbers, uint64_t address, uint64_t size, bool allocated) {
    (void)size;
    (void)allocated;
    return append(numbers, address);
}

bool collect_address(void *numbers, uint64_t address) {
    return append(numbers, address);
}

void collect_drop(struct numbers *numbers) {
    PyMem_Free(numbers->values);
    numbers->values = NULL;
    numbers->count = numbers->room = 0;
}
