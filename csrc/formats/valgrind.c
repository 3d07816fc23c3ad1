#include "rh_logs.h"

/* A call as valgrind logs it. */
struct call {
    enum { MALLOC, FREE, REALLOC } what;
    uint64_t old, size, address;
    ptrdiff_t digits; /* of the address */
};

enum { LONGEST_NAME = 8 }; /* "realloc(": no call is shorter */

static bool word(uint8_t byte) {
    return (uint8_t)((byte | 0x20) - 'a') < 26 || (uint8_t)(byte - '0') < 10 || byte == '_';
}

static bool starts(const uint8_t *at, const char *with) {
    while (*with != '\0' && *at == (uint8_t)*with)
        at++, with++;
    return *with == '\0';
}

/* Up to the closing parenthesis; NULL if the line has none. */
static const uint8_t *closed(const uint8_t *at) {
    while (*at != ')' && *at != '\n')
        at++;
    return *at == ')' ? at + 1 : NULL;
}

/* " = 0x1F" */
static const uint8_t *result(const uint8_t *at, struct call *call) {
    if (at[0] != ' ' || at[1] != '=' || at[2] != ' ') return NULL;
    const uint8_t *const end = rh_address(at + 3, &call->address);
    call->digits = end - at - 5;
    return end;
}

static const uint8_t *frees(const uint8_t *at, struct call *call) {
    call->what = FREE;
    at = rh_address(at, &call->old);
    return at != NULL && (*at == ')' || *at == ',') ? closed(at) : NULL;
}

/* "0x1F,80)malloc(80) = 0x2F"; of what calls itself no other, or frees, Python knows. */
static const uint8_t *reallocs(const uint8_t *at, struct call *call) {
    call->what = REALLOC;
    at = rh_address(at, &call->old);
    if (at == NULL || *at != ',') return NULL;
    at = rh_number(at + 1, &call->size);
    if (at == NULL || *at != ')') return NULL;
    at++;
    if (starts(at, "malloc(")) at = closed(at + 7);
    return at != NULL ? result(at, call) : NULL;
}

static const uint8_t *mallocs(const uint8_t *at, struct call *call, bool two) {
    uint64_t each = 1;
    call->what = MALLOC;
    at = rh_number(at, &call->size);
    if (two) at = at != NULL && *at == ',' ? rh_number(at + 1, &each) : NULL;
    if (at == NULL || *at != ')') return NULL;
    if (each != 0 && call->size > UINT64_MAX / each) return NULL;
    call->size *= each;
    return result(at + 1, call);
}

/* The arguments of an operator whose name stands at `at`; NULL if it is none. */
static const uint8_t *operators(const uint8_t *at, struct call *call) {
    const bool creates = at[2] == 'n' && (at[3] == 'w' || at[3] == 'a');
    const bool deletes = at[2] == 'd' && (at[3] == 'l' || at[3] == 'a');
    if (at[0] != '_' || at[1] != 'Z' || !(creates || deletes)) return NULL;
    for (at += 4; word(*at); at++) {
    }
    if (*at != '(') return NULL;
    return creates ? mallocs(at + 1, call, false) : frees(at + 1, call);
}

/* The call behind the process, and where the next line begins; NULL if it is unusual. */
static inline const uint8_t *read_call(const uint8_t *at, struct call *call) {
    if (memcmp(at, "malloc(", 7) == 0)
        at = mallocs(at + 7, call, false);
    else if (memcmp(at, "free(", 5) == 0)
        at = frees(at + 5, call);
    else if (memcmp(at, "calloc(", 7) == 0)
        at = mallocs(at + 7, call, true);
    else if (memcmp(at, "realloc(", 8) == 0)
        at = reallocs(at + 8, call);
    else
        at = operators(at, call);
    return at != NULL ? rh_line_end(at) : NULL;
}

static bool take(struct rh_log *log, const struct call *call, int64_t line) {
    if (call->what == FREE) return rh_log_free(log, call->old, line);
    if (call->what == REALLOC)
        return rh_log_realloc(log, call->old, call->address, call->size, line);
    rh_log_saw(log, call->digits);
    return rh_log_malloc(log, call->address, call->size, line);
}

/* What stands behind "--PID-- "; NULL if that is not what a line begins with. */
static const uint8_t *process_end(const uint8_t *at) {
    uint64_t process;
    at = rh_number(at + 2, &process);
    return at != NULL && at[0] == '-' && at[1] == '-' && at[2] == ' ' ? at + 3 : NULL;
}

enum rh_scan rh_scan_valgrind(struct rh_log *log, struct rh_lines *lines, const uint8_t *process,
                              size_t length) {
    if (!rh_whole_lines(lines) || length == 0) return RH_SCAN_UNUSUAL;
    const uint8_t *const end = lines->data + lines->length;
    for (const uint8_t *at = lines->data + lines->at; at < end; lines->line++) {
        if (at[0] != '-' || at[1] != '-') {
            at = rh_skip_line(at, end);
        } else {
            struct call call;
            if ((size_t)(end - at) < length + LONGEST_NAME) return RH_SCAN_UNUSUAL;
            const bool ours = memcmp(at, process, length) == 0;
            const uint8_t *next = ours ? at + length : process_end(at);
            if (next == NULL || (size_t)(end - next) < LONGEST_NAME) return RH_SCAN_UNUSUAL;
            next = read_call(next, &call);
            if (next == NULL) return RH_SCAN_UNUSUAL;
            if (!ours)
                log->losses[RH_LOSS_other_processes]++;
            else if (!take(log, &call, lines->line))
                return RH_SCAN_FAILED;
            at = next;
        }
        lines->at = (size_t)(at - lines->data);
    }
    return RH_SCAN_END;
}
