/*
 * From FreeRTOS's configuration to the core's. Each drop-in file includes it first, and then the
 * core.
 */
#ifndef RH_FREERTOS_H
#define RH_FREERTOS_H

#include <stdint.h>

/* Functions of the API are called here under their own names, also with the MPU. */
#define MPU_WRAPPERS_INCLUDED_FROM_API_FILE
#include "FreeRTOS.h"
#include "task.h"
#ifndef PRIVILEGED_DATA
#include "mpu_wrappers.h" /* V9.0.0 */
#endif
#undef MPU_WRAPPERS_INCLUDED_FROM_API_FILE

#include "rh_freertos_kernel.h"

#if (configSUPPORT_DYNAMIC_ALLOCATION == 0)
#error This file must not be used if configSUPPORT_DYNAMIC_ALLOCATION is 0
#endif

#ifndef configHEAP_CLEAR_MEMORY_ON_FREE
#define configHEAP_CLEAR_MEMORY_ON_FREE 0
#endif
#ifndef configENABLE_HEAP_PROTECTOR
#define configENABLE_HEAP_PROTECTOR 0
#endif

/* 1: heap_1, heap_2 and heap_3 offer what FreeRTOS has for heap_4 and heap_5 only, as far as the
 * kernel knows it: xPortGetMinimumEverFreeHeapSize(), xPortResetHeapMinimumEverFreeHeapSize() and
 * vPortGetHeapStats(). */
#ifndef configRTOSHEAP_STATISTICS
#define configRTOSHEAP_STATISTICS 0
#endif

/* 1: heap_4 and heap_5 find their blocks by an index outside the arena, in bounded time and with
 * the same bytes in it: see rh_index.h. Its chunk, in bytes, is a choice; of heap_5 the bytes of
 * all regions, and how many they are at most, must be given. */
#ifndef configRTOSHEAP_BOUNDED
#define configRTOSHEAP_BOUNDED 0
#endif
#if (configRTOSHEAP_BOUNDED == 1)
#ifdef configRTOSHEAP_BOUNDED_CHUNK
#define RH_INDEX_CHUNK configRTOSHEAP_BOUNDED_CHUNK
#endif
#define RH_INDEX_SIZE RH_HEAP_BYTES
#endif

/* Without an index only what is said of the loops asks for them: see rh_loop.h. */
#ifdef configRTOSHEAP_BOUNDED_SIZE
#define RH_HEAP_BYTES configRTOSHEAP_BOUNDED_SIZE
#else
#define RH_HEAP_BYTES configTOTAL_HEAP_SIZE
#endif
#ifdef configRTOSHEAP_BOUNDED_REGIONS
#define RH_HEAP_REGIONS configRTOSHEAP_BOUNDED_REGIONS
#else
#define RH_HEAP_REGIONS 1
#endif

#define RH_HOSTED 0
#define RH_INDEX configRTOSHEAP_BOUNDED
#define RH_ALIGNMENT portBYTE_ALIGNMENT
#define RH_CLEAR_ON_FREE configHEAP_CLEAR_MEMORY_ON_FREE
#define RH_PROTECTOR configENABLE_HEAP_PROTECTOR
#define RH_KEEP_FAILED 0
#define RH_KEEP_NODES 0

/* With configASSERT() the core tests what FreeRTOS tests, and a set-up whole. */
#if (configASSERT_DEFINED == 1)
#define RH_CHECKS 1
#define RH_CHECK_SETUP 1
#define RH_ASSERT_FAILED() configASSERT(pdFALSE)
#else
#define RH_CHECKS 0
#define RH_CHECK_SETUP 0
#endif

#if defined(__GNUC__)
/* gcc takes malloc with an index for too large to be inlined; without optimisation it inlines
 * nothing by itself, and keeps what nobody calls */
#if (configRTOSHEAP_BOUNDED == 1) || !defined(__OPTIMIZE__)
#define RH_API RH_INLINE
#else
#define RH_API static __attribute__((unused)) PRIVILEGED_FUNCTION
#endif
#define rhSELDOM __attribute__((noinline, cold)) /* keeps what runs once out of what runs often */
#else
#define RH_API static
#define rhSELDOM
#endif

#if (configUSE_MALLOC_FAILED_HOOK == 1)
#define rhMALLOC_FAILED(pvReturn)                                                                  \
    do {                                                                                           \
        if ((pvReturn) == NULL) vApplicationMallocFailedHook();                                    \
    } while (0)
#else
#define rhMALLOC_FAILED(pvReturn) ((void)0)
#endif

#endif
