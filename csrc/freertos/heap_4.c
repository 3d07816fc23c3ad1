/*
 * heap_4 for a FreeRTOS kernel: give its build this file in the place of its own heap_4.c.
 *
 * The heap is set up by the first call of pvPortMalloc(), even one that fails.
 */
#include "rh_freertos.h"
#define RH_ON_FREE(heap, payload, size) traceFREE((void *)(uintptr_t)(payload), (size_t)(size))
#include "../core/heap_4.c"
#if !defined(__OPTIMIZE__) /* a copy of the arguments less */
#define rh4_malloc(heap, size, address) rh_ff_malloc((heap), (size), (address), false)
#endif

#define rhARENA_DATA PRIVILEGED_DATA
#include "rh_freertos_arena.h"
#include "rh_freertos_calls.h"

PRIVILEGED_DATA static struct rh_heap4 xHeap;

rhSELDOM static BaseType_t prvHeapInit(void) PRIVILEGED_FUNCTION;

rhSELDOM static BaseType_t prvHeapInit(void) {
    struct rh_region xRegion;
    struct rh_options xOptions;

    xRegion.base = (rh_word)(uintptr_t)ucHeap;
    xRegion.size = configTOTAL_HEAP_SIZE;
    xOptions.canary = prvGetCanary();
    const enum rh_status xStatus = rh4_init(&xHeap, &xRegion, &xOptions);
    configASSERT(xStatus == RH_OK);
    return xStatus == RH_OK;
}

void *pvPortMalloc(RH_FAST size_t xWantedSize) {
    rh_word xAddress;
    RH_FAST enum rh_status xStatus;
    RH_FAST void *pvReturn = NULL;

    vTaskSuspendAll();
    {
        /* Nothing is free before set-up, so that only a call that fails need look for it. */
        do {
            xStatus = rh4_malloc(&xHeap, xWantedSize, &xAddress);
        } while (xStatus == RH_EXHAUSTED && xHeap.end == 0 && prvHeapInit() != pdFALSE);
        if (xStatus == RH_OK) pvReturn = (void *)(uintptr_t)xAddress;
        traceMALLOC(pvReturn, prvBlockSize(pvReturn));
    }
    (void)xTaskResumeAll();

    rhMALLOC_FAILED(pvReturn);
    return pvReturn;
}

void vPortInitialiseBlocks(void) {
    /* Nothing to do: set-up is lazy. */
}

#define rhMANY_REGIONS false
#include "rh_freertos_first_fit.h"
