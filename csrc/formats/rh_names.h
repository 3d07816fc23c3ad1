/* The codes of names, each asked once. */
#ifndef RTOSHEAP_NAMES_H
#define RTOSHEAP_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct rh_names {
    struct rh_name {
        const uint8_t *text; /* NULL: free */
        size_t length;
        int32_t code;
    } * table;
    size_t size; /* a power of 2, or 0 */
    size_t count;
    uint64_t seed; /* so that nobody can choose names that collide */
};

enum { RH_NAME_UNUSUAL = -1, RH_NAME_FAILED = -2 };

/* A name's code, or one of these two; `ask` says it, or the same. Keeps a pointer to the name. */
int32_t rh_code_of(struct rh_names *names, const uint8_t *text, size_t length,
                   int32_t (*ask)(void *context, const uint8_t *text, size_t length),
                   void *context);

void rh_names_drop(struct rh_names *names);

#endif
