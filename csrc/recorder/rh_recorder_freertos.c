/* What rh_recorder_freertos.h's macros call. Compile it with the recorder's own configuration. */
#include "rh_recorder.h"

struct rh_recorder rh_freertos_recorder;
void rhr_freertos_malloc(void *address, size_t size);
void rhr_freertos_free(void *address);
void rhr_freertos_delete(const void *task);

/* Allocations before rhr_start() are not recorded. */
void rhr_freertos_malloc(void *address, size_t size) {
    if (rh_freertos_recorder.put != NULL)
        rhr_malloc(&rh_freertos_recorder, (uintptr_t)address, size);
}

void rhr_freertos_free(void *address) {
    if (rh_freertos_recorder.put != NULL) rhr_free(&rh_freertos_recorder, (uintptr_t)address);
}

void rhr_freertos_delete(const void *task) {
    if (rh_freertos_recorder.put != NULL) rhr_forget_task(&rh_freertos_recorder, task);
}
