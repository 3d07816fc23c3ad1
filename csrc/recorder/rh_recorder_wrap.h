/*
 * Starts the recorder that the linker puts before a heap: csrc/README.md says how it gets there.
 *
 *     if (!RHR_START_FREERTOS(sink, context, (uintptr_t)ucHeap)) {
 *         ... the calls of this file do not reach the recorder: nothing is recorded
 *     }
 *
 * RHR_START_MALLOC() is that for the C library's malloc. They need the heap's own header besides.
 */
#ifndef RH_RECORDER_WRAP_H
#define RH_RECORDER_WRAP_H

#include "rh_recorder.h"

/* The recorder itself, which rh_recorder_wrap.c defines. */
extern struct rh_recorder rh_wrap_recorder;

/* What the linker puts in the place of the heap's functions: each calls the heap's own, and records
 * the call once the recorder is started. */
void *__wrap_malloc(size_t size);
void __wrap_free(void *address);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *address, size_t size);
void *__wrap_pvPortMalloc(size_t size);
void __wrap_vPortFree(void *address);
void *__wrap_pvPortCalloc(size_t count, size_t size);

/* Starts the recorder, if the calls of this file reach it; false: they do not. */
#define RHR_START_FREERTOS(put, context, base)                                                     \
    rhr_start_wrapped(RHR_REACHES(pvPortMalloc, __wrap_pvPortMalloc) &&                            \
                          RHR_REACHES(vPortFree, __wrap_vPortFree),                                \
                      (put), (context), (base))
/* The same for the C library's malloc. */
#define RHR_START_MALLOC(put, context, base)                                                       \
    rhr_start_wrapped(RHR_REACHES(malloc, __wrap_malloc) && RHR_REACHES(free, __wrap_free), (put), \
                      (context), (base))

typedef void (*rhr_function)(void);
#define RHR_REACHES(function, wrap) rhr_reaches((rhr_function)(function), (rhr_function)(wrap))

/* Whether a name of the calling file is what the linker has made of it. Two names are never one
 * function to a compiler that sees both: so it must not see. */
static inline bool rhr_reaches(rhr_function function, rhr_function wrap) {
    const rhr_function volatile called = function;
    return called == wrap;
}

__attribute__((warn_unused_result)) static inline bool
rhr_start_wrapped(bool reached, rhr_sink put, void *context, uintptr_t base) {
    if (reached) rhr_start(&rh_wrap_recorder, put, context, base, RHR_REQUESTED, 0);
    return reached;
}

#endif
