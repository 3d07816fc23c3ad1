/* Whether a program may record, where the linker has made its names the wrap's (MALLOC_REACHES,
 * FREE_REACHES: 1) or not. With START_MALLOC they are those of the C library. */
#include "rh_recorder_wrap.h"

struct rh_recorder rh_wrap_recorder;
static int calls;

void rhr_start(struct rh_recorder *recorder, rhr_sink put, void *context, uintptr_t base,
               enum rhr_meaning meaning, uint8_t overhead) {
    calls += recorder == &rh_wrap_recorder && put == NULL && context == &calls && base == 5 &&
             meaning == RHR_REQUESTED && overhead == 0;
}

static void *other_malloc(size_t size) {
    (void)size;
    return NULL;
}

static void other_free(void *address) {
    (void)address;
}

void *__wrap_malloc(size_t size) {
    return other_malloc(size);
}

void __wrap_free(void *address) {
    other_free(address);
}

void *__wrap_pvPortMalloc(size_t size) {
    return other_malloc(size);
}

void __wrap_vPortFree(void *address) {
    other_free(address);
}

#ifdef START_MALLOC
#define malloc (MALLOC_REACHES ? __wrap_malloc : other_malloc)
#define free (FREE_REACHES ? __wrap_free : other_free)
#define START RHR_START_MALLOC
#else
#define pvPortMalloc (MALLOC_REACHES ? __wrap_pvPortMalloc : other_malloc)
#define vPortFree (FREE_REACHES ? __wrap_vPortFree : other_free)
#define START RHR_START_FREERTOS
#endif

int main(void) {
    const bool started = START(NULL, &calls, 5);
    const bool reached = MALLOC_REACHES && FREE_REACHES;
    return started == reached && calls == reached ? 0 : 1;
}
