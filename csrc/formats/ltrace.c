#include "rh_logs.h"

struct name {
    const uint8_t *text;
    size_t length;
};

/* A call as ltrace logs it. */
struct call {
    enum { OTHER, MALLOC, CALLOC, REALLOC, FREE } what;
    uint64_t first, second, result;
    ptrdiff_t digits; /* of the result; 0 if it is none */
};

static bool is(struct name name, const char *other) {
    return name.length == strlen(other) && memcmp(name.text, other, name.length) == 0;
}

static bool words(const uint8_t *at, const uint8_t *end) {
    while (at < end && (((*at | 0x20) >= 'a' && (*at | 0x20) <= 'z') || *at == '_' ||
                        (*at >= '0' && *at <= '9')))
        at++;
    return at == end;
}

/* What an operator of C++ is: new or delete, of one or many. */
static bool told_operator(struct name name, struct call *call) {
    const uint8_t *const text = name.text;
    if (name.length < 5 || !words(text, text + name.length)) return false;
    const bool one = text[3] == 'w' || text[3] == 'l';
    if ((!one && text[3] != 'a') || (text[2] != 'n' && text[2] != 'd')) return false;
    call->what = text[2] == 'n' ? MALLOC : FREE;
    if (call->what == MALLOC) return text[3] != 'l' && (text[4] == 'j' || text[4] == 'm');
    return text[3] != 'w' && text[4] == 'P' && name.length > 5 && text[5] == 'v';
}

/* What a function is; false if that, or what it tells, is Python's to know. */
static bool told(struct name name, struct call *call) {
    static const char *const rare[] = {"reallocarray",   "cfree",  "aligned_alloc", "memalign",
                                       "posix_memalign", "valloc", "pvalloc"};
    call->what = OTHER;
    if (is(name, "malloc"))
        call->what = MALLOC;
    else if (is(name, "free"))
        call->what = FREE;
    else if (is(name, "calloc"))
        call->what = CALLOC;
    else if (is(name, "realloc"))
        call->what = REALLOC;
    else if (name.length > 1 && name.text[0] == '_' && name.text[1] == 'Z')
        return told_operator(name, call);
    for (size_t i = 0; i < sizeof rare / sizeof rare[0]; i++)
        if (is(name, rare[i])) return false;
    return true;
}

/* The function of "CALLER->NAME@LIB(", and where its arguments are; NULL if there is none. */
static const uint8_t *read_name(const uint8_t *at, struct name *name) {
    name->text = at;
    const uint8_t *stop = NULL;
    for (; *at > ' ' && *at != '('; at++) {
        if (at[0] == '-' && at[1] == '>') {
            name->text = at + 2;
            stop = NULL;
        } else if (*at == '@' && stop == NULL) {
            stop = at;
        }
    }
    if (stop == NULL) stop = at;
    name->length = (size_t)(stop - name->text);
    return *at == '(' ? at + 1 : NULL;
}

static const uint8_t *value(const uint8_t *at, uint64_t *value) {
    return at[0] == '0' && at[1] == 'x' ? rh_hex(at + 2, value) : rh_number(at, value);
}

/* The arguments of a call and its result, up to the line's end. */
static const uint8_t *read_call(const uint8_t *at, struct call *call) {
    at = value(at, &call->first);
    if (at != NULL && (call->what == CALLOC || call->what == REALLOC)) {
        if (*at++ != ',') return NULL;
        at = value(at + (*at == ' '), &call->second);
    }
    if (at == NULL || (*at != ')' && *at != ',')) return NULL;
    while (*at != ')' && *at != '\n')
        at++;
    if (at[0] != ')' || at[1] != ' ') return NULL;
    for (at++; *at == ' '; at++) {
    }
    if (at[0] != '=' || at[1] != ' ') return NULL;
    at += 2;
    if (call->what == FREE) {
        for (const char *text = "<void>"; *text != '\0'; text++)
            if (*at++ != (uint8_t)*text) return NULL;
    } else {
        const uint8_t *const start = at;
        if (at[0] != '0' || at[1] != 'x') return NULL;
        at = rh_hex(at + 2, &call->result);
        call->digits = at - start - 2;
    }
    if (call->what == CALLOC && call->second != 0 && call->first > UINT64_MAX / call->second)
        return NULL;
    return at != NULL ? rh_line_end(at) : NULL;
}

/* Sets the log's task to that of "[pid N] " or "N ", or of no number; NULL if it is not known. */
static const uint8_t *read_task(struct rh_log *log, const uint8_t *at) {
    const bool marked =
        at[0] == '[' && at[1] == 'p' && at[2] == 'i' && at[3] == 'd' && at[4] == ' ';
    uint64_t number;
    if (marked) at += 5;
    log->who = -1;
    if (!marked && (unsigned)*at - '0' > 9) return at;
    const uint8_t *const end = *at != '0' ? rh_number(at, &number) : NULL;
    if (end == NULL) return NULL;
    at = end;
    if (marked && *at++ != ']') return NULL;
    if (*at++ != ' ' || (unsigned)*at - '0' <= 9) return NULL; /* a time */
    log->who = (int)rh_live_at(&log->tasks, number + 1);
    return log->who >= 0 ? at : NULL;
}

static bool take(struct rh_log *log, const struct call *call, int64_t line) {
    if (call->what == FREE) return rh_log_free(log, call->first, line);
    rh_log_saw(log, call->digits);
    if (call->what == REALLOC)
        return rh_log_realloc(log, call->first, call->result, call->second, line);
    const uint64_t each = call->what == CALLOC ? call->second : 1;
    return rh_log_malloc(log, call->result, call->first * each, line);
}

enum rh_scan rh_scan_ltrace(struct rh_log *log, struct rh_lines *lines) {
    if (!rh_whole_lines(lines)) return RH_SCAN_UNUSUAL;
    const uint8_t *const end = lines->data + lines->length;
    for (const uint8_t *at = lines->data + lines->at; at < end; lines->line++) {
        struct name name;
        struct call call;
        at = read_task(log, at);
        if (at != NULL) at = read_name(at, &name);
        if (at == NULL || !told(name, &call)) return RH_SCAN_UNUSUAL;
        if (call.what == OTHER) {
            at = rh_skip_line(at, end);
        } else {
            at = read_call(at, &call);
            if (at == NULL) return RH_SCAN_UNUSUAL;
            if (!take(log, &call, lines->line)) return RH_SCAN_FAILED;
        }
        lines->at = (size_t)(at - lines->data);
    }
    return RH_SCAN_END;
}
