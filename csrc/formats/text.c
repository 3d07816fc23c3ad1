#include "rh_text.h"

#include "rh_names.h"

enum { MOST_FIELDS = 3 };

struct field {
    const uint8_t *text;
    size_t length;
};

static bool is_address(struct field field, uint64_t *value) {
    return rh_address(field.text, value) == field.text + field.length && field.text[1] == 'x';
}

/* The fields up to the line's end, each after one blank; their number, or -1. */
static int rest_of(const uint8_t *at, struct field fields[MOST_FIELDS], const uint8_t **end) {
    int count = 0;
    while (*at == ' ') {
        const uint8_t *const start = ++at;
        while (*at != ' ' && *at != '\n')
            at++;
        if (at == start || count == MOST_FIELDS) return -1;
        fields[count++] = (struct field){start, (size_t)(at - start)};
    }
    if (*at == '\r') at++;
    if (*at != '\n') return -1;
    if (count > 0 && at[-1] == '\r' && --fields[count - 1].length == 0) return -1;
    *end = at + 1;
    return count;
}

/* What stands after the id and the size, into the arrays' next place. */
static enum rh_scan rest(struct rh_text *text, struct rh_names *names, const uint8_t **at) {
    const size_t i = text->count;
    struct field fields[MOST_FIELDS];
    uint64_t time = 0;
    int count = rest_of(*at, fields, at);
    if (text->addressed && (--count < 0 || !is_address(fields[count], &text->address[i])))
        return RH_SCAN_UNUSUAL;
    if (count < 0 || count > 2) return RH_SCAN_UNUSUAL;
    if (count > 0 && rh_number(fields[0].text, &time) != fields[0].text + fields[0].length)
        return RH_SCAN_UNUSUAL;
    if (count > 1) {
        const int32_t code =
            rh_code_of(names, fields[1].text, fields[1].length, text->code_of, text->context);
        if (code < 0) return code == -1 ? RH_SCAN_UNUSUAL : RH_SCAN_FAILED;
        text->task[i] = code;
    }
    text->time[i] = (int64_t)time;
    text->timed[i] = count > 0;
    return RH_SCAN_END;
}

/* One event into the arrays' next place. */
static inline enum rh_scan event(struct rh_text *text, struct rh_names *names, const uint8_t **at) {
    const uint8_t *next = *at;
    const uint8_t op = *next;
    const size_t i = text->count;
    uint64_t id, size = 0;
    if ((op != 'm' && op != 'f' && op != 'r') || next[1] != ' ') return RH_SCAN_UNUSUAL;
    next = rh_number(next + 2, &id);
    if (next == NULL) return RH_SCAN_UNUSUAL;
    if (op != 'f') {
        if (*next != ' ') return RH_SCAN_UNUSUAL;
        next = rh_number(next + 1, &size);
        if (next == NULL) return RH_SCAN_UNUSUAL;
    }
    text->task[i] = -1;
    if (*next == '\n' && !text->addressed) {
        text->time[i] = 0;
        text->timed[i] = false;
        next++;
    } else {
        const enum rh_scan result = rest(text, names, &next);
        if (result != RH_SCAN_END) return result;
    }
    text->op[i] = op;
    text->id[i] = (int64_t)id;
    text->size[i] = size;
    text->lines[i] = text->line;
    text->count = i + 1;
    *at = next;
    return RH_SCAN_END;
}

static enum rh_scan scan(struct rh_text *text, struct rh_names *names) {
    const uint8_t *at = text->data + text->at;
    const uint8_t *const end = text->data + text->length;
    enum rh_scan result = RH_SCAN_END;
    while (at < end && result == RH_SCAN_END) {
        if (*at == '\n') {
            at++;
        } else if (*at == '#') {
            at = rh_skip_line(at, end);
        } else if (text->count == text->room) {
            result = RH_SCAN_UNUSUAL;
        } else {
            result = event(text, names, &at);
        }
        if (result == RH_SCAN_END) text->line++;
    }
    text->at = (size_t)(at - text->data);
    return result;
}

enum rh_scan rh_text_scan(struct rh_text *text) {
    if (text->length == 0 || text->data[text->length - 1] != '\n') return RH_SCAN_UNUSUAL;
    struct rh_names names = {.seed = text->seed};
    const enum rh_scan result = scan(text, &names);
    rh_names_drop(&names);
    return result;
}
