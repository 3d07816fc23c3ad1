/*
 * A stand-in for a kernel's FreeRTOS.h: of the public API what the drop-in files need, with the
 * defaults that its documentation states. Set any macro with -D, or name a header of your own in
 * TEST_CONFIG_FILE.
 *
 * It declares what the kernel of a version declares: -DTEST_KERNEL=100301 is V10.3.1. main, which
 * calls itself 11.1.0 and declares all, is -DTEST_KERNEL=110100 -DTEST_KERNEL_IS_MAIN=1.
 */
#ifndef INC_FREERTOS_H
#define INC_FREERTOS_H

#include <stddef.h>
#include <stdint.h>

#ifdef TEST_CONFIG_FILE
#include TEST_CONFIG_FILE
#endif

#ifndef TEST_KERNEL
#define TEST_KERNEL 110300
#endif
#ifndef TEST_KERNEL_IS_MAIN
#define TEST_KERNEL_IS_MAIN 0
#endif
#define TEST_SINCE(version) (TEST_KERNEL_IS_MAIN || TEST_KERNEL >= (version))

typedef long BaseType_t;
typedef unsigned long UBaseType_t;

#define pdFALSE ((BaseType_t)0)
#define pdTRUE ((BaseType_t)1)

#ifndef configTOTAL_HEAP_SIZE
#define configTOTAL_HEAP_SIZE ((size_t)(8 * 1024))
#endif
#ifndef configSUPPORT_DYNAMIC_ALLOCATION
#define configSUPPORT_DYNAMIC_ALLOCATION 1
#endif
#ifndef configAPPLICATION_ALLOCATED_HEAP
#define configAPPLICATION_ALLOCATED_HEAP 0
#endif
#ifndef configUSE_MALLOC_FAILED_HOOK
#define configUSE_MALLOC_FAILED_HOOK 0
#endif
#if TEST_SINCE(110001) && !defined(configENABLE_HEAP_PROTECTOR)
#define configENABLE_HEAP_PROTECTOR 0
#endif
/* configHEAP_CLEAR_MEMORY_ON_FREE has no default here: the kernel's heaps bring their own. */

/* -DTEST_ASSERT=1 stands for a FreeRTOSConfig.h that defines configASSERT(). */
#if defined(TEST_ASSERT) && TEST_ASSERT
extern void vAssertCalled(void);
#define configASSERT(x)                                                                            \
    if (!(x)) vAssertCalled()
#endif
#ifndef configASSERT
#define configASSERT(x)
#define configASSERT_DEFINED 0
#else
#define configASSERT_DEFINED 1
#endif

#ifndef PRIVILEGED_FUNCTION
#define PRIVILEGED_FUNCTION
#endif
#if TEST_SINCE(100001)
#include "mpu_wrappers.h" /* V9.0.0: PRIVILEGED_DATA stands in that header alone */
#endif

#ifndef portBYTE_ALIGNMENT
#define portBYTE_ALIGNMENT 8
#endif
#define portBYTE_ALIGNMENT_MASK (portBYTE_ALIGNMENT - 1)
#ifndef portPOINTER_SIZE_TYPE
#if UINTPTR_MAX > 0xFFFFFFFFu
#define portPOINTER_SIZE_TYPE uint64_t
#else
#define portPOINTER_SIZE_TYPE uint32_t
#endif
#endif

/* -DTEST_TRACE=1 stands for a trace recorder's macros. */
#if defined(TEST_TRACE) && TEST_TRACE
extern void vTraceMalloc(void *pvAddress, size_t uiSize);
extern void vTraceFree(void *pvAddress, size_t uiSize);
#define traceMALLOC(pvAddress, uiSize) vTraceMalloc((pvAddress), (uiSize))
#define traceFREE(pvAddress, uiSize) vTraceFree((pvAddress), (uiSize))
#endif
#ifndef traceMALLOC
#define traceMALLOC(pvAddress, uiSize)
#endif
#ifndef traceFREE
#define traceFREE(pvAddress, uiSize)
#endif

typedef struct HeapRegion {
    uint8_t *pucStartAddress;
    size_t xSizeInBytes;
} HeapRegion_t;

#if TEST_SINCE(100301)
typedef struct xHeapStats {
    size_t xAvailableHeapSpaceInBytes;
    size_t xSizeOfLargestFreeBlockInBytes;
    size_t xSizeOfSmallestFreeBlockInBytes;
    size_t xNumberOfFreeBlocks;
    size_t xMinimumEverFreeBytesRemaining;
    size_t xNumberOfSuccessfulAllocations;
    size_t xNumberOfSuccessfulFrees;
} HeapStats_t;

void vPortGetHeapStats(HeapStats_t *pxHeapStats);
#endif

void vPortDefineHeapRegions(const HeapRegion_t *const pxHeapRegions) PRIVILEGED_FUNCTION;
void *pvPortMalloc(size_t xWantedSize) PRIVILEGED_FUNCTION;
#if TEST_SINCE(100501)
void *pvPortCalloc(size_t xNum, size_t xSize) PRIVILEGED_FUNCTION;
#endif
void vPortFree(void *pv) PRIVILEGED_FUNCTION;
void vPortInitialiseBlocks(void) PRIVILEGED_FUNCTION;
size_t xPortGetFreeHeapSize(void) PRIVILEGED_FUNCTION;
size_t xPortGetMinimumEverFreeHeapSize(void) PRIVILEGED_FUNCTION;
#if TEST_SINCE(100406)
void *pvPortMallocStack(size_t xSize) PRIVILEGED_FUNCTION;
void vPortFreeStack(void *pv) PRIVILEGED_FUNCTION;
#endif
#if TEST_SINCE(110200)
void xPortResetHeapMinimumEverFreeHeapSize(void) PRIVILEGED_FUNCTION;
#endif
#if TEST_SINCE(110100)
void vPortHeapResetState(void) PRIVILEGED_FUNCTION;
#endif
#if TEST_SINCE(100501) && (configUSE_MALLOC_FAILED_HOOK == 1)
void vApplicationMallocFailedHook(void);
#endif

#endif
