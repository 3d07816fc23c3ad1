/*
 * Tasks as a debugger finds them in a kernel: control blocks in circular lists.
 */
#ifndef DEVICE_TASKS_H
#define DEVICE_TASKS_H

#include <stddef.h>
#include <stdint.h>

#define TASK_BYTES (24u * sizeof(void *)) /* of a control block */

enum task_state { TASK_READY, TASK_DELAYED, TASK_SUSPENDED };

void tasks_prepare(void);
/* A task whose stack grows down from its last word; the first one to be created runs. */
void tasks_create(void *control, uint32_t *stack, size_t words, const char *name,
                  enum task_state state);
void tasks_create_static(void);

#endif
