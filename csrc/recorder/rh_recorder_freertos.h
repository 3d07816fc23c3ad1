/*
 * The recorder in a FreeRTOS kernel by its own trace macros. Include it at the end of
 * FreeRTOSConfig.h, compile rh_recorder.c and rh_recorder_freertos.c with
 * `RHR_CONFIG_FILE='"rh_recorder_task.h"'`, and call
 * `rhr_start(&rh_freertos_recorder, sink, context, (uintptr_t)ucHeap, meaning, overhead)` before
 * the first allocation, with
 *
 *     heap                     meaning         overhead             exact?
 *     heap_1                   RHR_ROUNDED     portBYTE_ALIGNMENT   rounded up to the alignment
 *     heap_2, heap_4, heap_5   RHR_BLOCK       a block's header     header off, the rest rounded up
 *     the same up to V11.1     RHR_WANTED      a block's header     the same
 *     heap_3                   RHR_REQUESTED   0                    exact
 *     rtosheap's own, any      as from V11.2 on
 *
 * and a block's header of 8 bytes on a 32-bit target, 16 on a 64-bit one, or portBYTE_ALIGNMENT
 * where that is more.
 *
 * The macros run with the scheduler suspended. The size of a failed request is told by heap_1 and
 * by heap_2, heap_4, heap_5 up to V11.1; later ones tell 0. For exact sizes, of failed requests
 * too, leave this out and wrap the calls: rh_recorder_wrap.c.
 */
#ifndef RH_RECORDER_FREERTOS_H
#define RH_RECORDER_FREERTOS_H

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct rh_recorder;

/* The recorder itself: rhr_start() it. Before that nothing is recorded. */
extern struct rh_recorder rh_freertos_recorder;

/* What the macros call. A traceTASK_DELETE() of your own calls rhr_freertos_delete(), lest a task's
 * name is taken for that of a later one with the same handle. */
void rhr_freertos_malloc(void *address, size_t size);
void rhr_freertos_free(void *address);
void rhr_freertos_delete(const void *task);
#endif

#define traceMALLOC(pvAddress, uiSize) rhr_freertos_malloc((pvAddress), (uiSize))
#define traceFREE(pvAddress, uiSize) rhr_freertos_free((pvAddress))
#ifndef traceTASK_DELETE
#define traceTASK_DELETE(pxTaskToDelete) rhr_freertos_delete((pxTaskToDelete))
#endif

#endif
