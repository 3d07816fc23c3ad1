/*
 * The recorder's configuration for a FreeRTOS kernel: time and tasks. Name it in RHR_CONFIG_FILE.
 */
#ifndef RH_RECORDER_TASK_H
#define RH_RECORDER_TASK_H

#include "FreeRTOS.h"
#include "task.h"

/* No kernel call before the scheduler runs, and none that INCLUDE_ macros may have left out. */
#define RHR_TICK() ((uint32_t)xTaskGetTickCount())
#ifndef RHR_TASK
#define RHR_TASK() ((const void *)xTaskGetCurrentTaskHandle())
#endif
#ifndef RHR_TASK_NAME
#define RHR_TASK_NAME(task) pcTaskGetName((TaskHandle_t)(uintptr_t)(task))
#endif

#endif
