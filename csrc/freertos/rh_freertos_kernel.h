/*
 * What a kernel of which version has: V9.0.0 and later.
 *
 * A drop-in file offers what the kernel's headers declare, and nothing besides: the application may
 * have functions of its own by the names that later kernels took.
 */
#ifndef RH_FREERTOS_KERNEL_H
#define RH_FREERTOS_KERNEL_H

/* V10.3.1 is 100301; main calls itself 11.1.0, and V10.2.1 10.2.0. */
#define rhKERNEL                                                                                   \
    (tskKERNEL_VERSION_MAJOR * 10000 + tskKERNEL_VERSION_MINOR * 100 + tskKERNEL_VERSION_BUILD)

#if rhKERNEL < 90000
#error FreeRTOS V9.0.0 is the oldest kernel that this file supports
#endif

#define rhHAS_STATS (rhKERNEL >= 100300)
#define rhHAS_CALLOC (rhKERNEL >= 100500)
#define rhHAS_RESET_STATE (rhKERNEL >= 110100)
#define rhHAS_RESET_MINIMUM (rhKERNEL >= 110100)

/* What calls itself 11.1.0 is V11.1, which does not have this function, or main, which has: so it
 * gives way to one of the application's. */
#if rhKERNEL == 110100 && defined(__GNUC__)
#define rhRESET_MINIMUM __attribute__((weak))
#else
#define rhRESET_MINIMUM
#endif

/* Which header declares what is not the same in all versions: said once more here, as the kernel
 * says it. */
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
#endif
void vPortInitialiseBlocks(void) PRIVILEGED_FUNCTION;
size_t xPortGetMinimumEverFreeHeapSize(void) PRIVILEGED_FUNCTION;
#if rhHAS_CALLOC
void *pvPortCalloc(size_t xNum, size_t xSize) PRIVILEGED_FUNCTION;
#endif
#if rhHAS_RESET_STATE
void vPortHeapResetState(void) PRIVILEGED_FUNCTION;
#endif
#if rhHAS_RESET_MINIMUM
void xPortResetHeapMinimumEverFreeHeapSize(void) PRIVILEGED_FUNCTION;
#endif
#if (configUSE_MALLOC_FAILED_HOOK == 1)
void vApplicationMallocFailedHook(void);
#endif
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#endif
