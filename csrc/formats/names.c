#include "rh_names.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "rh_hash.h"

enum { LONGEST_NAME = 64 };

static uint64_t hash_name(const uint8_t *text, size_t length, uint64_t seed) {
    uint64_t hash = length;
    while (length > 0) {
        const size_t part = length < 8 ? length : 8;
        uint64_t word = 0;
        memcpy(&word, text, part);
        hash = rh_hash(hash ^ word, seed);
        text += part;
        length -= part;
    }
    return hash;
}

static struct rh_name *place_of(const struct rh_names *names, const uint8_t *text, size_t length) {
    size_t at = hash_name(text, length, names->seed) & (names->size - 1);
    while (names->table[at].text != NULL &&
           (names->table[at].length != length || memcmp(names->table[at].text, text, length) != 0))
        at = (at + 1) & (names->size - 1);
    return &names->table[at];
}

static bool grow(struct rh_names *names) {
    struct rh_names wider = *names;
    wider.size = names->size != 0 ? 2 * names->size : 64;
    wider.table = calloc(wider.size, sizeof *wider.table);
    if (wider.table == NULL) return false;
    for (size_t i = 0; i < names->size; i++)
        if (names->table[i].text != NULL)
            *place_of(&wider, names->table[i].text, names->table[i].length) = names->table[i];
    free(names->table);
    *names = wider;
    return true;
}

int32_t rh_code_of(struct rh_names *names, const uint8_t *text, size_t length,
                   int32_t (*ask)(void *context, const uint8_t *text, size_t length),
                   void *context) {
    if (length > LONGEST_NAME) return RH_NAME_UNUSUAL;
    if (2 * names->count >= names->size && !grow(names)) return RH_NAME_FAILED;
    struct rh_name *name = place_of(names, text, length);
    if (name->text == NULL) {
        const int32_t code = ask(context, text, length);
        if (code < 0) return code;
        *name = (struct rh_name){text, length, code};
        names->count++;
    }
    return name->code;
}

void rh_names_drop(struct rh_names *names) {
    free(names->table);
}
