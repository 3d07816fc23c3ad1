/* The recorder in the test images: time and tasks are simulated. */
#ifndef RECORDER_CONFIG_H
#define RECORDER_CONFIG_H

#include <stdint.h>

extern uint32_t recorder_tick;
extern const void *recorder_task(void);
extern const char *recorder_task_name(const void *task);

#define RHR_TICK() recorder_tick
#define RHR_TASK() recorder_task()
#define RHR_TASK_NAME(task) recorder_task_name(task)

#endif
