/* The version is set with -D. */
#ifndef INC_TASK_H
#define INC_TASK_H

#define tskKERNEL_VERSION_MAJOR TEST_MAJOR
#define tskKERNEL_VERSION_MINOR TEST_MINOR

typedef struct tskTaskControlBlock *TaskHandle_t;
TickType_t xTaskGetTickCount(void);
TaskHandle_t xTaskGetCurrentTaskHandle(void);
char *pcTaskGetName(TaskHandle_t xTaskToQuery);
void vTaskSuspendAll(void);
BaseType_t xTaskResumeAll(void);

#endif
