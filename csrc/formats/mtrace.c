#include "rh_logs.h"

/* A call as glibc's mtrace logs it: an operation, an address and, where there is one, a size. */
struct call {
    uint8_t op; /* + - < > ! */
    uint64_t address, size;
    ptrdiff_t digits; /* of the address */
};

struct word {
    const uint8_t *start, *end;
};

/* The word before a blank or the line's end; what is not one ends at its start. */
static struct word word_before(const uint8_t *line, const uint8_t *end) {
    const uint8_t *start = end;
    while (start > line && start[-1] != ' ')
        start--;
    return (struct word){start, end};
}

static bool marked(struct word word, uint64_t *value) {
    return word.start[0] == '0' && word.start[1] == 'x' &&
           rh_low_hex(word.start + 2, value) == word.end;
}

static bool one_of(uint8_t byte, const char *bytes) {
    return byte != 0 && strchr(bytes, byte) != NULL;
}

/* Reads a line up to its end; NULL if it is unusual. A call stands at the end, behind "@ " and a
 * caller that may hold anything. */
static const uint8_t *read_call(const uint8_t *line, const uint8_t *end, struct call *call) {
    const uint8_t *const next = rh_skip_line(line, end);
    const uint8_t *stop = next - 1;
    if (line[0] != '@' || line[1] != ' ') return NULL;
    if (stop[-1] == '\r') stop--;
    line++; /* a word begins behind the first blank, at the earliest */
    struct word last = word_before(line, stop);
    struct word middle = word_before(line, last.start - 1);
    if (middle.start <= line + 1 || middle.start == middle.end) return NULL;
    const struct word first = word_before(line, middle.start - 1);
    if (first.end - first.start == 1 && one_of(*first.start, "+>!")) {
        call->op = *first.start;
        if (!marked(last, &call->size)) {
            if (last.end - last.start != 1 || *last.start != '0') return NULL;
            call->size = 0;
        }
    } else {
        if (middle.end - middle.start != 1 || !one_of(*middle.start, "-<")) return NULL;
        /* An operation by itself, perhaps. */
        if (first.end[-1] <= ' ' || one_of(first.end[-1], "+>!")) return NULL;
        call->op = *middle.start;
        call->size = 0;
        middle = last;
    }
    call->digits = middle.end - middle.start - 2;
    return marked(middle, &call->address) ? next : NULL;
}

/* Reads a call, which is two lines if it is a realloc. */
static const uint8_t *read_whole(const uint8_t *at, const uint8_t *end, struct call *call,
                                 struct call *after) {
    after->op = 0;
    at = read_call(at, end, call);
    if (at == NULL || call->op == '>') return NULL;
    if (call->op != '<') return at;
    at = at < end ? read_call(at, end, after) : NULL;
    return after->op == '>' ? at : NULL;
}

static bool take(struct rh_log *log, const struct call *call, int64_t line) {
    rh_log_saw(log, call->digits);
    if (call->op == '+') return rh_log_malloc(log, call->address, call->size, line);
    if (call->op == '-') return rh_log_free(log, call->address, line);
    return rh_log_realloc(log, call->address, 0, call->size, line); /* '!' */
}

enum rh_scan rh_scan_mtrace(struct rh_log *log, struct rh_lines *lines) {
    if (!rh_whole_lines(lines)) return RH_SCAN_UNUSUAL;
    const uint8_t *const end = lines->data + lines->length;
    for (const uint8_t *at = lines->data + lines->at; at < end; lines->line++) {
        struct call call, after;
        const uint8_t *next;
        if (*at == '=' || *at == '\n') {
            next = rh_skip_line(at, end);
        } else {
            next = read_whole(at, end, &call, &after);
            if (next == NULL) return RH_SCAN_UNUSUAL;
            bool enough;
            if (call.op != '<') {
                enough = take(log, &call, lines->line);
            } else {
                rh_log_saw(log, call.digits);
                rh_log_saw(log, after.digits);
                enough =
                    rh_log_realloc(log, call.address, after.address, after.size, ++lines->line);
            }
            if (!enough) return RH_SCAN_FAILED;
        }
        at = next;
        lines->at = (size_t)(at - lines->data);
    }
    return RH_SCAN_END;
}
