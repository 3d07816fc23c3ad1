/*
 * The arena of heap_1, heap_2 and heap_4: ucHeap. rhARENA_DATA says which data it is; heap_1's is
 * not privileged.
 */
#ifndef RH_FREERTOS_ARENA_H
#define RH_FREERTOS_ARENA_H

#if (configAPPLICATION_ALLOCATED_HEAP == 1)
extern uint8_t ucHeap[]; /* configTOTAL_HEAP_SIZE bytes, the application's */
#else
rhARENA_DATA static uint8_t ucHeap[configTOTAL_HEAP_SIZE];
#endif

#endif
