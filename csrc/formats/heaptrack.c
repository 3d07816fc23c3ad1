#include "rh_logs.h"

enum { MOST_WORDS = 3 };

/* The hexadecimal words behind a line's letter, up to its end. */
struct words {
    int count;
    uint64_t value[MOST_WORDS];
    ptrdiff_t digits; /* of the last */
};

static const uint8_t *read_words(const uint8_t *at, struct words *words) {
    words->count = 0;
    while (*at == ' ') {
        if (words->count == MOST_WORDS) return NULL;
        const uint8_t *const start = ++at;
        at = rh_low_hex(start, &words->value[words->count++]);
        if (at == NULL) return NULL;
        words->digits = at - start;
    }
    return rh_line_end(at);
}

/* Takes "+ SIZE TRACE ADDR" or "- ADDR"; of an interpreted log, "+ K" or "- K". */
static enum rh_scan take_event(struct rh_log *log, const struct words *words, bool allocated,
                               bool interpreted, int64_t line) {
    const uint64_t last = words->value[words->count - 1];
    if (words->count != (allocated && !interpreted ? 3 : 1)) return RH_SCAN_UNUSUAL;
    if (interpreted && last >= log->alike.count) return RH_SCAN_UNUSUAL;
    log->losses[RH_LOSS_split_reallocs] += allocated && log->freed;
    log->freed = !allocated;
    bool enough;
    if (!interpreted) {
        rh_log_saw(log, words->digits);
        enough = allocated ? rh_log_malloc(log, last, words->value[0], line)
                           : rh_log_free(log, last, line);
    } else {
        enough = allocated ? rh_log_malloc_of(log, (size_t)last, line)
                           : rh_log_free_of(log, (size_t)last, line);
    }
    return enough ? RH_SCAN_END : RH_SCAN_FAILED;
}

static enum rh_scan take(struct rh_log *log, uint8_t letter, const struct words *words, int form,
                         int64_t line) {
    const uint64_t value = words->value[0];
    if (words->count == 0) return RH_SCAN_UNUSUAL;
    switch (letter) {
    case '+':
    case '-':
        return form < 0 ? RH_SCAN_UNUSUAL : take_event(log, words, letter == '+', form == 1, line);
    case 'a':
        if (words->count == 1) return RH_SCAN_UNUSUAL;
        return rh_alike_add(&log->alike, value) ? RH_SCAN_END : RH_SCAN_FAILED;
    case 'c':
        if (words->count != 1 || value > INT64_MAX) return RH_SCAN_UNUSUAL;
        if ((int64_t)value > log->now) log->now = (int64_t)value;
        return RH_SCAN_END;
    default: return RH_SCAN_UNUSUAL; /* 'v' */
    }
}

enum rh_scan rh_scan_heaptrack(struct rh_log *log, struct rh_lines *lines, int form) {
    if (!rh_whole_lines(lines)) return RH_SCAN_UNUSUAL;
    const uint8_t *const end = lines->data + lines->length;
    for (const uint8_t *at = lines->data + lines->at; at < end; lines->line++) {
        const uint8_t letter = *at;
        const uint8_t *next;
        if (letter == '\n' || at[1] != ' ' || strchr("+-acvi", letter) == NULL || letter == 0) {
            next = rh_skip_line(at, end);
        } else if (letter == 'i') { /* an instruction's address tells how wide addresses are */
            uint64_t highest;
            next = rh_low_hex(at + 2, &highest);
            if (next == NULL || *next != ' ') return RH_SCAN_UNUSUAL;
            if (highest > log->highest) log->highest = highest;
            next = rh_skip_line(next, end);
        } else {
            struct words words = {0};
            next = read_words(at + 1, &words);
            if (next == NULL) return RH_SCAN_UNUSUAL;
            const enum rh_scan result = take(log, letter, &words, form, lines->line);
            if (result != RH_SCAN_END) return result;
        }
        at = next;
        lines->at = (size_t)(at - lines->data);
    }
    return RH_SCAN_END;
}
