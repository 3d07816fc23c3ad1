/*
 * What the drop-in files of heap_4 and heap_5 share, after their xHeap and their pvPortMalloc():
 * all but set-up. rhMANY_REGIONS is false for heap_4, true for heap_5.
 */
#ifndef RH_FREERTOS_FIRST_FIT_H
#define RH_FREERTOS_FIRST_FIT_H

void vPortFree(RH_FAST void *pv) {
    RH_FAST rh_word xBlock = (rh_word)(uintptr_t)pv - RH_HEADER_OF(&xHeap);
    rh_word xBlockSize;

    if (pv == NULL) return;
    RH_FORGET(xBlock);
    if (rh_ff_live(&xHeap, xBlock, rhMANY_REGIONS, NULL, &xBlockSize) != RH_OK) return;
    prvClearOnFree(pv, xBlockSize);
    vTaskSuspendAll();
    { (void)rh_ff_give_back(&xHeap, NULL, xBlock, xBlockSize, false, rhMANY_REGIONS); }
    (void)xTaskResumeAll();
}

#if rhHAS_CALLOC
void *pvPortCalloc(size_t xNum, size_t xSize) {
    return prvCalloc(xNum, xSize);
}
#endif

size_t xPortGetFreeHeapSize(void) {
    return xHeap.free_size;
}

size_t xPortGetMinimumEverFreeHeapSize(void) {
    return xHeap.minimum_ever_free;
}

#if rhHAS_RESET_MINIMUM
rhRESET_MINIMUM void xPortResetHeapMinimumEverFreeHeapSize(void) {
    xHeap.minimum_ever_free = xHeap.free_size;
}
#endif

#if rhHAS_STATS
void vPortGetHeapStats(HeapStats_t *pxHeapStats) {
    struct rh_stats xStats;

    vTaskSuspendAll();
    { (void)rh_ff_stats(&xHeap, &xStats, rhMANY_REGIONS); }
    (void)xTaskResumeAll();
    prvCopyStats(pxHeapStats, &xStats);
}
#endif

#if rhHAS_RESET_STATE
/* For a scheduler that is started again: what set the heap up does so anew. */
void vPortHeapResetState(void) {
    memset(&xHeap, 0, sizeof xHeap);
}
#endif

#endif
