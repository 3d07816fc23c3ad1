/*
 * Logs' lines that are as they are usually written. The rest, and so whatever is wrong, is for a
 * caller that knows all forms. Knows no Python.
 */
#ifndef RTOSHEAP_LOGS_H
#define RTOSHEAP_LOGS_H

#include "rh_log.h"

/* The events of one process: those of lines that begin with `process`, "--PID-- ". */
enum rh_scan rh_scan_valgrind(struct rh_log *log, struct rh_lines *lines, const uint8_t *process,
                              size_t length);

/* The events of a FreeRTOS kernel's log that has begun: whether its lines say what was requested.
 */
enum rh_scan rh_scan_freertos(struct rh_log *log, struct rh_lines *lines, bool sized);

enum rh_scan rh_scan_pigweed(struct rh_log *log, struct rh_lines *lines);

/* Not within a realloc, which is two lines. */
enum rh_scan rh_scan_mtrace(struct rh_log *log, struct rh_lines *lines);

/* A form of 0: raw; 1: interpreted; -1: not told yet by an event. */
enum rh_scan rh_scan_heaptrack(struct rh_log *log, struct rh_lines *lines, int form);

/* While no call is interrupted. */
enum rh_scan rh_scan_ltrace(struct rh_log *log, struct rh_lines *lines);

#endif
