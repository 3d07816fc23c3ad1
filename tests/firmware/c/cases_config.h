/*
 * The configuration of the drop-in files in a program that replays cases: arena and size differ
 * from case to case, everything is traced and asserted. -DCASES_PREFIX=... names the build.
 */
#ifndef RH_CASES_CONFIG_H
#define RH_CASES_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#define CASES_JOIN_(a, b) a##_##b
#define CASES_JOIN(a, b) CASES_JOIN_(a, b)
#define CASES_NAME(name) CASES_JOIN(CASES_PREFIX, name)

#define pvPortMalloc CASES_NAME(pvPortMalloc)
#define vPortFree CASES_NAME(vPortFree)
#define pvPortCalloc CASES_NAME(pvPortCalloc)
#define xPortGetFreeHeapSize CASES_NAME(xPortGetFreeHeapSize)
#define xPortGetMinimumEverFreeHeapSize CASES_NAME(xPortGetMinimumEverFreeHeapSize)
#define xPortResetHeapMinimumEverFreeHeapSize CASES_NAME(xPortResetHeapMinimumEverFreeHeapSize)
#define vPortGetHeapStats CASES_NAME(vPortGetHeapStats)
#define vPortInitialiseBlocks CASES_NAME(vPortInitialiseBlocks)
#define vPortHeapResetState CASES_NAME(vPortHeapResetState)
#define vPortDefineHeapRegions CASES_NAME(vPortDefineHeapRegions)

/* A pointer to an array stands for the array, a variable for its size. */
extern uint8_t (*pucCasesArena)[];
extern size_t xCasesArenaSize;
#define configAPPLICATION_ALLOCATED_HEAP 1
#define ucHeap (*pucCasesArena)
#define configTOTAL_HEAP_SIZE xCasesArenaSize

#define configUSE_MALLOC_FAILED_HOOK 1
#define configRTOSHEAP_STATISTICS 1

#endif
