/*
 * The recorder's configuration for a FreeRTOS kernel: time and tasks. Name it in RHR_CONFIG_FILE.
 */
#ifndef RH_RECORDER_TASK_H
#define RH_RECORDER_TASK_H

#include "FreeRTOS.h"
#include "task.h"

#define RHR_TICK() ((uint32_t)xTaskGetTickCount())

/* Who runs: always declared, but not defined in every configuration. Up to V10.4 the INCLUDE_ macro
 * is 0 where nothing is said; which mutexes stand for it changed after V11.1. */
#ifndef RHR_TASK
#if INCLUDE_xTaskGetCurrentTaskHandle == 1 ||                                                      \
    (configUSE_MUTEXES == 1 && (configUSE_RECURSIVE_MUTEXES == 1 || tskKERNEL_VERSION_MAJOR < 11))
#define RHR_TASK() ((const void *)xTaskGetCurrentTaskHandle())
#else
#error "set INCLUDE_xTaskGetCurrentTaskHandle to 1, or define RHR_TASK() as NULL: no tasks then"
#endif
#endif
#ifndef RHR_TASK_NAME
#define RHR_TASK_NAME(task) pcTaskGetName((TaskHandle_t)(uintptr_t)(task))
#endif

#endif
