/*
 * The recorder by the linker: what the program asks for, exactly, failed requests included.
 *
 * newlib:    -Wl,--wrap=malloc,--wrap=free,--wrap=calloc,--wrap=realloc           RHR_WRAP_MALLOC
 * FreeRTOS:  -Wl,--wrap=pvPortMalloc,--wrap=vPortFree,--wrap=pvPortCalloc         RHR_WRAP_FREERTOS
 *
 * Define the one or the other as 1, and start it by rh_recorder_wrap.h; sizes are RHR_REQUESTED. A
 * call and its record must not be torn apart by another task: RHR_LOCK() and RHR_UNLOCK() suspend
 * the scheduler, or the interrupts. They nest, and a malloc-failed hook runs between them.
 */
#include "rh_recorder_wrap.h"

#ifndef RHR_WRAP_MALLOC
#define RHR_WRAP_MALLOC 0
#endif
#ifndef RHR_WRAP_FREERTOS
#define RHR_WRAP_FREERTOS 0
#endif
/* 0 where there is no pvPortCalloc(): in heap_1 and heap_3, and before V10.5. */
#ifndef RHR_WRAP_CALLOC
#if defined(tskKERNEL_VERSION_MAJOR) &&                                                            \
    (tskKERNEL_VERSION_MAJOR < 10 ||                                                               \
     (tskKERNEL_VERSION_MAJOR == 10 && tskKERNEL_VERSION_MINOR < 5))
#define RHR_WRAP_CALLOC 0
#else
#define RHR_WRAP_CALLOC 1
#endif
#endif
#ifndef RHR_LOCK
#if RHR_WRAP_FREERTOS
#define RHR_LOCK() vTaskSuspendAll()
#define RHR_UNLOCK() ((void)xTaskResumeAll())
#else
#define RHR_LOCK() ((void)0)
#define RHR_UNLOCK() ((void)0)
#endif
#endif

struct rh_recorder rh_wrap_recorder;

#define RECORDING() (rh_wrap_recorder.put != NULL)

#if RHR_WRAP_MALLOC || RHR_WRAP_FREERTOS
/* What was recorded last since a calloc began. One that calls malloc does so past the wrap or
 * through it: that is how the object files and link-time optimisation happen to have it. */
static bool any;
static uintptr_t last;

static void record_malloc(void *address, size_t size, const void *caller) {
    (void)caller;
    rhr_caller(&rh_wrap_recorder, caller);
    if (RECORDING()) rhr_malloc(&rh_wrap_recorder, (uintptr_t)address, size);
    any = true;
    last = (uintptr_t)address;
}

static void record_free(void *address, const void *caller) {
    (void)caller;
    rhr_caller(&rh_wrap_recorder, caller);
    if (RECORDING()) rhr_free(&rh_wrap_recorder, (uintptr_t)address);
}

#if RHR_WRAP_MALLOC || RHR_WRAP_CALLOC
/* A product as calloc means it: one that overflows is the largest there is. */
static void record_calloc(void *address, size_t count, size_t size, const void *caller) {
    const size_t product = size != 0 && count > SIZE_MAX / size ? SIZE_MAX : count * size;
    if (!any || last != (uintptr_t)address) record_malloc(address, product, caller);
}
#endif
#endif

#if RHR_WRAP_MALLOC
void *__real_malloc(size_t size);
void __real_free(void *address);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *address, size_t size);

void *__wrap_malloc(size_t size) {
    RHR_LOCK();
    void *address = __real_malloc(size);
    record_malloc(address, size, __builtin_return_address(0));
    RHR_UNLOCK();
    return address;
}

void __wrap_free(void *address) {
    RHR_LOCK();
    record_free(address, __builtin_return_address(0));
    __real_free(address);
    RHR_UNLOCK();
}

void *__wrap_calloc(size_t count, size_t size) {
    RHR_LOCK();
    any = false;
    void *address = __real_calloc(count, size);
    record_calloc(address, count, size, __builtin_return_address(0));
    RHR_UNLOCK();
    return address;
}

void *__wrap_realloc(void *old, size_t size) {
    const uintptr_t before = (uintptr_t)old;
    RHR_LOCK();
    void *address = __real_realloc(old, size);
    rhr_caller(&rh_wrap_recorder, __builtin_return_address(0));
    if (RECORDING()) rhr_realloc(&rh_wrap_recorder, before, (uintptr_t)address, size);
    RHR_UNLOCK();
    return address;
}
#endif

#if RHR_WRAP_FREERTOS
void *__real_pvPortMalloc(size_t size);
void __real_vPortFree(void *address);

void *__wrap_pvPortMalloc(size_t size) {
    RHR_LOCK();
    void *address = __real_pvPortMalloc(size);
    record_malloc(address, size, __builtin_return_address(0));
    RHR_UNLOCK();
    return address;
}

void __wrap_vPortFree(void *address) {
    RHR_LOCK();
    record_free(address, __builtin_return_address(0));
    __real_vPortFree(address);
    RHR_UNLOCK();
}

#if RHR_WRAP_CALLOC
void *__real_pvPortCalloc(size_t count, size_t size);

void *__wrap_pvPortCalloc(size_t count, size_t size) {
    RHR_LOCK();
    any = false;
    void *address = __real_pvPortCalloc(count, size);
    record_calloc(address, count, size, __builtin_return_address(0));
    RHR_UNLOCK();
    return address;
}
#endif
#endif
