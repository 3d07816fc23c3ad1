/*
 * The text format's lines that are as they are usually written: one blank between fields, no signs,
 * numbers of up to 18 digits. The rest is for a caller that knows all forms. Knows no Python.
 */
#ifndef RTOSHEAP_TEXT_H
#define RTOSHEAP_TEXT_H

#include "rh_lex.h"

struct rh_text {
    const uint8_t *data;
    size_t length;  /* what is read of it, whole lines */
    size_t at;      /* where the next line begins */
    int64_t line;   /* its number */
    bool addressed; /* each event's last field is an address */
    size_t count;   /* events so far */
    size_t room;    /* of each array, at least as many as there are lines */
    uint8_t *op;
    int64_t *id;
    uint64_t *size;
    int64_t *time;  /* 0 without one */
    uint8_t *timed; /* whether it has one */
    int32_t *task;  /* -1 without one */
    uint64_t *address;
    int64_t *lines;
    uint64_t seed; /* so that nobody can choose names that collide */
    /* The code of a task's name, asked once for each; -1: it is no usual name; -2: failed. */
    int32_t (*code_of)(void *context, const uint8_t *name, size_t length);
    void *context;
};

/* The cells of a row of CSV. */
enum rh_cell { RH_CELL_op, RH_CELL_id, RH_CELL_size, RH_CELL_time, RH_CELL_task, RH_CELLS };

/* The same of rows of CSV: cells without blanks and quotes, in this order, which has the first
 * three. */
enum rh_scan rh_csv_scan(struct rh_text *text, const uint8_t *order, size_t cells);

/* Reads on from `at`. */
enum rh_scan rh_text_scan(struct rh_text *text);

#endif
