/*
 * One build of one drop-in file, as a struct cases_heap:
 * -DCASES_HEAP=4 -DCASES_PREFIX=... -DTEST_CONFIG_FILE='"cases_config.h"' and the configuration.
 */
#if CASES_HEAP == 1
#include "freertos/heap_1.c"
#elif CASES_HEAP == 2
#include "freertos/heap_2.c"
#elif CASES_HEAP == 3
#include "freertos/heap_3.c"
#elif CASES_HEAP == 4
#include "freertos/heap_4.c"
#elif CASES_HEAP == 5
#include "freertos/heap_5.c"
#endif

#include "cases.h"

static void reset_state(void) {
    vPortHeapResetState();
#if CASES_HEAP == 1
    memset(&xHeap, 0, sizeof xHeap); /* here, unlike in firmware, the arena moves */
#elif CASES_HEAP == 3
    cases_newlib_reset();
#endif
}

extern const struct cases_heap CASES_NAME(heap);
const struct cases_heap CASES_NAME(heap) = {
    .kind = CASES_HEAP,
    .clears = configHEAP_CLEAR_MEMORY_ON_FREE != 0,
    .header = (2 * sizeof(size_t) + portBYTE_ALIGNMENT - 1) & ~(size_t)(portBYTE_ALIGNMENT - 1),
    .malloc = pvPortMalloc,
    .free = vPortFree,
#if CASES_HEAP == 2 || CASES_HEAP == 4 || CASES_HEAP == 5
    .calloc = pvPortCalloc,
#endif
#if CASES_HEAP == 3
    .free_size = cases_newlib_reached,
#else
    .free_size = xPortGetFreeHeapSize,
#endif
    .minimum = xPortGetMinimumEverFreeHeapSize,
    .reset_minimum = xPortResetHeapMinimumEverFreeHeapSize,
    .stats = vPortGetHeapStats,
    .reset_state = reset_state,
#if CASES_HEAP == 5
    .define = vPortDefineHeapRegions,
#endif
};
