/* FreeRTOS's two calls over the core as firmware has it, for a trace that was printed as C. */
#include <stdalign.h>
#include <stdio.h>

#include "heap_4.h"

void *pvPortMalloc(size_t size);
void vPortFree(void *block);
long run_trace(void);

static alignas(32) unsigned char arena[ARENA];
static struct rh_heap4 heap;

void *pvPortMalloc(size_t size) {
    rh_word address;
    return rh4_malloc(&heap, size, &address) == RH_OK ? (void *)(uintptr_t)address : NULL;
}

void vPortFree(void *block) {
    if (block != NULL) rh4_free(&heap, (rh_word)(uintptr_t)block);
}

int main(void) {
    struct rh_region region = {.base = (rh_word)(uintptr_t)arena, .size = sizeof arena};
    if (rh4_init(&heap, &region, NULL) != RH_OK) return 1;
    printf("%ld\n", run_trace());
    return 0;
}
