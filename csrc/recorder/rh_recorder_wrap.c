/*
 * The recorder by the linker: what the program asks for, exactly, failed requests included.
 *
 * newlib:    -Wl,--wrap=malloc,--wrap=free,--wrap=calloc,--wrap=realloc           RHR_WRAP_MALLOC
 * FreeRTOS:  -Wl,--wrap=pvPortMalloc,--wrap=vPortFree                             RHR_WRAP_FREERTOS
 *
 * Define the one or the other as 1; sizes are RHR_REQUESTED. A call and its record must not be torn
 * apart by another task: RHR_LOCK() and RHR_UNLOCK() suspend the scheduler, or the interrupts.
 */
#include "rh_recorder.h"

#ifndef RHR_WRAP_MALLOC
#define RHR_WRAP_MALLOC 0
#endif
#ifndef RHR_WRAP_FREERTOS
#define RHR_WRAP_FREERTOS 0
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

extern struct rh_recorder rh_wrap_recorder; /* yours: zero until it is started */

#define RECORDING() (rh_wrap_recorder.put != NULL)

#if RHR_WRAP_MALLOC
void *__real_malloc(size_t size);
void __real_free(void *address);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *address, size_t size);
void *__wrap_malloc(size_t size);
void __wrap_free(void *address);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *address, size_t size);

/* A product as calloc means it: one that overflows is the largest there is. */
static size_t rhr_product(size_t count, size_t size) {
    return size != 0 && count > SIZE_MAX / size ? SIZE_MAX : count * size;
}

void *__wrap_malloc(size_t size) {
    RHR_LOCK();
    void *address = __real_malloc(size);
    rhr_caller(&rh_wrap_recorder, __builtin_return_address(0));
    if (RECORDING()) rhr_malloc(&rh_wrap_recorder, (uintptr_t)address, size);
    RHR_UNLOCK();
    return address;
}

void __wrap_free(void *address) {
    RHR_LOCK();
    rhr_caller(&rh_wrap_recorder, __builtin_return_address(0));
    if (RECORDING()) rhr_free(&rh_wrap_recorder, (uintptr_t)address);
    __real_free(address);
    RHR_UNLOCK();
}

void *__wrap_calloc(size_t count, size_t size) {
    RHR_LOCK();
    void *address = __real_calloc(count, size);
    rhr_caller(&rh_wrap_recorder, __builtin_return_address(0));
    if (RECORDING()) rhr_malloc(&rh_wrap_recorder, (uintptr_t)address, rhr_product(count, size));
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
void *__wrap_pvPortMalloc(size_t size);
void __wrap_vPortFree(void *address);

void *__wrap_pvPortMalloc(size_t size) {
    RHR_LOCK();
    void *address = __real_pvPortMalloc(size);
    rhr_caller(&rh_wrap_recorder, __builtin_return_address(0));
    if (RECORDING()) rhr_malloc(&rh_wrap_recorder, (uintptr_t)address, size);
    RHR_UNLOCK();
    return address;
}

void __wrap_vPortFree(void *address) {
    RHR_LOCK();
    rhr_caller(&rh_wrap_recorder, __builtin_return_address(0));
    if (RECORDING()) rhr_free(&rh_wrap_recorder, (uintptr_t)address);
    __real_vPortFree(address);
    RHR_UNLOCK();
}
#endif
